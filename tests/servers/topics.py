"""What tests do with topics, with the plain client and none of the product's code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete


@asynccontextmanager
async def administration(address: str) -> AsyncIterator[Any]:
    """A started administration client."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make_topic(address: str, name: str, partitions: int = 1, **settings: str) -> None:
    """Create a topic; dots in setting names are written as underscores."""
    dotted = {key.replace("_", "."): value for key, value in settings.items()}
    async with administration(address) as admin:
        answer = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=dotted)])
        assert answer.topic_errors[0][1] == 0, answer
        for _ in range(500):  # the broker hears of it a moment later
            if name in await admin.list_topics():
                return
            await asyncio.sleep(0.02)


async def grow_topic(address: str, name: str, partitions: int) -> None:
    """Give a topic more partitions."""
    async with administration(address) as admin:
        answer = await admin.create_partitions({name: NewPartitions(partitions)})
        assert answer.topic_errors[0][1] == 0, answer


async def drop_records(address: str, name: str, before: Mapping[int, int]) -> None:
    """Delete the records below an offset, as expiry would."""
    async with administration(address) as admin:
        await admin.delete_records(
            {TopicPartition(name, number): RecordsToDelete(before_offset=offset) for number, offset in before.items()}
        )


async def delete_topic(address: str, name: str) -> None:
    """Delete a topic."""
    async with administration(address) as admin:
        await admin.delete_topics([name])


async def produce(
    address: str, topic: str, values: Sequence[bytes], *, partition: int | None = None, **options: Any
) -> None:
    """Write values with a plain producer; ``options`` are the client's."""
    producer = AIOKafkaProducer(bootstrap_servers=address, **options)
    await producer.start()
    try:
        for future in [await producer.send(topic, value, partition=partition) for value in values]:
            await future
    finally:
        await producer.stop()


async def read_committed(address: str, topic: str) -> list[Any]:
    """Everything a ``read_committed`` subscriber sees on a topic now, partition by partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        await consumer.topics()
        async with administration(address) as admin:
            (described,) = await admin.describe_topics([topic])
        partitions = [TopicPartition(topic, entry["partition"]) for entry in described["partitions"]]
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        for tp in partitions:
            await consumer.seek_to_beginning(tp)
        found: dict[TopicPartition, list[Any]] = {tp: [] for tp in sorted(partitions)}
        open_ = {tp for tp in partitions if ends[tp] > 0}
        while open_:
            for tp, records in (await consumer.getmany(*open_, timeout_ms=1000)).items():
                found[tp] += records
            open_ -= {tp for tp in open_ if await consumer.position(tp) >= ends[tp]}
        return [record for records in found.values() for record in records]
    finally:
        await consumer.stop()


def headers_of(record: Any) -> dict[str, str]:
    """A record's headers as text."""
    return {name: value.decode() for name, value in record.headers}


def ids_of(records: Iterable[Any]) -> list[str]:
    """The CloudEvents ids of records, in order."""
    return [headers_of(record)["ce_id"] for record in records]
