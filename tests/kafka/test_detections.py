"""The reader of detections on a real Kafka: what is ours is told, what is read begins where it was said to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from streamer.errors import ServerError, StateError
from streamer.kafka import DetectionsReader, Fetched, KafkaConnection
from streamer.kafka.offsets import committed_offsets
from tests.servers.kafka import KafkaServer
from tests.servers.topics import drop_records, make_topic, produce


class Member:
    """A reader, what it was told, and what it read."""

    def __init__(self, reader: DetectionsReader) -> None:
        self.reader = reader
        self.owned: frozenset[int] = frozenset()
        self.told: list[tuple[str, frozenset[int]]] = []
        self.on_assigned: Callable[[frozenset[int]], object] = lambda _partitions: None
        self.read: dict[int, list[Fetched]] = {}

    def assigned(self, partitions: frozenset[int]) -> None:
        self.owned = partitions
        self.told.append(("assigned", partitions))
        self.on_assigned(partitions)

    def revoked(self, partitions: frozenset[int]) -> None:
        self.told.append(("revoked", partitions))

    async def poll_until(self, done: Callable[[], Any], within_s: float = 20) -> None:
        async with asyncio.timeout(within_s):
            while not done():
                for number, records in (await self.reader.poll(0.1)).items():
                    self.read.setdefault(number, []).extend(records)

    def values(self, partition: int) -> list[bytes]:
        return [record.value for record in self.read.get(partition, [])]


@asynccontextmanager
async def member(address: str, topic: str, *, session_s: float = 10, max_records: int = 500) -> AsyncIterator[Member]:
    connection = KafkaConnection(address)
    made = Member(
        DetectionsReader(connection, topic=topic, group=f"{topic}.g", session_s=session_s, max_records=max_records)
    )
    await made.reader.start(made.assigned, made.revoked)
    try:
        yield made
    finally:
        await made.reader.stop()


async def test_what_is_assigned_is_paused_until_it_is_resumed_where_the_caller_says(kafka_address, unique):
    await make_topic(kafka_address, unique, 2)
    for number in range(2):
        await produce(kafka_address, unique, [b"%d" % index for index in range(10)], partition=number)
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned == {0, 1})
        for _ in range(5):
            assert await one.reader.poll(0.1) == {}
        one.reader.resume(1, 7)
        await one.poll_until(lambda: len(one.values(1)) == 3)
        assert one.values(1) == [b"7", b"8", b"9"]
        assert one.read[1][0].offset == 7
        assert abs(one.read[1][0].append_time_us / 1e6 - time.time()) < 60
        assert one.values(0) == []
        assert one.reader.partitions_count == 2
        assert (one.reader.is_assigned(1), one.reader.is_assigned(2)) == (True, False)


async def test_the_offsets_of_the_group_are_told_to_watchers_and_never_read_from(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned)
        await one.reader.commit({0: 8})
    tp = TopicPartition(unique, 0)
    assert (await committed_offsets(KafkaConnection(kafka_address), f"{unique}.g", [tp]))[tp].offset == 8
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned)
        one.reader.resume(0, 2)
        await one.poll_until(lambda: len(one.values(0)) == 8)
        assert one.values(0)[0] == b"2"


async def test_without_a_position_reading_begins_with_what_is_kept(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
    await drop_records(kafka_address, unique, {0: 6})
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned)
        one.reader.resume(0, None)
        await one.poll_until(lambda: len(one.values(0)) == 4)
        assert one.values(0) == [b"6", b"7", b"8", b"9"]


async def test_a_position_that_expired_stops_with_a_sentence(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
    await drop_records(kafka_address, unique, {0: 6})
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned)
        one.reader.resume(0, 2)
        with pytest.raises(StateError, match=r"no longer holds 4 records that were never read"):
            await one.poll_until(lambda: False)


async def test_a_position_behind_the_end_stops_with_a_sentence(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"new"])
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned)
        one.reader.resume(0, 500)
        with pytest.raises(StateError, match="deleted and made anew"):
            await one.poll_until(lambda: False)


async def test_records_below_the_position_are_dropped_even_if_they_were_fetched_before(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(100)])
    async with member(kafka_address, unique, max_records=10) as one:
        await one.poll_until(lambda: one.owned)
        one.reader.resume(0, 0)
        await one.poll_until(lambda: one.values(0))
        one.reader._member.consumer.seek(TopicPartition(unique, 0), 0)  # as if the seek had been overtaken
        await one.poll_until(lambda: len(one.values(0)) >= 100)
        assert [record.offset for record in one.read[0]] == list(range(100))


async def test_a_paused_partition_goes_on_without_a_gap_and_only_if_it_had_been_resumed(kafka_address, unique):
    await make_topic(kafka_address, unique, 2)
    for number in range(2):
        await produce(kafka_address, unique, [b"%d" % index for index in range(50)], partition=number)
    async with member(kafka_address, unique, max_records=7) as one:
        await one.poll_until(lambda: one.owned)
        one.reader.resume(0, 0)
        await one.poll_until(lambda: one.values(0))
        one.reader.pause(0)
        one.reader.unpause(1)
        had = len(one.values(0))
        for _ in range(4):
            assert await one.reader.poll(0.1) == {}
        assert len(one.values(0)) == had
        one.reader.unpause(0)
        await one.poll_until(lambda: len(one.values(0)) == 50)
        assert [record.offset for record in one.read[0]] == list(range(50))
        assert one.values(1) == []


async def test_only_committed_records_are_read_and_the_lag_counts_their_markers(kafka_address, unique):
    await make_topic(kafka_address, unique)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_address, transactional_id=unique)
    await producer.start()
    for value, commit in ((b"aborted", False), (b"committed", True)):
        await producer.begin_transaction()
        await producer.send_and_wait(unique, value)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    await producer.stop()
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned)
        assert one.reader.lag(0) is None
        one.reader.resume(0, 0)
        await one.poll_until(lambda: one.values(0))
        assert one.values(0) == [b"committed"]
        await one.poll_until(lambda: one.reader.lag(0) == 0)


async def test_a_second_member_takes_half_and_gives_it_back_and_kept_partitions_stay(kafka_address, unique):
    await make_topic(kafka_address, unique, 4)
    async with member(kafka_address, unique, session_s=3) as one:
        await one.poll_until(lambda: one.owned == {0, 1, 2, 3})
        async with member(kafka_address, unique, session_s=3) as two:
            async with asyncio.timeout(20):
                while not (len(one.owned) == len(two.owned) == 2):
                    await asyncio.gather(one.reader.poll(0.1), two.reader.poll(0.1))
            assert one.owned | two.owned == {0, 1, 2, 3}
            assert ("revoked", frozenset({0, 1, 2, 3})) in one.told
            kept = one.owned
        await one.poll_until(lambda: len(one.owned) == 4)
        assert kept < one.owned


async def test_nothing_is_delivered_after_a_rearrangement_until_a_partition_is_resumed_again(kafka_address, unique):
    await make_topic(kafka_address, unique, 2)
    for number in range(2):
        await produce(kafka_address, unique, [b"%d" % index for index in range(20)], partition=number)
    async with member(kafka_address, unique, session_s=3) as one:
        await one.poll_until(lambda: one.owned == {0, 1})
        async with member(kafka_address, unique, session_s=3) as two:
            one.reader.resume(0, 0)
            await one.poll_until(lambda: len(one.values(0)) == 20)
            async with asyncio.timeout(20):
                while not (len(one.owned) == len(two.owned) == 1):
                    await asyncio.gather(one.reader.poll(0.1), two.reader.poll(0.1))
            (mine,) = one.owned
            for _ in range(5):
                assert await one.reader.poll(0.1) == {}
            one.reader.resume(mine, 15)
            one.read.clear()
            await one.poll_until(lambda: len(one.values(mine)) == 5)
            one.reader.resume(1 - mine, 0)  # somebody else's: nothing happens
            assert await one.reader.poll(0.3) == {}


async def test_polling_ends_in_time_while_nothing_is_assigned(kafka_address, unique):
    await make_topic(kafka_address, unique)
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned)
        async with member(kafka_address, unique) as two:
            for _ in range(10):
                started = time.monotonic()
                await two.reader.poll(0.1)
                assert time.monotonic() - started < 1.5
                await one.reader.poll(0.1)


async def test_committing_for_a_partition_that_is_not_ours_is_a_sentence(kafka_address, unique):
    await make_topic(kafka_address, unique)
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned)
        with pytest.raises(ServerError, match="somebody else's by now"):
            await one.reader.commit({5: 1})


async def test_a_topic_that_is_missing_is_a_sentence(kafka_address, unique):
    with pytest.raises(ServerError, match=f"no topic {unique}"):
        async with member(kafka_address, unique):
            pass


async def test_a_reader_that_was_not_started_says_so(kafka_address):
    reader = DetectionsReader(KafkaConnection(kafka_address), topic="t", group="g")
    with pytest.raises(ServerError, match="has not been joined"):
        await reader.poll(0.1)
    assert reader.lag(0) is None
    await reader.stop()


async def test_a_killed_broker_loses_nothing(kafka_server: KafkaServer, unique):
    await make_topic(kafka_server.address, unique)
    await produce(kafka_server.address, unique, [b"before"])
    async with member(kafka_server.address, unique, session_s=3) as one:
        one.on_assigned = lambda partitions: any(one.reader.resume(0, len(one.values(0))) for _ in partitions)
        await one.poll_until(lambda: one.values(0) == [b"before"])
        kafka_server.kill()
        kafka_server.start()
        await produce(kafka_server.address, unique, [b"after"])
        await one.poll_until(lambda: one.values(0) == [b"before", b"after"], within_s=40)


async def test_leaving_while_the_broker_is_frozen_takes_seconds_only(kafka_server: KafkaServer, unique):
    await make_topic(kafka_server.address, unique)
    async with member(kafka_server.address, unique) as one:
        await one.poll_until(lambda: one.owned)
        kafka_server.freeze()
        started = time.monotonic()
        await one.reader.stop()
        assert time.monotonic() - started < 15
