"""Positions that no longer exist, and what is said about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from streamer.kafka.complaints import attempt
from streamer.kafka.connection import KafkaConnection
from streamer.ports import Partition


@dataclass(frozen=True, slots=True)
class Gap:
    """Records that could not be read because the topic no longer holds them, or was made anew.

    Attributes:
        partition: where.
        wanted: the position that was stored.
        found: the position that reading went on from.
        recreated: the topic ends before ``wanted``, so it was deleted and made anew; else records had expired.
    """

    partition: Partition
    wanted: int
    found: int
    recreated: bool

    def __str__(self) -> str:
        """One sentence for logs and notices."""
        topic, number = self.partition
        if self.recreated:
            return (
                f"{topic}[{number}] ends before the stored position {self.wanted}: it was deleted and made anew; "
                f"reading goes on from {self.found}"
            )
        return (
            f"{topic}[{number}] no longer holds {self.found - self.wanted} records that were never read: they expired "
            f"before streamer came to them; what they would have shown is not detected"
        )


async def existing_positions(
    consumer: Any, connection: KafkaConnection, wanted: Mapping[TopicPartition, int | None]
) -> tuple[dict[TopicPartition, int], list[Gap]]:
    """Positions that exist: the wanted ones where they do, else the beginning, and a gap.

    Where nothing was wanted, the beginning is no gap. Raises ``ServerError``.
    """
    doing = "looking up positions"
    first = await attempt(consumer.beginning_offsets(list(wanted)), connection, doing)
    last = await attempt(consumer.end_offsets(list(wanted)), connection, doing)
    found, gaps = {}, []
    for tp, offset in wanted.items():
        exists = offset is not None and first[tp] <= offset <= last[tp]
        found[tp] = offset if exists and offset is not None else first[tp]
        if offset is not None and not exists:
            gaps.append(Gap((tp.topic, tp.partition), offset, first[tp], recreated=offset > last[tp]))
    return found, gaps
