"""The producer of transactions: what it makes of failures, and when it must not be used again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import errors
from aiokafka.protocol.transaction import EndTxnRequest

from streamer.errors import LedgerLost
from streamer.kafka import AlertsTopicSink, KafkaConnection
from streamer.kafka.transactions import TransactionalProducer, as_lost, find_culprit
from streamer.ports import Message
from tests.kafka.test_alerts import document
from tests.servers.topics import ids_of, make_topic, read_committed

CONNECTION = KafkaConnection("127.0.0.1:1")


def message(value: bytes, topic: str = "t") -> Message:
    return Message(topic, None, b"k", value)


async def sent(outcome: Exception | None = None) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    if outcome is None:
        future.set_result(None)
    else:
        future.set_exception(outcome)
        future.exception()
    return future


def answer_late(producer: TransactionalProducer) -> None:
    """The broker's first answer to the end of a transaction gets lost."""
    client = producer._producer.client
    send, ends = client.send, []

    async def losing(node_id: int, request: Any, **options: Any) -> Any:
        answer = await send(node_id, request, **options)
        if isinstance(request, EndTxnRequest):
            ends.append(request)
            if len(ends) == 1:
                raise errors.RequestTimedOutError
        return answer

    client.send = losing


@pytest.fixture
async def producer(kafka_address: str, unique: str) -> AsyncIterator[TransactionalProducer]:
    made = TransactionalProducer(KafkaConnection(kafka_address), unique, largest=1_000_000)
    await made.start()
    yield made
    await made.close()


async def test_offsets_of_a_transaction_come_back_in_the_order_of_its_messages(kafka_address, unique, producer):
    await make_topic(kafka_address, unique)
    assert await producer.write([message(b"%d" % number, unique) for number in range(3)]) == [0, 1, 2]
    assert await producer.write([message(b"3", unique)]) == [4]


async def test_after_a_repeated_end_it_is_suspect_and_writes_nothing_until_it_is_started(
    kafka_address, unique, producer
):
    await make_topic(kafka_address, unique)
    answer_late(producer)
    await producer.write([message(b"1", unique)])
    assert producer.suspect
    with pytest.raises(LedgerLost):
        await producer.write([message(b"never", unique)])
    assert not producer.open
    await producer.start()
    assert not producer.suspect
    await producer.write([message(b"2", unique)])
    assert [record.value for record in await read_committed(kafka_address, unique)] == [b"1", b"2"]


async def test_the_sink_of_alerts_replaces_a_suspect_producer_and_tells_nothing_twice(kafka_address, unique):
    await make_topic(kafka_address, unique)
    sink = AlertsTopicSink(KafkaConnection(kafka_address), unique, writer=f"{unique}.store")
    await sink.start()
    await sink.deliver([document(1)])
    answer_late(sink._producer)
    first = sink._producer._producer
    await sink.deliver([document(2)])
    await sink.deliver([document(3)])
    assert sink._producer._producer is not first
    await sink.stop()
    assert ids_of(await read_committed(kafka_address, unique)) == [document(number).id for number in (1, 2, 3)]


async def test_a_message_that_the_client_refused_is_the_culprit():
    messages = [message(b"1"), message(b"22"), message(b"3")]
    error = errors.MessageSizeTooLargeError()
    assert find_culprit(error, messages, [await sent()]) == messages[1]


async def test_the_largest_message_of_a_refused_batch_is_the_culprit():
    messages = [message(b"1"), message(b"333"), message(b"22"), message(b"4444")]
    error = errors.MessageSizeTooLargeError()
    sends = [await sent(error), await sent(error), await sent(error), await sent()]
    assert find_culprit(error, messages, sends) == messages[1]
    assert find_culprit(errors.OutOfOrderSequenceNumber(), messages, sends) == messages[1]


async def test_without_a_refused_message_there_is_no_culprit():
    messages = [message(b"1"), message(b"2")]
    error = errors.OutOfOrderSequenceNumber()
    assert find_culprit(error, messages, [await sent(error)]) is None
    assert find_culprit(TimeoutError(), messages, []) is None


def test_a_wrong_clock_of_ours_is_said_and_blames_no_message():
    lost = as_lost(errors.InvalidTimestampError(), CONNECTION, "writing")
    assert lost.hint is not None
    assert "clock of this host" in lost.hint
    assert lost.culprit is None


def test_what_waiting_cannot_cure_is_not_retriable():
    assert not as_lost(errors.TopicAuthorizationFailedError("t"), CONNECTION, "writing").retriable
    assert as_lost(TimeoutError(), CONNECTION, "writing").retriable
