"""Saying so when a limit was hit: one notice per rule and hour, naming the largest contributors.

Who contributes most is counted in a bounded table (space saving): when it is full, the smallest count passes to the
newcomer, so a contributor with more than its share of the flood is never missing from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from streamer.model import Notice
from streamer.sigma.rules import HOUR_US

SHOWN: Final = 10
"""Contributors a notice names."""


class Contributors:
    """The largest contributors, approximately, in bounded room."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._counts: dict[str, int] = {}

    def add(self, name: str) -> None:
        """Count one."""
        counts = self._counts
        if name in counts or len(counts) < self._room:
            counts[name] = counts.get(name, 0) + 1
            return
        smallest = min(counts, key=lambda one: (counts[one], one))
        counts[name] = counts.pop(smallest) + 1

    def top(self) -> tuple[tuple[str, int], ...]:
        """The largest, most first."""
        ranked = sorted(self._counts.items(), key=lambda one: (-one[1], one[0]))
        return tuple(ranked[:SHOWN])


@dataclass(slots=True)
class Pressure:
    """The limits of one rule, as far as they were hit.

    Attributes:
        sources: who fills the state.
        told_hour: the hour of event time of the last notice.
        refused: matches refused since the last notice.
    """

    rule: str
    sources: Contributors
    told_hour: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    def hit(self, what: str, time_us: int) -> Notice | None:
        """A limit was hit; the notice that tells it, unless one did in this hour."""
        self.refused[what] = self.refused.get(what, 0) + 1
        hour = time_us // HOUR_US
        if self.told_hour.get(what, hour - 1) >= hour:
            return None
        self.told_hour[what] = hour
        count, self.refused[what] = self.refused[what], 0
        return Notice("state-pressure", self.rule, time_us, f"{count} × {_SAID[what]}", self.sources.top())


_SAID: Final = {
    "entries": (
        "a match found no room in the state of this rule and was not used, so the rule may miss what these matches "
        "would have completed. Narrow the rule or its feeders, or raise the limit."
    ),
    "keys": (
        "a match has more keys than the sixteen one match may take part in; the keys left out were not used. "
        "Group by a field with fewer values."
    ),
}
