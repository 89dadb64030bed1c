"""Google's log entries."""

from __future__ import annotations

import pytest

from streamer.model import CONTAINER_SPEC
from tests.decode.given import NOON, NOON_US, decode, one, pod


def entry(**payload):
    return {
        "insertId": "x1",
        "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
        "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "c1"}},
        "timestamp": NOON,
        "labels": {"authorization.k8s.io/decision": "allow"},
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": "k8s.io",
            "methodName": "io.k8s.core.v1.pods.create",
            "resourceName": "core/v1/namespaces/lab/pods/p",
            "authenticationInfo": {"principalEmail": "a@b.example"},
            "requestMetadata": {"callerIp": "203.0.113.5", "callerSuppliedUserAgent": "kubectl"},
            "status": {},
            "request": {"@type": "core.k8s.io/v1.Pod"} | pod({"name": "c", "image": "x"}),
        }
        | payload,
    }


def test_an_audit_entry_is_told_in_the_words_of_kubernetes():
    event, container = decode(entry()).events
    assert container.logsource == CONTAINER_SPEC
    fields = event.fields
    assert (fields["verb"], fields["outcome"], fields["cluster"]) == ("create", "success", "c1")
    assert fields["objectRef"] == {"apiVersion": "v1", "namespace": "lab", "resource": "pods", "name": "p"}
    assert (fields["actor"]["name"], fields["source"]["ip"]) == ("a@b.example", "203.0.113.5")
    assert (event.time_us, event.stage_only, event.flags) == (NOON_US, False, ())


def test_identity_is_log_name_insert_id_and_time():
    """[I1] envelopes without these (GKE): log name, insert id, timestamp."""
    first = one(entry()).identity
    assert one(entry()).identity == first
    for changed in ({"insertId": "y"}, {"logName": "projects/q/logs/z"}, {"timestamp": "2026-01-01T00:00:00.6Z"}):
        assert one(entry() | changed).identity != first


@pytest.mark.parametrize(
    ("method", "name", "expected"),
    [
        (
            "io.k8s.core.v1.pods.exec.create",
            "core/v1/namespaces/n/pods/p/exec",
            {"apiVersion": "v1", "namespace": "n", "resource": "pods", "name": "p", "subresource": "exec"},
        ),
        (
            "io.k8s.authorization.rbac.v1.clusterroles.create",
            "rbac.authorization.k8s.io/v1/clusterroles/r",
            {"apiGroup": "rbac.authorization.k8s.io", "apiVersion": "v1", "resource": "clusterroles", "name": "r"},
        ),
        (
            "io.k8s.core.v1.namespaces.create",
            "core/v1/namespaces/n",
            {"apiVersion": "v1", "namespace": "n", "resource": "namespaces", "name": "n"},
        ),
        ("x", "nonsense", {}),
        ("x", "/" * 1000, None),
    ],
)
def test_the_object_is_read_from_the_resource_name(method, name, expected):
    fields = one(entry(methodName=method, resourceName=name)).fields
    if expected is not None:
        assert fields["objectRef"] == expected
    assert fields["verb"] in ("create", "x", None)


@pytest.mark.parametrize(
    ("code", "outcome"), [(0, "success"), (7, "denied"), (16, "denied"), (5, "error"), ("x", "error")]
)
def test_the_outcome_comes_from_the_status(code, outcome):
    assert one(entry(status={"code": code})).fields["outcome"] == outcome


def test_other_services_are_passed_over():
    decoded = decode(entry(serviceName="container.googleapis.com"))
    assert (decoded.events, decoded.skipped) == ((), 1)


@pytest.mark.parametrize("payload", [{"textPayload": "hello\n"}, {"jsonPayload": {"message": "hello"}}])
def test_container_entries_are_lines(payload):
    line = {
        "insertId": "x",
        "logName": "projects/p/logs/stdout",
        "resource": {
            "type": "k8s_container",
            "labels": {"cluster_name": "c1", "namespace_name": "lab", "pod_name": "p", "container_name": "c"},
        },
        "labels": {"k8s-pod/app": "x"},
        "timestamp": NOON,
    }
    event = one(line | payload, kind="containers")
    assert event.cluster == "c1"
    assert event.fields["stream"] == "stdout"
    assert event.fields["kubernetes"] == {
        "namespace": "lab",
        "pod": {"name": "p"},
        "container": {"name": "c"},
        "labels": {"app": "x"},
    }
    assert "hello" in event.fields["message"]
