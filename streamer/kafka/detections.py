"""The detections topic in: partitions that the group suggests, positions that the caller knows.

A partition is paused when it is assigned. Its owner takes the ledger over, which tells the position, and calls
:meth:`DetectionsReader.resume`. The offsets that are committed to the group are for those who watch the lag, and for
the ledger's check that a state which is missing was never there; nothing is ever read from them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from aiokafka import TopicPartition, errors

from streamer.errors import StateError
from streamer.kafka.complaints import attempt
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.group import GroupMember, GroupOptions
from streamer.kafka.offsets import Committed
from streamer.kafka.records import Fetched, as_fetched
from streamer.kafka.topics import LARGEST_MESSAGE


class DetectionsReader:
    """Reads the partitions of the detections that this process owns.

    Args:
        connection: which Kafka.
        topic: full name, prefix included.
        group: full name.
        session_s: seconds without a heartbeat after which the broker suggests another owner.
        max_records: most records of one :meth:`poll`, over all partitions.
    """

    def __init__(
        self, connection: KafkaConnection, *, topic: str, group: str, session_s: float = 10.0, max_records: int = 500
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._max_records = max_records
        options = GroupOptions(session_s=session_s, fetch_bytes=LARGEST_MESSAGE // 8)
        self._member = GroupMember(connection, [topic], group=group, options=options)
        self._from_beginning: set[int] = set()
        self._expected: dict[int, int] = {}
        """Next offset of every partition that is read; a record below it has been handed over before."""
        self._reached: dict[int, int] = {}
        """Where the client stands: markers of transactions, which are no records, included."""

    async def start(
        self, assigned: Callable[[frozenset[int]], None], revoked: Callable[[frozenset[int]], None]
    ) -> None:
        """Join the group; returns before anything is assigned.

        Both callbacks are synchronous and must be short: no heartbeats are sent while they run.

        Args:
            assigned: told all partitions that are ours now, each time the group was rearranged. All of them are
                paused; those that were ours before as well.
            revoked: told what was ours when the group begins to rearrange itself. It is not the moment to give
                anything up: most of it comes back. What is missing in the next ``assigned`` has gone.

        Raises:
            ServerError: Kafka is away, or the topic does not exist.
        """

        def on_assigned(partitions: Collection[TopicPartition]) -> None:
            self._expected.clear()
            self._reached.clear()
            assigned(_numbers(partitions))

        def on_revoked(partitions: Collection[TopicPartition]) -> None:
            self._expected.clear()
            self._reached.clear()
            revoked(_numbers(partitions))

        await self._member.start(on_assigned, on_revoked)

    async def stop(self) -> None:
        """Leave the group; never raises, never hangs longer than a few seconds."""
        self._expected.clear()
        self._reached.clear()
        await self._member.stop()

    async def poll(self, timeout_s: float) -> Mapping[int, Sequence[Fetched]]:
        """What has arrived, per partition, without those below the expected offset; empty after about ``timeout_s``.

        Must be called all the time, also while everything is paused: who has not polled for five minutes leaves the
        group.

        Raises:
            ServerError: Kafka is away, or membership ended for good; ``start`` again.
            StateError: the topic no longer holds the position at which a partition was resumed.
        """
        try:
            await self._note_positions()
            arrived = await self._member.fetch(timeout_s, self._max_records)
        except errors.OffsetOutOfRangeError as error:
            if await self._go_to_beginning(error):
                return {}
            raise await self._cut(error) from error
        except (errors.KafkaError, errors.ConsumerStoppedError, OSError) as error:
            # The client may have skipped what it had read and not handed over.
            self._member.seek({self._tp(number): offset for number, offset in self._expected.items()})
            raise self._member.complaint(error) from error
        # Nothing is awaited from here on: a partition that is resumed meanwhile would get records of elsewhere.
        found: dict[int, Sequence[Fetched]] = {}
        for tp, records in arrived.items():
            expected = self._expected.get(tp.partition)
            if expected is None:
                continue  # assigned anew while it was being fetched
            fresh = [as_fetched(record) for record in records if record.offset >= expected]
            if fresh:
                self._expected[tp.partition] = fresh[-1].offset + 1
                self._reached[tp.partition] = max(fresh[-1].offset + 1, self._reached.get(tp.partition, 0))
                found[tp.partition] = fresh
        return found

    def resume(self, partition: int, offset: int | None) -> None:
        """Read on at this offset, or at the beginning of what is kept. Nothing happens if it is no longer ours."""
        tp = self._tp(partition)
        if tp not in self._member.assigned:
            return
        self._from_beginning.discard(partition)
        if offset is None:
            self._from_beginning.add(partition)
            offset = 0
        self._expected[partition] = offset
        self._reached.pop(partition, None)
        self._member.resume({tp: offset})

    def pause(self, partition: int) -> None:
        """Read no more of it for now; :meth:`unpause` or :meth:`resume` goes on."""
        self._member.pause([self._tp(partition)])

    def unpause(self, partition: int) -> None:
        """Go on where :meth:`pause` stopped; nothing happens to a partition that has not been resumed since it came."""
        if partition in self._expected:
            self._member.unpause([self._tp(partition)])

    def is_assigned(self, partition: int) -> bool:
        """Whether the group says that it is ours."""
        return self._tp(partition) in self._member.assigned

    def lag(self, partition: int) -> int | None:
        """Records not yet handed over (markers of transactions count); ``None`` until the broker has said."""
        tp = self._tp(partition)
        if tp not in self._member.assigned or partition not in self._reached:
            return None
        end: int | None = self._member.consumer.highwater(tp)
        return None if end is None else max(0, end - self._reached[partition])

    @property
    def partitions_count(self) -> int:
        """How many partitions the topic has, whoever owns them."""
        return len(self._member.partitions_for(self._topic))

    async def commit(self, positions: Mapping[int, int]) -> None:
        """Tell the group how far each partition is, for those who watch; raises ``ServerError``, harmless to ignore.

        Only what the ledger has committed may be told.
        """
        await self._member.commit({self._tp(number): Committed(offset) for number, offset in positions.items()})

    async def _note_positions(self) -> None:
        for number, expected in list(self._expected.items()):
            position = await self._member.position(self._tp(number))
            if position is not None:
                self._reached[number] = max(expected, position)

    async def _go_to_beginning(self, error: errors.OffsetOutOfRangeError) -> bool:
        """Whether all that was out of range was the beginning of partitions of which nothing was ever read."""
        lost = [TopicPartition(*tp) for tp in error.args[0]]
        if not all(tp.partition in self._from_beginning for tp in lost):
            return False
        doing = f"looking up the beginning of {self._topic}"
        for tp, first in (
            await attempt(self._member.consumer.beginning_offsets(lost), self._connection, doing)
        ).items():
            self.resume(tp.partition, first)
        return True

    async def _cut(self, error: errors.OffsetOutOfRangeError) -> StateError:
        ((tp, offset),) = list(error.args[0].items())[:1]
        doing = f"looking up the beginning of {self._topic}"
        beginnings = await attempt(self._member.consumer.beginning_offsets([tp]), self._connection, doing)
        where = f"{self._topic}[{tp.partition}]"
        if offset >= beginnings[tp]:
            return StateError(
                f"{where} ends before offset {offset}, where reading has to go on: it was deleted and made anew",
                hint="Delete the changelog and the consumer group of correlate as well, and run `streamer setup`.",
            )
        return StateError(
            f"{where} no longer holds {beginnings[tp] - offset} records that were never read: they expired before "
            "correlate came to them",
            hint="Keep it longer (retention.ms). To go on without them, delete the changelog and the consumer group of "
            "correlate, and run `streamer setup`.",
        )

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)


def _numbers(partitions: Collection[TopicPartition]) -> frozenset[int]:
    return frozenset(tp.partition for tp in partitions)
