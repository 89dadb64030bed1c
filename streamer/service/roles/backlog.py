"""What the index role has read and not yet decided: bounded, in order, and up to where each partition may be committed.

No server, no clock: the role says when something happened. An alert is *decided* when it stands in the index or in the
dead-letter topic; the position of a partition moves over decided alerts only, so that whoever reads on after a crash
misses nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from streamer.model import Document

_OVERHEAD: Final = 300
"""Bytes that one alert costs beside its body, decided or not, as long as one before it is open."""


@dataclass(slots=True, eq=False)
class Lane:
    """One partition, for as long as it is assigned: what stands between its committed position and what was read."""

    partition: int
    entries: deque[Entry] = field(default_factory=deque)
    position: int | None = None
    """The next offset, where everything before is decided; ``None`` before the first."""
    committed: int | None = None
    read: int = -1
    """The newest offset read: what is delivered again is passed over."""
    alive: bool = True


@dataclass(slots=True, eq=False)
class Entry:
    """One record of the alerts topic.

    Attributes:
        lane: its partition, in this incarnation.
        offset: where it stands.
        document: what to index; ``None`` for what is no alert.
        value: the bytes as read; empty once decided.
        append_us: when the broker took it.
        arrived_s: when it was read, on the role's clock.
        decided: nothing more has to be done for it.
        attempts: how often it was sent.
    """

    lane: Lane
    offset: int
    document: Document | None
    value: bytes
    append_us: int
    arrived_s: float
    decided: bool = False
    attempts: int = 0

    @property
    def size(self) -> int:
        """Bytes held while it is open."""
        # A document's body is the value itself, unless that had to be made compact.
        return len(self.value) + _OVERHEAD


class Backlog:
    """Alerts on their way.

    Attributes:
        bytes: held in memory, about.
        parked: alerts that wait for their index, by its name.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.parked: dict[str, deque[Entry]] = {}
        self._lanes: dict[int, Lane] = {}
        self._ready: deque[Entry] = deque()

    @property
    def partitions(self) -> frozenset[int]:
        """Assigned now."""
        return frozenset(self._lanes)

    @property
    def open(self) -> int:
        """How many alerts are not decided."""
        return sum(not entry.decided for lane in self._lanes.values() for entry in lane.entries)

    def assign(self, partitions: Iterable[int]) -> None:
        """Begin with these partitions."""
        for partition in partitions:
            self._lanes.setdefault(partition, Lane(partition))

    def revoke(self, partitions: Iterable[int]) -> None:
        """Forget these partitions; what of theirs is being sent may end as it likes."""
        for partition in partitions:
            lane = self._lanes.pop(partition, None)
            if lane is None:
                continue
            lane.alive = False
            self.bytes -= sum(_OVERHEAD if entry.decided else entry.size for entry in lane.entries)
            lane.entries.clear()
        self._ready = deque(entry for entry in self._ready if entry.lane.alive)
        for index, waiting in list(self.parked.items()):
            kept = deque(entry for entry in waiting if entry.lane.alive)
            if kept:
                self.parked[index] = kept
            else:
                del self.parked[index]

    def add(self, entry: Entry) -> None:
        """Take a record that was read; one with a document waits to be sent."""
        entry.lane.entries.append(entry)
        entry.lane.read = entry.offset
        self.bytes += entry.size
        if entry.document is None:
            return
        if entry.document.index in self.parked:
            self.parked[entry.document.index].append(entry)
        else:
            self._ready.append(entry)

    def lane(self, partition: int) -> Lane | None:
        """The partition, if it is assigned."""
        return self._lanes.get(partition)

    def due_s(self, now_s: float, linger_s: float, *, documents: int, most_bytes: int) -> float | None:
        """Seconds until a batch should go; ``None``: nothing waits."""
        if not self._ready:
            return None
        if len(self._ready) >= documents or self._ready[0].attempts:
            return 0.0
        if sum(entry.size for entry in self._ready) >= most_bytes:
            return 0.0
        return max(0.0, self._ready[0].arrived_s + linger_s - now_s)

    def take(self, *, documents: int, most_bytes: int) -> list[Entry]:
        """The next batch, bounded in number and bytes; a document larger than the bound goes alone."""
        batch: list[Entry] = []
        size = 0
        while self._ready and len(batch) < documents:
            entry = self._ready[0]
            if batch and size + entry.size > most_bytes:
                break
            self._ready.popleft()
            entry.attempts += 1
            size += entry.size
            batch.append(entry)
        return batch

    def give_back(self, entries: Sequence[Entry]) -> None:
        """Sent in vain: they go again, before everything else."""
        self._ready.extendleft(entry for entry in reversed(entries) if entry.lane.alive)

    def park(self, index: str, entries: Sequence[Entry]) -> None:
        """Their index takes nothing now: they, and all that come for it, wait until :meth:`unpark`."""
        waiting = self.parked.setdefault(index, deque())
        waiting.extendleft(entry for entry in reversed(entries) if entry.lane.alive)
        ready: deque[Entry] = deque()
        for entry in self._ready:
            assert entry.document is not None
            (waiting if entry.document.index == index else ready).append(entry)
        self._ready = ready
        if not waiting:
            del self.parked[index]

    def probe(self, index: str) -> list[Entry]:
        """One alert to try the index with; the others stay parked."""
        waiting = self.parked.get(index)
        if not waiting:
            return []
        entry = waiting.popleft()
        entry.attempts += 1
        return [entry]

    def unpark(self, index: str) -> None:
        """The index takes documents again."""
        self._ready.extendleft(reversed(self.parked.pop(index, deque())))

    def decide(self, entry: Entry) -> None:
        """Nothing more has to be done for it; the position moves over what is decided without a gap."""
        if entry.decided or not entry.lane.alive:
            return
        self.bytes -= entry.size - _OVERHEAD
        entry.decided = True
        entry.document, entry.value = None, b""
        lane = entry.lane
        while lane.entries and lane.entries[0].decided:
            lane.position = lane.entries.popleft().offset + 1
            self.bytes -= _OVERHEAD

    def positions(self) -> dict[int, int]:
        """Per partition the next offset, where it is further than what was committed."""
        return {
            partition: lane.position
            for partition, lane in self._lanes.items()
            if lane.position is not None and lane.position != lane.committed
        }

    def committed(self, positions: Mapping[int, int]) -> None:
        """These positions are stored."""
        for partition, position in positions.items():
            if (lane := self._lanes.get(partition)) is not None:
                lane.committed = position

    def oldest_us(self) -> int | None:
        """Broker's time of the oldest alert that is not decided; ``None`` if there is none."""
        return min((lane.entries[0].append_us for lane in self._lanes.values() if lane.entries), default=None)
