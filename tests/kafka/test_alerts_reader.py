"""The reader of alerts on a real Kafka: only what was committed, from where the group stands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from streamer.errors import ServerError
from streamer.kafka import AlertsReader, Fetched, KafkaConnection
from tests.servers.kafka import KafkaServer
from tests.servers.topics import drop_records, make_topic, produce


class Member:
    def __init__(self, reader: AlertsReader) -> None:
        self.reader = reader
        self.owned: frozenset[int] = frozenset()
        self.read: dict[int, list[Fetched]] = {}

    def assigned(self, partitions: frozenset[int]) -> None:
        self.owned = partitions

    def revoked(self, _partitions: frozenset[int]) -> None:
        self.owned = frozenset()

    async def poll_until(self, done: Callable[[], Any], within_s: float = 20) -> None:
        async with asyncio.timeout(within_s):
            while not done():
                for number, records in (await self.reader.poll(0.1)).items():
                    self.read.setdefault(number, []).extend(records)

    def values(self, partition: int = 0) -> list[bytes]:
        return [record.value for record in self.read.get(partition, [])]


@asynccontextmanager
async def member(address: str, topic: str, *, silence_s: float = 15) -> AsyncIterator[Member]:
    reader = AlertsReader(
        KafkaConnection(address, request_timeout_s=3),
        topic=topic,
        group=f"{topic}.index",
        now_us=lambda: time.time_ns() // 1000,
    )
    reader._reader._silence_s = silence_s
    made = Member(reader)
    try:
        await reader.start(made.assigned, made.revoked)
        yield made
    finally:
        await reader.stop()


async def test_committed_alerts_come_with_key_and_headers_and_aborted_ones_do_not(kafka_address, unique):
    await make_topic(kafka_address, unique, 2)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_address, transactional_id=unique)
    await producer.start()
    for value, commit in ((b"aborted", False), (b"told", True)):
        await producer.begin_transaction()
        await producer.send_and_wait(unique, value, b"key", partition=1, headers=[("ce_id", b"7")])
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    await producer.stop()
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.values(1))
        (record,) = one.read[1]
        assert one.reader.partitions() == one.owned == {0, 1}
    assert (record.key, record.value, record.headers, record.offset) == (b"key", b"told", (("ce_id", b"7"),), 2)


async def test_reading_goes_on_at_what_was_committed_and_again_after_a_rewind(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: len(one.values()) == 10)
        await one.reader.commit({0: 6})
        one.reader.rewind()
        await one.poll_until(lambda: len(one.values()) == 14)
        assert one.values()[10:] == [b"6", b"7", b"8", b"9"]
        assert one.reader.lag(0) == 0
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: len(one.values()) == 4)


async def test_paused_partitions_rest_and_go_on_without_a_gap(kafka_address, unique):
    await make_topic(kafka_address, unique)
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned)
        one.reader.pause(one.owned)
        await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
        for _ in range(5):
            assert await one.reader.poll(0.1) == {}
        one.reader.unpause(one.owned)
        await one.poll_until(lambda: len(one.values()) == 10)


async def test_resting_for_long_is_no_silence_of_the_broker(kafka_address, unique):
    await make_topic(kafka_address, unique)
    async with member(kafka_address, unique, silence_s=1) as one:
        await one.poll_until(lambda: one.owned)
        one.reader.pause(one.owned)
        begun = time.monotonic()
        await one.poll_until(lambda: time.monotonic() - begun > 3)
        one.reader.unpause(one.owned)
        await produce(kafka_address, unique, [b"1"])
        await one.poll_until(one.values)


async def test_a_frozen_broker_is_said_after_a_while(kafka_server: KafkaServer, unique):
    await make_topic(kafka_server.address, unique)
    async with member(kafka_server.address, unique, silence_s=2) as one:
        await one.poll_until(lambda: one.owned)
        kafka_server.freeze()
        with pytest.raises(ServerError, match="does not answer"):
            await one.poll_until(lambda: False)
        kafka_server.thaw()


async def test_alerts_that_expired_before_they_were_indexed_are_a_gap(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
    async with member(kafka_address, unique) as one:
        await one.poll_until(one.values)
        await one.reader.commit({0: 1})
    await drop_records(kafka_address, unique, {0: 5})
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: len(one.values()) == 5)
        (gap,) = one.reader.take_gaps()
    assert (gap.wanted, gap.found) == (1, 5)


async def test_committing_for_a_partition_that_is_not_ours_is_a_sentence(kafka_address, unique):
    await make_topic(kafka_address, unique)
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned)
        with pytest.raises(ServerError):
            await one.reader.commit({7: 1})
