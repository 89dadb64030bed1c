"""Dead letters on a real Kafka."""

from __future__ import annotations

import base64
import json

import pytest

from streamer.errors import ServerError
from streamer.kafka import DeadLetterSink, KafkaConnection
from streamer.model import DeadLetter, Position
from tests.servers.topics import headers_of, make_topic, read_committed


def letter(value: bytes, *, is_file: bool = False) -> DeadLetter:
    return DeadLetter("not-json", "byte 3 is no JSON", Position("k8s-audit", 2, 17, is_file), value, len(value))


async def test_a_dead_letter_tells_what_where_and_why(kafka_address, unique):
    await make_topic(kafka_address, unique)
    sink = DeadLetterSink(KafkaConnection(kafka_address), unique, source="/streamer/prod-1")
    try:
        assert await sink.deliver([(4, letter(b"\xff\x00{")), (5, letter(b"x", is_file=True))]) == [4, 5]
    finally:
        await sink.stop()
    from_topic, from_file = await read_committed(kafka_address, unique)
    body = json.loads(from_topic.value)
    assert body["error"] == {"reason": "not-json", "detail": "byte 3 is no JSON"}
    assert body["source"] == {"topic": "k8s-audit", "partition": 2, "offset": 17}
    assert base64.b64decode(body["payload"]) == b"\xff\x00{"
    assert headers_of(from_topic)["ce_type"] == "io.streamer.dlq.v1"
    assert headers_of(from_topic)["ce_id"] == "k8s-audit[2]@17"
    assert json.loads(from_file.value)["source"] == {"file": "k8s-audit", "line": 17}


async def test_a_huge_original_is_cut_and_still_fits(kafka_address, unique):
    await make_topic(kafka_address, unique)
    sink = DeadLetterSink(KafkaConnection(kafka_address), unique, source="/streamer/prod-1")
    try:
        await sink.deliver([(1, letter(bytes(2_000_000)))])
    finally:
        await sink.stop()
    (record,) = await read_committed(kafka_address, unique)
    assert json.loads(record.value)["size"] == 2_000_000


async def test_nobody_listening_is_a_retriable_sentence():
    sink = DeadLetterSink(KafkaConnection("127.0.0.1:1"), "dead", source="/streamer/x")
    with pytest.raises(ServerError, match="does not answer") as away:
        await sink.deliver([(1, letter(b"x"))])
    assert away.value.retriable
