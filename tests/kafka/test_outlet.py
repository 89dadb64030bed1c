"""Sending without transactions on a real Kafka: what is acknowledged is written, and a failure ends the producer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest

from streamer.errors import LedgerLost
from streamer.kafka import KafkaConnection, Outlet
from streamer.ports import Message
from tests.servers.kafka import KafkaServer
from tests.servers.topics import headers_of, make_topic, read_committed


@pytest.fixture
async def outlet(kafka_address: str) -> AsyncIterator[Outlet]:
    made = Outlet(KafkaConnection(kafka_address, request_timeout_s=10), name="detect")
    await made.start()
    yield made
    await made.stop()


def messages(topic: str, count: int, start: int = 0) -> list[Message]:
    return [Message(topic, number % 2, b"", b"%d" % number) for number in range(start, start + count)]


async def test_what_was_sent_stands_there_in_order_with_offsets_keys_and_headers(kafka_address, unique, outlet):
    await make_topic(kafka_address, unique, 2)
    offsets = await outlet.send_all([*messages(unique, 6), Message(unique, 0, b"k", b"last", (("h", b"v"),))])
    assert offsets == [0, 0, 1, 1, 2, 2, 3]
    records = await read_committed(kafka_address, unique)
    assert [record.value for record in records] == [b"0", b"2", b"4", b"last", b"1", b"3", b"5"]
    assert (records[3].key, headers_of(records[3])) == (b"k", {"h": "v"})


async def test_nothing_to_send_is_sent(outlet):
    assert await outlet.send_all([]) == []


async def test_several_calls_at_once_keep_the_order_of_each(kafka_address, unique, outlet):
    await make_topic(kafka_address, unique)
    calls = [[Message(unique, 0, b"", b"%d-%02d" % (call, number)) for number in range(50)] for call in range(4)]
    await asyncio.gather(*(outlet.send_all(call) for call in calls))
    values = [record.value for record in await read_committed(kafka_address, unique)]
    assert len(values) == 200
    for call in range(4):
        mine = [value for value in values if value.startswith(b"%d-" % call)]
        assert mine == sorted(mine)


async def test_a_message_too_large_for_the_topic_is_named_and_a_new_producer_goes_on(kafka_address, unique, outlet):
    await make_topic(kafka_address, unique, 2, max_message_bytes="20000")
    large = Message(unique, 0, b"", random.Random(1).randbytes(200_000))
    with pytest.raises(LedgerLost) as refused:
        await outlet.send_all([*messages(unique, 10), large, *messages(unique, 10, 10)])
    assert refused.value.culprit == large
    assert not outlet.open
    with pytest.raises(LedgerLost, match="not connected"):
        await outlet.send_all(messages(unique, 1))
    await outlet.restart()
    await outlet.send_all(messages(unique, 20))
    values = [record.value for record in await read_committed(kafka_address, unique)]
    assert {b"%d" % number for number in range(20)} == set(values)


async def test_a_message_that_no_request_can_hold_is_named(kafka_address, unique, outlet):
    await make_topic(kafka_address, unique, 2)
    huge = Message(unique, 1, b"", bytes(9 * 1024 * 1024))
    with pytest.raises(LedgerLost) as refused:
        await outlet.send_all([*messages(unique, 3), huge])
    assert refused.value.culprit == huge


async def test_a_broker_that_freezes_is_said_in_time_and_nothing_is_lost_by_sending_again(
    kafka_server: KafkaServer, unique
):
    await make_topic(kafka_server.address, unique, 2)
    outlet = Outlet(KafkaConnection(kafka_server.address, request_timeout_s=2), name="detect")
    await outlet.start()
    await outlet.send_all(messages(unique, 4))
    kafka_server.freeze()
    started = time.monotonic()
    with pytest.raises(LedgerLost) as refused:
        await outlet.send_all(messages(unique, 4, 4))
    assert refused.value.culprit is None
    assert time.monotonic() - started < 4
    kafka_server.thaw()
    await outlet.restart()
    await outlet.send_all(messages(unique, 4, 4))
    await outlet.stop()
    values = {record.value for record in await read_committed(kafka_server.address, unique)}
    assert values == {b"%d" % number for number in range(8)}


async def test_a_broker_that_is_killed_and_comes_back_is_waited_for(kafka_server: KafkaServer, unique):
    await make_topic(kafka_server.address, unique, 2)
    outlet = Outlet(KafkaConnection(kafka_server.address), name="detect")
    await outlet.start()
    await outlet.send_all(messages(unique, 2))
    kafka_server.kill()
    sending = asyncio.create_task(outlet.send_all(messages(unique, 4, 2)))
    await asyncio.sleep(0.5)
    kafka_server.start()
    async with asyncio.timeout(40):
        await sending
    await outlet.stop()
    values = [record.value for record in await read_committed(kafka_server.address, unique)]
    assert sorted(values) == [b"%d" % number for number in range(6)]
