"""The reader against a real Kafka: every record once, from where it was told to go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from streamer.errors import ServerError, StateError
from streamer.kafka import KafkaConnection, KafkaReader, ReadLimits
from streamer.model import Record
from streamer.ports import Batch
from tests.servers.kafka import KafkaServer
from tests.servers.topics import delete_topic, drop_records, grow_topic, make_topic, produce

QUICK = ReadLimits(refresh_s=0.5, silence_s=3.0)


def now_us() -> int:
    return time.time_ns() // 1000


@asynccontextmanager
async def reading(
    address: str, *topics: str, positions: dict[Any, object] | None = None, limits: ReadLimits = QUICK
) -> AsyncIterator[KafkaReader]:
    reader = KafkaReader(KafkaConnection(address), topics, now_us=now_us, limits=limits)
    try:
        await reader.start(positions or {})
        yield reader
    finally:
        await reader.stop()


async def read_until(
    reader: KafkaReader, done: Callable[[list[Record], Batch], bool], within_s: float = 20
) -> list[Record]:
    records: list[Record] = []
    async with asyncio.timeout(within_s):
        while True:
            batch = await reader.read(0.2)
            records += batch.records
            if done(records, batch):
                return records


async def read_all(reader: KafkaReader) -> list[Record]:
    return await read_until(reader, lambda _, batch: not batch.records and batch.at_end == reader.partitions())


async def test_every_record_of_every_partition_arrives_with_its_place_and_headers(kafka_address, unique):
    await make_topic(kafka_address, unique, 3)
    for number in range(3):
        await produce(kafka_address, unique, [b"%d-%d" % (number, index) for index in range(50)], partition=number)
    async with reading(kafka_address, unique) as reader:
        records = await read_all(reader)
        assert reader.partitions() == {(unique, 0), (unique, 1), (unique, 2)}
    seen = {(record.position.partition, record.position.offset): record.value for record in records}
    assert seen == {(number, index): b"%d-%d" % (number, index) for number in range(3) for index in range(50)}
    assert not records[0].position.is_file


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_records_compressed_by_a_shipper_are_read(kafka_address, unique, codec):
    await make_topic(kafka_address, unique)
    values = [b'{"line": "%d"}' % index * 20 for index in range(200)]
    await produce(kafka_address, unique, values, compression_type=codec)
    async with reading(kafka_address, unique) as reader:
        assert [record.value for record in await read_all(reader)] == values


async def test_reading_goes_on_at_the_stored_positions(kafka_address, unique):
    await make_topic(kafka_address, unique, 2)
    await produce(kafka_address, unique, [b"a0", b"a1", b"a2"], partition=0)
    await produce(kafka_address, unique, [b"b0"], partition=1)
    async with reading(kafka_address, unique, positions={(unique, 0): 2, ("some.log", 0): {"inode": 7}}) as reader:
        assert sorted(record.value for record in await read_all(reader)) == [b"a2", b"b0"]


async def test_the_positions_of_a_batch_are_where_reading_goes_on_after_it(kafka_address, unique):
    await make_topic(kafka_address, unique, 2)
    await produce(kafka_address, unique, [b"%d" % index for index in range(30)])
    positions: dict[Any, object] = {}
    values: list[bytes] = []
    while len(values) < 30:
        async with reading(kafka_address, unique, positions=positions, limits=ReadLimits(records=7)) as reader:
            batch = await reader.read(1.0)
            values += [record.value for record in batch.records]
            positions |= batch.positions
    assert sorted(values) == sorted(b"%d" % index for index in range(30))


async def test_a_batch_is_bounded_in_number_and_bytes_but_never_empty_for_a_large_record(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"x" * 1000] * 20)
    async with reading(kafka_address, unique, limits=ReadLimits(records=10, bytes=3000)) as reader:
        sizes = []
        while sum(sizes) < 20:
            batch = await reader.read(1.0)
            sizes.append(len(batch.records))
            assert batch.at_end == (frozenset({(unique, 0)}) if sum(sizes) == 20 else frozenset())
    assert max(sizes) == 3
    async with reading(kafka_address, unique, limits=ReadLimits(bytes=10)) as reader:
        assert len((await reader.read(5.0)).records) == 1


async def test_an_empty_partition_is_at_its_end_only_when_the_broker_said_so(kafka_address, unique):
    await make_topic(kafka_address, unique, 2)
    async with reading(kafka_address, unique) as reader:
        first = await reader.read(0.0)
        assert first == Batch()
        await read_until(reader, lambda _, batch: batch.at_end == {(unique, 0), (unique, 1)})


async def test_records_of_an_open_transaction_hold_back_the_end(kafka_address, unique):
    await make_topic(kafka_address, unique)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_address, transactional_id=unique)
    await producer.start()
    try:
        async with reading(kafka_address, unique) as reader:
            await producer.begin_transaction()
            await producer.send_and_wait(unique, b"open")
            await asyncio.sleep(1)
            batches = [await reader.read(0.3) for _ in range(6)]
            assert all(not batch.records for batch in batches)
            assert not batches[-1].at_end
            await producer.abort_transaction()
            await producer.begin_transaction()
            await producer.send_and_wait(unique, b"committed")
            await producer.commit_transaction()
            assert [record.value for record in await read_all(reader)] == [b"committed"]
    finally:
        await producer.stop()


async def test_the_append_time_is_the_brokers_where_the_topic_stamps(kafka_address, unique):
    await make_topic(kafka_address, unique, message_timestamp_type="LogAppendTime")
    before = now_us()
    await produce(kafka_address, unique, [b"x"])
    async with reading(kafka_address, unique) as reader:
        (record,) = await read_all(reader)
    assert record.append_time_us is not None
    assert before - 1000 <= record.append_time_us <= now_us()


async def test_a_producers_stamp_is_used_but_never_later_than_now(kafka_address, unique):
    await make_topic(kafka_address, unique)
    past_ms, future_ms = time.time_ns() // 1_000_000 - 3_600_000, time.time_ns() // 1_000_000 + 1_800_000
    producer = AIOKafkaProducer(bootstrap_servers=kafka_address)
    await producer.start()
    await producer.send_and_wait(unique, b"past", timestamp_ms=past_ms)
    await producer.send_and_wait(unique, b"future", timestamp_ms=future_ms)
    await producer.stop()
    async with reading(kafka_address, unique) as reader:
        past, future = await read_all(reader)
    assert past.append_time_us == past_ms * 1000
    assert future.append_time_us is not None
    assert abs(future.append_time_us - now_us()) < 60_000_000


async def test_a_position_that_expired_is_a_gap_that_says_how_many_records_were_lost(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
    await drop_records(kafka_address, unique, {0: 6})
    async with reading(kafka_address, unique, positions={(unique, 0): 2}) as reader:
        assert [record.value for record in await read_all(reader)] == [b"6", b"7", b"8", b"9"]
        (gap,) = reader.take_gaps()
        assert reader.take_gaps() == ()
    assert (gap.wanted, gap.found, gap.recreated) == (2, 6, False)
    assert "4 records" in str(gap)


async def test_a_topic_made_anew_is_a_gap_and_read_from_its_beginning(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"new"])
    async with reading(kafka_address, unique, positions={(unique, 0): 500}) as reader:
        assert [record.value for record in await read_all(reader)] == [b"new"]
        (gap,) = reader.take_gaps()
    assert gap.recreated
    assert "made anew" in str(gap)


async def test_records_that_expire_while_reading_are_a_gap_too(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
    async with reading(kafka_address, unique, positions={(unique, 0): 10}) as reader:
        await read_all(reader)
        await produce(kafka_address, unique, [b"10"])
        assert [record.value for record in await read_all(reader)] == [b"10"]
        reader._reseat(dict.fromkeys(reader._next, 3))  # as if it had been slow
        await drop_records(kafka_address, unique, {0: 8})
        records = await read_until(reader, lambda records, _: bool(records) and records[-1].value == b"10")
        gaps = reader.take_gaps()
    assert records[-1].position.offset == 10
    assert all(not gap.recreated for gap in gaps)


async def test_new_partitions_are_noticed_and_read_from_their_beginning(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"old"])
    async with reading(kafka_address, unique) as reader:
        assert [record.value for record in await read_all(reader)] == [b"old"]
        await grow_topic(kafka_address, unique, 3)
        await produce(kafka_address, unique, [b"new"], partition=2)
        records = await read_until(reader, lambda records, _: bool(records))
        assert [record.value for record in records] == [b"new"]
        assert reader.partitions() == {(unique, 0), (unique, 1), (unique, 2)}


async def test_a_topic_that_is_missing_is_a_sentence(kafka_address, unique):
    with pytest.raises(ServerError, match=f"no topic {unique}"):
        async with reading(kafka_address, unique):
            pass


async def test_nobody_listening_is_a_retriable_sentence():
    with pytest.raises(ServerError, match=r"Kafka at 127\.0\.0\.1:1 does not answer") as refused:
        async with reading("127.0.0.1:1", "raw"):
            pass
    assert refused.value.retriable


async def test_a_position_that_is_no_offset_is_a_state_error(kafka_address, unique):
    await make_topic(kafka_address, unique)
    with pytest.raises(StateError, match="no Kafka offset"):
        async with reading(kafka_address, unique, positions={(unique, 0): "x"}):
            pass


async def test_a_deleted_topic_is_said_after_a_while(kafka_address, unique):
    await make_topic(kafka_address, unique)
    async with reading(kafka_address, unique) as reader:
        await read_all(reader)
        await delete_topic(kafka_address, unique)
        with pytest.raises(ServerError, match=f"no topic {unique}"):
            await read_until(reader, lambda *_: False)


async def test_a_killed_broker_is_said_and_reading_goes_on_without_a_loss(kafka_server: KafkaServer, unique):
    await make_topic(kafka_server.address, unique)
    await produce(kafka_server.address, unique, [b"before"])
    async with reading(kafka_server.address, unique) as reader:
        assert [record.value for record in await read_all(reader)] == [b"before"]
        kafka_server.kill()
        with pytest.raises(ServerError, match="does not answer") as away:
            await read_until(reader, lambda *_: False)
        assert away.value.retriable
        kafka_server.start()
        await produce(kafka_server.address, unique, [b"after"])
        records: list[Record] = []
        async with asyncio.timeout(20):
            while not records:
                try:
                    records += (await reader.read(0.5)).records
                except ServerError:
                    await asyncio.sleep(0.2)
        assert [record.value for record in records] == [b"after"]


async def test_stopping_while_the_broker_is_frozen_takes_seconds_only(kafka_server: KafkaServer, unique):
    await make_topic(kafka_server.address, unique)
    async with reading(kafka_server.address, unique) as reader:
        await read_all(reader)
        kafka_server.freeze()
        started = time.monotonic()
        await reader.stop()
        assert time.monotonic() - started < 8
