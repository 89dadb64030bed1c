"""A flood of alerts: what nobody could read is counted instead of told, and that is said.

In one hour of event time a rule may tell so many alerts, and all rules of one level together so many. The levels have
fixed shares of the whole, and none uses another's: which critical alerts are told depends on no alert of a lower level.
The first alert of a rule that is not told in an hour is said at once; the exact number, when the watermark has passed
the hour. Hours are the watermark's: a stamp from the future neither opens nor ends one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Final

from streamer.correlate import codec
from streamer.correlate.limits import BEGINNING, FOREVER, CorrelateLimits
from streamer.correlate.pressure import Contributors
from streamer.model import Firing, Notice
from streamer.sigma.rules import HOUR_US, LEVELS, Level

SHARES: Final[Mapping[Level, float]] = {
    "informational": 0.05,
    "low": 0.1,
    "medium": 0.2,
    "high": 0.25,
    "critical": 0.4,
}
"""How much of the alerts of an hour is for each level; what one leaves over is not for the others."""

LEAST: Final = 100
"""Where a limit is divided among partitions, each gets so many at least (or the whole limit, if that is less)."""

_SOURCES: Final = 16
"""Contributors to what is not told that are remembered per rule, to name the largest."""

_HOUR: Final = ""
"""Stands where the key of a rule stands, for what is true of all rules; no rule has this key."""


@dataclass(slots=True)
class _Hour:
    """What a rule did in the hour that is going on."""

    told: int = 0
    suppressed: int = 0
    first_us: int = 0
    sources: Contributors = field(default_factory=lambda: Contributors(_SOURCES))


class FloodGate:
    """Decides which alerts are told.

    Args:
        levels: of every rule that may alert, by its key. Alerts of rules not named here are not counted.
        limits: how many alerts are told in an hour.
        suppressed: where alerts that are not told are counted, by rule.
        where: said in notices where several gates tell the same reader, for example ``partition 3``.

    Attributes:
        notices: what is to be said; the caller takes it.
        changed: keys of the rules whose stored form changed.
    """

    def __init__(
        self,
        levels: Mapping[str, Level],
        limits: CorrelateLimits,
        suppressed: Counter[str],
        where: str = "",
    ) -> None:
        self.notices: list[Notice] = []
        self.changed: dict[str, None] = {}
        self._levels = levels
        self._limits = limits
        self._suppressed = suppressed
        self._where = f" in {where}" if where else ""
        self._hour = BEGINNING // HOUR_US
        self._rules: dict[str, _Hour] = {}
        self._told: Counter[Level] = Counter()

    @property
    def hour_us(self) -> int:
        """When the hour of the watermark began."""
        return self._hour * HOUR_US

    def admits(self, firing: Firing) -> bool:
        """Whether the alert that a firing opens is told; otherwise it is counted."""
        rule = firing.rule
        level = self._levels.get(rule)
        if level is None:
            return True
        hour = self._rules.setdefault(rule, _Hour())
        self.changed[rule] = None
        full = self._full(hour, level)
        if not full:
            hour.told += 1
            self._told[level] += 1
            return True
        self._suppress(firing, hour, full)
        return False

    def _full(self, hour: _Hour, level: Level) -> str:
        """Which limit has no room for one more alert; empty if all have."""
        if hour.told >= self._limits.alerts_per_rule:
            return f"{self._limits.alerts_per_rule} alerts of this rule (limits.alerts_per_rule)"
        share = share_of(self._limits, level)
        if self._told[level] >= share:
            return f"{share} alerts of all rules of level {level} (their share of limits.alerts)"
        return ""

    def _suppress(self, firing: Firing, hour: _Hour, full: str) -> None:
        hour.suppressed += 1
        self._suppressed[firing.rule] += 1
        for name, text in zip(firing.key_names, firing.key, strict=True):
            hour.sources.add(f"{name}={text}")
        if hour.suppressed == 1:
            hour.first_us = firing.time_us
            self.notices.append(
                Notice(
                    "alert-flood",
                    firing.rule,
                    firing.time_us,
                    f"{full} were told in one hour{self._where}: further ones of this rule are counted and not told "
                    "until the hour ends; then their number is said. Suppress by fewer fields, narrow the rule, or "
                    "raise the limit.",
                    hour.sources.top(),
                )
            )

    def advance(self, watermark_us: int) -> None:
        """The watermark moved; if it has passed the hour, say what was suppressed in it and begin the next."""
        hour = watermark_us // HOUR_US
        if hour > self._hour:
            self.finish()
            self._hour = hour
            self.changed[_HOUR] = None

    def finish(self) -> None:
        """The hour has ended: say what was suppressed in it."""
        for rule, ended in self._rules.items():
            self.changed[rule] = None
            if ended.suppressed:
                self.notices.append(self._summary(rule, ended))
        self._rules = {}
        self._told.clear()

    def _summary(self, rule: str, ended: _Hour) -> Notice:
        # Before anything is heard of, and after all has ended, there is no hour to name.
        has_end = BEGINNING // HOUR_US < self._hour < FOREVER // HOUR_US
        named = "" if rule in self._levels else f" (rule {rule}, which does not run any more)"
        return Notice(
            "alert-flood",
            rule if rule in self._levels else None,
            (self._hour + 1) * HOUR_US if has_end else ended.first_us,
            f"{ended.suppressed} alerts of this rule{named} were not told in the hour that has ended{self._where}; "
            f"{ended.told} were. The episodes they belong to are counted on.",
            ended.sources.top(),
        )

    # -- being stored -----------------------------------------------------------------------------------------------

    def known(self) -> list[str]:
        """What there is to store: keys of rules, and the hour itself."""
        has_begun = self._hour > BEGINNING // HOUR_US
        return [*([_HOUR] if has_begun else []), *self._rules]

    def stored(self, rule: str) -> bytes | None:
        """The stored form of a rule's hour, or of the hour itself; ``None`` if it has none."""
        if rule == _HOUR:
            return codec.encode(self._hour)
        hour = self._rules.get(rule)
        if hour is None:
            return None
        return codec.encode([hour.told, hour.suppressed, hour.first_us, hour.sources.counts])

    def load(self, rule: str, data: bytes) -> None:
        """Put back a rule's hour, also of a rule that does not run any more: its number has still to be said."""
        if rule == _HOUR:
            self._hour = int(codec.decode(data))
            return
        told, suppressed, first_us, counts = codec.decode(data)
        hour = self._rules[rule] = _Hour(told, suppressed, first_us)
        hour.sources.counts = counts
        level = self._levels.get(rule)
        if level is not None:
            self._told[level] += told


def share_of(limits: CorrelateLimits, level: Level) -> int:
    """How many alerts of this level are told in an hour, at least one."""
    return max(1, int(limits.alerts * SHARES[level]))


def divided(limits: CorrelateLimits, partitions: int) -> CorrelateLimits:
    """Limits of one of so many partitions, which know nothing of each other.

    Memory is divided exactly; alerts leave room for chance.
    """

    def part(whole: int, least: int = 1) -> int:
        return max(ceil(whole / partitions), min(whole, least))

    return replace(
        limits,
        entries_per_key=min(limits.entries_per_key, part(limits.entries_per_rule)),
        entries_per_rule=part(limits.entries_per_rule),
        entries=part(limits.entries),
        alerts_per_rule=part(limits.alerts_per_rule, LEAST),
        alerts=part(limits.alerts, LEAST * len(LEVELS)),
    )
