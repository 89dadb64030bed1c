"""Suppression: firings folded into episodes in the order they are told."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from streamer.sigma.rules import Suppress


@dataclass
class Episode:
    """An alert and the firings it stands for."""

    opened: int
    begin: int
    last: int
    firings: int = 1

    def takes(self, time: int, suppress: Suppress) -> bool:
        """Whether a firing at this time belongs to the episode."""
        near = self.begin - suppress.gap_us <= time <= self.last + suppress.gap_us
        return near and abs(time - self.begin) <= suppress.max_us

    def join(self, time: int) -> None:
        """The firing becomes part of the episode."""
        self.begin = min(self.begin, time)
        self.last = max(self.last, time)
        self.firings += 1


Told = tuple[str, tuple[Any, ...], int]
"""(rule, suppression key, time)."""


def fold(told: Iterable[Told], suppress: Mapping[str, Suppress]) -> tuple[list[Told], dict[Hashable, list[Episode]]]:
    """The alerts, each by the firing that opened its episode, and all episodes.

    A firing joins every episode that takes it; where it joins two, both alerts stand.
    """
    episodes: dict[Hashable, list[Episode]] = {}
    alerts: list[Told] = []
    for rule, key, time in told:
        known = episodes.setdefault((rule, key), [])
        homes = [one for one in known if one.takes(time, suppress[rule])]
        for home in homes:
            home.join(time)
        if not homes:
            known.append(Episode(time, time, time))
            alerts.append((rule, key, time))
    return alerts, episodes
