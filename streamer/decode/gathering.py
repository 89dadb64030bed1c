"""What one record yields, collected under its limits: events, dead letters, and a count of what was passed over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from streamer.decode.source import Source
from streamer.model import DeadLetter, Event, LogSource, Record

_DEAD_LETTERS: Final = 100


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one record said.

    Attributes:
        events: a parent first, then what was derived from it.
        dead_letters: what could not be read.
        skipped: values that were understood and carry nothing for this source: blank lines, control messages, klog
            text among audit events.
    """

    events: tuple[Event, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class When:
    """The time of an event: event time, the stamp it replaced, whether there was a stamp, and the flags that say so."""

    time_us: int
    stamp_us: int | None
    has_stamp: bool
    flags: tuple[str, ...]


class Gathering:
    """The growing result for one record; refuses more events than a record may hold."""

    def __init__(self, record: Record, source: Source) -> None:
        self.record = record
        self.source = source
        self.skipped = 0
        self.ordinal = 0
        self.deep = False
        """Whether anything in the record can nest deeper than the limit: only then it is worth a look."""
        self.look_into(record.value)
        self.unpack_room = source.limits.unpacked_bytes
        """Bytes that may still be unpacked from compressed content."""
        self.unpacked = False
        """Whether anything was unpacked: dead letters hold what arrived then, which cannot be large."""
        self.cut = len(record.value) > source.limits.record_bytes
        """Whether only the beginning of the record is looked at."""
        self._events: list[Event] = []
        self._dead: list[DeadLetter] = []
        self._absorbed: list[Decoded] = []
        self._overflow = False

    @property
    def full(self) -> bool:
        """Whether the record has used up its events."""
        return self._overflow

    @property
    def room(self) -> int:
        """How many more events the record may hold."""
        return self.source.limits.events - len(self._events)

    def is_empty(self) -> bool:
        """Whether the record has given neither an event nor a dead letter so far."""
        return not (self._events or self._dead)

    def look_into(self, value: bytes) -> None:
        """Say that ``value``, too, is decoded for this record."""
        self.deep = self.deep or value.count(b"{") + value.count(b"[") > self.source.limits.depth

    def when(self, stamp_us: int | None, flags: tuple[str, ...] = ()) -> When:
        """Event time of a stamp: a stamp too far ahead of the append time is replaced by it, a missing one too."""
        append = self.record.append_time_us
        if stamp_us is None:
            flags = (*flags, "no-time") if append is None else flags
            return When(append or 0, None, False, flags)
        if append is not None and stamp_us > append + self.source.max_clock_lead_us:
            return When(append, stamp_us, True, (*flags, "clock-ahead"))
        return When(stamp_us, None, True, flags)

    def add(
        self, logsource: LogSource, when: When, identity: bytes, fields: dict[str, Any], *, stage_only: bool = False
    ) -> None:
        """One more event; ``fields`` hold its cluster. Beyond the limit it is dropped and the record says so."""
        if self.room <= 0:
            if not self._overflow:
                self._overflow = True
                self.dead("too-many-events", f"more than {self.source.limits.events} events in one record")
            return
        self._events.append(
            Event(
                logsource=logsource,
                time_us=when.time_us,
                identity=identity,
                cluster=fields["cluster"],
                fields=fields,
                position=self.record.position,
                index=len(self._events),
                stage_only=stage_only,
                flags=when.flags,
                stamp_us=when.stamp_us,
                has_stamp=when.has_stamp,
            )
        )

    def dead(self, reason: str, detail: str, value: bytes | None = None) -> None:
        """Something that cannot be read; ``value`` where it is not the whole record."""
        value = None if self.unpacked else value
        if len(self._dead) >= _DEAD_LETTERS or (value is None and any(one.reason == reason for one in self._dead)):
            return  # the record is told of already; it must not be multiplied by what it holds
        if self.cut and self._dead:
            return  # that its end is missing says why it cannot be read
        original = self.record.value if value is None else value
        kept = original[: self.source.limits.record_bytes]
        self._dead.append(DeadLetter(reason, detail, self.record.position, kept, len(original)))

    def absorb(self, other: Decoded) -> None:
        """Events of other records that became whole now; they keep their own positions."""
        self._absorbed.append(other)

    def next_ordinal(self) -> int:
        """Counts the items of the record that rest on its position for their identity."""
        self.ordinal += 1
        return self.ordinal

    def result(self) -> Decoded:
        """Everything collected; what other records left first."""
        if not self._absorbed:
            return Decoded(tuple(self._events), tuple(self._dead), self.skipped)
        return joined([*self._absorbed, Decoded(tuple(self._events), tuple(self._dead), self.skipped)])


def joined(parts: list[Decoded]) -> Decoded:
    """Several results as one, in order."""
    return Decoded(
        tuple(event for part in parts for event in part.events),
        tuple(letter for part in parts for letter in part.dead_letters),
        sum(part.skipped for part in parts),
    )
