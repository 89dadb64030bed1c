"""Detections that alert by themselves: each a correlation of one (SEMANTICS A1).

Its key is what ``suppress.by`` names, else the event itself. However late an event comes, it is told; what was told is
remembered as long as a correlation without timespan would be, so that a redelivery is told once.
"""

from __future__ import annotations

from heapq import heappop, heappush

from streamer.correlate import codec
from streamer.correlate.episodes import Alerter
from streamer.correlate.keys import canonical, cluster_text, tuples_of
from streamer.correlate.limits import CorrelateLimits, Counters
from streamer.model import Firing, Key, Match, Step
from streamer.sigma.rules import DetectionRule


def alert_keys(rule: DetectionRule, match: Match, counters: Counters) -> tuple[tuple[str, ...], list[Key]]:
    """The keys under which an alerting detection tells a match, and the names of their parts."""
    cluster = cluster_text(match)
    by = rule.suppress.by if rule.suppress is not None else None
    if by is not None:
        found, overflow = tuples_of(match.values, by)
        counters.key_overflow[rule.meta.key] += overflow
        if found:
            return _names(by), [(cluster, *key) for key in found]
        # An event without the field must still be told: it is told by itself.
        counters.missing_key[rule.meta.key] += 1
    return _names(None), [(cluster, canonical(match.identity.hex()))]


def _names(by: tuple[str, ...] | None) -> tuple[str, ...]:
    return ("cluster", "event") if by is None else ("cluster", *by)


class AlertingDetection:
    """What one alerting detection has told.

    Args:
        rule: the detection.
        counters: where it is counted what happened.
        limits: how much is remembered.
        alerter: makes alerts of what is told.
    """

    def __init__(self, rule: DetectionRule, counters: Counters, limits: CorrelateLimits, alerter: Alerter) -> None:
        self._limits = limits
        self._telling = alerter.telling
        self._pressure = alerter.pressure
        self.rule = rule
        self.name = rule.meta.key
        self._by = rule.suppress.by if rule.suppress is not None else None
        self._counters = counters
        self._told: dict[tuple[Key, int], int] = {}
        self._ends: list[tuple[int, Key, int]] = []
        self.changed: dict[tuple[Key, int], None] = {}

    def feed(self, match: Match, watermark: int) -> list[Firing]:
        """The firings of a match: one per key, none for what was told before."""
        if match.time_us < watermark:
            self._counters.late[self.name] += 1
        names, keys = alert_keys(self.rule, match, self._counters)
        return self._told_first(match, names, keys, watermark)

    def feed_key(self, match: Match, key: Key, watermark: int) -> list[Firing]:
        """The firing of a match for one key that :func:`alert_keys` found elsewhere."""
        if match.time_us < watermark:
            self._counters.late[self.name] += 1
        by = self._by if self._by is not None and all(match.values.get(name) for name in self._by) else None
        return self._told_first(match, _names(by), [key], watermark)

    def _told_first(self, match: Match, names: tuple[str, ...], keys: list[Key], watermark: int) -> list[Firing]:
        fresh = [key for key in keys if (key, match.time_us) not in self._told]
        if not fresh:
            self._counters.duplicates[self.name] += 1
        for key in fresh:
            if not self._has_room():
                # What cannot be remembered is told all the same, and again if it comes again.
                self._counters.refused[self.name] += 1
                parts = [f"{name}={text}" for name, text in zip(names, key, strict=True)]
                self._pressure.left_out("told", parts, match.time_us, self._telling.gate.hour_us)
                continue
            self._remember(key, match.time_us, max(match.time_us, watermark) + self.rule.reach_us)
            self.changed[key, match.time_us] = None
        return [self._firing(match, names, key) for key in fresh]

    def _has_room(self) -> bool:
        limits = self._limits
        return len(self._told) < limits.entries_per_rule and self._telling.room.used < limits.entries

    def _firing(self, match: Match, names: tuple[str, ...], key: Key) -> Firing:
        return Firing(
            rule=self.name,
            key_names=names,
            key=key,
            time_us=match.time_us,
            decided="arrival",
            decided_us=match.time_us,
            marks=(),
            steps=(Step(self.name, (match,), 1),),
            window_us=(match.time_us, match.time_us),
            values={name: match.values[name] for name in self._by or () if name in match.values},
        )

    def _remember(self, key: Key, time: int, until: int) -> None:
        self._told[key, time] = until
        self._telling.room.used += 1
        heappush(self._ends, (until, key, time))

    def expire(self, watermark: int) -> None:
        """Forget what was told longer ago than a redelivery counts."""
        while self._ends and self._ends[0][0] < watermark:
            _, key, time = heappop(self._ends)
            del self._told[key, time]
            self._telling.room.used -= 1
            self.changed[key, time] = None

    def entries(self) -> list[tuple[Key, int]]:
        """What is remembered."""
        return list(self._told)

    def stored(self, entry: tuple[Key, int]) -> bytes | None:
        """The stored form of an entry; ``None`` if it is gone."""
        until = self._told.get(entry)
        return None if until is None else codec.encode(until)

    def load(self, key: Key, time: int, data: bytes) -> None:
        """Put back an entry."""
        self._remember(key, time, int(codec.decode(data)))
