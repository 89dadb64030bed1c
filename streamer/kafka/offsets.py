"""The offsets that a consumer group has committed, with the note beside each."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition, errors

from streamer.kafka.complaints import attempt
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.topics import administration

_BACK_OFF_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed position.

    Attributes:
        offset: the next offset to read.
        note: text that was committed with it, at most 4 KB.
    """

    offset: int
    note: str = ""


async def committed_offsets(
    connection: KafkaConnection, group: str, partitions: Collection[TopicPartition]
) -> Mapping[TopicPartition, Committed]:
    """What the group has committed for these partitions; those without are left out.

    The consumer's own look-up is not used: it takes "the coordinator is still loading" for "nothing was committed".

    Raises:
        ServerError: Kafka is away, or the group's coordinator is not ready.
    """
    if not partitions:
        return {}
    doing = f"looking up the offsets of group {group}"
    async with administration(connection) as admin:
        answer = await attempt(_answer(admin, group, frozenset(partitions)), connection, doing)
    return {
        tp: Committed(found.offset, found.metadata or "")
        for tp, found in answer.items()
        if tp in partitions and found.offset >= 0
    }


async def _answer(admin: Any, group: str, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, Any]:
    """A complete answer, however long the coordinator takes to get ready (on a new cluster its topic is made first)."""
    while True:
        try:
            answer: Mapping[TopicPartition, Any] = await admin.list_consumer_group_offsets(
                group, partitions=list(partitions)
            )
        except errors.KafkaError as error:
            if not error.retriable:
                raise
        else:
            if partitions <= answer.keys():
                return answer
        await asyncio.sleep(_BACK_OFF_S)
