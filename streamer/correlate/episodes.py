"""Many firings, one alert: episodes, alert ids, and what an alert says about its chain.

An episode begins with a firing and goes on while firings follow within the gap, at most for the maximum. Only the
firing that opens it is told to people. Late firings may reach into the past of an episode or join two; nothing that
was told is taken back (SEMANTICS A2).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from streamer.correlate import codec
from streamer.correlate.flood import FloodGate
from streamer.correlate.limits import CorrelateLimits, Counters, Room
from streamer.correlate.pressure import Contributors, Pressure
from streamer.correlate.told import Told
from streamer.model import Alert, Firing, Key
from streamer.sigma.rules import CorrelationRule, DetectionRule, RuleSet, Suppress

_ONCE = Suppress(gap_us=0, max_us=0)


@dataclass(slots=True)
class Episode:
    """Earliest and latest firing, and how many there were."""

    begin: int
    last: int
    count: int = 1

    def joins(self, time: int, suppress: Suppress) -> bool:
        """Whether a firing of this time belongs to it."""
        near = self.begin - suppress.gap_us <= time <= self.last + suppress.gap_us
        return near and abs(time - self.begin) <= suppress.max_us


class EpisodeBook:
    """The episodes of one rule."""

    def __init__(self, suppress: Suppress, hold_us: int, limits: CorrelateLimits, room: Room) -> None:
        self._suppress = suppress
        self._limits = limits
        self._room = room
        self._hold = hold_us
        self._episodes: dict[Key, list[Episode]] = {}
        self._ends: list[tuple[int, Key]] = []
        self.changed: dict[Key, None] = {}

    def __len__(self) -> int:
        return len(self._episodes)

    def has_room(self, key: Key) -> bool:
        """Whether an episode of this key can be remembered."""
        if key in self._episodes:
            return True
        return len(self._episodes) < self._limits.entries_per_rule and self._room.used < self._limits.entries

    def fold(self, key: Key, time: int) -> bool:
        """Take a firing in for which there is room; ``True`` if it opens an episode."""
        episodes = self._episodes.get(key)
        self.changed[key] = None
        if episodes is None:
            episodes = self._episodes[key] = []
            self._room.used += 1
            heappush(self._ends, (time, key))
        joined = [one for one in episodes if one.joins(time, self._suppress)]
        for one in joined:
            one.begin, one.last, one.count = min(one.begin, time), max(one.last, time), one.count + 1
        if not joined:
            episodes.append(Episode(time, time))
        return not joined

    def expire(self, watermark: int) -> None:
        """Forget the episodes no firing within reach can join."""
        while self._ends and self._ends[0][0] + self._hold < watermark:
            _, key = heappop(self._ends)
            kept = [one for one in self._episodes[key] if one.last + self._hold >= watermark]
            if len(kept) != len(self._episodes[key]):
                self.changed[key] = None
            if kept:
                self._episodes[key] = kept
                heappush(self._ends, (min(one.last for one in kept), key))
            else:
                del self._episodes[key]
                self._room.used -= 1

    def known(self) -> list[Key]:
        """The keys that have an episode."""
        return list(self._episodes)

    def stored(self, key: Key) -> bytes | None:
        """The stored form of a key's episodes; ``None`` if there are none."""
        episodes = self._episodes.get(key)
        return codec.encode([(one.begin, one.last, one.count) for one in episodes]) if episodes else None

    def load(self, key: Key, data: bytes) -> None:
        """Put back a key's episodes."""
        self._room.used += key not in self._episodes
        self._episodes[key] = [Episode(int(begin), int(last), int(count)) for begin, last, count in codec.decode(data)]
        heappush(self._ends, (min(one.last for one in self._episodes[key]), key))


