"""Audit events: fields, stages, time, bodies that were cut or refused, expansion."""

from __future__ import annotations

import orjson
import pytest

from streamer.model import AUDIT, CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT, UNKNOWN
from tests.decode.given import APPENDED_US, NOON, NOON_US, audit, decode, one, pod, write


def test_the_raw_structure_stays_under_its_own_names():
    raw = audit()
    event = one(raw)
    assert event.logsource == AUDIT
    assert {name: event.fields[name] for name in raw} == raw


def test_names_that_are_derived_cannot_be_written_by_the_record():
    event = one(audit(workload={"privileged": True}, exec={"command": "x"}, actor={"name": "root"}, cluster="other"))
    assert "workload" not in event.fields
    assert "exec" not in event.fields
    assert event.fields["actor"]["name"] == "alice"
    assert event.cluster == event.fields["cluster"] == "default"


@pytest.mark.parametrize(
    "header",
    [
        {"apiVersion": "audit.k8s.io/v1"},
        {"apiVersion": "audit.k8s.io/v1beta1"},
        {"apiVersion": "audit.k8s.io/v1", "kind": None},
        {"apiVersion": None, "kind": None},
        {"apiVersion": None, "kind": "Event"},
        {"apiVersion": None, "kind": None, "auditID": None},
    ],
)
def test_v1_v1beta1_and_events_without_a_header_are_the_same(header):
    assert one(audit(**header)).fields["verb"] == "list"


def test_a_core_event_object_is_no_audit_event():
    decoded = decode({"kind": "Event", "apiVersion": "v1", "reason": "Pulled", "involvedObject": {}})
    assert decoded.events == ()
    assert [letter.reason for letter in decoded.dead_letters] == ["no-event"]


def test_event_time_is_the_stage_timestamp_in_microseconds():
    """[T1] integer microseconds; [T2] audit events: stageTimestamp."""
    assert one(audit(stageTimestamp="2026-01-01T00:00:00.500000999Z")).time_us == NOON_US


@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward", "proxy", "log"])
def test_both_stages_of_a_long_running_request_are_one_event(subresource):
    """[T2] long-running requests take requestReceivedTimestamp; [I2] both stages are one event."""
    ref = {"resource": "pods", "subresource": subresource, "name": "p", "namespace": "lab"}
    started = one(audit(verb="get", objectRef=ref, stage="ResponseStarted"))
    complete = one(audit(verb="get", objectRef=ref, stageTimestamp="2026-01-01T05:00:00.000000Z"))
    assert (started.time_us, started.identity) == (complete.time_us, complete.identity)
    assert started.time_us == NOON_US - 100_000
    assert not started.stage_only
    assert not complete.stage_only


def test_a_watch_is_long_running():
    """[I2] watch has no subresource."""
    assert not one(audit(verb="watch", stage="ResponseStarted")).stage_only


@pytest.mark.parametrize(
    ("stage", "stage_only"),
    [
        ("RequestReceived", True),
        ("ResponseStarted", True),
        ("ResponseComplete", False),
        ("Panic", False),
        (None, False),
    ],
)
def test_one_stage_stands_for_a_request(stage, stage_only):
    """[I2] ResponseComplete or Panic; events of other stages match only rules that test the stage."""
    assert one(audit(stage=stage)).stage_only is stage_only


def test_without_own_stamps_the_shippers_stamp_counts_then_the_append_time():
    """[T2] else the shipper's stamp, else append time."""
    bare = audit(stageTimestamp=None, requestReceivedTimestamp=None)
    shipped = one({"@timestamp": NOON, "log": orjson.dumps(bare).decode(), "stream": "stdout"})
    assert (shipped.time_us, shipped.has_stamp) == (NOON_US, True)
    naked = one(bare)
    assert (naked.time_us, naked.has_stamp) == (APPENDED_US, False)


