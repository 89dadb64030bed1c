"""Saying so when a limit was hit: one notice per rule and hour, naming the largest contributors.

Who contributes most is counted in a bounded table (space saving): when it is full, the smallest count passes to the
newcomer, so a contributor with more than its share of the flood is never missing from it.

Pressure also remembers *when* something was refused. A rule that states an absence or an upper bound would be false
where a match is missing; windows over such times do not fire.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from streamer.correlate.limits import BEGINNING, FOREVER
from streamer.model import Notice
from streamer.sigma.rules import HOUR_US

SHOWN: Final = 10
"""Contributors a notice names."""

_SAID: Final = {
    "entries": (
        "matches found no room in the state of this rule and were not used; it may miss what they would have "
        "completed. Narrow the rule or the rules it references, or raise the limit."
    ),
    "keys": (
        "keys were left out because one match had more than it may take part in; they were not used. "
        "Group by a field with fewer values."
    ),
    "values": (
        "values were left out because one match had more than it may add; the count may be too low. "
        "Count a field with fewer values."
    ),
    "told": (
        "alerts were told without remembering their event because there was no room for it; if it is delivered again, "
        "so is the alert, with the same id. Narrow the rule, or raise the limit."
    ),
    "episodes": (
        "firings were told without remembering their episode because there was no room for it; they may be told "
        "again. Suppress by fewer fields, or raise the limit."
    ),
}


@dataclass(slots=True)
class Blind:
    """The times between the earliest and the latest refused match."""

    first: int = FOREVER
    last: int = BEGINNING

    def widen(self, time: int) -> None:
        """A match of this time was refused."""
        self.first, self.last = min(self.first, time), max(self.last, time)

    def covers(self, start: int, end: int) -> bool:
        """Whether a match in [start, end] may have been refused."""
        return start <= self.last and self.first <= end

    def __bool__(self) -> bool:
        return self.first <= self.last


class Contributors:
    """The largest contributors, approximately, in bounded room."""

    def __init__(self, room: int) -> None:
        self._room = room
        self.counts: dict[str, int] = {}

    def add(self, name: str, times: int = 1) -> None:
        """Count a contributor."""
        counts = self.counts
        if name in counts or len(counts) < self._room:
            counts[name] = counts.get(name, 0) + times
            return
        smallest = min(counts, key=lambda one: (counts[one], one))
        counts[name] = counts.pop(smallest) + times

    def top(self) -> tuple[tuple[str, int], ...]:
        """The largest, most first."""
        ranked = sorted(self.counts.items(), key=lambda one: (-one[1], one[0]))
        return tuple(ranked[:SHOWN])


@dataclass(slots=True)
class Pressure:
    """The limits of one rule, as far as they were hit.

    Attributes:
        rule: key of the rule.
        sources: who could not be taken in.
        blind: the times for which a key without state may lack a match.
        changed: whether it differs from what was last written.
        notices: what is to be said, where the caller takes it later.
    """

    rule: str
    sources: Contributors
    blind: Blind = field(default_factory=Blind)
    changed: bool = False
    notices: list[Notice] = field(default_factory=list)
    _told_hour: dict[str, int] = field(default_factory=dict)
    _hits: dict[str, int] = field(default_factory=dict)

    def hit(self, what: str, time_us: int, watermark_us: int, times: int = 1) -> Notice | None:
        """A limit was hit; the notice that tells it, unless one did in this hour of event time.

        The hour is the watermark's: a single stamp from the future must not silence the notices that follow.
        """
        self.changed = True
        self._hits[what] = self._hits.get(what, 0) + times
        hour = watermark_us // HOUR_US
        if self._told_hour.get(what) == hour:
            return None
        self._told_hour[what] = hour
        count = self._hits.pop(what)
        return Notice("state-pressure", self.rule, time_us, f"{count} {_SAID[what]}", self.sources.top())

    def left_out(self, what: str, names: Iterable[str], time_us: int, watermark_us: int) -> None:
        """One thing found no room; it is counted for its contributors, and said with the next :attr:`notices`."""
        for name in names:
            self.sources.add(name)
        notice = self.hit(what, time_us, watermark_us)
        if notice is not None:
            self.notices.append(notice)

    def expire(self, bound: int) -> None:
        """Forget refusals before the bound."""
        if self.blind and self.blind.last < bound:
            self.blind = Blind()
            self.changed = True

    def state(self) -> list[Any]:
        """What :meth:`load` needs to go on from here."""
        return [self._told_hour, self._hits, self.sources.counts, self.blind.first, self.blind.last]

    def load(self, state: list[Any]) -> None:
        """Go on from a state."""
        self._told_hour, self._hits, self.sources.counts, first, last = state
        self.blind = Blind(int(first), int(last))

    def is_untouched(self) -> bool:
        """Whether no limit was ever hit."""
        return not self._told_hour
