"""What came true, on its way to a firing.

A state says *what* completed (time, members, window); this module turns it into the immutable :class:`Firing` that
other correlations and alerts are made of. There is one firing per (rule, key, time): completions of equal time are
merged here before anybody hears of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from streamer.correlate.keys import canonical
from streamer.correlate.ledger import NAMED, Moment
from streamer.correlate.limits import BEGINNING, FOREVER
from streamer.correlate.plan import Address, Plan
from streamer.model import Decided, Firing, Key, Match, Scalar, Step

MAX_VALUES: Final = 16
"""Distinct values a firing carries per exported field (SEMANTICS C10)."""


class Gathered:
    """Distinct values of exported fields, each with the latest moment at which it stood in a match."""

    __slots__ = ("_by_name",)

    def __init__(self) -> None:
        self._by_name: dict[str, dict[str, tuple[Moment, Scalar]]] = {}

    def add(self, name: str, match: Match, source: str) -> None:
        """Note the values a match has in a field."""
        moment = (match.time_us, match.identity)
        held = self._by_name.setdefault(name, {})
        for value in match.values.get(source, ()):
            text = canonical(value)
            if text not in held or held[text][0] < moment:
                held[text] = (moment, value)

    def merge(self, other: Gathered) -> None:
        """Take over what another completion of the same time gathered."""
        for name, values in other._by_name.items():
            held = self._by_name.setdefault(name, {})
            for text, (moment, value) in values.items():
                if text not in held or held[text][0] < moment:
                    held[text] = (moment, value)

    def latest_first(self) -> dict[str, tuple[Scalar, ...]]:
        """At most sixteen values per name, latest in time first."""
        found: dict[str, tuple[Scalar, ...]] = {}
        for name in sorted(self._by_name):
            values = sorted(self._by_name[name].values(), key=lambda held: held[0], reverse=True)
            if values:
                found[name] = tuple(value for _, value in values[:MAX_VALUES])
        return found


@dataclass(slots=True)
class Completed:
    """Something a rule says came true.

    Attributes:
        time_us: the time of the firing.
        members: per reference the named matches by identity.
        totals: per reference the true number of members, where it is more than the named.
        window: first and last event time, bounds included.
        value: the count or the aggregate.
        marks: ``cut``, ``cold_start``.
        gathered: values of exported fields.
        seen: for ``first_seen`` the values seen for the first time, as key texts.
        looks_from: the earliest time whose emptiness it rests on (``not``, ``first_seen``).
        looks_until: the end of the last ``not`` window.
    """

    time_us: int
    members: dict[int, dict[bytes, Match]]
    totals: dict[int, int]
    window: tuple[int, int]
    value: float | None = None
    marks: set[str] = field(default_factory=set)
    gathered: Gathered = field(default_factory=Gathered)
    seen: tuple[Key, ...] = ()
    looks_from: int = FOREVER
    looks_until: int = BEGINNING

    def merge(self, other: Completed) -> None:
        """Take over another completion of the same time."""
        for ref, matches in other.members.items():
            self.members.setdefault(ref, {}).update(matches)
        for ref, total in other.totals.items():
            self.totals[ref] = max(self.totals.get(ref, 0), total)
        self.window = (min(self.window[0], other.window[0]), max(self.window[1], other.window[1]))
        self.marks |= other.marks
        self.gathered.merge(other.gathered)
        self.seen = (*self.seen, *(one for one in other.seen if one not in self.seen))
        self.looks_from = min(self.looks_from, other.looks_from)
        self.looks_until = max(self.looks_until, other.looks_until)


def merged(completions: Iterable[Completed]) -> list[Completed]:
    """One completion per time, in order of time."""
    by_time: dict[int, Completed] = {}
    for one in completions:
        if one.time_us in by_time:
            by_time[one.time_us].merge(one)
        else:
            by_time[one.time_us] = one
    return [by_time[time] for time in sorted(by_time)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """When something was decided: on arrival or at the watermark, and the time that decided it."""

    decided: Decided
    time_us: int


def firing_of(plan: Plan, address: Address, done: Completed, verdict: Verdict) -> Firing:
    """The firing of a completion."""
    marks = set(done.marks)
    if plan.rule.provisional:
        marks.add("provisional")
    values = done.gathered.latest_first()
    values |= _key_values(plan, address.key)
    decided_us = verdict.time_us if verdict.time_us < FOREVER else done.time_us
    return Firing(
        rule=address.rule,
        key_names=plan.key_names,
        key=address.key,
        time_us=done.time_us,
        decided=verdict.decided,
        decided_us=decided_us,
        marks=tuple(sorted(marks)),
        steps=_steps(plan, done),
        window_us=done.window,
        value=done.value,
        values=values,
        suppress_key=_suppress_key(plan, address.key, values, done),
    )


def _key_values(plan: Plan, key: Key) -> dict[str, tuple[Scalar, ...]]:
    parts = dict(zip(plan.key_names, key, strict=True))
    return {name: (json.loads(parts[name]),) for name in plan.rule.group_by}


def _suppress_key(plan: Plan, key: Key, values: dict[str, tuple[Scalar, ...]], done: Completed) -> Key | None:
    """The episode's key where it is not the firing's: by other fields, or with the value seen first."""
    by = plan.rule.suppress.by
    if by is not None and all(values.get(name) for name in by):
        parts: list[str] = [] if plan.rule.across_clusters else [key[0]]
        for name in by:
            texts = sorted(map(canonical, values[name]))
            parts.append(texts[0] if len(texts) == 1 else f"[{','.join(texts)}]")
        return tuple(parts)
    if done.seen:
        return (*key, *done.seen[0])
    return None


def _steps(plan: Plan, done: Completed) -> tuple[Step, ...]:
    steps: list[Step] = []
    for ref in sorted(done.members):
        matches = sorted(done.members[ref].values(), key=lambda match: (match.time_us, match.identity))
        total = max(done.totals.get(ref, 0), len(matches))
        steps.append(Step(plan.refs[ref], tuple(matches[-NAMED:]), total))
    return tuple(steps)


def firing_identity(firing: Firing) -> bytes:
    """Sixteen bytes that stand for (rule, key, time)."""
    text = json.dumps([firing.rule, list(firing.key), firing.time_us], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def match_of(firing: Firing, across_clusters: bool) -> Match:
    """The match a firing is for the correlations that reference its rule."""
    return Match(
        rule=firing.rule,
        identity=firing_identity(firing),
        time_us=firing.time_us,
        cluster="" if across_clusters else str(json.loads(firing.key[0])),
        values=firing.values,
        firing=firing,
    )
