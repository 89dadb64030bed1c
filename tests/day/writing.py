"""All actors together: a day of so many events, shared out between audit and container logs, in order of writing.

One module of ``actors`` per kind of actor. It offers ``STORIES``, told once at the hours at which they happen, and
``HABITS``, told again and again until the day has as many events as wanted.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from random import Random
from types import ModuleType

from streamer.authoring.cases_time import read_stamp
from tests.day import actors
from tests.day.ink import DAY, Day, Kind, Written
from tests.day.rhythm import Habit, moment

FULL = 200_000
AUDIT_SHARE = 0.6
BEGIN = read_stamp("2026-03-10T00:00:00Z") or 0
"""A Tuesday."""

PAST_SHARE = 0.1
PAST_AT_LEAST: dict[Kind, int] = {"audit": 20, "containers": 3}
"""The day before is told thinly, but every habit often enough that rules learn from it what is usual."""


def actor_modules() -> list[ModuleType]:
    """Every module of :mod:`tests.day.actors`, by name."""
    names = sorted(found.name for found in pkgutil.iter_modules(actors.__path__))
    return [importlib.import_module(f"{actors.__name__}.{name}") for name in names]


def day_of(events: int, seed: int) -> list[Written]:
    """The day itself."""
    return _told(Day(BEGIN, Random(0), events / FULL), events, seed)


def day_before(events: int, seed: int) -> list[Written]:
    """The day before it, thinly: what is usual."""
    return _told(Day(BEGIN - DAY, Random(0), PAST_SHARE * events / FULL, past=True), int(events * PAST_SHARE), seed)


def _told(day: Day, events: int, seed: int) -> list[Written]:
    written: list[Written] = []
    habits: list[tuple[Habit, Day]] = []
    for module in actor_modules():
        name = module.__name__.rpartition(".")[2]
        for story in getattr(module, "STORIES", ()):
            written += story(day.seeded(f"{seed}/{name}/{story.__name__}"))
        found = getattr(module, "HABITS", ())
        habits += [(habit, day.seeded(f"{seed}/{name}/{habit.told.__name__}")) for habit in found]
    draw = Random(f"{seed}/habits")
    wanted: dict[Kind, int] = {"containers": events - int(events * AUDIT_SHARE), "audit": int(events * AUDIT_SHARE)}
    for kind, number in wanted.items():  # lines first: what prints lines asks the API server too, seldom the other way
        told = sum(1 for one in written if one.kind == kind)
        written += _filled([one for one in habits if one[0].kind == kind], number - told, draw)
    end = day.begin + DAY
    return sorted((one for one in written if day.begin <= one.at < end), key=lambda one: one.at)


def _filled(habits: Sequence[tuple[Habit, Day]], missing: int, draw: Random) -> Iterator[Written]:
    """Every habit once, then drawn by weight until the day is full."""
    weights = [habit.weight for habit, _ in habits]
    waiting = list(habits) * (PAST_AT_LEAST[habits[0][0].kind] if habits and habits[0][1].past else 1)
    while missing > 0 or waiting:
        habit, day = waiting.pop() if waiting else draw.choices(habits, weights)[0]
        for one in habit.told(day, moment(day, habit.rhythm)):
            missing -= one.kind == habit.kind
            yield one
