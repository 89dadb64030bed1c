"""The proxy: it is transparent until asked, and a delayed end of a transaction tears the next one."""

from __future__ import annotations

import asyncio
import struct

import pytest
from aiokafka import AIOKafkaProducer

from tests.chaos.proxy import END_TXN, PRODUCE, frame_of
from tests.servers.topics import make_topic, read_committed

pytestmark = pytest.mark.servers


def test_a_request_is_recognised_by_its_head():
    body = struct.pack(">hhih", END_TXN, 0, 7, 4) + b"name" + struct.pack(">h", 3) + b"t.1" + b"rest"
    found = frame_of(struct.pack(">i", len(body)) + body)
    assert (found.api, found.correlation, found.writer) == (END_TXN, 7, "t.1")
    body = struct.pack(">hhih", PRODUCE, 8, 8, -1) + struct.pack(">h", -1) + b"rest"
    assert frame_of(struct.pack(">i", len(body)) + body).writer == ""


async def test_everything_passes(kafka, unique):
    await make_topic(kafka.address, unique)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.proxied, transactional_id=unique)
    await producer.start()
    for number in range(5):
        async with producer.transaction():
            await producer.send_and_wait(unique, str(number).encode(), partition=0)
    await producer.stop()
    assert [record.value for record in await read_committed(kafka.address, unique)] == [b"0", b"1", b"2", b"3", b"4"]


async def whole_with_a_delayed_end(kafka, topic):
    """A transaction whose end was held back, repeated, and answered."""
    await make_topic(kafka.address, topic)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.proxied, transactional_id=topic)
    await producer.start()
    delay = kafka.proxy.delay(topic)
    async with producer.transaction():
        await producer.send_and_wait(topic, b"whole", partition=0)
    assert delay.retried
    return producer, delay


async def half_while_the_end_comes(producer, delay, topic):
    """Half of the next transaction; then the end that was held back arrives."""
    await producer.begin_transaction()
    half = asyncio.create_task(producer.send_and_wait(topic, b"half", partition=0))
    assert await asyncio.to_thread(delay.wait, 20)
    await half
    delay.let_go()


async def test_a_delayed_end_makes_half_a_transaction_visible_for_a_producer_that_goes_on(kafka, unique):
    producer, delay = await whole_with_a_delayed_end(kafka, unique)
    await half_while_the_end_comes(producer, delay, unique)
    visible = [record.value for record in await read_committed(kafka.address, unique)]
    assert visible == [b"whole", b"half"]
    await asyncio.wait_for(asyncio.gather(producer.stop(), return_exceptions=True), 20)


async def test_a_producer_that_is_made_anew_after_the_retry_is_not_torn(kafka, unique):
    producer, delay = await whole_with_a_delayed_end(kafka, unique)
    await producer.stop()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.proxied, transactional_id=unique)
    await producer.start()
    await half_while_the_end_comes(producer, delay, unique)
    assert [record.value for record in await read_committed(kafka.address, unique)] == [b"whole"]
    await producer.abort_transaction()
    await producer.stop()
