"""How often does it matter? Twenty thousand users, windows at the edge, arrival in order and up to a minute late.

The truth is computed per user without any order: every combination is tried. Nothing may be missed, nothing false.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

import pytest

from streamer.correlate import Correlator
from streamer.model import Evidence, Match, Position
from streamer.sigma.rules import And, CountCondition, Ref, RuleSet
from tests.correlate.properties.build import Draft, detection, link

KEYS = 20_000
MILLISECOND = 1_000
SECOND = 1_000_000
HOURS_US = 6 * 3_600 * SECOND
BASE = 1_750_000_000 * SECOND
RULES = ("three_times", "all_three", "in_order", "a_then_b")

Event = tuple[int, str, str]
"""(time, user, kind)."""
Fired = tuple[str, str, int]
"""(rule, user, time)."""


@cache
def events(span_us: int) -> tuple[Event, ...]:
    """One to six acts per user, most of them around one timespan apart, on a grid of milliseconds."""
    rng = random.Random(span_us)
    made: list[Event] = []
    for number in range(KEYS):
        start = BASE + rng.randrange(0, HOURS_US, MILLISECOND)
        for _ in range(rng.choice((1, 2, 3, 3, 4, 5, 6))):
            distance = rng.choice((0, span_us, rng.randrange(0, span_us * 3 // 2 + 1, MILLISECOND)))
            made.append((start + distance, f"user-{number}", rng.choice("abc")))
    return tuple(sorted(made))


@cache
def truth(span_us: int) -> frozenset[Fired]:
    """Every firing, by trying all combinations of a user's events."""
    by_user: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for time, user, kind in events(span_us):
        by_user[user].append((time, kind))
    return frozenset((rule, user, time) for user, acts in by_user.items() for rule, time in _fired(acts, span_us))


def _fired(acts: list[tuple[int, str]], span_us: int) -> Iterator[tuple[str, int]]:
    for three in itertools.combinations(acts, 3):
        times = [time for time, _ in three]
        if max(times) - min(times) <= span_us:
            yield "three_times", max(times)
            if {kind for _, kind in three} == {"a", "b", "c"}:
                yield "all_three", max(times)
    for three in itertools.permutations(acts, 3):
        times = [time for time, _ in three]
        if times == sorted(times) and "".join(kind for _, kind in three) == "abc" and times[2] - times[0] <= span_us:
            yield "in_order", times[2]
    for (first, one), (second, two) in itertools.permutations(acts, 2):
        if one + two == "ab" and 0 <= second - first <= span_us:
            yield "a_then_b", second


def rule_set(span_us: int) -> RuleSet:
    """The four rules of the table."""

    def user(*rules: str) -> dict[str, dict[str, str]]:
        return {rule: {"user": "user"} for rule in rules}

    def every(*rules: str) -> And:
        return And(tuple(map(Ref, rules)))

    abc, ab = ("a", "b", "c"), ("a", "b")
    drafts = [
        Draft("three_times", "event_count", abc, span_us, CountCondition("gte", 3), ("user",), user(*abc)),
        Draft("all_three", "temporal", abc, span_us, every(*abc), ("user",), user(*abc)),
        Draft("in_order", "temporal_ordered", abc, span_us, every(*abc), ("user",), user(*abc)),
        Draft("a_then_b", "temporal_ordered", ab, span_us, every(*ab), ("user",), user(*ab)),
    ]
    return link([detection(name) for name in abc], drafts)


def told(span_us: int, late_us: int) -> tuple[set[Fired], int]:
    """What the engine tells when every event arrives up to this late; and how many alerts."""
    rng = random.Random(late_us)
    arrived = sorted((time + rng.randrange(late_us + 1), rng.random(), time, user, kind)
                     for time, user, kind in events(span_us))  # fmt: skip
    engine = Correlator(rule_set(span_us))
    evidence = Evidence("audit", "success", "")
    found: set[Fired] = set()
    alerts = newest = 0
    for number, (_, _, time, user, kind) in enumerate(arrived):
        match = Match(
            rule=kind,
            identity=number.to_bytes(16, "big"),
            time_us=time,
            cluster="default",
            values={"user": (user,)},
            position=Position("t", 0, number, is_file=False),
            evidence=evidence,
        )
        results = [engine.feed(match)]
        newest = max(newest, time)
        if number % 20 == 0:
            results.append(engine.advance(newest - late_us))
        for result in results:
            found.update((one.rule, one.key[1].strip('"'), one.time_us) for one in result.firings)
            alerts += len(result.alerts)
    engine.finish()
    return found, alerts


@pytest.mark.parametrize("late_s", [0, 60])
@pytest.mark.parametrize("span_s", [1, 5, 60])
def test_nothing_is_missed_and_nothing_false_at_any_jitter(
    span_s: int, late_s: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """[G1] [G2] arrival within lateness changes nothing: 0 missed, 0 false in every cell."""
    true = truth(span_s * SECOND)
    found, alerts = told(span_s * SECOND, late_s * SECOND)
    cells = []
    for rule in RULES:
        right = {one for one in true if one[0] == rule}
        mine = {one for one in found if one[0] == rule}
        cells.append(f"{rule} {len(right)}, {len(right - mine)}, {len(mine - right)}")
    cell = f"{span_s:>3} s, {late_s:>2} s late, {KEYS:,} keys"
    with capsys.disabled():
        print(f"\n{cell} | {' | '.join(cells)} | {alerts} alerts (true, missed, false)")
    assert found == true