def test_a_stamp_far_ahead_of_the_append_time_is_replaced_and_kept():
    """[T3] an event stamped later than append time + max_clock_lead gets append time; the original is kept."""
    event = one(audit(stageTimestamp="2027-01-01T00:00:00.000000Z"))
    assert event.time_us == APPENDED_US
    assert event.stamp_us == 1_798_761_600_000_000
    assert event.flags == ("clock-ahead",)
    assert event.has_stamp


def test_a_stamp_within_the_allowed_lead_stays():
    """[T3] default two minutes."""
    event = one(audit(stageTimestamp="2026-01-01T00:03:40.000000Z"))
    assert event.time_us == APPENDED_US + 120_000_000
    assert event.flags == ()


def test_files_have_no_append_time_so_a_stamp_stays_as_it_is():
    """[T3] in a file a stamp next year keeps its event time."""
    event = one(audit(stageTimestamp="2027-01-01T00:00:00.000000Z"), file=True, append_time_us=None)
    assert event.time_us == 1_798_761_600_000_000
    assert event.flags == ()


def test_no_stamp_in_a_file_is_said():
    event = one(audit(stageTimestamp=None, requestReceivedTimestamp=None), file=True, append_time_us=None)
    assert (event.time_us, event.has_stamp, event.flags) == (0, False, ("no-time",))


def test_bodies_that_the_api_server_cut_are_unknown():
    """[D5] audit.k8s.io/truncated."""
    event = one(audit(verb="create", annotations={"audit.k8s.io/truncated": "true"}))
    assert event.fields["requestObject"] is UNKNOWN
    assert event.fields["responseObject"] is UNKNOWN
    assert event.fields["truncated"] is True
    assert event.flags == ("truncated", "body-unknown")
    assert event.fields["workload"]["privileged"] is UNKNOWN
    assert event.fields["workload"]["kind"] == "Pod"


def test_at_level_request_only_the_request_can_have_been_cut():
    """[D5] what the policy never records is absent, not unknown."""
    event = one(audit(level="Request", annotations={"audit.k8s.io/truncated": "true"}))
    assert event.fields["requestObject"] is UNKNOWN
    assert "responseObject" not in event.fields


def test_a_body_left_out_by_azure_is_unknown():
    """[D5] AKS skipped-too-big-size-object."""
    event = one(write("pods", "skipped-too-big-size-object"))
    assert event.fields["requestObject"] is UNKNOWN
    assert event.fields["truncated"] is True
    assert event.fields["body_unknown"] is True


def test_an_unknown_answer_does_not_make_the_written_object_unknown():
    """[D5] what is known of a write is judged."""
    event = one(write("pods", pod({"name": "c", "image": "x"}), responseObject="skipped-too-big-size-object"))
    assert event.fields["workload"]["images"] == ["x"]
    assert event.fields["responseObject"] is UNKNOWN
    assert (event.fields["truncated"], event.fields["body_unknown"]) == (True, False)
    assert event.flags == ("truncated", "body-unknown")


def test_a_body_that_a_shipper_made_into_text_is_read():
    event = one(write("pods", orjson.dumps(pod({"name": "c", "image": "busybox"})).decode()))
    assert event.fields["workload"]["images"] == ["busybox"]
    assert event.flags == ()


def test_a_body_that_is_some_other_text_is_unknown():
    """[D5] a body that could not be decoded."""
    event = one(write("pods", "kind: Pod"))
    assert event.fields["requestObject"] is UNKNOWN
    assert event.flags == ("body-unknown",)


@pytest.mark.parametrize(
    "poison",
    [b'{"x":1e999}', b'{"x":"\\ud800"}', b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"x":NaN}', b'{"x":"\xff"}'],
    ids=["1e999", "lone surrogate", "depth", "NaN", "invalid UTF-8"],
)
def test_a_body_that_orjson_refuses_leaves_the_event_with_the_body_unknown(poison):
    """[D5] a body that could not be decoded is unknown, and the event is not lost."""
    raw = orjson.dumps(write("deployments", "POISON")).replace(b'"POISON"', poison)
    event = one(raw)
    assert event.fields["requestObject"] is UNKNOWN
    assert event.fields["actor"]["name"] == "alice"
    assert event.fields["responseStatus"] == {"code": 201}
    assert event.time_us == NOON_US
    assert event.flags == ("body-unknown",)
    assert event.fields["workload"]["kind"] == "Deployment"
    assert event.fields["workload"]["images"] is UNKNOWN


