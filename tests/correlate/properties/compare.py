"""Runs a case through the engine and through the oracle, and says in words where they differ."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from streamer.correlate import Correlator, Told
from streamer.model import Alert, Firing, Match
from streamer.sigma.rules import DAY_US, CorrelationRule, DetectionRule, RuleSet, Suppress
from tests.correlate.properties.build import UNIT
from tests.correlate.properties.cases import BASE, Case
from tests.correlate.properties.truth import run_oracle
from tests.oracle.episodes import Told as ToldTriple
from tests.oracle.episodes import fold
from tests.oracle.values import Token, limited, token
from tests.oracle.world import Truth, World

Identity = tuple[str, tuple[Token, ...], int]
MAX_MEMBERS = 20


@dataclass
class Run:
    """What the engine told: every firing and alert with the number of the operation that told it."""

    firings: list[tuple[int, Firing]] = field(default_factory=list)
    alerts: list[tuple[int, Alert]] = field(default_factory=list)

    def add(self, step: int, told: Told) -> None:
        """Keep what one operation told, in its order."""
        self.firings += [(step, firing) for firing in told.firings]
        self.alerts += [(step, alert) for alert in told.alerts]


def run_engine(case: Case) -> Run:
    """The case through :class:`Correlator`, with restarts where the case has them."""
    engine = Correlator(case.rules, start_us=case.start_us)
    stored: dict[bytes, bytes] = {}
    run = Run()
    step = 0
    for op in case.ops:
        if op[0] == "restart":
            engine = _restarted(engine, case, stored, op[1])
            continue
        step += 1
        run.add(step, engine.feed(op[1]) if op[0] == "feed" else engine.advance(op[1]))
    if case.ends:
        run.add(step + 1, engine.finish())
    return run


def _restarted(engine: Correlator, case: Case, stored: dict[bytes, bytes], how: str) -> Correlator:
    """A new engine that goes on from what was stored: all of it, or the sum of the changes."""
    for entry, value in engine.changes().items():
        if value is None:
            stored.pop(entry, None)
        else:
            stored[entry] = value
    entries = engine.snapshot() if how == "snapshot" else dict(stored)
    fresh = Correlator(case.rules, start_us=case.start_us)
    fresh.restore(entries)
    return fresh


def key_tokens(key: Sequence[str]) -> tuple[Token, ...]:
    """A key of JSON texts, as the oracle writes keys."""
    return tuple(token(json.loads(text)) for text in key)


def identity_of(firing: Firing) -> Identity:
    """The triple that is the identity of a firing."""
    return (firing.rule, key_tokens(firing.key), firing.time_us)


def differences(case: Case) -> list[str]:
    """Everything in which the engine differs from SEMANTICS on this case; empty means none."""
    run, world = run_engine(case), run_oracle(case)
    correlations = {rule.meta.key for rule in case.rules.correlations}
    firings = [(step, firing) for step, firing in run.firings if firing.rule in correlations]
    found = list(_sets(firings, world))
    if found:
        return found
    truths = {truth.identity: truth for truth in world.told}
    unordered = _unordered(case, world)
    for step, firing in firings:
        truth = truths[identity_of(firing)]
        details = list(_told(case, step, firing, truth))
        if truth.identity not in unordered:
            details += _contents(case, firing, truth)
        found += [f"{_name(truth.identity)}: {text}" for text in details]
    found += _alerts(case, run, world)
    return found


def _name(identity: Identity) -> str:
    rule, key, time = identity
    return f"{rule} {[str(value) for _, value in key]} @{(time - BASE) / UNIT:g}"


def _sets(firings: Sequence[tuple[int, Firing]], world: World) -> Iterator[str]:
    """The sets of firings, the heart of it."""
    told = Counter(identity_of(firing) for _, firing in firings)
    true = {truth.identity for truth in world.told}
    for identity in true - told.keys():
        yield f"missed: {_name(identity)}"
    for identity, times in told.items():
        if identity not in true:
            yield f"false: {_name(identity)}"
        elif times > 1:
            yield f"told {times} times: {_name(identity)}"


def _feeds(case: Case) -> set[int]:
    """Numbers of the operations that feed."""
    return {index for index, op in enumerate((op for op in case.ops if op[0] != "restart"), 1) if op[0] == "feed"}


def _unordered(case: Case, world: World) -> set[Identity]:
    """Firings whose contents depend on which of several firings came up first, where nothing says so.

    Told at once (on arrival, or late) they show what had come up by then.
    """
    rules = {rule.meta.key: rule for rule in case.rules.correlations}
    at_once = _feeds(case)
    moments = Counter((one.rule, one.step, None if one.step in at_once else one.time) for one in world.told)
    crowded = {(step, rule) for (rule, step, _), count in moments.items() if count > 1}
    return {
        one.identity
        for one in world.told
        if (one.decided == "arrival" or one.step in at_once)
        and any((one.step, rule) in crowded for rule in rules[one.rule].rules)
    }


def _told(case: Case, step: int, firing: Firing, truth: Truth) -> Iterator[str]:
    """When it was told, and with which marks."""
    if step != truth.step:
        yield f"told by operation {step}, due at {truth.step}"
    if firing.decided != truth.decided:
        yield f"decided {firing.decided}, should be {truth.decided}"
    yield from _marks(case, firing, truth)


def _contents(case: Case, firing: Firing, truth: Truth) -> Iterator[str]:
    """Members, value and exported fields."""
    yield from _members(firing, truth)
    if firing.value != _shown(truth.value):
        yield f"value {firing.value}, should be {_shown(truth.value)}"
    told = {name: {token(one) for one in values} for name, values in firing.values.items() if values}
    true = {name: {token(one) for one in values} for name, values in truth.exports.items()}
    wanted = {name: values for name, values in true.items() if values}
    if {name: values for name, values in told.items() if name in wanted or name in _exports(case, firing)} != wanted:
        yield f"values {told}, should be {wanted}"


def _shown(value: Fraction | None) -> float | None:
    """The value as a float; what no float can hold is not shown."""
    try:
        return None if value is None else float(value)
    except OverflowError:
        return None


def _exports(case: Case, firing: Firing) -> tuple[str, ...]:
    return next(rule.exports for rule in case.rules.correlations if rule.meta.key == firing.rule)


def _marks(case: Case, firing: Firing, truth: Truth) -> Iterator[str]:
    told = set(firing.marks)
    least, most = set(truth.marks), set(truth.allowed)
    if case.start_us is None:
        told.discard("cold_start")
        least.discard("cold_start")
    if not least <= told <= most:
        yield f"marks {sorted(told)}, should be at least {sorted(least)} and at most {sorted(most)}"


def _members(firing: Firing, truth: Truth) -> Iterator[str]:
    """Named members per step: all of them up to twenty, and the true count."""
    for rule in {member.rule for member in truth.members} | {step.rule for step in firing.steps}:
        true = sorted(member.time for member in truth.members if member.rule == rule)
        steps = [step for step in firing.steps if step.rule == rule]
        if sum(step.total for step in steps) != len(true):
            yield f"step {rule} counts {[step.total for step in steps]}, should be {len(true)}"
            continue
        told = sorted(member.time_us for step in steps for member in step.members)
        if told != true[-MAX_MEMBERS:]:
            yield f"step {rule} names times {_units(told)}, should be {_units(true)}"
        events = {member.identity for member in truth.members if member.rule == rule}
        named = {member.identity for step in steps for member in step.members if member.firing is None}
        if not any(isinstance(one, tuple) for one in events) and len(events) <= MAX_MEMBERS and named != events:
            yield f"step {rule} names other events of the same times"


def _units(times: Sequence[int]) -> list[float]:
    return [(time - BASE) / UNIT for time in times]


def _suppression(rules: RuleSet) -> dict[str, Suppress]:
    return {rule.meta.key: rule.suppress for rule in rules.correlations}


def _opening(firing: Firing) -> ToldTriple:
    key = firing.suppress_key if firing.suppress_key is not None else firing.key
    return (firing.rule, key_tokens(key), firing.time_us)


def _episode_key(rule: CorrelationRule, truth: Truth) -> tuple[Token, ...]:
    """The key under which firings are folded: the rule's, or what `suppress.by` names of it."""
    if rule.suppress.by is None:
        return truth.key
    names = (*rule.group_by,) if rule.across_clusters else ("cluster", *rule.group_by)
    wanted = rule.suppress.by if rule.across_clusters else ("cluster", *rule.suppress.by)
    return tuple(truth.key[names.index(name)] for name in wanted)


