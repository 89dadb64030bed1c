"""Counts with an upper bound (``lt``, ``lte``, ``eq``, ``neq``): one window after the other, each judged at its end.

The first match of a key opens a window of one timespan; when the watermark has passed its end it is counted once, and
the next match after it opens the next one (SEMANTICS C3).

Which windows there are depends on every match before them, back to the last pause longer than a timespan. So where a
match was refused, no window fires until such a pause.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, Final

from streamer.correlate import codec
from streamer.correlate.counts import window_of
from streamer.correlate.firings import Completed
from streamer.correlate.keys import tuples_of
from streamer.correlate.limits import BEGINNING
from streamer.correlate.plan import Address, Arrival, Plan
from streamer.correlate.state import KeyState, Part

OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}


class WindowState(KeyState):
    """One key of a count with an upper bound."""

    def __init__(self, plan: Plan, address: Address) -> None:
        super().__init__(plan, address)
        self._end = BEGINNING
        self._unsure_until = BEGINNING

    def take(self, arrival: Arrival) -> list[Completed]:
        """Keep the match for its window; a match not after the last judged window is not used."""
        if arrival.match.time_us <= self._end:
            return []
        self.keep(arrival)
        return self.judge(arrival.watermark)

    def judge(self, watermark: int) -> list[Completed]:
        """Judge one window after the other."""
        done: list[Completed] = []
        while True:
            start = self.ledger.oldest()
            if start is None or start + self.plan.rule.timespan_us >= watermark:
                return self.tell(done)
            done += self._window(start, start + self.plan.rule.timespan_us)

    def _window(self, start: int, end: int) -> Iterator[Completed]:
        count = self._count(start, end)
        holds = OPERATORS[self.plan.count.op](count, self.plan.count.threshold)
        if holds and not self._is_unsure(start, end):
            done = window_of(self, start, end)
            done.value = float(count)
            done.window = (start, end)
            yield done
        self._end = end
        self.note("w")
        for ref, match in self.ledger.drop_before(end + 1):
            self.note("m", self.plan.refs[ref], match.identity)

    def _is_unsure(self, start: int, end: int) -> bool:
        """Whether a refused match may have begun another window, or be missing in this one."""
        timespan = self.plan.rule.timespan_us
        if start > self._unsure_until and not self.blind.covers(start - timespan, end):
            return False
        latest = [moment[0] for line in self.ledger.lines if (moment := line.before((end + 1,))) is not None]
        self._unsure_until = max(self._unsure_until, max(latest) + timespan)
        return True

    def _count(self, start: int, end: int) -> int:
        if self.plan.rule.type == "event_count":
            lines = self.ledger.lines
            if len(lines) == 1 or not self.ledger.shared:
                return sum(self.ledger.count(ref, start, end) for ref in range(len(lines)))
            return len({moment[1] for line in lines for moment in line.between((start,), (end + 1,))})
        most = self.plan.limits.values_per_match
        return len(
            {
                value
                for ref in range(len(self.ledger.lines))
                for match in self.ledger.backwards(ref, start, end)
                for value in tuples_of(match.values, self.plan.counted_fields(ref), most)[0]
            }
        )

    def deadline(self) -> int | None:
        """The end of the open window."""
        start = self.ledger.oldest()
        return None if start is None else start + self.plan.rule.timespan_us

    def expiry(self) -> int | None:
        """A window's time is its end."""
        oldest = super().expiry()
        if self._end == BEGINNING:
            return oldest
        mine = self._end + self.plan.hold_us
        return mine if oldest is None else min(mine, oldest)

    def expire(self, watermark: int) -> None:
        """Forget the last judged window when no match within reach can lie in it."""
        super().expire(watermark)
        if self._end != BEGINNING and self._end + self.plan.hold_us < watermark:
            self._end = BEGINNING
            self.note("w")

    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return super().is_empty() and self._end == BEGINNING

    def parts(self) -> Iterator[Part]:
        """The ledger's parts and the end of the last judged window."""
        yield from super().parts()
        if self._end != BEGINNING:
            yield ("w",)

    def stored(self, part: Part) -> bytes | None:
        """The value of a part."""
        if part[0] != "w":
            return super().stored(part)
        return codec.encode([self._end, self._unsure_until]) if self._end != BEGINNING else None

    def load(self, part: Part, data: bytes) -> None:
        """Put back a part."""
        if part[0] == "w":
            self._end, self._unsure_until = codec.decode(data)
        else:
            super().load(part, data)

    def loaded(self, watermark: int) -> None:
        """Nothing is derived."""
