"""One vocabulary whatever shipper it was."""

from __future__ import annotations

import orjson
import pytest

from streamer.model import CONTAINER_LOG
from tests.decode.given import NOON, NOON_US, audit, decode, fluent_bit, one

KUBERNETES = {
    "namespace": "lab",
    "pod": {"name": "trainer-0", "uid": "uid-1"},
    "container": {"name": "main", "image": "tf:1", "id": "ab12"},
    "node": {"name": "node-1"},
    "labels": {"app": "x"},
}
FLAT = {
    "pod_name": "trainer-0",
    "namespace_name": "lab",
    "pod_id": "uid-1",
    "host": "node-1",
    "container_name": "main",
    "container_image": "tf:1",
    "labels": {"app": "x"},
}
SHIPPED = {
    "Fluent Bit": {
        "@timestamp": 1767225600.5,
        "stream": "stdout",
        "log": "hello\n",
        "kubernetes": FLAT | {"docker_id": "ab12"},
    },
    "Fluent Bit, cri parser": {
        "@timestamp": 1767225600.5,
        "time": "2026-01-01T00:00:00.5Z",
        "stream": "stdout",
        "_p": "F",
        "message": "hello",
        "kubernetes": FLAT | {"docker_id": "ab12"},
    },
    "Fluentd": {
        "log": "hello\n",
        "stream": "stdout",
        "time": NOON,
        "docker": {"container_id": "ab12"},
        "kubernetes": FLAT,
    },
    "Vector": {
        "file": "/var/log/pods/lab_trainer-0_uid-1/main/0.log",
        "kubernetes": {
            "pod_name": "trainer-0",
            "pod_namespace": "lab",
            "pod_uid": "uid-1",
            "pod_node_name": "node-1",
            "container_name": "main",
            "container_image": "tf:1",
            "container_id": "ab12",
            "pod_labels": {"app": "x"},
        },
        "message": "hello",
        "stream": "stdout",
        "timestamp": NOON,
        "source_type": "kubernetes_logs",
    },
    "Filebeat": {
        "@timestamp": NOON,
        "@metadata": {"beat": "filebeat"},
        "message": "hello",
        "stream": "stdout",
        "log": {"file": {"path": "/var/log/containers/trainer-0_lab_main-ab12.log"}, "offset": 3673},
        "kubernetes": {
            "namespace": "lab",
            "pod": {"name": "trainer-0", "uid": "uid-1"},
            "container": {"name": "main"},
            "node": {"name": "node-1"},
            "labels": {"app": "x"},
        },
        "container": {"id": "ab12", "image": {"name": "tf:1"}},
    },
}


@pytest.mark.parametrize("shipper", sorted(SHIPPED))
def test_metadata_has_one_vocabulary(shipper):
    event = one(SHIPPED[shipper], kind="containers")
    assert event.logsource == CONTAINER_LOG
    assert event.fields == {
        "cluster": "default",
        "message": "hello",
        "stream": "stdout",
        "kubernetes": KUBERNETES,
        "truncated": False,
    }


@pytest.mark.parametrize("shipper", sorted(SHIPPED))
def test_the_lines_time_is_the_shippers_stamp(shipper):
    """[T2] container lines: the line's own stamp."""
    event = one(SHIPPED[shipper], kind="containers")
    assert (event.time_us, event.has_stamp) == (NOON_US, True)


@pytest.mark.parametrize("shipper", sorted(SHIPPED))
@pytest.mark.parametrize("form", ["text", "object"])
def test_audit_events_are_taken_out_of_every_wrapper(shipper, form):
    wrapped = dict(SHIPPED[shipper])
    name = "message" if "message" in wrapped else "log"
    wrapped[name] = orjson.dumps(audit()).decode() if form == "text" else audit()
    assert one(wrapped).fields["auditID"] == audit()["auditID"]


def test_an_audit_event_lifted_beside_its_text_is_one_event():
    lifted = fluent_bit(orjson.dumps(audit()).decode(), log_processed=audit())
    assert len(decode(lifted).events) == 1


def test_elastic_agents_own_place_for_audit_events_is_known():
    assert one({"@timestamp": NOON, "kubernetes": {"audit": audit()}}).fields["verb"] == "list"


def test_a_container_that_prints_an_audit_event_prints_text():
    event = one(fluent_bit(orjson.dumps(audit()).decode()), kind="containers")
    assert event.logsource == CONTAINER_LOG
    assert event.fields["log"]["verb"] == "list"
    assert "actor" not in event.fields


def test_other_text_among_audit_events_is_passed_over():
    decoded = decode(fluent_bit("I0101 00:00:00.1 controller.go:1] sync"), fluent_bit('{"level":"info"}'))
    assert (decoded.events, decoded.dead_letters, decoded.skipped) == ((), (), 2)


