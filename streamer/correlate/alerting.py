"""Detections that alert by themselves: each a correlation of one (SEMANTICS A1).

Its key is what ``suppress.by`` names, else the event itself. However late an event comes, it is told; what was told is
remembered as long as a correlation without timespan would be, so that a redelivery is told once.
"""

from __future__ import annotations

from heapq import heappop, heappush

from streamer.correlate import codec
from streamer.correlate.keys import canonical, cluster_text, tuples_of
from streamer.correlate.limits import Counters
from streamer.model import Firing, Key, Match, Step
from streamer.sigma.rules import DetectionRule


class AlertingDetection:
    """What one alerting detection has told."""

    def __init__(self, rule: DetectionRule, counters: Counters, room: int) -> None:
        self._room = room
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
        names, keys = self._keys(match)
        fresh = [key for key in keys if (key, match.time_us) not in self._told]
        if not fresh:
            self._counters.duplicates[self.name] += 1
        for key in fresh:
            if len(self._told) >= self._room:
                # What cannot be remembered is told all the same, and again if it comes again.
                self._counters.refused[self.name] += 1
                continue
            self._remember(key, match.time_us, max(match.time_us, watermark) + self.rule.reach_us)
            self.changed[key, match.time_us] = None
        return [self._firing(match, names, key) for key in fresh]

    def _keys(self, match: Match) -> tuple[tuple[str, ...], list[Key]]:
        cluster = cluster_text(match)
        if self._by is not None:
            found, overflow = tuples_of(match.values, self._by)
            self._counters.key_overflow[self.name] += overflow
            if found:
                return ("cluster", *self._by), [(cluster, *key) for key in found]
            # An event without the field must still be told: it is told by itself.
            self._counters.missing_key[self.name] += 1
        return ("cluster", "event"), [(cluster, canonical(match.identity.hex()))]

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
        heappush(self._ends, (until, key, time))

    def expire(self, watermark: int) -> None:
        """Forget what was told longer ago than a redelivery counts."""
        while self._ends and self._ends[0][0] < watermark:
            _, key, time = heappop(self._ends)
            del self._told[key, time]
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