def test_a_body_deeper_than_the_limit_is_unknown():
    """[D5] depth is limited below what the JSON library takes."""
    body: object = {}
    for _ in range(200):
        body = {"a": body}
    event = one(write("pods", body))
    assert event.fields["requestObject"] is UNKNOWN
    assert event.flags == ("body-unknown",)


def test_an_event_that_was_cut_in_the_middle_keeps_what_came_before():
    """[D5] EKS [Truncated...]: everything behind the cut is unknown."""
    raw = orjson.dumps(write("pods", pod({"name": "c", "image": "x" * 100})))
    cut = raw[: raw.index(b"xxxx") + 10] + b"[Truncated...]"
    event = one({"@timestamp": NOON, "stream": "stdout", "log": cut.decode()})
    assert event.fields["actor"]["name"] == "alice"
    assert event.fields["requestObject"] is UNKNOWN
    assert event.fields["annotations"] is not UNKNOWN
    assert event.fields["truncated"] is True
    assert set(event.flags) == {"truncated", "body-unknown"}


def test_what_comes_behind_a_cut_is_unknown_not_absent():
    """[D5] a field that was cut off is unknown."""
    raw = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","verb":"create","user":{"username":"al'
    event = one(raw)
    assert event.fields["user"] is UNKNOWN
    assert event.fields["actor"] is UNKNOWN
    assert event.fields["source"] == {"ip": UNKNOWN}
    assert event.fields["workload"] is UNKNOWN
    assert event.fields["exec"] is UNKNOWN
    assert event.fields["stageTimestamp"] is UNKNOWN
    assert event.fields["outcome"] == "unknown"
    assert event.time_us == APPENDED_US


def test_an_identity_that_was_cut_off_is_unknown():
    """[D5] unknown, not the authenticated user's."""
    whole = orjson.dumps(audit())
    event = one(whole[: whole.index(b'"sourceIPs"')])
    assert event.fields["actor"] == {"name": "alice", "kind": "user", "effective": UNKNOWN}
    event = one(orjson.dumps(audit(user={"username": "alice", "extra": "POISON"})).replace(b'"POISON"', b"1e999"))
    assert event.fields["actor"]["pod"] is UNKNOWN


def test_a_written_pod_is_expanded_into_its_containers():
    """[D2] every container of a written workload is an event of its own, carrying the fields of the audit event."""
    body = pod({"name": "a", "image": "x"}, {"name": "b", "image": "y"}, initContainers=[{"name": "i", "image": "z"}])
    events = decode(write("pods", body)).events
    assert [event.logsource for event in events] == [AUDIT, CONTAINER_SPEC, CONTAINER_SPEC, CONTAINER_SPEC]
    assert [event.fields["container"]["name"] for event in events[1:]] == ["a", "b", "i"]
    assert [event.fields["container"]["type"] for event in events[1:]] == ["container", "container", "init"]
    assert all(event.fields["auditID"] == events[0].fields["auditID"] for event in events)
    assert all(event.fields["workload"] == events[0].fields["workload"] for event in events)
    assert [event.index for event in events] == [0, 1, 2, 3]
    assert "container" not in events[0].fields


def test_expanded_events_of_a_stage_are_of_that_stage_too():
    """[I2] other stages match only rules that test the stage, expansions included."""
    events = decode(write("pods", pod({"name": "a"}), stage="RequestReceived")).events
    assert [event.stage_only for event in events] == [True, True]


