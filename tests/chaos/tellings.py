"""Listens to what the service tells itself: how far every partition is, and when it last said so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamer.errors import StreamerError
from streamer.ports import Partition
from streamer.stages import wire
from streamer.stages.wire import RanksTold, RankTold, SourcesTold, SourceTold
from tests.chaos.feed import Follower


@dataclass(frozen=True, slots=True)
class Heard:
    """A telling: when it was appended (milliseconds of the broker's clock) and which partitions it speaks for."""

    at_ms: int
    partitions: frozenset[int]


@dataclass(slots=True)
class Account:
    """The newest tellings.

    Attributes:
        sources: by raw partition.
        ranks: by partition of the detections.
        heard: all tellings about partitions of the detections, in order.
    """

    sources: dict[Partition, SourceTold] = field(default_factory=dict)
    ranks: dict[int, RankTold] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)

    def is_through(self, ends: Mapping[Partition, int], partitions: int, watermark_us: int, ranks: int) -> bool:
        """Whether all records below ``ends`` have been read and all ranks of all partitions have come so far."""
        return not self.missing(ends, partitions, watermark_us, ranks)

    def missing(self, ends: Mapping[Partition, int], partitions: int, watermark_us: int, ranks: int) -> list[str]:
        """What :meth:`is_through` waits for."""
        found = []
        for partition, end_offset in ends.items():
            told = self.sources.get(partition)
            if told is None or (told.next_offset or 0) < end_offset:
                found.append(f"{partition} is at {told.next_offset if told else None} of {end_offset}")
        for number in range(partitions):
            rank = self.ranks.get(number)
            reached = {} if rank is None else rank.watermarks
            late = [each for each in range(1, ranks + 1) if reached.get(each, -1) < watermark_us]
            if late:
                found.append(f"partition {number} is at {dict(reached)}, not at {watermark_us}")
        return found

    def recovery_s(self, killed_ms: int, partitions: int) -> float | None:
        """Seconds from a moment until every partition had been spoken for again; ``None``: not yet."""
        left = set(range(partitions))
        for heard in self.heard:
            if heard.at_ms >= killed_ms:
                left -= heard.partitions
                if not left:
                    return (heard.at_ms - killed_ms) / 1000
        return None


class Listener(Follower):
    """Reads the first partition of the detections, in which everything told to all stands."""

    def __init__(self, address: str, topic: str) -> None:
        super().__init__(address, topic, partitions=1)
        self.account = Account()
        self.unreadable = 0

    def _saw(self, partition: int, record: Any) -> None:
        if not record.key:
            self._hear(record.value, record.timestamp)

    def _hear(self, value: bytes, at_ms: int) -> None:
        try:
            told = wire.decode(value)
        except StreamerError:
            self.unreadable += 1
            return
        if isinstance(told, SourcesTold):
            for source in told.sources:
                known = self.account.sources.get((source.source, source.partition))
                if known is None or (source.next_offset or 0) >= (known.next_offset or 0):
                    self.account.sources[source.source, source.partition] = source
        elif isinstance(told, RanksTold):
            self.account.ranks |= told.told
            self.account.heard.append(Heard(at_ms, frozenset(told.told)))
