"""The object that a patch describes."""

from __future__ import annotations

import pytest

from streamer.decode.patches import from_json_patch, written_object
from streamer.model import UNKNOWN
from tests.decode.given import one, write


def add(path, value):
    return {"op": "add", "path": path, "value": value}


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([add("/spec/replicas", 3)], {"spec": {"replicas": 3}}),
        (
            [add("/spec/containers/-", {"name": "a"}), add("/spec/containers/-", {"name": "b"})],
            {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}},
        ),
        (
            [add("/spec/containers/0/args/-", "x"), add("/spec/containers/0/image", "i")],
            {"spec": {"containers": [{"args": ["x"], "image": "i"}]}},
        ),
        (
            [add("/spec", {"containers": [{"name": "a"}]}), add("/spec/containers/0/image", "i")],
            {"spec": {"containers": [{"name": "a", "image": "i"}]}},
        ),
        ([add("/metadata/labels/a~1b~0c", "x")], {"metadata": {"labels": {"a/b~c": "x"}}}),
        ([add("/metadata/labels/0", "x")], {"metadata": {"labels": {"0": "x"}}}),
        ([add("", {"a": 1}), add("/b", 2)], {"a": 1, "b": 2}),
        ([add("/spec/containers/99999999999", {"name": "a"})], {"spec": {"containers": [{"name": "a"}]}}),
        ([{"op": "remove", "path": "/a"}, {"op": "test", "path": "/a", "value": 1}, {"op": "move"}, 5, None], {}),
        ([add("a", 1), add("/a" * 65, 1), add("/" + "a" * 5000, 1), add(5, 1), add("/", 5)], {}),
        ([add("/a", 1), add("/a/b", 2)], {"a": {"b": 2}}),
    ],
)
def test_operations_are_put_in_their_places(operations, expected):
    assert from_json_patch(operations) == expected


def test_the_clients_own_values_are_left_as_they_were():
    value = {"containers": [{"name": "a"}], "labels": {"x": {"y": 1}}}
    from_json_patch([add("/spec", value), add("/spec/containers/0/image", "i"), add("/spec/labels/x/z", 2)])
    assert value == {"containers": [{"name": "a"}], "labels": {"x": {"y": 1}}}


def test_what_was_written_is_chosen_by_the_verb():
    request, answer, refusal = {"a": 1}, {"kind": "Pod"}, {"kind": "Status"}
    assert written_object({"verb": "create", "requestObject": request, "responseObject": answer}) == request
    assert written_object({"verb": "patch", "requestObject": request, "responseObject": answer}) == answer
    assert written_object({"verb": "patch", "requestObject": request, "responseObject": refusal}) == request
    assert written_object({"verb": "patch", "requestObject": [add("/a", 1)]}) == {"a": 1}
    assert written_object({"verb": "create", "requestObject": UNKNOWN, "responseObject": answer}) == answer
    assert written_object({"verb": "create"}) is None
    assert written_object({"verb": "create", "requestObject": UNKNOWN}) is UNKNOWN
    assert written_object({"verb": "patch", "responseObject": UNKNOWN}) is UNKNOWN


def test_operations_before_the_one_that_counts_do_not_hide_it():
    idle = [{"op": "test", "path": "/kind", "value": "Deployment"}] * 9_999
    assert from_json_patch([*idle, add("/spec/replicas", 3)]) == {"spec": {"replicas": 3}}


@pytest.mark.parametrize("how", ["copy", "move"])
def test_a_patch_that_copies_what_it_does_not_hold_is_a_write_with_an_unknown_body(how):
    """[D5] what is not told is unknown; what is told beside it is still seen."""
    image = "/spec/template/spec/containers/0/image"
    patch = [{"op": how, "from": "/metadata/annotations/x", "path": image}, add(image.replace("0", "1"), "i")]
    event = one(write("deployments", patch, verb="patch"))
    assert event.fields["body_unknown"] is True
    assert "body-unknown" in event.flags
    assert event.fields["workload"]["images"] == ["i", UNKNOWN]
    assert event.fields["workload"]["privileged"] is UNKNOWN
    told = {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"image": "evil"}]}}}}
    event = one(write("deployments", patch, verb="patch", responseObject=told))
    assert (event.fields["body_unknown"], event.fields["workload"]["images"]) == (False, ["evil"])
