"""What the shared reader of raw topics says of records and of the end of a partition, on a real Kafka."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka import AIOKafkaProducer

from streamer.kafka import ReadLimits
from tests.kafka.members import member
from tests.servers.kafka import KafkaServer
from tests.servers.topics import make_topic, produce


def now_us() -> int:
    return time.time_ns() // 1000


async def test_every_record_of_every_partition_arrives_with_its_place(kafka_address, unique):
    await make_topic(kafka_address, unique, 3)
    for number in range(3):
        await produce(kafka_address, unique, [b"%d-%d" % (number, index) for index in range(50)], partition=number)
    async with member(kafka_address, unique) as one:
        await one.read_all()
        assert one.reader.partitions() == {(unique, 0), (unique, 1), (unique, 2)}
    seen = {(record.position.partition, record.position.offset): record.value for record in one.records}
    assert seen == {(number, index): b"%d-%d" % (number, index) for number in range(3) for index in range(50)}
    assert len(one.records) == 150
    assert not one.records[0].position.is_file


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_records_compressed_by_a_shipper_are_read(kafka_address, unique, codec):
    await make_topic(kafka_address, unique)
    values = [b'{"line": "%d"}' % index * 20 for index in range(200)]
    await produce(kafka_address, unique, values, compression_type=codec)
    async with member(kafka_address, unique) as one:
        assert await one.read_all() == values


async def test_a_batch_is_never_empty_for_a_record_larger_than_a_batch(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"x" * 1000] * 2)
    async with member(kafka_address, unique, limits=ReadLimits(bytes=10, silence_s=3)) as one:
        await one.poll_until(lambda: one.records)
        assert len(one.batch.records) == 1
        assert not one.batch.at_end
        assert await one.read_all() == [b"x" * 1000] * 2


async def test_an_empty_partition_is_at_its_end_only_when_the_broker_said_so(kafka_address, unique):
    await make_topic(kafka_address, unique, 2)
    async with member(kafka_address, unique) as one:
        await one.poll_until(lambda: one.owned)
        assert not one.batch.records
        await one.poll_until(lambda: one.batch.at_end == {(unique, 0), (unique, 1)})


async def test_records_of_an_open_transaction_hold_back_the_end(kafka_address, unique):
    await make_topic(kafka_address, unique)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_address, transactional_id=unique)
    await producer.start()
    try:
        async with member(kafka_address, unique) as one:
            await one.poll_until(lambda: one.batch.at_end)
            await producer.begin_transaction()
            await producer.send_and_wait(unique, b"open")
            await asyncio.sleep(1)
            for _ in range(12):
                await one.poll()
            assert not one.records
            assert not one.batch.at_end
            await producer.abort_transaction()
            await producer.begin_transaction()
            await producer.send_and_wait(unique, b"committed")
            await producer.commit_transaction()
            await one.poll_until(lambda: one.records)
            assert await one.read_all() == [b"committed"]
    finally:
        await producer.stop()


async def test_the_append_time_is_the_brokers_where_the_topic_stamps(kafka_address, unique):
    await make_topic(kafka_address, unique, message_timestamp_type="LogAppendTime")
    before = now_us()
    await produce(kafka_address, unique, [b"x"])
    async with member(kafka_address, unique) as one:
        await one.read_all()
    (record,) = one.records
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
    async with member(kafka_address, unique) as one:
        await one.read_all()
    past, future = one.records
    assert past.append_time_us == past_ms * 1000
    assert future.append_time_us is not None
    assert abs(future.append_time_us - now_us()) < 60_000_000


async def test_stopping_while_the_broker_is_frozen_takes_seconds_only(kafka_server: KafkaServer, unique):
    await make_topic(kafka_server.address, unique)
    async with member(kafka_server.address, unique) as one:
        await one.read_all()
        kafka_server.freeze()
        started = time.monotonic()
        await one.reader.stop()
        assert time.monotonic() - started < 8
