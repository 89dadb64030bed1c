"""OpenTelemetry's default encoding."""

from __future__ import annotations

import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from streamer.decode.envelope_otlp_proto import looks_like_logs, open_protobuf
from streamer.model import UNKNOWN
from tests.decode.given import audit, decode, one
from tests.decode.happenings import otlp_json, otlp_proto

ABOUT = {
    "k8s.pod.name": "p",
    "k8s.pod.uid": "u",
    "k8s.namespace.name": "lab",
    "k8s.container.name": "c",
    "k8s.pod.labels.pipeline/runid": "run-1",
}


def many(*bodies: str) -> bytes:
    return b"".join(otlp_proto(body, ABOUT, {}) for body in bodies)  # repeated fields follow one another


def test_all_records_of_all_resources_are_told():
    events = decode(many("one", "two", "three"), kind="containers").events
    assert [event.fields["message"] for event in events] == ["one", "two", "three"]
    assert events[0].fields["kubernetes"]["pod"] == {"name": "p", "uid": "u"}
    assert events[0].fields["kubernetes"]["labels"] == {"pipeline/runid": "run-1"}


@pytest.mark.parametrize("body", ["text", {"a": {"b": [1, True, "x", {}]}}])
def test_bytes_and_json_tell_the_same(body):
    assert one(otlp_proto(body, ABOUT, {}), kind="containers") == one(otlp_json(body, ABOUT, {}), kind="containers")


def test_a_split_line_is_joined():
    pieces = [otlp_proto(text, ABOUT, {"logtag": tag}) for text, tag in (("ab", "P"), ("cd", "F"))]
    (event,) = decode(*pieces, kind="containers").events
    assert event.fields["message"] == "abcd"


def test_bodies_of_bytes_are_text_and_records_without_body_are_passed_over():
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add().body.bytes_value = orjson.dumps(audit())
    records.add()
    records.add().body.double_value = 1.5
    decoded = decode(request.SerializeToString())
    assert [event.fields["auditID"] for event in decoded.events] == [audit()["auditID"]]
    assert decoded.skipped == 2


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"\n{}", b"\n\x05hello", b"\n\x00\n\x00", b"\n\xff\xff\xff\xff\xff\xff", b"{}", b"\n\x02\x12\x05"],
)
def test_other_bytes_are_no_exported_logs(data):
    assert open_protobuf(data) is None


def test_a_text_that_begins_with_a_line_end_stays_a_text():
    text = b"\n" + b"{" + b'"a":"' + b"x" * 116 + b'"}'
    assert looks_like_logs(text)
    assert one(text, kind="containers").fields["log"] == {"a": "x" * 116}


def test_in_a_file_nothing_is_protobuf():
    decoded = decode(otlp_proto("x", ABOUT, {}), kind="containers", file=True, append_time_us=None)
    assert all("kubernetes" not in event.fields for event in decoded.events)


def test_more_records_than_anybody_looks_at_are_told_as_too_many():
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for _ in range(100_001):
        scope.log_records.add()
    decoded = decode(request.SerializeToString())
    assert [letter.reason for letter in decoded.dead_letters] == ["too-many-events"]


def test_values_that_nest_too_deep_are_unknown():
    deep: object = "x"
    for _ in range(20):
        deep = [deep]
    entry = open_protobuf(otlp_proto({"a": deep}, {}, {}))
    assert entry is not None
    assert entry.entries[0].value["a"] is not UNKNOWN