def alert_id(rule: DetectionRule | CorrelationRule, key: Key, time_us: int) -> str:
    """Thirty-two hex digits that stand for this episode on every machine (SEMANTICS A3)."""
    named = rule.meta.id or rule.meta.key
    text = json.dumps([named, rule.meta.meaning, list(key), time_us], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Links:
    """Counts the joins along a chain: those by a key that names the thing itself, and those by time only."""

    def __init__(self, rules: dict[str, CorrelationRule]) -> None:
        self._rules = rules

    def of(self, firing: Firing) -> tuple[int, int]:
        """Exact and by time, nested firings included: of each step the latest member is the one on the chain."""
        rule = self._rules.get(firing.rule)
        joins = max(0, len(firing.steps) - 1)
        exact = joins if rule is not None and rule.link_exact else 0
        by_time = joins - exact
        for step in firing.steps:
            nested = step.members[-1].firing if step.members else None
            if nested is not None:
                below = self.of(nested)
                exact, by_time = exact + below[0], by_time + below[1]
        return exact, by_time


class Alerter:
    """Turns the firings of one rule into alerts.

    Args:
        rule: the rule.
        suppress: how its firings are folded.
        hold_us: how long after its last firing an episode may still be joined.
        links: counts the joins of a chain.
        limits: how many episodes are remembered.
        telling: what all alerters share.

    Attributes:
        pressure: the limits of telling, as far as they were hit.
    """

    def __init__(
        self,
        rule: DetectionRule | CorrelationRule,
        suppress: Suppress,
        hold_us: int,
        links: Links,
        limits: CorrelateLimits,
        telling: Telling,
    ) -> None:
        self._rule = rule
        self._links = links
        self.telling = telling
        self.pressure = Pressure(rule.meta.key, Contributors(limits.sources))
        self.book = EpisodeBook(suppress, hold_us, limits, telling.room)

    def tell(self, firing: Firing, suppress_keys: tuple[Key, ...], told: Told) -> None:
        """Add the alerts a firing opens: one for every episode key it has (its own key if none are given)."""
        own = firing.suppress_key or firing.key
        for key in suppress_keys or (own,):
            if not self._opens(key, firing) or not self.telling.gate.admits(firing):
                continue
            shown = firing if key == own else replace(firing, suppress_key=key)
            exact, by_time = self._links.of(firing)
            told.alerts.append(Alert(alert_id(self._rule, key, firing.time_us), shown, exact, by_time))
        if self.pressure.notices:
            told.notices += self.pressure.notices
            self.pressure.notices = []

    def _opens(self, key: Key, firing: Firing) -> bool:
        """Whether a firing opens an episode. One that cannot be remembered is told all the same."""
        if self.book.has_room(key):
            return self.book.fold(key, firing.time_us)
        names = [f"{name}={text}" for name, text in zip(firing.key_names, firing.key, strict=True)]
        self.pressure.left_out("episodes", names, firing.time_us, self.telling.gate.hour_us)
        return True


@dataclass(frozen=True, slots=True)
class Telling:
    """What the alerters of all rules share.

    Attributes:
        gate: decides which alerts are told.
        room: how many told events and episodes are remembered.
    """

    gate: FloodGate
    room: Room


class Alerters:
    """The alerters of all rules that alert, by rule key, and the gate that all their alerts pass.

    Args:
        rules: what runs.
        limits: how many episodes are remembered, and how many alerts told.
        counters: where suppressed alerts are counted.
        where: names this gate in notices, where several tell the same reader.
    """

    def __init__(self, rules: RuleSet, limits: CorrelateLimits, counters: Counters, where: str = "") -> None:
        links = Links({rule.meta.key: rule for rule in rules.correlations})
        levels = {key: rule.meta.level for key, rule in rules.by_key().items()}
        self.gate = FloodGate(levels, limits, counters.suppressed, where)
        telling = Telling(self.gate, Room())
        self.by_rule: dict[str, Alerter] = {}
        for rule in rules.correlations:
            if rule.alerts:
                hold = max(rule.suppress.gap_us, rule.timespan_us) + rule.reach_us
                self.by_rule[rule.meta.key] = Alerter(rule, rule.suppress, hold, links, limits, telling)
        for detection in rules.detections:
            if detection.alerts:
                suppress = detection.suppress or _ONCE
                hold = suppress.gap_us + detection.reach_us
                self.by_rule[detection.meta.key] = Alerter(detection, suppress, hold, links, limits, telling)

    def tell(self, told: Told) -> None:
        """Add the alerts that the firings of a step open."""
        for firing, seen in zip(told.firings, told.seen, strict=True):
            alerter = self.by_rule.get(firing.rule)
            if alerter is not None:
                alerter.tell(firing, seen if firing.suppress_key in seen else (), told)
        self._say(told)

    def advance(self, watermark_us: int, told: Told) -> None:
        """The watermark moved: say what was suppressed in the hour it has passed. Before the alerts it decides."""
        self.gate.advance(watermark_us)
        self._say(told)

    def expire(self, watermark_us: int) -> None:
        """Forget the episodes that nothing can join any more."""
        for alerter in self.by_rule.values():
            alerter.book.expire(watermark_us)

    def finish(self, told: Told) -> None:
        """Nothing will come any more: say what was suppressed."""
        self.gate.finish()
        self._say(told)

    def _say(self, told: Told) -> None:
        if self.gate.notices:
            told.notices += self.gate.notices
            self.gate.notices = []