def test_roles_and_bindings_are_expanded_entry_by_entry():
    """[D2] every entry of rules, every subject."""
    role = {
        "rules": [{"verbs": ["get"], "resources": ["pods"], "apiGroups": [""]}, {"verbs": ["*"], "resources": ["*"]}]
    }
    events = decode(write("clusterroles", role)).events
    assert [event.logsource for event in events[1:]] == [RBAC_RULE, RBAC_RULE]
    assert events[2].fields["rule"] == {"verbs": ["*"], "resources": ["*"]}
    binding = {
        "subjects": [{"kind": "User", "name": "eve"}, {"kind": "ServiceAccount", "name": "d", "namespace": "lab"}],
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
    }
    events = decode(write("clusterrolebindings", binding)).events
    assert [event.logsource for event in events[1:]] == [RBAC_SUBJECT, RBAC_SUBJECT]
    assert events[2].fields["subject"] == {"kind": "ServiceAccount", "name": "d", "namespace": "lab"}
    assert events[2].fields["role"] == {"kind": "ClusterRole", "name": "cluster-admin"}


@pytest.mark.parametrize("subresource", ["status", "binding", "scale", "eviction", "exec"])
def test_subresources_are_not_written_workloads(subresource):
    """[D6] pods/status is not pods."""
    events = decode(write("pods", pod({"name": "a", "image": "x"}), ref={"subresource": subresource})).events
    assert len(events) == 1
    assert "workload" not in events[0].fields


def test_reads_are_not_expanded():
    events = decode(audit(verb="get", responseObject=pod({"name": "a"}))).events
    assert len(events) == 1


@pytest.mark.parametrize(
    "confused",
    [
        {"user": ["x"]},
        {"user": {"username": 7, "extra": ["x"]}},
        {"user": {"username": "a", "extra": {"authentication.kubernetes.io/pod-name": {"x": 1}}}},
        {"objectRef": "pods"},
        {"objectRef": {"resource": ["pods"], "subresource": 5}},
        {"verb": 7},
        {"verb": ["create"]},
        {"stageTimestamp": {"a": 1}, "requestReceivedTimestamp": 5.5},
        {"stage": ["ResponseComplete"]},
        {"annotations": "x"},
        {"sourceIPs": "1.2.3.4"},
        {"sourceIPs": [5]},
        {"responseStatus": [403]},
        {"responseStatus": {"code": "403"}},
        {"responseStatus": {"code": True}},
        {"impersonatedUser": "bob"},
        {"requestURI": 12},
        {"auditID": {"a": 1}},
        {"level": 3},
        {"apiVersion": "audit.k8s.io/v1", "kind": None},
    ],
)
def test_confused_types_still_give_an_event(confused):
    assert one(audit(**confused)).fields["cluster"] == "default"


@pytest.mark.parametrize("resource", ["pods", "cronjobs", "workflows", "notebooks", "roles", "rolebindings", "tfjobs"])
@pytest.mark.parametrize(
    "body",
    [
        {"spec": []},
        {"spec": {"containers": {"a": 1}, "template": [], "jobTemplate": "x", "templates": {"a": 1}}},
        {"spec": {"containers": [None, 7, {"name": 1, "image": 2, "securityContext": [], "env": [1], "resources": 3}]}},
        {"spec": {"template": {"spec": {"containers": [{"command": "sh", "args": [1, None, "x"]}]}}}},
        {"spec": {"templates": [{"name": 5, "container": [], "script": {"source": 7}, "containerSet": 1}]}},
        {"spec": {"tfReplicaSpecs": {"Worker": [], "Chief": {"template": 1}}}},
        {"metadata": [], "rules": [1, None, {"verbs": "get"}], "subjects": [[], {"name": 3}], "roleRef": []},
        {"metadata": {"labels": [], "ownerReferences": {"kind": "x"}, "name": 7, "uid": []}},
        {"metadata": {"ownerReferences": [{"controller": True, "kind": 1}, 5]}, "kind": 9},
        [],
        [{"op": "add", "path": 5, "value": 1}, 7, {"op": "add", "path": "/spec/containers/0/image", "value": {"a": 1}}],
    ],
)
def test_confused_bodies_still_give_an_event(resource, body):
    for verb in ("create", "patch"):
        assert decode(write(resource, body, verb=verb)).events[0].logsource == AUDIT