def _folded(case: Case, run: Run, world: World) -> Iterator[ToldTriple]:
    """What is folded: firings of alerting rules in the order told; of first_seen, one per value that was new."""
    truths = {truth.identity: truth for truth in world.told}
    alerting = {rule.meta.key: rule for rule in case.rules.correlations if rule.alerts}
    for _, firing in run.firings:
        rule = alerting.get(firing.rule)
        if rule is None:
            continue
        truth = truths[identity_of(firing)]
        values = truth.new_values if rule.first_seen and rule.suppress.by is None else ((),)
        for value in values:
            yield (firing.rule, (*_episode_key(rule, truth), *value), firing.time_us)


def _alerts(case: Case, run: Run, world: World) -> Iterator[str]:
    """Alerts are the firings that open an episode, folded in the order told; ids follow from them."""
    alerting = {rule.meta.key for rule in case.rules.correlations if rule.alerts}
    expected, _ = fold(_folded(case, run, world), _suppression(case.rules))
    alerts = [alert for _, alert in run.alerts if alert.firing.rule in alerting]
    openings = [_opening(alert.firing) for alert in alerts]
    if Counter(openings) != Counter(expected):
        yield f"alerts open at {openings}, should be {expected}"
    by_id: dict[str, ToldTriple] = {}
    for alert, opening in zip(alerts, openings, strict=True):
        if by_id.setdefault(alert.id, opening) != opening:
            yield f"one id for two alerts: {opening} and {by_id[alert.id]}"
    if len(by_id) != len(set(openings)):
        yield "two ids for one opening"
    yield from _certain_alerts(case, run, world)
    yield from _detection_alerts(case, run)


