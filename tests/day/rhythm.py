"""When things happen: machines all day, traffic with the sun, people in office hours, batch jobs at night."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

from tests.day.ink import HOUR, Day, Kind, Written

Rhythm = Literal["machine", "traffic", "people", "night"]

_HOURS: Final[dict[Rhythm, tuple[int, ...]]] = {
    "machine": (10,) * 24,
    "traffic": (3, 2, 2, 2, 2, 3, 5, 8, 12, 14, 14, 14, 13, 13, 14, 14, 13, 12, 13, 15, 15, 12, 8, 5),
    "people": (0, 0, 0, 0, 0, 0, 1, 4, 10, 16, 17, 14, 8, 11, 16, 17, 13, 9, 4, 2, 2, 1, 1, 0),
    "night": (4, 14, 16, 14, 10, 4, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3),
}
_UP_TO: Final = {name: list(accumulate(hours)) for name, hours in _HOURS.items()}


@dataclass(frozen=True)
class Habit:
    """Something done again and again.

    Attributes:
        weight: how often, beside the other habits of its kind.
        rhythm: at which hours.
        told: what is written when it is done at a moment.
        kind: what most of its records are.
    """

    weight: float
    rhythm: Rhythm
    told: Callable[[Day, int], Iterator[Written]]
    kind: Kind = "audit"


Story = Callable[[Day], Iterator[Written]]


def moment(day: Day, rhythm: Rhythm) -> int:
    """A moment of the day, drawn after a rhythm."""
    up_to = _UP_TO[rhythm]
    hour = bisect(up_to, day.draw.randrange(up_to[-1]))
    return day.begin + hour * HOUR + day.draw.randrange(HOUR)


def moments(day: Day, rhythm: Rhythm, full: float, at_least: int = 1) -> list[int]:
    """So many moments, in order; ``full`` of them in a day of 200,000 events."""
    return sorted(moment(day, rhythm) for _ in range(day.times(full, at_least)))
