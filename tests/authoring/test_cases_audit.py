"""The short form ``audit:`` becomes what a real API server writes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streamer.authoring.cases_audit import Request, kind_of, split_resource
from streamer.decode import Decoder, Source
from streamer.model import AUDIT, CONTAINER_SPEC, Event, Position, Record

START = 1_767_225_600_000_000
ML_PIPELINE = "system:serviceaccount:kubeflow:ml-pipeline"


def events(form: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for _, event in Request(form, START, ("test",)).events()]


def decoded(form: dict[str, Any]) -> list[Event]:
    decoder = Decoder(Source("audit", "audit", cluster="c1"))
    found: list[Event] = []
    for offset, event in enumerate(events(form)):
        found += decoder.decode(Record(orjson.dumps(event), Position("audit", 0, offset, is_file=False))).events
    return [event for event in found if not event.stage_only]


def test_a_request_leaves_one_event_when_it_comes_and_one_when_it_is_answered() -> None:
    received, complete = events({"verb": "list", "resource": "pods", "namespace": "default"})

    assert (received["stage"], complete["stage"]) == ("RequestReceived", "ResponseComplete")
    assert received["auditID"] == complete["auditID"]
    assert "responseStatus" not in received
    assert "annotations" not in received
    assert complete["responseStatus"]["code"] == 200
    assert complete["requestURI"] == "/api/v1/namespaces/default/pods?limit=500"
    assert complete["stageTimestamp"] == "2026-01-01T00:00:00.000000Z"


def test_the_event_happens_at_the_time_of_the_case() -> None:
    """[T2] audit events happen at `stageTimestamp`, long-running requests when they were received."""
    plain = decoded({"verb": "create", "resource": "pods", "namespace": "a", "body": {"spec": {"containers": []}}})
    long = decoded({"verb": "get", "resource": "pods/exec", "namespace": "a", "name": "p", "command": ["id"]})

    assert {event.time_us for event in (*plain, *long)} == {START}


def test_a_long_running_request_starts_at_once_and_completes_later() -> None:
    stages = events(
        {"verb": "get", "resource": "pods/exec", "namespace": "a", "name": "p", "command": ["sh", "-c", "id"]}
    )

    assert [event["stage"] for event in stages] == ["RequestReceived", "ResponseStarted", "ResponseComplete"]
    assert stages[1]["requestURI"] == (
        "/api/v1/namespaces/a/pods/p/exec?command=sh&command=-c&command=id&container=main&stdout=true"
    )
    assert stages[1]["responseStatus"]["code"] == 101


def test_a_create_is_answered_with_name_uid_and_time() -> None:
    _, complete = events(
        {"verb": "create", "resource": "argoproj.io/workflows", "namespace": "kubeflow", "user": ML_PIPELINE,
         "body": {"metadata": {"generateName": "run-"}, "spec": {}}}
    )  # fmt: skip

    assert complete["level"] == "RequestResponse"
    assert complete["requestURI"] == "/apis/argoproj.io/v1alpha1/namespaces/kubeflow/workflows"
    assert complete["requestObject"]["kind"] == "Workflow"
    assert complete["responseObject"]["metadata"]["name"].startswith("run-")
    assert complete["responseObject"]["metadata"]["uid"]
    assert "name" not in complete["objectRef"], "the reference is made before the name is generated"


def test_a_level_keeps_bodies_out() -> None:
    form = {"verb": "create", "resource": "pods", "namespace": "a", "body": {"metadata": {"name": "p"}}}

    assert "requestObject" not in events({**form, "level": "Metadata"})[1]
    assert "responseObject" not in events({**form, "level": "Request"})[1]
    assert events({**form, "level": "Request"})[1]["requestObject"]["metadata"]["name"] == "p"


def test_a_refusal_says_so_in_status_and_decision() -> None:
    _, complete = events({"verb": "create", "resource": "pods", "namespace": "a", "code": 403})

    assert complete["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert complete["responseStatus"]["reason"] == "Forbidden"


def test_a_service_account_comes_with_groups_and_its_pod() -> None:
    user = events({"verb": "list", "resource": "pods", "user": ML_PIPELINE})[1]["user"]

    assert user["groups"] == ["system:serviceaccounts", "system:serviceaccounts:kubeflow", "system:authenticated"]
    assert user["extra"]["authentication.kubernetes.io/pod-name"][0].startswith("ml-pipeline-")


def test_a_controller_of_the_controller_manager_has_no_pod() -> None:
    name = "system:serviceaccount:kube-system:replicaset-controller"
    event = events({"verb": "list", "resource": "pods", "user": name})[1]

    assert "authentication.kubernetes.io/pod-name" not in event["user"]["extra"]
    assert event["userAgent"].endswith(name)


def test_an_anonymous_client_is_unauthenticated() -> None:
    user = events({"verb": "get", "path": "/version", "user": "system:anonymous"})[1]["user"]

    assert user == {"username": "system:anonymous", "groups": ["system:unauthenticated"]}


def test_a_path_without_a_resource_has_no_reference() -> None:
    assert "objectRef" not in events({"verb": "get", "path": "/healthz"})[1]


def test_one_stage_can_be_asked_for() -> None:
    assert [event["stage"] for event in events({"verb": "get", "resource": "pods", "stage": "Panic"})] == ["Panic"]


def test_the_decoder_reads_what_was_filled() -> None:
    container = {"name": "m", "image": "x/y:1", "securityContext": {"privileged": True}}
    form = {
        "verb": "create", "resource": "pods", "namespace": "a", "user": ML_PIPELINE, "ip": "203.0.113.7",
        "body": {"metadata": {"name": "p"}, "spec": {"containers": [container]}},
    }  # fmt: skip
    audit, spec = decoded(form)

    assert audit.logsource == AUDIT
    assert audit.fields["outcome"] == "success"
    assert audit.fields["source"]["ip"] == "203.0.113.7"
    assert audit.fields["workload"]["kind"] == "Pod"
    assert spec.logsource == CONTAINER_SPEC
    assert spec.fields["container"]["privileged"] is True


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pods", ("", "pods", "")),
        ("pods/exec", ("", "pods", "exec")),
        ("apps/deployments", ("apps", "deployments", "")),
        ("apps/deployments/scale", ("apps", "deployments", "scale")),
        ("argoproj.io/workflows", ("argoproj.io", "workflows", "")),
    ],
)
def test_a_resource_may_have_a_group_and_a_subresource(text: str, parts: tuple[str, str, str]) -> None:
    assert split_resource(text) == parts


@pytest.mark.parametrize(
    ("resource", "kind"),
    [("pods", "Pod"), ("workflows", "Workflow"), ("cronjobs", "CronJob"), ("networkpolicies", "NetworkPolicy")],
)
def test_a_resource_has_a_kind(resource: str, kind: str) -> None:
    assert kind_of(resource) == kind
