"""How much may be remembered, and what was counted on the way.

Nothing is evicted silently: what does not fit is refused, counted and told (SEMANTICS section 7, "Bounded").
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

FOREVER: Final = 1 << 62
"""The watermark after the end of all input, in microseconds; later than any event."""

BEGINNING: Final = -FOREVER
"""The watermark before anything has been heard of."""


@dataclass(frozen=True, slots=True)
class CorrelateLimits:
    """Bounds of correlation state.

    Attributes:
        entries_per_key: matches (values for ``first_seen``) kept for one key of one rule.
        entries_per_rule: the same for all keys of one rule.
        entries: the same for all rules; and as many entries, far smaller, of what was told (events and episodes).
        reserved: share of the others that only partial matches at step two or later may use, the more the further they
            are, so that a flood of first steps cannot keep an attack under way from completing.
        values_per_match: distinct values one match may add to a ``value_count``.
        sources: contributors remembered per rule, to name the largest.
        alerts_per_rule: alerts of one rule that are told in one hour of event time.
        alerts: the same of all rules; every level has a share of it.
    """

    entries_per_key: int = 50_000
    entries_per_rule: int = 250_000
    entries: int = 500_000
    reserved: float = 0.2
    values_per_match: int = 1024
    sources: int = 64
    alerts_per_rule: int = 1_000
    alerts: int = 20_000


@dataclass(slots=True)
class Room:
    """How many entries all rules hold together."""

    used: int = 0


@dataclass(slots=True)
class Counters:
    """What happened, per rule key. Never part of the state, never reset.

    Attributes:
        late: matches older than the watermark.
        too_late: of those, matches beyond ``reach``, which correlations do not use.
        missing_key: matches without one of the group-by fields.
        missing_value: matches without the counted field, or without a number in it.
        key_overflow: keys left out because one match had more than sixteen.
        duplicates: matches that were told before.
        value_overflow: values left out because one match had too many.
        refused: matches that no limit had room for.
        used: matches taken in.
        abandoned: searches for a chain with skew that were given up; each may have missed one.
        suppressed: alerts that were not told because there were too many in that hour.
    """

    late: Counter[str] = field(default_factory=Counter)
    too_late: Counter[str] = field(default_factory=Counter)
    missing_key: Counter[str] = field(default_factory=Counter)
    missing_value: Counter[str] = field(default_factory=Counter)
    key_overflow: Counter[str] = field(default_factory=Counter)
    value_overflow: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    used: Counter[str] = field(default_factory=Counter)
    abandoned: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
