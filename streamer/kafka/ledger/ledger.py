"""Taking a partition over, and its steps: the two things that an owner does.

A takeover, in this order:

1. Init: the broker shuts out the predecessor and ends its open transaction. Read before that, and the predecessor may
   still commit what was not read.
2. Barrier: a token of one's own is committed to the changelog. Without it nobody could say where reading may end.
3. Restore: the changelog is read from its beginning to the token.
4. The input goes on at the position that was read. The offsets of the consumer group are older than the changelog, or
   newer; they are never used as positions.

A step is one transaction: messages, changed entries, position. Whatever goes wrong in it, and be it that nobody knows
whether something did, the ledger is dead: there is no going on after an abort, because the client's sequence numbers
stay wrong. The owner drops what it has in memory and takes over again, with a new object.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiokafka import TopicPartition

from streamer.errors import LedgerLost, ServerError, StateError
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.ledger import entries
from streamer.kafka.ledger.restore import Barrier, ChangelogReader, Contents, begin_anew
from streamer.kafka.offsets import committed_offsets
from streamer.kafka.topics import DETECTIONS, LARGEST_MESSAGE
from streamer.kafka.transactions import Points, TransactionalProducer, nowhere
from streamer.ports import Message, Restored

POINTS: Final = (
    "takeover-before-init",
    "takeover-after-init",
    "takeover-after-barrier",
    "takeover-mid-restore",
    "takeover-restored",
    "step-before-begin",
    "step-after-begin",
    "step-mid-sends",
    "step-sends-done",
    "step-before-commit",
    "step-after-commit",
)
"""Every point that a ledger passes, in order: where a test may kill the process, and nothing may be lost or doubled."""


class KafkaLedger:
    """A :class:`~streamer.ports.Ledger`: one incarnation of the ownership of one partition.

    Args:
        connection: which Kafka.
        prefix: of all topics, groups and transactional ids.
        partition: of the detections, and of the changelog.
        points: awaited with the name of each of :data:`POINTS` that is passed.
    """

    def __init__(
        self, connection: KafkaConnection, *, prefix: str, partition: int, points: Points | None = None
    ) -> None:
        self._connection = connection
        self._prefix = prefix
        self._partition = partition
        self._points = points or nowhere
        self._changelog = ChangelogReader(connection, prefix, partition)
        self._producer = TransactionalProducer(connection, f"{prefix}correlate.{partition}", largest=LARGEST_MESSAGE)
        self._owned = False
        self._end = 0
        """Offset behind the last record of the changelog that is known to be ours."""

    async def take_over(self, progress: Callable[[int, int], None]) -> Restored:
        """See :meth:`streamer.ports.Ledger.take_over`; called once."""
        at = self._passing("takeover")
        try:
            # 1. Init.
            await at("before-init")
            await self._producer.start()
            await at("after-init")
            # 2. Barrier.
            barrier = await self._raise_barrier()
            await at("after-barrier")
            # 3. Restore.
            contents = await self._changelog.read(barrier, progress, at)
            position = await self._position_in(contents)
            await at("restored")
        except BaseException:
            await self.close()
            raise
        self._end = barrier.offset + 1
        self._owned = True
        return Restored(contents.entries, position)

    async def commit(self, position: int, changes: Mapping[bytes, bytes | None], messages: Sequence[Message]) -> None:
        """See :meth:`streamer.ports.Ledger.commit`."""
        if not entries.PROTOCOL.isdisjoint(changes):
            raise ValueError("a state entry has a key of the protocol")
        if not self._owned:
            raise LedgerLost(f"{self._changelog.where} has not been taken over")
        self._owned = False  # until proved otherwise
        if self._producer.suspect:
            await self._renew()
        stored = [self._entry(key, value) for key, value in changes.items()]
        stored.append(self._entry(entries.PROGRESS, entries.progress(position)))
        offsets = await self._producer.write([*messages, *stored], self._passing("step"))
        self._end = offsets[-1] + 1
        self._owned = True

    async def close(self) -> None:
        """See :meth:`streamer.ports.Ledger.close`; an open transaction is ended by the next owner, or by its age."""
        self._owned = False
        await self._producer.close()

    async def _raise_barrier(self) -> Barrier:
        token = uuid.uuid4().hex
        (offset,) = await self._producer.write([self._entry(entries.BARRIER, entries.barrier(token))])
        return Barrier(token, offset)

    async def _renew(self) -> None:
        """Replace the producer after a commit that was sent more than once, if nobody took over meanwhile.

        The commit holds. But a repetition of it that is still on its way could end the next transaction early; a new
        epoch makes the broker refuse it. The new epoch would also shut out a new owner, so look whether there is one:
        it has written its barrier behind our last record, or has not got so far and is shut out rightly.
        """
        try:
            await self._producer.start()
            barrier = await self._raise_barrier()
            since = await self._changelog.read_since(self._end, barrier)
        except LedgerLost:
            raise
        except ServerError as error:
            raise LedgerLost(error.message, hint=error.hint) from error
        if since.foreign:
            raise LedgerLost(f"another process took over {self._changelog.where}", fenced=True)

    async def _position_in(self, contents: Contents) -> int | None:
        """The stored input position; none is fine only where there was never an owner."""
        where = self._changelog.where
        if contents.progress is not None:
            return entries.position_of(contents.progress, where)
        if contents.entries:
            raise StateError(
                f"{where} holds state but no position: a part of it is missing", hint=begin_anew(self._prefix)
            )
        group, topic = f"{self._prefix}correlate", self._prefix + DETECTIONS
        input_ = TopicPartition(topic, self._partition)
        if await committed_offsets(self._connection, group, [input_]):
            raise StateError(
                f"{where} is empty although group {group} has already read {topic}[{self._partition}]: the state is "
                "gone",
                hint=f"Was the changelog deleted or made anew? {begin_anew(self._prefix)}",
            )
        return None

    def _entry(self, key: bytes, value: bytes | None) -> Message:
        return Message(self._changelog.topic, self._partition, key, value)

    def _passing(self, act: str) -> Points:
        async def at(point: str) -> None:
            await self._points(f"{act}-{point}")

        return at
