"""The events behind an alert, laid out on one line of time, with what joins each to those before it.

A firing holds the members of its steps; a member may itself be a firing with steps of its own. The leaves of that tree
are the events. What joins two events is the key of the smallest firing that holds both: if a run id led from the
gateway to the workflow and a pod uid from the pod to its output, each link says so, whatever the rules are called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from streamer.ecs.safe import safe_value, scalar_of
from streamer.model import Firing, Match, Scalar
from streamer.sigma.rules import And, CorrelationRule, CountCondition, DetectionRule, Not

Rules: TypeAlias = Mapping[str, DetectionRule | CorrelationRule]

MAX_VISITED: Final = 2_000
"""Leaves looked at; steps of steps of steps could be many."""
MAX_MEMBERS: Final = 100
"""Events shown; the earliest and the latest stay, true counts stand beside."""


@dataclass(frozen=True, slots=True)
class Join:
    """What joins an event to the earlier ones.

    Attributes:
        rule: key of the correlation that says so.
        exact: its key names the thing itself; else the two only share the key and happened close in time.
        by: key fields and their values, without the cluster.
    """

    rule: str
    exact: bool
    by: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Member:
    """One event behind an alert.

    Attributes:
        match: the match of a detection rule.
        join: ``None`` for the first event.
        first_seen: fields whose value was new, as a first-seen rule said.
    """

    match: Match
    join: Join | None
    first_seen: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class StepCount:
    """How many events of one detection rule contributed, and how many of them are shown."""

    rule: str
    total: int
    shown: int


@dataclass(frozen=True, slots=True)
class Line:
    """All events behind a firing in the order of their time, and the true counts per detection rule."""

    members: tuple[Member, ...]
    steps: tuple[StepCount, ...]
    absent: tuple[str, ...]

    @property
    def total(self) -> int:
        """Contributing events, those included that are not shown."""
        return sum(step.total for step in self.steps)


def marks_of(firing: Firing) -> tuple[str, ...]:
    """The marks of a firing and of every firing below it: what rests on an uncertain statement is uncertain."""
    marks, waiting = set(firing.marks), [firing]
    for _ in range(MAX_VISITED):
        if not waiting:
            break
        below = [member.firing for step in waiting.pop().steps for member in step.members if member.firing is not None]
        marks.update(mark for inner in below for mark in inner.marks)
        waiting += below
    return tuple(sorted(marks))


_Path: TypeAlias = tuple[Firing, ...]
_Leaf: TypeAlias = tuple[Match, _Path]


def line_of(firing: Firing, rules: Rules) -> Line:
    """Lay out the events behind ``firing``. The same firing gives the same line."""
    leaves: dict[tuple[str, bytes], _Leaf] = {}
    totals: dict[str, int] = {}
    absent: dict[str, None] = {}
    for node in _firings(firing):
        for step in node[-1].steps:
            if any(match.firing is None for match in step.members):
                totals[step.rule] = totals.get(step.rule, 0) + step.total
            for match in step.members:
                if match.firing is None and len(leaves) < MAX_VISITED:
                    leaves.setdefault((match.rule, match.identity), (match, node))
        absent.update(dict.fromkeys(_negated(rules.get(node[-1].rule))))
    ordered = sorted(leaves.values(), key=lambda leaf: _order(leaf[0]))
    if len(ordered) > MAX_MEMBERS:
        ordered = ordered[: MAX_MEMBERS // 2] + ordered[-MAX_MEMBERS // 2 :]
    members = tuple(
        Member(match, _join(ordered[:index], path, rules), _first_seen(match, path[-1], rules))
        for index, (match, path) in enumerate(ordered)
    )
    shown: dict[str, int] = {}
    for match, _ in ordered:
        shown[match.rule] = shown.get(match.rule, 0) + 1
    steps = tuple(StepCount(rule, max(total, shown.get(rule, 0)), shown.get(rule, 0)) for rule, total in totals.items())
    return Line(members, steps, tuple(absent))


def _order(match: Match) -> tuple[int, tuple[str, int, int, int], bytes, str]:
    """By time; what happened at one time in the order of the records, so that log lines read as they were written."""
    place = match.position
    where = (place.source, place.partition, place.offset, match.index) if place else ("", 0, 0, 0)
    return (match.time_us, where, match.identity, match.rule)


def key_values(firing: Firing) -> dict[str, Scalar]:
    """The firing's key, ``cluster`` included, as values that may be shown."""
    return {name: safe_value(scalar_of(text)) for name, text in zip(firing.key_names, firing.key, strict=False)}


def _firings(root: Firing) -> Iterator[_Path]:
    """The firing and all firings below it, each once, with the way down to it."""
    seen: set[tuple[str, tuple[str, ...], int]] = set()
    waiting: list[_Path] = [(root,)]
    while waiting and len(seen) < MAX_VISITED:
        path = waiting.pop(0)
        node = path[-1]
        if (identity := (node.rule, node.key, node.time_us)) in seen:
            continue
        seen.add(identity)
        yield path
        for step in node.steps:
            waiting.extend((*path, match.firing) for match in step.members if match.firing is not None)


def _join(earlier: Sequence[_Leaf], path: _Path, rules: Rules) -> Join | None:
    """The key of the smallest firing that this leaf shares with an earlier one; an exact one if there is any."""
    shared = {_shared(path, other) for _, other in earlier} - {0}
    found = [_joined(path[depth - 1], rules) for depth in sorted(shared, reverse=True)]
    return next((join for join in found if join.exact), found[0] if found else None)


def _joined(firing: Firing, rules: Rules) -> Join:
    rule = rules.get(firing.rule)
    exact = isinstance(rule, CorrelationRule) and rule.link_exact
    return Join(firing.rule, exact, {name: value for name, value in key_values(firing).items() if name != "cluster"})


def _shared(one: _Path, other: _Path) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left is not right:
            break
        count += 1
    return count


def _first_seen(match: Match, firing: Firing, rules: Rules) -> dict[str, Scalar]:
    rule = rules.get(firing.rule)
    if not isinstance(rule, CorrelationRule) or not rule.first_seen:
        return {}
    if not isinstance(rule.condition, CountCondition):
        return {}
    names = rule.fields_of.get(match.rule, {})
    new: dict[str, Scalar] = {}
    for name in rule.condition.fields:
        field = names.get(name, name)
        if values := match.values.get(field):
            new[field] = safe_value(values[0])
    return new


def _negated(rule: DetectionRule | CorrelationRule | None) -> tuple[str, ...]:
    """Rules whose absence the correlation asks for."""
    if not isinstance(rule, CorrelationRule):
        return ()
    items = rule.condition.items if isinstance(rule.condition, And) else ()
    return tuple(item.item.rule for item in items if isinstance(item, Not))
