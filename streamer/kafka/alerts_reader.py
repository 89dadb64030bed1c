"""The alerts topic in, shared among processes: the reader of index."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from aiokafka import TopicPartition

from streamer.kafka.committed import CommittedReader
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.gaps import Gap
from streamer.kafka.group import GroupOptions
from streamer.kafka.offsets import Committed
from streamer.kafka.records import Fetched, as_fetched

_FETCH_BYTES: Final = 1024 * 1024
_SILENCE_S: Final = 15.0
"""After how many seconds without any answer of the broker polling fails."""


class AlertsReader:
    """Reads the partitions of the alerts topic that the group gives to this process; only committed alerts.

    Args:
        connection: which Kafka.
        topic: full name, prefix included.
        group: full name.
        now_us: the clock.
        session_s: seconds without a heartbeat after which the broker gives our partitions to others.
        max_records: most records of one :meth:`poll`, over all partitions.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        topic: str,
        group: str,
        now_us: Callable[[], int],
        session_s: float = 10.0,
        max_records: int = 500,
    ) -> None:
        self._topic = topic
        self._max_records = max_records
        options = GroupOptions(session_s=session_s, fetch_bytes=_FETCH_BYTES)
        self._reader = CommittedReader(
            connection, [topic], group=group, now_us=now_us, options=options, silence_s=_SILENCE_S
        )

    async def start(
        self, assigned: Callable[[frozenset[int]], None], revoked: Callable[[frozenset[int]], None]
    ) -> None:
        """Join the group; as :meth:`streamer.kafka.raw_group.RawGroupReader.start`."""
        await self._reader.start(
            lambda partitions: assigned(_numbers(partitions)), lambda partitions: revoked(_numbers(partitions))
        )

    async def stop(self) -> None:
        """Leave the group; never raises, never hangs longer than a few seconds."""
        await self._reader.stop()

    async def poll(self, timeout_s: float) -> Mapping[int, Sequence[Fetched]]:
        """What has arrived, per partition; empty after about ``timeout_s``.

        Must be called all the time, also while everything is paused: who has not polled for five minutes leaves the
        group.

        Raises:
            ServerError: Kafka is away. Nothing has been skipped when this is called again; if it is not retriable, or
                does not stop, ``start`` again.
        """
        arrived = await self._reader.fetch(timeout_s, self._max_records)
        await self._reader.at_end()  # hears what the broker said
        if not arrived:
            await self._reader.notice_silence()
        return {tp.partition: [as_fetched(record) for record in records] for tp, records in arrived.items()}

    async def commit(self, positions: Mapping[int, int]) -> None:
        """Commit next offsets.

        Raises:
            ServerError: not committed: Kafka is away, or the group has moved on without us. Harmless to ignore: what
                was not committed comes again.
        """
        await self._reader.commit({self._tp(number): Committed(offset) for number, offset in positions.items()})

    def rewind(self) -> None:
        """Go back to what was committed: what was polled since comes again."""
        self._reader.rewind()

    def pause(self, partitions: Collection[int]) -> None:
        """Fetch no more of these for now; :meth:`unpause` goes on. A rearrangement of the group ends it."""
        self._reader.pause([self._tp(number) for number in partitions])

    def unpause(self, partitions: Collection[int]) -> None:
        """Go on where :meth:`pause` stopped."""
        self._reader.unpause([self._tp(number) for number in partitions])

    def partitions(self) -> frozenset[int]:
        """What is being read at the moment."""
        return _numbers(frozenset(self._reader.positions))

    def lag(self, partition: int) -> int | None:
        """Records not yet handed over (markers of transactions count); ``None`` until the broker has said."""
        return self._reader.lag(self._tp(partition))

    def take_gaps(self) -> tuple[Gap, ...]:
        """Gaps found since the last call."""
        return self._reader.take_gaps()

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)


def _numbers(partitions: frozenset[TopicPartition]) -> frozenset[int]:
    return frozenset(tp.partition for tp in partitions)