def _certain_alerts(case: Case, run: Run, world: World) -> Iterator[str]:
    """What is decided at the watermark is told in order of time, so its alerts are known without the engine.

    Late matches are another matter: several firings that one of them completes have no order of their own.
    """
    feeds = _feeds(case)
    for rule in case.rules.correlations:
        if not rule.alerts or rule.decides != "watermark" or rule.suppress.by is not None:
            continue
        truths = [truth for truth in world.told if truth.rule == rule.meta.key]
        late = Counter((truth.step, truth.key) for truth in truths if truth.step in feeds)
        if any(count > 1 for count in late.values()):
            continue
        told = [
            (truth.rule, (truth.key, value), truth.time)
            for truth in sorted(truths, key=lambda one: (one.step, one.time))
            for value in (truth.new_values or (None,))
        ]
        expected = Counter((key[0], time) for _, key, time in fold(told, _suppression(case.rules))[0])
        found = Counter(
            (key_tokens(alert.firing.key), alert.firing.time_us)
            for _, alert in run.alerts
            if alert.firing.rule == rule.meta.key
        )
        if expected != found:
            yield f"alerts of {rule.meta.key} open at {dict(found)}, should be {dict(expected)}"


def _detection_alerts(case: Case, run: Run) -> Iterator[str]:
    """An alerting detection alerts once per event; with `suppress`, once per episode of its key."""
    for rule in case.rules.detections:
        alerts = [alert for _, alert in run.alerts if alert.firing.rule == rule.meta.key]
        fed = [op[1] for op in case.ops if op[0] == "feed" and op[1].rule == rule.meta.key]
        if not rule.alerts:
            if alerts:
                yield f"{rule.meta.key} alerts although it should not"
            continue
        found = Counter(alert.firing.time_us for alert in alerts)
        expected = Counter(time for _, _, time in _detection_openings(rule, fed))
        if expected != found:
            yield f"alerts of {rule.meta.key} at {dict(found)}, should be {dict(expected)}"


def _detection_openings(rule: DetectionRule, fed: Sequence[Match]) -> list[ToldTriple]:
    """Episodes of the events' own keys; an event without the fields of its key stands for itself."""
    suppress = rule.suppress
    by = suppress.by if suppress is not None else None
    told: dict[ToldTriple, None] = {}
    for match in fed:
        keys: list[tuple[object, ...]] = [(match.identity,)]
        if by is not None and all(match.values.get(name) for name in by):
            lists = [match.values[name] for name in by]
            last = tuple(one[-1] for one in lists)
            keys = [(match.cluster, *map(token, one)) for one in limited(list(itertools.product(*lists)), last)]
        told.update(((rule.meta.key, key, match.time_us), None) for key in keys)
    return fold(told, {rule.meta.key: suppress or Suppress(0, DAY_US)})[0]
