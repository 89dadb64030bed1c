"""Membership in a consumer group: who reads which partitions at the moment, and nothing about where.

What the client library does, seen on a real broker, and what follows:

* While the callback of an assignment runs, no heartbeat is sent, and its exceptions are only logged: the callback
  pauses, seeks and tells; work is for a task of the caller.
* Records flow before the caller is ready: every partition is paused as soon as it is assigned.
* It looks for the position of a paused partition, too, and raises when there is none: every partition gets a
  provisional position at once; nothing is fetched from there, because it is paused.
* Waiting for records can outlast its time-out while the group is being rearranged: waiting has a deadline of its own.
* In every rearrangement all partitions are revoked, then assigned. What a member still has is in the next assignment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiokafka import ConsumerRebalanceListener, TopicPartition, errors

from streamer.errors import ServerError
from streamer.kafka.assignor import KeepingAssignor
from streamer.kafka.complaints import as_server_error, attempt, let_go
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.offsets import Committed
from streamer.kafka.topics import partitions_of

# The client library has no annotations.
_Listener: Any = ConsumerRebalanceListener

Moved: TypeAlias = Callable[[frozenset[TopicPartition]], None]
"""Told which partitions; synchronous, short, must not raise."""

_HEARTBEAT_S: Final = 3.0
_GRACE_S: Final = 0.5
_NOT_A_MEMBER: Final = (errors.CommitFailedError, errors.IllegalStateError, errors.IllegalOperation)


@dataclass(frozen=True, slots=True)
class GroupOptions:
    """How a group is taken part in.

    Attributes:
        session_s: seconds without a heartbeat after which the broker gives one's partitions to others.
        refresh_s: seconds after which new partitions of a topic are noticed.
        fetch_bytes: most bytes fetched ahead per partition, compressed.
    """

    session_s: float = 10.0
    refresh_s: float = 30.0
    fetch_bytes: int = 1024 * 1024


class GroupMember:
    """One member of a consumer group; everything it is assigned is paused until :meth:`resume`.

    Args:
        connection: which Kafka.
        topics: all must exist.
        group: full name, prefix included.
        options: time-outs and sizes.
    """

    def __init__(
        self, connection: KafkaConnection, topics: Sequence[str], *, group: str, options: GroupOptions
    ) -> None:
        self._connection = connection
        self._topics = tuple(dict.fromkeys(topics))
        self._group = group
        self._options = options
        self._consumer: Any = None

    async def start(self, assigned: Moved, revoked: Moved) -> None:
        """Join; returns before anything is assigned.

        Args:
            assigned: told all partitions that this member now has, each time.
            revoked: told what it had, when the group begins to rearrange itself.

        Raises:
            ServerError: Kafka is away, or a topic does not exist.
        """
        await self.stop()
        await partitions_of(self._connection, self._topics)
        session_ms = int(self._options.session_s * 1000)
        consumer = self._connection.consumer(
            group_id=self._group,
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=(KeepingAssignor(),),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=min(int(_HEARTBEAT_S * 1000), session_ms // 3),
            metadata_max_age_ms=int(self._options.refresh_s * 1000),
            max_partition_fetch_bytes=self._options.fetch_bytes,
        )
        self._consumer = consumer
        try:
            await attempt(consumer.start(), self._connection, f"joining group {self._group}")
        except BaseException:
            await self.stop()
            raise
        consumer.subscribe(self._topics, listener=_Assignments(consumer, assigned, revoked))

    async def stop(self) -> None:
        """Leave; never raises, never hangs longer than a few seconds."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await let_go(consumer.stop(), consumer._client.close())  # noqa: SLF001 (its stop may end half-way)

    @property
    def consumer(self) -> Any:
        """The client. Raises ``ServerError`` before :meth:`start` and after :meth:`stop`."""
        if self._consumer is None:
            raise ServerError(f"group {self._group} has not been joined")
        return self._consumer

    @property
    def assigned(self) -> frozenset[TopicPartition]:
        """What this member has at the moment, as far as it knows."""
        return frozenset(self._consumer.assignment()) if self._consumer is not None else frozenset()

    @property
    def paused(self) -> frozenset[TopicPartition]:
        """What is not fetched at the moment."""
        return frozenset(self._consumer.paused()) if self._consumer is not None else frozenset()

    def partitions_for(self, topic: str) -> frozenset[int]:
        """All partitions that a topic has, whoever reads them."""
        return frozenset(self.consumer.partitions_for_topic(topic) or ())

    async def fetch(self, timeout_s: float, max_records: int) -> Mapping[TopicPartition, list[Any]]:
        """What has arrived from the partitions that are not paused; empty after about ``timeout_s``.

        Raises what the client raises: ``OffsetOutOfRangeError`` is for the caller, all else for :meth:`complaint`.
        """
        consumer = self.consumer
        try:
            async with asyncio.timeout(timeout_s + _GRACE_S):
                arrived: Mapping[TopicPartition, list[Any]] = await consumer.getmany(
                    timeout_ms=int(timeout_s * 1000), max_records=max_records
                )
        except TimeoutError:
            return {}
        return arrived

    def complaint(self, error: Exception) -> ServerError:
        """The sentence for what :meth:`fetch` raised."""
        return as_server_error(error, self._connection, f"reading {', '.join(self._topics)}")

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go to the positions; what is paused stays so, and partitions that are no longer ours are left out."""
        for tp, offset in positions.items():
            if tp in self.assigned:
                self._consumer.seek(tp, offset)

    def resume(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go to the positions and fetch; partitions that are no longer ours are left out."""
        for tp, offset in positions.items():
            if tp in self.assigned:
                self._consumer.seek(tp, offset)
                self._consumer.resume(tp)

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Fetch no more of these; what was fetched ahead is dropped and will be fetched again."""
        for tp in partitions:
            if tp in self.assigned:
                self._consumer.pause(tp)

    def unpause(self, partitions: Collection[TopicPartition]) -> None:
        """Go on where :meth:`pause` stopped."""
        for tp in partitions:
            if tp in self.assigned:
                self._consumer.resume(tp)

    async def position(self, tp: TopicPartition) -> int | None:
        """The next offset that will be fetched; ``None`` if the partition is not ours."""
        if tp not in self.assigned:
            return None
        try:
            found: int = await self._consumer.position(tp)
        except errors.IllegalStateError:
            return None
        return found

    async def commit(self, positions: Mapping[TopicPartition, Committed]) -> None:
        """Commit offsets and notes to the group.

        Raises:
            ServerError: nothing (or not everything) was committed: Kafka is away, or this member has been put out of
                the group and somebody else reads the partitions now.
        """
        if not positions:
            return
        offsets = {tp: (each.offset, each.note) for tp, each in positions.items()}
        doing = f"committing offsets of group {self._group}"
        try:
            await attempt(_translated(self.consumer.commit(offsets)), self._connection, doing)
        except _NotAMemberError as error:
            raise ServerError(f"{doing}: {error}: the partitions may be somebody else's by now") from error


class _NotAMemberError(Exception):
    """The group has moved on without us."""


async def _translated(committing: Any) -> None:
    try:
        await committing
    except _NOT_A_MEMBER as error:
        raise _NotAMemberError(str(error) or type(error).__name__) from error


class _Assignments(_Listener):  # type: ignore[misc]
    """What the client calls back; while it does, no heartbeats are sent."""

    def __init__(self, consumer: Any, assigned: Moved, revoked: Moved) -> None:
        self._consumer = consumer
        self._assigned = assigned
        self._revoked = revoked

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        if revoked:
            self._revoked(frozenset(revoked))

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        for tp in assigned:
            self._consumer.seek(tp, 0)
        self._assigned(frozenset(assigned))
