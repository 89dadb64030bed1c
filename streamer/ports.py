"""What the service asks of its doors. A door implements one of these and knows nothing of the engine.

Kafka, Elasticsearch, files and SQLite are replaced behind these protocols; the next client library or store implements
the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from streamer.model import DeadLetter, Document, Record

Partition: TypeAlias = tuple[str, int]
"""(source name, partition number); files have partition 0."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in the order read, and what is known about the partitions beside them.

    Attributes:
        records: bounded in number and bytes by the reader.
        positions: per partition touched, an opaque JSON-able position from which reading goes on after this batch.
        at_end: partitions whose reader stands at the end of the log now (live sources: nothing more to read yet).
        ended: partitions that will never yield again (a file that is not followed).
    """

    records: tuple[Record, ...] = ()
    positions: Mapping[Partition, object] = field(default_factory=dict)
    at_end: frozenset[Partition] = frozenset()
    ended: frozenset[Partition] = frozenset()


class Reader(Protocol):
    """Where records come from in the embedded mode: files, standard input, the audit webhook."""

    async def start(self, positions: Mapping[Partition, object]) -> None:
        """Open and go to the stored positions; a partition without one starts at its beginning.

        Raises:
            ServerError: the server is away or does not fit.
            StateError: a stored position no longer exists (a log that was cut).
        """
        ...

    def partitions(self) -> frozenset[Partition]:
        """All partitions this reader will read, known after ``start``; each holds the watermark until heard of."""
        ...

    async def read(self, timeout_s: float) -> Batch:
        """The next batch, empty after ``timeout_s`` without records. Raises ``ServerError`` as ``start``."""
        ...

    async def stop(self) -> None:
        """Close; never raises, never hangs longer than a few seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of the service changed; stored as a whole or not at all.

    Attributes:
        state: changed state entries; ``None`` deletes.
        positions: positions after the step.
        documents: alerts (and notices) told by the step, in order.
        dead_letters: records that could not be read.
    """

    state: Mapping[bytes, bytes | None]
    positions: Mapping[Partition, object]
    documents: tuple[Document, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()


class Store(Protocol):
    """State, positions and told alerts in one transaction."""

    def load(self) -> tuple[Mapping[bytes, bytes], Mapping[Partition, object]]:
        """All state entries and positions. Raises ``StateError`` for a newer schema or another owner."""
        ...

    def commit(self, step: Step) -> Sequence[str]:
        """Store a step atomically and durably; returns the ids of the documents that were not there before.

        Raises ``ServerError`` if it cannot be written now; then nothing of it is stored.
        """
        ...

    def undelivered(self, sink: str, limit: int) -> tuple[Document, ...]:
        """Documents not yet delivered to ``sink``, oldest first."""
        ...

    def delivered(self, sink: str, ids: Sequence[str]) -> None:
        """Mark documents as delivered to ``sink``."""
        ...


class Sink(Protocol):
    """Where documents go. Delivering the same document again must do no harm that a reader can see."""

    name: str

    async def start(self) -> None:
        """Connect and check; raises ``ServerError``."""
        ...

    async def deliver(self, documents: Sequence[Document]) -> Sequence[str]:
        """Deliver; returns the ids that are done (delivered now or earlier, or set aside for good and counted).

        Raises:
            ServerError: nothing more can be delivered now; ``retriable`` says whether to try again unchanged.
        """
        ...

    async def stop(self) -> None:
        """Close; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka record to be written.

    Attributes:
        topic: full name.
        partition: ``None`` leaves the choice to the client's partitioner, by key.
        key: may be empty.
        value: ``None`` is a tombstone.
        headers: in order.
    """

    topic: str
    partition: int | None
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """What a takeover found.

    Attributes:
        entries: state entries of the changelog, without those of the protocol.
        position: the next input offset; ``None``: this partition was never owned.
    """

    entries: Mapping[bytes, bytes]
    position: int | None


class Ledger(Protocol):
    """The database of one partition of the detections; one object per incarnation."""

    async def take_over(self, progress: Callable[[int, int], None]) -> Restored:
        """Shut out whoever owned the partition before and read what is committed.

        Args:
            progress: told now and then how far reading is: the offset read and the end offset.

        Raises:
            ServerError: the server is away or does not fit.
            StateError: what is stored cannot be continued.
        """
        ...

    async def commit(self, position: int, changes: Mapping[bytes, bytes | None], messages: Sequence[Message]) -> None:
        """Store the next input offset and changed entries, and write messages: all of it or nothing.

        Raises:
            LedgerLost: on any doubt. The object is dead afterwards: close it, make a new one, take over again.
        """
        ...

    async def close(self) -> None:
        """Never raises, never hangs longer than a few seconds."""
        ...
