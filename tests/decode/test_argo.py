"""Argo's templates, and the texts that patch their pods in the end."""

from __future__ import annotations

import pytest

from streamer.model import UNKNOWN
from tests.decode.given import decode, one, write

JSON_PATCH = '{"containers":[{"name":"main","securityContext":{"privileged":true}}],"hostPID":true}'
YAML_PATCH = """
hostPID: true
containers:
  - name: main
    securityContext:
      privileged: true
"""
HOST = '{"volumes":[{"name":"v","hostPath":{"path":"/"}}],"containers":[{"name":"main","volumeMounts":[{"name":"v"}]}]}'


def spec(patch=None, own=None, **settings):
    template = {"name": "t", "container": {"image": "x", "command": ["run"], "env": [{"name": "A"}]}}
    if own is not None:
        template["podSpecPatch"] = own
    if patch is not None:
        settings["podSpecPatch"] = patch
    return {"spec": {"templates": [template], **settings}}


@pytest.mark.parametrize("patch", [JSON_PATCH, " " + JSON_PATCH, YAML_PATCH, "---\n" + YAML_PATCH])
@pytest.mark.parametrize("where", ["workflow", "template"])
def test_a_patch_in_yaml_or_json_is_laid_over_the_containers_it_names(patch, where):
    body = spec(patch) if where == "workflow" else spec(own=patch)
    event, container = decode(write("workflows", body)).events
    workload = event.fields["workload"]
    assert (workload["privileged"], workload["host_pid"], workload["images"]) == (True, True, ["x"])
    found = container.fields["container"]
    assert (found["privileged"], found["image"], found["command_line"]) == (True, "x", "run")
    assert event.fields["body_unknown"] is False


def test_a_templates_patch_comes_after_its_workflows():
    first = '{"containers":[{"name":"main","image":"first","args":["a"]}]}'
    _, container = decode(write("workflows", spec(first, '{"containers":[{"name":"main","image":"second"}]}'))).events
    assert (container.fields["container"]["image"], container.fields["container"]["command_line"]) == (
        "second",
        "run a",
    )


def test_a_patch_adds_to_lists_with_keys_and_volumes_of_the_node():
    _, container = decode(write("workflows", spec(own=HOST))).events
    assert container.fields["container"]["host_paths"] == ["/"]
    assert container.fields["container"]["env_names"] == ["A"]


def test_a_container_that_only_a_patch_knows_is_told_too():
    patch = '{"initContainers":[{"name":"get","image":"evil"}]}'
    events = decode(write("workflows", spec(own=patch))).events
    assert [event.fields["container"]["image"] for event in events[1:]] == ["x", "evil"]


@pytest.mark.parametrize(
    "patch",
    [
        "{{inputs.parameters.patch}}",
        '{"containers":[{"name":"main","resources":{{=sprig.toJson(x)}}}]}',
        "a: &x [1]\nb: *x",
        "- 1",
        "just text",
        "a: [" * 100,
        "a: !!python/object:os.system x",
        "x: " + "y" * 70_000,
        5,
        ["x"],
        "\ud800",
        "\x00",
    ],
)
def test_a_patch_that_cannot_be_read_leaves_unknown_what_it_may_have_changed(patch):
    """[D5] unknown, not absent: the pods may be privileged."""
    event = one(write("workflows", spec(patch)) if patch != "\ud800" else write("workflows", spec("\ufffd")))
    workload = event.fields["workload"]
    assert (workload["privileged"], workload["host_network"]) == (UNKNOWN, UNKNOWN)
    assert workload["images"] == ["x", UNKNOWN]
    assert event.fields["body_unknown"] is True
    assert "body-unknown" in event.flags


@pytest.mark.parametrize("patch", [None, "", "{}", "metadata: {}"])
def test_an_empty_patch_changes_nothing(patch):
    workload = one(write("workflows", spec(patch))).fields["workload"]
    assert (workload["privileged"], workload["images"]) == (False, ["x"])


def test_a_large_patch_over_many_templates_costs_no_more_than_its_budget():
    keys = ",".join(f'"k{n}":0' for n in range(20_000))
    patch = f'{{"containers":[{{"name":"main",{keys}}}]}}'
    templates = [{"name": f"t{n}", "container": {"image": "x"}} for n in range(4_000)]
    event = one(write("workflows", {"spec": {"podSpecPatch": patch, "templates": templates}}))
    assert event.fields["body_unknown"] is True
    assert event.fields["workload"]["privileged"] is UNKNOWN


def test_many_patches_in_yaml_cost_no_more_than_their_budget():
    templates = [{"name": f"t{n}", "container": {"image": "x"}, "podSpecPatch": "a: 1\n" * 100} for n in range(2_000)]
    assert one(write("workflows", {"spec": {"templates": templates}})).fields["body_unknown"] is True
