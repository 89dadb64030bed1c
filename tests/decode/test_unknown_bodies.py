"""[D5] However a body gets lost, what it said is unknown: no rule and no exception to a rule takes it for a no."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streamer.detect.evaluate import evaluate
from streamer.model import Event
from streamer.sigma.predicates import FieldTest, Negated, Null, Text
from tests.decode.given import audit, decode, pod, write
from tests.decode.happenings import aks, cloudwatch, dumped

PRIVILEGED = pod({"name": "c", "image": "x", "securityContext": {"privileged": True}})
WHOLE = write("pods", PRIVILEGED)
CUT = {"annotations": {"audit.k8s.io/truncated": "true"}}
DEPLOYMENT = {"apiGroup": "apps", "name": "web"}
COPY = [{"op": "copy", "from": "/metadata/annotations/x", "path": "/spec/template/spec/containers/0/securityContext"}]
IDLE = {"op": "test", "path": "/kind", "value": "Deployment"}
UNREADABLE = {"spec": {"podSpecPatch": "{{x}}", "templates": [{"name": "t", "container": {"image": "x"}}]}}


def refused(text: str) -> bytes:
    """The event with bytes in its body that no strict reader takes."""
    return orjson.dumps(write("pods", {"x": "HERE"})).replace(b'"HERE"', text.encode())


CUT_OFF: dict[str, Any] = {
    "the API server cut both bodies": write("pods", None) | CUT,
    "the API server cut the request": write("pods", None, level="Request") | CUT,
    "AKS left out what is too big": aks(dumped(write("pods", "skipped-too-big-size-object"))),
    "EKS cut the message": cloudwatch(dumped(WHOLE)[: dumped(WHOLE).index("privileged") + 5] + "[Truncated...]"),
    "a shipper cut the line": orjson.dumps(WHOLE)[: orjson.dumps(WHOLE).index(b"privileged") + 5],
    "the body became text and was cut": write("pods", dumped(PRIVILEGED)[:-30]),
    "the body became text of another kind": write("pods", "<nil>"),
    "a number that is none": refused("1e999"),
    "half a surrogate": refused('"\\ud800"'),
    "too deep": refused("[" * 200 + "]" * 200),
    "deeper than any reader goes": refused("[" * 2_000 + "]" * 2_000),
    "a patch that copies": write("deployments", COPY, verb="patch", ref=DEPLOYMENT),
    "more operations than anybody reads": write("deployments", [IDLE] * 10_001, verb="patch", ref=DEPLOYMENT),
    "a patch of pods that cannot be read": write("workflows", UNREADABLE),
    "a record that is too large": orjson.dumps(WHOLE | {"requestObject": {"x": "y" * 2_100_000, **PRIVILEGED}}),
}
NOT_RECORDED: dict[str, Any] = {
    "the policy records no bodies": write("pods", None, level="Metadata"),
    "the policy records no bodies of the kind": write("pods", None, level="Request"),
    "the request was refused before it was read": audit(
        verb="create",
        level="RequestResponse",
        objectRef={"resource": "pods", "namespace": "lab"},
        responseStatus={"code": 403},
    ),
    "the body is null": write("pods", None) | {"requestObject": None},
    "a patch without its body": write("deployments", None, verb="patch", level="Metadata", ref=DEPLOYMENT),
}


def first(value: Any) -> Event:
    return decode(value).events[0]


def told(event: Event, field: str, text: str) -> tuple[Any, Any]:
    """What a test and its opposite say."""
    test = FieldTest(field, Text((text,)))
    return evaluate(test, event), evaluate(Negated(test), event)


@pytest.mark.parametrize("shape", [*CUT_OFF, *NOT_RECORDED])
def test_neither_a_test_of_a_lost_body_nor_its_opposite_is_true(shape):
    event = first({**CUT_OFF, **NOT_RECORDED}[shape])
    assert event.fields["verb"] in ("create", "patch")
    for field, text in (
        ("workload.privileged", "true"),
        ("workload.capabilities_added", "SYS_ADMIN"),
        ("workload.host_network", "true"),
        ("workload.host_paths", "/"),
        ("workload.images", "evil"),
    ):
        assert True not in told(event, field, text), field
        assert evaluate(FieldTest("workload.service_account", Null()), event) is not True


@pytest.mark.parametrize("shape", sorted({**CUT_OFF, **NOT_RECORDED}))
def test_an_event_whose_body_is_lost_says_so(shape):
    event = first({**CUT_OFF, **NOT_RECORDED}[shape])
    flags = set(event.flags) & {"truncated", "body-unknown", "body-unrecorded"}
    assert event.fields["body_unknown"] is (shape in CUT_OFF)
    assert event.fields.get("body_unrecorded", False) is (shape in NOT_RECORDED)
    assert ("body-unknown" in flags, "body-unrecorded" in flags) == (shape in CUT_OFF, shape in NOT_RECORDED)


@pytest.mark.parametrize("shape", sorted(NOT_RECORDED))
def test_the_raw_body_that_is_not_recorded_is_unknown_too(shape):
    event = first(NOT_RECORDED[shape])
    assert True not in told(event, "requestObject.spec.hostNetwork", "true")


def test_a_body_that_is_told_in_full_has_its_noes():
    event = first(write("pods", pod({"name": "c", "image": "x"})))
    assert told(event, "workload.privileged", "true") == (False, True)
    assert (event.flags, event.fields["body_unknown"]) == ((), False)


@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward"])
def test_a_connection_to_a_pod_has_no_body_to_lose(subresource):
    ref = {"resource": "pods", "namespace": "lab", "name": "p", "subresource": subresource}
    event = first(audit(verb="create", level="Request", objectRef=ref, stage="ResponseStarted"))
    assert "requestObject" not in event.fields
    assert event.flags == ()


@pytest.mark.parametrize("verb", ["get", "list", "watch", "delete"])
def test_a_request_without_a_body_lacks_none(verb):
    event = first(audit(verb=verb, level="Metadata"))
    assert "requestObject" not in event.fields
    assert event.flags == ()
