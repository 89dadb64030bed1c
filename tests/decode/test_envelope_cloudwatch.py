"""Amazon's log events."""

from __future__ import annotations

import orjson
import pytest

from streamer.model import UNKNOWN
from tests.decode.given import audit, decode, fluent_bit, pod, write


def cloudwatch(*messages, **fields):
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "123",
        "logGroup": "/aws/eks/prod-1/cluster",
        "logStream": "kube-apiserver-audit-ab12",
        "subscriptionFilters": ["f"],
        "logEvents": [
            {"id": str(n), "timestamp": 1767225600500, "message": message} for n, message in enumerate(messages)
        ],
    } | fields


def text(value):
    return orjson.dumps(value).decode()


def test_many_events_in_one_message():
    decoded = decode(cloudwatch(text(audit(auditID="a")), text(audit(auditID="b"))))
    assert [event.fields["auditID"] for event in decoded.events] == ["a", "b"]
    assert {event.cluster for event in decoded.events} == {"prod-1"}


@pytest.mark.parametrize(
    "fields", [{"messageType": "CONTROL_MESSAGE"}, {"logStream": "authenticator-ab12"}, {"messageType": 5}]
)
def test_control_messages_and_other_streams_are_passed_over(fields):
    decoded = decode(cloudwatch(text(audit()), **fields))
    assert (decoded.events, decoded.dead_letters, decoded.skipped) == ((), (), 1)


def test_a_message_that_was_cut_keeps_its_beginning():
    """[D5] EKS [Truncated...]."""
    message = text(write("pods", pod({"name": "c", "image": "x" * 200})))
    cut = message[: message.index("xxxx") + 20] + "[Truncated...]"
    (event,) = decode(cloudwatch(cut)).events
    assert event.fields["actor"]["name"] == "alice"
    assert event.fields["workload"]["images"] is UNKNOWN
    assert "truncated" in event.flags


def test_container_lines_come_the_same_way():
    group = {"logGroup": "/aws/containerinsights/prod-1/application", "logStream": "x"}
    (event,) = decode(cloudwatch(text(fluent_bit("hello")), **group), kind="containers").events
    assert event.fields["message"] == "hello"
    assert event.fields["kubernetes"]["pod"]["name"] == "trainer-0"
