"""The whole of SEMANTICS section 5 as a slow machine: it keeps everything for ever and recomputes everything.

The only state beside the list of what arrived is what the text itself remembers: which completing events have been
judged, which firings have been told, and until when windows of bounded counts have been judged.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from streamer.model import Match
from streamer.sigma.rules import CorrelationRule, CountCondition, RuleSet
from tests.oracle import chains, counts
from tests.oracle.chains import NotWindow
from tests.oracle.twist import TRUE, Twist
from tests.oracle.values import Seen, Token, exported, keys_of, token

Key = tuple[Token, ...]


@dataclass(frozen=True)
class Truth:
    """A firing as the oracle tells it.

    Attributes:
        step: number of the operation that told it.
        marks: marks that it must carry.
        allowed: marks that it may carry: those, those of the firings it rests on, and those of every ``not`` window
            that lies partly where nobody looked, though not because of its own direction.
        members: (rule, time, identity) of the named members; the identity of a firing is its triple.
        new_value: first_seen: the value, which is part of the episode's key.
    """

    rule: str
    key: Key
    time: int
    step: int
    decided: str
    marks: frozenset[str]
    allowed: frozenset[str]
    members: frozenset[Seen]
    value: Fraction | None
    new_values: tuple[Key, ...]
    exports: dict[str, tuple[object, ...]] = field(hash=False, compare=False)

    @property
    def identity(self) -> tuple[str, Key, int]:
        """The triple that is the identity of a firing."""
        return (self.rule, self.key, self.time)


@dataclass(frozen=True)
class _Verdict:
    """One judgement, whatever the type of the rule."""

    what: object
    time: int
    holds: bool
    members: Sequence[Seen]
    taking_part: Iterable[Seen]
    value: Fraction | None = None
    new_value: Key | None = None
    windows: tuple[NotWindow, ...] = ()


@dataclass
class _Kept:
    """Everything about one key of one rule."""

    matches: list[Seen] = field(default_factory=list)
    judged: set[object] = field(default_factory=set)
    told: set[int] = field(default_factory=set)
    judged_until: int | None = None


class World:
    """Feeds, watermarks and the end, in the order told; :attr:`told` grows."""

    def __init__(self, rules: RuleSet, *, start: int | None = None, twist: Twist = TRUE) -> None:
        self.rules = rules
        self.start = start
        self.twist = twist
        self.told: list[Truth] = []
        self.step = 0
        self.late: defaultdict[str, int] = defaultdict(int)
        self._watermark: dict[str, float] = {rule.meta.key: -math.inf for rule in rules.correlations}
        self._kept: dict[str, dict[Key, _Kept]] = {rule.meta.key: {} for rule in rules.correlations}
        self._last_event = -math.inf
        self._at_end = False

    def feed(self, match: Match) -> None:
        """One match of a detection arrives."""
        self.step += 1
        self._last_event = max(self._last_event, match.time_us)
        self._arrive(Seen(match.rule, match.identity, match.time_us, match.cluster, match.values, order=match.identity))

    def advance(self, watermark: float) -> None:
        """The watermark of the stream moves; ranks are judged one after the other."""
        self.step += 1
        for rank in sorted({rule.rank for rule in self.rules.correlations}):
            of_rank = [rule for rule in self.rules.correlations if rule.rank == rank]
            fired: list[Truth] = []
            for rule in of_rank:
                self._watermark[rule.meta.key] = max(watermark, self._watermark[rule.meta.key])
                for key in self._kept[rule.meta.key]:
                    fired.extend(self._judge(rule, key))
            for truth in sorted(fired, key=lambda one: one.time):
                self.told.append(truth)
                self._arrive(self._as_match(truth))

    def finish(self) -> None:
        """Nothing comes any more."""
        self._at_end = True
        self.advance(math.inf)

    def _arrive(self, match: Seen) -> None:
        """Every rule over this rule takes the match; what fires is told and goes up, lower ranks first."""
        waiting: list[tuple[int, int, Seen]] = [(0, 0, match)]
        count = 0
        while waiting:
            waiting.sort(key=lambda one: one[:2])
            current = waiting.pop(0)[2]
            for rule in self.rules.correlations:
                if current.rule not in rule.rules or not self._usable(rule, current):
                    continue
                for truth in sorted(self._take(rule, current), key=lambda one: one.time):
                    self.told.append(truth)
                    count += 1
                    waiting.append((rule.rank, count, self._as_match(truth)))

    def _usable(self, rule: CorrelationRule, match: Seen) -> bool:
        watermark = self._watermark[rule.meta.key]
        if match.time < watermark:
            self.late[rule.meta.key] += 1
            edge = watermark - rule.reach_us
            if match.time < edge or (self.twist.late_edge and match.time == edge) or self.twist.late_dropped:
                return False
        return not isinstance(rule.condition, CountCondition) or counts.takes_part(rule, match)

    def _take(self, rule: CorrelationRule, match: Seen) -> Iterator[Truth]:
        keys = keys_of(match, rule)
        for key in keys[-1:] if self.twist.one_key_per_list else keys:
            kept = self._kept[rule.meta.key].setdefault(key, _Kept())
            known = any(one.rule == match.rule and one.identity == match.identity for one in kept.matches)
            if known and not self.twist.no_dedup:
                continue
            kept.matches.append(match)
            if self.twist.judged_again:
                kept.judged.clear()
            yield from self._judge(rule, key)

    def _as_match(self, truth: Truth) -> Seen:
        """The firing as a match of the rules above."""
        rule = next(one for one in self.rules.correlations if one.meta.key == truth.rule)
        cluster = "" if rule.across_clusters else str(truth.key[0][1])
        marks = truth.allowed
        identity = truth.identity
        order = repr(identity).encode()
        return Seen(truth.rule, identity, truth.time, cluster, truth.exports, order=order, marks=marks)

    def _judge(self, rule: CorrelationRule, key: Key) -> list[Truth]:
        """Everything about this key that can be said now and was not said before."""
        kept = self._kept[rule.meta.key][key]
        watermark = self._watermark[rule.meta.key]
        merged: dict[int, list[_Verdict]] = {}
        for verdict in self._verdicts(rule, kept):
            if verdict.what in kept.judged:
                continue
            if rule.decides == "watermark" and not self.twist.passed(watermark, verdict.time):
                continue
            kept.judged.add(verdict.what)
            if verdict.holds and (verdict.time not in kept.told or self.twist.no_dedup):
                merged.setdefault(verdict.time, []).append(verdict)
        kept.told.update(merged)
        return [self._truth(rule, key, merged[time]) for time in sorted(merged)]

    def _verdicts(self, rule: CorrelationRule, kept: _Kept) -> Iterator[_Verdict]:
        if not isinstance(rule.condition, CountCondition):
            for one in chains.completions(rule, kept.matches, self.twist):
                yield _Verdict(
                    one.what,
                    one.time,
                    not one.vetoed,
                    one.chain,
                    one.taking_part,
                    windows=one.windows,
                )
        elif rule.first_seen:
            learnt = self._learnt_from(rule)
            for seen in counts.first_seen(rule, kept.matches, learnt, self.twist):
                yield _Verdict(
                    seen.what,
                    seen.time,
                    seen.holds,
                    seen.members,
                    seen.members,
                    seen.value,
                    new_value=seen.new_value,
                    windows=(NotWindow(seen.looks_back_to, seen.time - 1, back=True),),
                )
        elif rule.condition.op in counts.UPPER_BOUNDED and rule.type in ("event_count", "value_count"):
            yield from self._windows(rule, kept)
        else:
            positive = rule.type in ("event_count", "value_count")
            for counted in counts.sliding(rule, kept.matches, self.twist):
                if counted.holds or not positive:
                    yield _Verdict(
                        counted.what, counted.time, counted.holds, counted.members, counted.members, counted.value
                    )

    def _windows(self, rule: CorrelationRule, kept: _Kept) -> Iterator[_Verdict]:
        """Windows follow each other; the next opens only after the last was judged."""
        watermark = self._watermark[rule.meta.key]
        while window := counts.opened(rule, kept.matches, kept.judged_until, self.twist):
            if not self.twist.passed(watermark, window.time):
                return
            kept.judged_until = window.time
            yield _Verdict(window.what, window.time, window.holds, window.members, window.members, window.value)

    def _learnt_from(self, rule: CorrelationRule) -> dict[str, int]:
        first: dict[str, int] = {}
        for kept in self._kept[rule.meta.key].values():
            for match in kept.matches:
                first[match.cluster] = min(match.time, first.get(match.cluster, match.time))
        return first

    def _truth(self, rule: CorrelationRule, key: Key, verdicts: Sequence[_Verdict]) -> Truth:
        marks = {"provisional"} if rule.provisional else set()
        allowed = set(marks)
        for window in (window for verdict in verdicts for window in verdict.windows):
            if self._at_end and window.last > self._last_event:
                allowed.add("cut")
                marks |= {"cut"} if window.on else set()
            if self.start is not None and window.first < self.start:
                allowed.add("cold_start")
                marks |= {"cold_start"} if window.back else set()
        members = frozenset(member for verdict in verdicts for member in verdict.members)
        taking_part = [match for verdict in verdicts for match in verdict.taking_part]
        return Truth(
            rule=rule.meta.key,
            key=key,
            time=verdicts[0].time,
            step=self.step,
            decided=rule.decides,
            marks=frozenset(marks),
            allowed=frozenset(allowed.union(*(member.marks for member in members))),
            members=members,
            value=verdicts[0].value,
            new_values=tuple(dict.fromkeys(one.new_value for one in verdicts if one.new_value is not None)),
            exports=exported(rule, key, taking_part),
        )


def normal_key(key: Sequence[object]) -> Key:
    """A key given as plain scalars, as the oracle writes it."""
    return tuple(token(one) for one in key)
