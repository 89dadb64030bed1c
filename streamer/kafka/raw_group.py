"""Raw topics in, shared among processes: the reader of detect.

It reads the partitions that the group gives it, from the group's own offsets: detect keeps nothing that must agree
with them, and what comes twice is recognised behind it.

The append time of a record is the broker's where the topic has ``message.timestamp.type=LogAppendTime``. With
``CreateTime`` there is only the producer's stamp, which may be wrong; it is used, but never later than now. Set
``LogAppendTime`` on raw topics: then a wrong clock of a shipper cannot hide behind its own stamp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from aiokafka import TopicPartition

from streamer.kafka.committed import CommittedReader
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.gaps import Gap
from streamer.kafka.group import GroupOptions
from streamer.kafka.offsets import Committed
from streamer.kafka.records import as_record
from streamer.model import Record
from streamer.ports import Batch, Partition

Partitions: TypeAlias = frozenset[Partition]


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds of one batch and of what the client holds in memory.

    Attributes:
        records: most records of a batch.
        bytes: a batch ends with the record that goes over this.
        fetch_bytes: most bytes fetched ahead per partition, compressed.
        refresh_s: how often new partitions are looked for, in seconds.
        silence_s: after how many seconds without any answer of the broker reading fails with ``ServerError``.
    """

    records: int = 2_000
    bytes: int = 16 * 1024 * 1024
    fetch_bytes: int = 1024 * 1024
    refresh_s: float = 30.0
    silence_s: float = 15.0


class RawGroupReader:
    """Reads the partitions of raw topics that the group gives to this process.

    Args:
        connection: which Kafka.
        topics: all must exist.
        group: full name, prefix included.
        now_us: the clock.
        session_s: seconds without a heartbeat after which the broker gives our partitions to others.
        limits: of one batch.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Sequence[str],
        *,
        group: str,
        now_us: Callable[[], int],
        session_s: float = 10.0,
        limits: ReadLimits | None = None,
    ) -> None:
        self._limits = limits or ReadLimits()
        self._now_us = now_us
        options = GroupOptions(
            session_s=session_s, refresh_s=self._limits.refresh_s, fetch_bytes=self._limits.fetch_bytes
        )
        self._reader = CommittedReader(
            connection, topics, group=group, now_us=now_us, options=options, silence_s=self._limits.silence_s
        )
        self._backlog: deque[Record] = deque()

    async def start(self, assigned: Callable[[Partitions], None], revoked: Callable[[Partitions], None]) -> None:
        """Join the group; returns before anything is assigned. May be called again after it failed, and after ``stop``.

        Args:
            assigned: told all partitions that are ours from now on, by :meth:`poll`, before it returns any record of
                them; :meth:`note_of` answers from then on.
            revoked: told what was ours when the group begins to rearrange itself. Everything is to be given up: what
                was not committed comes again, to us or to somebody else. Synchronous and short: no heartbeats are sent
                while it runs.

        Raises:
            ServerError: Kafka is away, or a topic does not exist.
        """

        def on_revoked(partitions: frozenset[TopicPartition]) -> None:
            self._backlog.clear()
            revoked(_named(partitions))

        self._backlog.clear()
        await self._reader.start(lambda partitions: assigned(_named(partitions)), on_revoked)

    async def stop(self) -> None:
        """Leave the group; never raises, never hangs longer than a few seconds."""
        self._backlog.clear()
        await self._reader.stop()

    async def poll(self, timeout_s: float) -> Batch:
        """The next batch, empty after about ``timeout_s``; its positions are next offsets.

        Must be called all the time: who has not polled for five minutes leaves the group.

        Raises:
            ServerError: Kafka is away. Nothing has been skipped when this is called again; if it is not retriable, or
                does not stop, ``start`` again.
        """
        if not self._backlog:
            await self._fetch(timeout_s)
        records = self._take()
        positions: dict[Partition, object] = {}
        for record in records:
            positions[record.position.source, record.position.partition] = record.position.offset + 1
        at_end = await self._at_end()
        if not records:
            await self._reader.notice_silence()
        return Batch(records=tuple(records), positions=positions, at_end=at_end)

    async def commit(self, positions: Mapping[Partition, int], note: str | Mapping[Partition, str] = "") -> None:
        """Commit next offsets, each with a note of 4 KB at most: one for all, or one per partition.

        Raises:
            ServerError: not committed: Kafka is away, or the group has moved on without us. Harmless to ignore: what
                was not committed comes again.
        """
        await self._reader.commit(
            {
                TopicPartition(*partition): Committed(
                    offset, note if isinstance(note, str) else note.get(partition, "")
                )
                for partition, offset in positions.items()
            }
        )

    def rewind(self) -> None:
        """Go back to what was committed: what was polled since comes again."""
        self._backlog.clear()
        self._reader.rewind()

    def partitions(self) -> Partitions:
        """What is being read at the moment."""
        return _named(frozenset(self._reader.positions))

    def note_of(self, partition: Partition) -> str:
        """The note that was committed with the offset at which reading of the partition went on."""
        return self._reader.note_of(TopicPartition(*partition))

    def position(self, partition: Partition) -> int | None:
        """The next offset that will be read; ``None`` if the partition is not being read."""
        return self._reader.positions.get(TopicPartition(*partition))

    def lag(self, partition: Partition) -> int | None:
        """Records not yet handed over; ``None`` until the broker has said."""
        behind = self._reader.lag(TopicPartition(*partition))
        waiting = sum((record.position.source, record.position.partition) == partition for record in self._backlog)
        return None if behind is None else behind + waiting

    def partition_counts(self) -> Mapping[str, int]:
        """How many partitions each topic has, whoever reads them."""
        return self._reader.counts()

    def take_gaps(self) -> tuple[Gap, ...]:
        """Gaps found since the last call."""
        return self._reader.take_gaps()

    async def _fetch(self, timeout_s: float) -> None:
        arrived = await self._reader.fetch(timeout_s, self._limits.records)
        now_us = self._now_us()
        for records in arrived.values():
            self._backlog.extend(as_record(record, now_us) for record in records)

    def _take(self) -> list[Record]:
        """The next batch of the backlog, bounded in number and bytes, never without a record if there is one."""
        taken: list[Record] = []
        size = 0
        while self._backlog and len(taken) < self._limits.records and size < self._limits.bytes:
            record = self._backlog.popleft()
            size += len(record.value)
            taken.append(record)
        return taken

    async def _at_end(self) -> Partitions:
        waiting = {(record.position.source, record.position.partition) for record in self._backlog}
        return _named(await self._reader.at_end()) - waiting


def _named(partitions: frozenset[TopicPartition]) -> Partitions:
    return frozenset((tp.topic, tp.partition) for tp in partitions)
