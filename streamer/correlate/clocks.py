"""Up to when everything has been heard: watermarks of partitions and of the whole stream.

A topic's partition is as far as its largest event time, but never further than its newest append time. A record
without a usable stamp (unreadable, without any, or from the future) says nothing of how far the events have come: one
broken line in a topic that is hours behind must not make everything after it late. Only a long row of them, which is
how a log without stamps looks, moves the partition by append time. A file has no append time; there a jump of more
than an hour must be confirmed by three later records before it counts. From both, the allowed lateness is taken off.
A partition whose reader stands at the end of the log goes on with the clock; the end of a file is the end of its
time. Nothing here ever goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from streamer.correlate import codec
from streamer.correlate.limits import BEGINNING, FOREVER
from streamer.sigma.rules import HOUR_US

Partition: TypeAlias = tuple[str, int]
"""(source name, partition number); files have partition 0."""

JUMP_US: Final = HOUR_US
"""A stamp this far ahead of the confirmed time needs confirmation."""

CONFIRMATIONS: Final = 3
"""Later records with a stamp, in a row, that confirm a jump."""

UNSTAMPED: Final = 100
"""Records in a row without a usable stamp after which a topic's partition goes by its append times."""


@dataclass(slots=True)
class PartitionClock:
    """The watermark of one source partition.

    Attributes:
        lateness_us: how far records may be out of order.
        is_file: stamps need confirmation, and there is no append time.
    """

    lateness_us: int
    is_file: bool
    _event_us: int | None = None
    _append_us: int | None = None
    _candidates: list[tuple[int, int]] = field(default_factory=list)
    _watermark_us: int | None = None
    _unstamped: int = 0

    def observe(self, time_us: int | None, append_time_us: int | None = None) -> None:
        """A record was read: its event time (``None``: it carries no usable stamp) and when it was appended."""
        if self.is_file:
            if time_us is not None:
                self._confirm(time_us)
            reached = self._event_us
        else:
            reached = self._appended(time_us, append_time_us)
        if reached is not None:
            self._reach(reached - self.lateness_us)

    def _appended(self, time_us: int | None, append_time_us: int | None) -> int | None:
        if append_time_us is not None and (self._append_us is None or append_time_us > self._append_us):
            self._append_us = append_time_us
        self._unstamped = self._unstamped + 1 if time_us is None else 0
        happened = append_time_us if self._unstamped >= UNSTAMPED else time_us
        if happened is not None and (self._event_us is None or happened > self._event_us):
            self._event_us = happened
        if self._event_us is None or self._append_us is None:
            return None
        return min(self._event_us, self._append_us)

    def _confirm(self, stamp: int) -> None:
        waiting: list[tuple[int, int]] = []
        for candidate, count in self._candidates:
            if stamp < candidate - JUMP_US:
                continue
            if count + 1 < CONFIRMATIONS:
                waiting.append((candidate, count + 1))
            elif self._event_us is None or candidate > self._event_us:
                self._event_us = candidate
        self._candidates = waiting
        if self._event_us is None or stamp > self._event_us + JUMP_US:
            self._candidates.append((stamp, 0))
        else:
            self._event_us = max(self._event_us, stamp)

    def _reach(self, watermark_us: int) -> None:
        if self._watermark_us is None or watermark_us > self._watermark_us:
            self._watermark_us = watermark_us

    def idle(self, now_us: int, idle_after_us: int) -> None:
        """The reader has stood at the end of the log for ``idle_after_us``; ``now_us`` is the clock."""
        self._reach(now_us - idle_after_us - self.lateness_us)

    def end(self) -> None:
        """Nothing will come any more."""
        self._watermark_us = FOREVER

    @property
    def event_us(self) -> int | None:
        """The largest event time that counts; ``None`` before the first."""
        return self._event_us

    @property
    def watermark_us(self) -> int | None:
        """Everything older has been read; ``None`` as long as that cannot be said of any time."""
        return self._watermark_us

    @property
    def ended(self) -> bool:
        """Whether :meth:`end` was called."""
        return self._watermark_us == FOREVER

    def state(self) -> list[Any]:
        """What :meth:`load` needs to go on from here."""
        return [self._event_us, self._append_us, self._candidates, self._watermark_us, self._unstamped]

    def load(self, state: list[Any]) -> None:
        """Go on from a state; what was reached stays reached."""
        self._event_us, self._append_us, candidates, self._watermark_us, self._unstamped = state
        self._candidates = [(int(stamp), int(count)) for stamp, count in candidates]


class Clocks:
    """The watermark of a stream: the minimum over its partitions."""

    def __init__(self) -> None:
        self._clocks: dict[Partition, PartitionClock] = {}
        self._stored: dict[Partition, list[Any]] = {}
        self._watermark_us: int | None = None

    def expect(self, partition: Partition, *, lateness_us: int, is_file: bool) -> None:
        """A partition belongs to the stream; it holds the watermark until it is heard of."""
        if partition in self._clocks:
            return
        clock = self._clocks[partition] = PartitionClock(lateness_us, is_file)
        if partition in self._stored:
            clock.load(self._stored.pop(partition))

    def observe(self, partition: Partition, time_us: int | None, append_time_us: int | None = None) -> None:
        """A record was read from an expected partition. Raises ``KeyError`` for another."""
        self._clocks[partition].observe(time_us, append_time_us)

    def idle(self, partition: Partition, now_us: int, idle_after_us: int) -> None:
        """A partition's reader stands at the end of the log. Raises ``KeyError`` if it is not expected."""
        self._clocks[partition].idle(now_us, idle_after_us)

    def end(self, partition: Partition) -> None:
        """A partition will yield nothing any more. Raises ``KeyError`` if it is not expected."""
        self._clocks[partition].end()

    def watermark(self) -> int | None:
        """Up to when everything has been heard; ``None`` while a partition holds it."""
        lowest = FOREVER
        for clock in self._clocks.values():
            reached = clock.watermark_us
            if reached is None:
                return self._watermark_us
            lowest = min(lowest, reached)
        if self._clocks and (self._watermark_us is None or lowest > self._watermark_us):
            self._watermark_us = lowest
        return self._watermark_us

    def reached(self, partition: Partition) -> int | None:
        """The largest confirmed event time of a partition. Raises ``KeyError`` if it is not expected."""
        return self._clocks[partition].event_us

    def newest(self) -> int | None:
        """The largest confirmed event time of all partitions: the time of the last event of the stream."""
        return max((clock.event_us for clock in self._clocks.values() if clock.event_us is not None), default=None)

    def slowest(self) -> Partition | None:
        """The partition that holds the watermark back: one not heard of, else the one least far."""
        open_ones = [(name, clock.watermark_us) for name, clock in self._clocks.items() if not clock.ended]
        ranked = sorted((BEGINNING if reached is None else reached, name) for name, reached in open_ones)
        return ranked[0][1] if ranked else None

    def all_ended(self) -> bool:
        """Whether every expected partition has ended (and there is one)."""
        return bool(self._clocks) and all(clock.ended for clock in self._clocks.values())

    def snapshot(self) -> bytes:
        """The state of all partitions."""
        states = [[name, number, clock.state()] for (name, number), clock in self._clocks.items()]
        states += [[name, number, state] for (name, number), state in self._stored.items()]
        return codec.encode([self._watermark_us, states])

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot; partitions may be expected before or after.

        Raises:
            StateError: it was written by a newer version, or is damaged.
        """
        self._watermark_us, states = codec.decode(data)
        for name, number, state in states:
            clock = self._clocks.get((name, number))
            if clock is None:
                self._stored[name, number] = state
            else:
                clock.load(state)
