"""Reading as a member of a group whose positions are its committed offsets: at least once.

After every rearrangement of the group, and after :meth:`CommittedReader.rewind`, reading goes on at what was committed:
what was handed over and not committed comes again. A partition without an offset is read from its beginning, one whose
offset no longer exists as well; the latter is a :class:`~streamer.kafka.gaps.Gap`. All of it is looked up here and not
by the client, which would do both without a word, and takes a coordinator that is still loading for a new group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition, errors

from streamer.errors import ServerError
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.gaps import Gap, existing_positions
from streamer.kafka.group import GroupMember, GroupOptions, Moved
from streamer.kafka.hearing import Hearing
from streamer.kafka.offsets import Committed, committed_offsets
from streamer.kafka.topics import partitions_of


class CommittedReader:
    """One member of the group.

    Args:
        connection: which Kafka.
        topics: all must exist.
        group: full name, prefix included.
        now_us: the clock.
        options: time-outs and sizes.
        silence_s: after how many seconds without any answer of the broker fetching fails with ``ServerError``.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Sequence[str],
        *,
        group: str,
        now_us: Callable[[], int],
        options: GroupOptions,
        silence_s: float,
    ) -> None:
        self._connection = connection
        self._topics = tuple(dict.fromkeys(topics))
        self._group = group
        self._member = GroupMember(connection, self._topics, group=group, options=options)
        self._now_us = now_us
        self._silence_s = silence_s
        self._hearing = Hearing(now_us, silence_s)
        self._tell_assigned: Moved = _nobody
        self._tell_revoked: Moved = _nobody
        self._generation = 0
        """Counts whatever makes positions that are being looked up worthless."""
        self._untold = False
        self._unsettled: set[TopicPartition] = set()
        self._next: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, Committed] = {}
        self._gaps: list[Gap] = []

    async def start(self, assigned: Moved, revoked: Moved) -> None:
        """Join; see :meth:`streamer.kafka.group.GroupMember.start`.

        ``assigned`` is told by :meth:`fetch`, when positions and notes are known and before any record of them.
        """
        self._tell_assigned, self._tell_revoked = assigned, revoked
        self._forget()
        self._hearing = Hearing(self._now_us, self._silence_s)
        await self._member.start(self._on_assigned, self._on_revoked)

    async def stop(self) -> None:
        """Leave; never raises, never hangs longer than a few seconds."""
        self._forget()
        await self._member.stop()

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """Partitions that are being read, and their next offsets."""
        return self._next

    def counts(self) -> Mapping[str, int]:
        """How many partitions each topic has, whoever reads them."""
        return {topic: len(self._member.partitions_for(topic)) for topic in self._topics}

    def note_of(self, tp: TopicPartition) -> str:
        """The note that was committed with the offset at which reading of the partition went on."""
        committed = self._committed.get(tp)
        return committed.note if committed else ""

    def take_gaps(self) -> tuple[Gap, ...]:
        """Gaps found since the last call."""
        gaps, self._gaps = tuple(self._gaps), []
        return gaps

    def rewind(self) -> None:
        """Go back to what was committed, in every partition."""
        self._generation += 1
        self._next.clear()
        self._unsettled = set(self._member.assigned)
        self._member.pause(self._unsettled)

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Fetch no more of these for now."""
        self._member.pause(partitions)

    def unpause(self, partitions: Collection[TopicPartition]) -> None:
        """Go on where :meth:`pause` stopped."""
        self._member.unpause([tp for tp in partitions if tp in self._next])

    async def fetch(self, timeout_s: float, max_records: int) -> Mapping[TopicPartition, Sequence[Any]]:
        """Records that have arrived, in order per partition; empty after about ``timeout_s``.

        Raises:
            ServerError: Kafka is away. Nothing has been skipped when this is called again; if it is not retriable, or
                does not stop, ``start`` again.
        """
        await self._settle()
        try:
            arrived = await self._member.fetch(timeout_s, max_records)
        except errors.OffsetOutOfRangeError as error:
            lost = {TopicPartition(*tp): offset for tp, offset in error.args[0].items()}
            await self._go_on({tp: self._next.get(tp, offset) for tp, offset in lost.items()})
            return {}
        except (errors.KafkaError, errors.ConsumerStoppedError, OSError) as error:
            self._member.seek(self._next)  # the client may have skipped what it had read and not handed over
            raise self._member.complaint(error) from error
        found = {}
        for tp, records in arrived.items():
            expected = self._next.get(tp)
            if expected is None:
                continue  # assigned anew while it was being fetched
            fresh = [record for record in records if record.offset >= expected]
            if fresh:
                self._next[tp] = fresh[-1].offset + 1
                found[tp] = fresh
        return found

    async def at_end(self) -> frozenset[TopicPartition]:
        """Partitions of which the client has handed over every record, by the last answer of the broker."""
        try:
            return await self._hearing.at_end(self._member.consumer, tuple(self._next))
        except (errors.IllegalStateError, AssertionError):
            return frozenset()  # the group was being rearranged

    def lag(self, tp: TopicPartition) -> int | None:
        """How far the end is from what was handed over; ``None`` until the broker has said."""
        if tp not in self._next or tp not in self._member.assigned:
            return None
        end: int | None = self._member.consumer.highwater(tp)
        return None if end is None else max(0, end - self._next[tp])

    async def notice_silence(self) -> None:
        """Raise ``ServerError`` if the broker has not answered for too long; to be called when nothing was fetched."""
        if self._next and self._member.paused.issuperset(self._next):
            self._hearing = Hearing(self._now_us, self._silence_s)  # nothing was asked
            return
        silent_s = self._hearing.silent_s()
        if silent_s is None:
            return
        await partitions_of(self._connection, self._topics)  # raises with the reason, if it can be told
        if not self._next:
            self._hearing = Hearing(self._now_us, self._silence_s)  # nothing to hear: others read all partitions
            return
        raise ServerError(
            f"Kafka at {self._connection.bootstrap_servers} has not answered for {silent_s} s "
            f"(reading {', '.join(self._topics)})",
            hint="Does every partition have a leader?",
        )

    async def commit(self, positions: Mapping[TopicPartition, Committed]) -> None:
        """Commit offsets and notes.

        Raises:
            ServerError: not committed: Kafka is away, or the group has moved on without us. What was not committed
                comes again.
        """
        await self._member.commit(positions)

    async def _settle(self) -> None:
        """Find the positions of what was assigned, tell that it was, and begin to fetch."""
        if not self._unsettled and not self._untold:
            return
        generation, wanted = self._generation, frozenset(self._unsettled)
        committed = await committed_offsets(self._connection, self._group, wanted)
        positions, gaps = await self._existing({tp: committed[tp].offset if tp in committed else None for tp in wanted})
        if generation != self._generation:
            return
        self._unsettled.clear()
        self._gaps += gaps
        anew = {TopicPartition(*gap.partition) for gap in gaps if gap.recreated}
        # A note about offsets of a topic that is gone says nothing about the one that took its name.
        self._committed = {tp: found for tp, found in committed.items() if tp not in anew}
        self._next.update(positions)
        if self._untold:
            self._untold = False
            self._tell_assigned(frozenset(self._next))
        self._member.resume(positions)

    async def _go_on(self, wanted: Mapping[TopicPartition, int]) -> None:
        """Positions have gone while they were being read."""
        generation = self._generation
        positions, gaps = await self._existing(wanted)
        if generation == self._generation:
            self._gaps += gaps
            self._next.update(positions)
            self._member.resume(positions)

    async def _existing(
        self, wanted: Mapping[TopicPartition, int | None]
    ) -> tuple[dict[TopicPartition, int], list[Gap]]:
        if not wanted:
            return {}, []
        return await existing_positions(self._member.consumer, self._connection, wanted)

    def _on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self._forget()
        self._unsettled = set(partitions)
        self._untold = True

    def _on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self._forget()
        self._tell_revoked(partitions)

    def _forget(self) -> None:
        self._generation += 1
        self._untold = False
        self._unsettled.clear()
        self._next.clear()
        self._committed.clear()


def _nobody(_partitions: frozenset[TopicPartition]) -> None:
    """Before ``start``."""
