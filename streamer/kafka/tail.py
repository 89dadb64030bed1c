"""Which documents a topic already holds: asked after a restart and after every doubt about a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final

from aiokafka import TopicPartition, errors

from streamer.kafka.complaints import as_server_error, attempt, let_go
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.topics import partitions_of

ID_HEADER: Final = "ce_id"
_POLL_MS: Final = 1_000


async def ids_on_topic(
    connection: KafkaConnection, topic: str, wanted: Collection[str], *, since_ms: int, within_s: float
) -> frozenset[str]:
    """Those of ``wanted`` that a ``read_committed`` reader of the topic can see.

    Everything appended at or after ``since_ms`` (broker or producer stamp) is read, up to the end of each partition as
    it stood when this was called; records of other writers' open transactions are waited for.

    Raises:
        ServerError: Kafka is away, or some other transaction stayed open for ``within_s`` seconds.
    """
    doing = f"reading {topic} back"
    numbers = (await partitions_of(connection, [topic]))[topic]
    partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
    spans = await _spans(connection, partitions, max(0, since_ms), doing)
    if not spans:
        return frozenset()
    consumer = connection.consumer(auto_offset_reset="none", isolation_level="read_committed")
    try:
        await attempt(consumer.start(), connection, doing)
        consumer.assign(list(spans))
        for tp, (first, _) in spans.items():
            consumer.seek(tp, first)
        async with asyncio.timeout(within_s):
            return await _collect(consumer, {tp: end for tp, (_, end) in spans.items()}, frozenset(wanted))
    except (errors.KafkaError, OSError, TimeoutError) as error:
        raise as_server_error(error, connection, doing) from error
    finally:
        await let_go(consumer.stop())


async def _spans(
    connection: KafkaConnection, partitions: list[TopicPartition], since_ms: int, doing: str
) -> dict[TopicPartition, tuple[int, int]]:
    """From where to where each partition must be read; none where nothing is that young.

    Asked as ``read_uncommitted``: what stands behind somebody's open transaction counts as well, and must be waited
    for.
    """
    consumer = connection.consumer(isolation_level="read_uncommitted")
    try:
        await attempt(consumer.start(), connection, doing)
        ends = await attempt(consumer.end_offsets(partitions), connection, doing)
        since = await attempt(consumer.offsets_for_times(dict.fromkeys(partitions, since_ms)), connection, doing)
        return {
            tp: (since[tp].offset, ends[tp])
            for tp in partitions
            if since[tp] is not None and since[tp].offset < ends[tp]
        }
    finally:
        await let_go(consumer.stop())


async def _collect(consumer: Any, ends: dict[TopicPartition, int], wanted: frozenset[str]) -> frozenset[str]:
    """Read each partition to its end, or until everything wanted has been seen."""
    seen: set[str] = set()
    unread = set(ends)
    while unread and seen < wanted:
        arrived = await consumer.getmany(*unread, timeout_ms=_POLL_MS)
        for records in arrived.values():
            for record in records:
                seen.update(value.decode() for name, value in record.headers if name == ID_HEADER and value is not None)
        seen &= wanted
        unread -= {tp for tp in unread if await consumer.position(tp) >= ends[tp]}
    return frozenset(seen)
