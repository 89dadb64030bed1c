"""Raw topics in: all partitions of some topics, from stored positions, in batches.

Positions are kept by whoever stores the state (in one transaction with it), never by a consumer group: a group's
offset would be another truth. Therefore every partition is assigned by hand and every position is ours. Whatever the
client raises, the next read starts again where the last batch ended, because the client may have skipped records
that it had read and not handed over.

The append time of a record is the broker's where the topic has ``message.timestamp.type=LogAppendTime``. With
``CreateTime`` there is only the producer's stamp, which may be wrong; it is used, but never later than now. Set
``LogAppendTime`` on raw topics: then a wrong clock of a shipper cannot hide behind its own stamp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition, errors

from streamer.errors import ServerError, StateError
from streamer.kafka.complaints import as_server_error, attempt, let_go
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.topics import partitions_of
from streamer.model import Position, Record
from streamer.ports import Batch, Partition

_LOG_APPEND_TIME: Final = 1
_US_PER_MS: Final = 1_000


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


class KafkaReader:
    """A :class:`~streamer.ports.Reader` of raw topics; positions are next offsets.

    ``start`` may be called again after it failed, and after :meth:`stop`. ``read`` may be called again after it
    raised a retriable ``ServerError``: nothing is skipped. :meth:`partitions` grows when a topic gets new partitions.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Sequence[str],
        *,
        now_us: Callable[[], int],
        limits: ReadLimits | None = None,
    ) -> None:
        self._connection = connection
        self._topics = tuple(dict.fromkeys(topics))
        self._now_us = now_us
        self._limits = limits or ReadLimits()
        self._consumer: Any = None
        self._next: dict[TopicPartition, int] = {}
        self._backlog: deque[Record] = deque()
        self._gaps: list[Gap] = []
        self._heard_us = 0
        self._asked_us: int | None = None

    async def start(self, positions: Mapping[Partition, object]) -> None:
        """See :meth:`streamer.ports.Reader.start`; a position that no longer exists is a :class:`Gap`."""
        await self.stop()
        ours = {partition: value for partition, value in positions.items() if partition[0] in self._topics}
        stored = {partition: _offset(partition, value) for partition, value in ours.items()}
        numbers = await partitions_of(self._connection, self._topics)
        everything = [TopicPartition(topic, number) for topic in self._topics for number in sorted(numbers[topic])]
        consumer = self._connection.consumer(
            auto_offset_reset="none",
            isolation_level="read_committed",
            metadata_max_age_ms=int(self._limits.refresh_s * 1000),
            max_partition_fetch_bytes=self._limits.fetch_bytes,
        )
        self._consumer = consumer
        try:
            await attempt(consumer.start(), self._connection, "connecting")
            start = await self._existing({tp: stored.get((tp.topic, tp.partition)) for tp in everything})
        except BaseException:
            await self.stop()
            raise
        self._assign(start)
        self._heard_us, self._asked_us = self._now_us(), None

    def partitions(self) -> frozenset[Partition]:
        """See :meth:`streamer.ports.Reader.partitions`; may grow with every :meth:`read`."""
        return frozenset((tp.topic, tp.partition) for tp in self._next)

    def take_gaps(self) -> tuple[Gap, ...]:
        """Gaps found since the last call."""
        gaps, self._gaps = tuple(self._gaps), []
        return gaps

    async def read(self, timeout_s: float) -> Batch:
        """See :meth:`streamer.ports.Reader.read`."""
        if self._consumer is None:
            raise ServerError("the reader of Kafka topics has not been started")
        if not self._backlog:
            self._adopt_new_partitions()
            await self._fetch(timeout_s)
        records = self._take()
        positions: dict[Partition, object] = {}
        for record in records:
            positions[record.position.source, record.position.partition] = record.position.offset + 1
        at_end = await self._at_end()
        if not records:
            await self._notice_silence()
        return Batch(records=tuple(records), positions=positions, at_end=at_end)

    async def stop(self) -> None:
        """See :meth:`streamer.ports.Reader.stop`."""
        consumer, self._consumer = self._consumer, None
        self._next, self._backlog = {}, deque()
        if consumer is not None:
            await let_go(consumer.stop())

    async def _fetch(self, timeout_s: float) -> None:
        """Move what has arrived into the backlog; positions move with it."""
        try:
            arrived = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=self._limits.records)
        except errors.OffsetOutOfRangeError as error:
            lost = {TopicPartition(*tp): offset for tp, offset in error.args[0].items()}
            self._reseat(await self._existing({tp: self._next.get(tp, offset) for tp, offset in lost.items()}))
            self._reseat(self._next)
            return
        except (errors.KafkaError, errors.ConsumerStoppedError, OSError) as error:
            self._reseat(self._next)
            raise as_server_error(error, self._connection, f"reading {', '.join(self._topics)}") from error
        now_us = self._now_us()
        for tp, fetched in arrived.items():
            expected = self._next[tp]
            for record in fetched:
                if record.offset >= expected:  # a seek can be overtaken by records already fetched
                    self._backlog.append(_record(record, now_us))
                    self._next[tp] = record.offset + 1

    def _take(self) -> list[Record]:
        """The next batch of the backlog, bounded in number and bytes, never without a record if there is one."""
        taken: list[Record] = []
        size = 0
        while self._backlog and len(taken) < self._limits.records and size < self._limits.bytes:
            record = self._backlog.popleft()
            size += len(record.value)
            taken.append(record)
        return taken

    async def _at_end(self) -> frozenset[Partition]:
        """Partitions whose every record has been handed over, by the last answer of the broker.

        The high watermark counts, not the last stable offset: records of an open transaction are still to come.
        """
        waiting = {(record.position.source, record.position.partition) for record in self._backlog}
        fresh_us = self._now_us() - int(self._limits.silence_s * 1_000_000)
        found = set()
        for tp in self._next:
            partition = (tp.topic, tp.partition)
            end, polled_ms = self._consumer.highwater(tp), self._consumer.last_poll_timestamp(tp)
            if end is None or polled_ms is None:
                continue
            self._heard_us = max(self._heard_us, polled_ms * _US_PER_MS)
            fresh = polled_ms * _US_PER_MS >= fresh_us
            if fresh and partition not in waiting and await self._consumer.position(tp) >= end:
                found.add(partition)
        return frozenset(found)

    async def _notice_silence(self) -> None:
        """Raise if the broker has not answered for too long; the client itself would retry for ever without a word."""
        now_us = self._now_us()
        if self._asked_us is None or self._asked_us < self._heard_us:
            self._asked_us = now_us  # silence counts while somebody reads, not while the reader rests
        silent_us = now_us - self._asked_us
        if silent_us <= self._limits.silence_s * 1_000_000:
            return
        await partitions_of(self._connection, self._topics)  # raises with the reason, if it can be told
        raise ServerError(
            f"Kafka at {self._connection.bootstrap_servers} has not answered for {silent_us // 1_000_000} s "
            f"(reading {', '.join(self._topics)})",
            hint="Does every partition have a leader?",
        )

    def _adopt_new_partitions(self) -> None:
        """Read partitions that a topic has got since, from their beginning."""
        known = set(self._next)
        new = {
            TopicPartition(topic, number)
            for topic in self._topics
            for number in self._consumer.partitions_for_topic(topic) or ()
        } - known
        if new:
            self._assign(self._next | dict.fromkeys(sorted(new), 0))

    def _assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Assign and go to the positions at once: between the two the client must not look for positions itself."""
        self._next = dict(positions)
        self._consumer.assign(list(self._next))
        self._reseat(self._next)

    def _reseat(self, positions: Mapping[TopicPartition, int]) -> None:
        """Drop what was fetched and fetch again from here."""
        for tp, offset in positions.items():
            self._next[tp] = offset
            self._consumer.seek(tp, offset)

    async def _existing(self, wanted: Mapping[TopicPartition, int | None]) -> dict[TopicPartition, int]:
        """Positions that exist: the wanted ones where they do, else the beginning, and a gap."""
        doing = "looking up positions"
        first = await attempt(self._consumer.beginning_offsets(list(wanted)), self._connection, doing)
        last = await attempt(self._consumer.end_offsets(list(wanted)), self._connection, doing)
        found = {}
        for tp, offset in wanted.items():
            exists = offset is not None and first[tp] <= offset <= last[tp]
            found[tp] = offset if exists and offset is not None else first[tp]
            if offset is not None and not exists:
                self._gaps.append(Gap((tp.topic, tp.partition), offset, first[tp], recreated=offset > last[tp]))
        return found


def _offset(partition: Partition, value: object) -> int:
    if isinstance(value, int) and value >= 0:
        return value
    raise StateError(
        f"the stored position of {partition[0]}[{partition[1]}] is {value!r}, which is no Kafka offset",
        hint="The store was written for another kind of source; use a new store.",
    )


def _record(record: Any, now_us: int) -> Record:
    stamp_us = record.timestamp * _US_PER_MS
    if record.timestamp < 0:
        stamp_us = now_us  # written by a client so old that it does not stamp
    elif record.timestamp_type != _LOG_APPEND_TIME:
        stamp_us = min(stamp_us, now_us)
    return Record(
        value=record.value or b"",
        position=Position(record.topic, record.partition, record.offset, is_file=False),
        append_time_us=stamp_us,
        headers=tuple(_headers(record.headers)),
    )


def _headers(headers: Iterable[tuple[str, bytes | None]]) -> Iterable[tuple[str, bytes]]:
    for name, value in headers:
        yield name, value or b""