def test_dots_that_a_shipper_took_out_of_labels_are_put_back():
    labels = {"workflows_argoproj_io/workflow": "w", "pipeline/runid": "r", "my_app": "x", "a_b/c_d.e": "y", "n": 5}
    event = one(fluent_bit("x", kubernetes={"pod_name": "p", "labels": labels}), kind="containers")
    assert event.fields["kubernetes"]["labels"] == {
        "workflows.argoproj.io/workflow": "w",
        "pipeline/runid": "r",
        "my_app": "x",
        "a.b/c_d.e": "y",
    }


def test_a_key_that_a_container_may_write_never_beats_the_shippers_own():
    lifted = fluent_bit("true text\n", message="false", time="2027-01-01T00:00:00.5Z")
    event = one(lifted, kind="containers")
    assert event.fields["message"] == "true text"
    assert event.time_us == 1_767_225_600_123_456


def test_a_message_that_the_shipper_made_an_object_is_kept_as_one():
    event = one({"@timestamp": NOON, "log": {"level": "info"}, "kubernetes": FLAT}, kind="containers")
    assert event.fields["log"] == {"level": "info"}
    assert event.fields["message"] == '{"level":"info"}'


def test_a_message_whose_keys_were_all_lifted_is_put_together_again():
    event = one({"@timestamp": NOON, "level": "info", "kubernetes": FLAT}, kind="containers")
    assert event.fields["log"] == {"level": "info"}


def test_metadata_is_read_from_the_name_of_the_file_where_it_is_missing():
    record = {
        "@timestamp": NOON,
        "message": "x",
        "log": {"file": {"path": "/var/log/containers/p_n_c-0123456789ab.log"}, "offset": 1},
    }
    event = one(record, kind="containers")
    assert event.fields["kubernetes"] == {"namespace": "n", "pod": {"name": "p"}, "container": {"name": "c"}}


def test_a_runtimes_prefix_that_the_shipper_left_is_taken_off():
    event = one({"@timestamp": 1, "log": "2026-01-01T00:00:00.5Z stderr F oops", "kubernetes": FLAT}, kind="containers")
    assert (event.fields["message"], event.fields["stream"], event.time_us) == ("oops", "stderr", NOON_US)


def test_a_prefix_that_the_container_printed_is_not():
    event = one(fluent_bit("2027-01-01T00:00:00.5Z stderr F oops"), kind="containers")
    assert event.fields["stream"] == "stdout"
    assert event.fields["message"].startswith("2027")


@pytest.mark.parametrize(
    "metadata", [[], "x", {"pod": []}, {"pod": {"name": 1}, "labels": [1], "container": "x", "host": {}}]
)
def test_confused_metadata_is_no_metadata(metadata):
    event = one({"@timestamp": NOON, "stream": "stdout", "log": "x", "kubernetes": metadata}, kind="containers")
    assert event.fields["message"] == "x"
    assert "kubernetes" not in event.fields


def lifted(text: str, own: dict[str, object]) -> bytes:
    """A record of Fluent Bit with Merge_Log: the shipper's keys, the container's, the filter's metadata."""
    head = orjson.dumps({"@timestamp": 1767225600.5125, "log": text, "stream": "stdout", "logtag": "F"})
    tail = orjson.dumps({"kubernetes": FLAT})
    return head[:-1] + b"," + orjson.dumps(own)[1:-1] + b"," + tail[1:]


def test_a_container_whose_keys_are_lifted_cannot_speak_for_the_shipper():
    said = {
        "log": "hello",
        "message": "hello",
        "stream": "stdin",
        "@timestamp": "2001-01-01T00:00:00.001Z",
        "logtag": "P",
        "cluster": "elsewhere",
        "orchestrator": {"cluster": {"name": "elsewhere"}},
        "miner": "new job",
    }
    text = orjson.dumps(said).decode()
    event = one(lifted(text, said), kind="containers", cluster="here")
    assert event.fields["message"] == text
    assert (event.time_us, event.cluster, event.fields["stream"]) == (NOON_US + 12_500, "here", "stdout")


@pytest.mark.parametrize("name", ["@timestamp", "timestamp", "time", "date", "logtag", "_p", "cluster", "cluster_name"])
def test_what_the_message_holds_itself_is_not_the_shippers_word(name):
    said = {name: {"logtag": "P", "_p": "P"}.get(name, "2001-01-01T00:00:00.001Z")}
    text = orjson.dumps(said).decode()
    for message in (text, text.replace(name[1], f"\\u{ord(name[1]):04x}", 1)):
        record = {"log": message, "stream": "stdout", "kubernetes": FLAT, "timestamp": NOON} | said
        event = one(record, kind="containers", cluster="here")
        assert event.cluster == "here"
        assert event.time_us != 978_307_200_001_000


def test_a_name_that_only_the_shipper_says_is_its_word():
    record = fluent_bit('{"cluster": "elsewhere"}', cluster="North")
    assert one(record, kind="containers").cluster == "north"


def test_an_empty_text_does_not_hide_the_object_beside_it():
    record = {"log": {"msg": "new job"}, "message": "", "stream": "stdout", "kubernetes": FLAT}
    event = one(record, kind="containers")
    assert event.fields["message"] == '{"msg":"new job"}'
    assert decode(record | {"log": ""}, kind="containers").skipped == 1
