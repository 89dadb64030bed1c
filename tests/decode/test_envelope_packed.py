"""Messages of Pub/Sub; records of Firehose, Kinesis and Lambda."""

from __future__ import annotations

import pytest

from streamer.decode.envelope_packed import open_deliveries, open_pubsub
from streamer.decode.packed import Packed
from tests.decode.given import audit, decode, fluent_bit, one
from tests.decode.happenings import cloudwatch, dumped, packed


@pytest.mark.parametrize(
    "value",
    [
        {"message": {"data": "eA==", "messageId": "1"}, "subscription": "s"},
        {"message": {"data": "eA==", "attributes": {}}},
        {"data": "eA==", "attributes": {"logging.googleapis.com/timestamp": "x"}},
        {"MessageData": "eA==", "AttributesMap": {}},
    ],
)
def test_a_message_of_pubsub_is_known_in_every_form(value):
    opened = open_pubsub(value)
    assert opened is not None
    assert [entry.value for entry in opened.entries] == [Packed("eA==")]


@pytest.mark.parametrize(
    "value", [{}, {"data": "eA=="}, {"data": 5, "attributes": {}}, {"message": "x"}, {"message": {}}]
)
def test_other_objects_are_no_messages(value):
    assert open_pubsub(value) is None


def test_a_message_without_data_is_passed_over():
    decoded = decode({"message": {"data": "", "attributes": {}}})
    assert (decoded.events, decoded.dead_letters, decoded.skipped) == ((), (), 1)


@pytest.mark.parametrize(
    "value", [{}, {"records": []}, {"records": [{"properties": {}}]}, {"Records": 5}, {"awslogs": {}}]
)
def test_other_objects_are_no_deliveries(value):
    assert open_deliveries(value) is None


def test_several_documents_in_one_delivery_are_all_read():
    data = b"".join(dumped(cloudwatch(dumped(audit(auditID=name)))).encode() for name in "ab")
    events = decode({"records": [{"data": packed(data)}], "requestId": "r"}).events
    assert [event.fields["auditID"] for event in events] == ["a", "b"]


def test_several_shipped_lines_in_one_delivery_are_all_lines():
    data = b"\n".join(dumped(fluent_bit(text)).encode() for text in ("one", "two"))
    events = decode({"records": [{"data": packed(data)}], "requestId": "r"}, kind="containers").events
    assert [event.fields["message"] for event in events] == ["one", "two"]


def test_a_control_message_is_passed_over():
    decoded = decode(packed(cloudwatch("x", messageType="CONTROL_MESSAGE")).encode())
    assert (decoded.events, decoded.dead_letters, decoded.skipped) == ((), (), 1)


def test_data_that_is_plain_text_is_read_as_it_is():
    assert one({"data": dumped(audit()), "attributes": {}}).fields["auditID"] == audit()["auditID"]
