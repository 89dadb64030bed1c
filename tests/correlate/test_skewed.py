"""`temporal_ordered` with `skew`."""

from __future__ import annotations

import random
from itertools import pairwise, product

import pytest

from tests.correlate.making import SECOND, Bench, correlation, expression, match


def rule(condition: str | None = None, names: str = "a b c", **more):
    stated = expression(condition) if condition else None
    return correlation("o", "temporal_ordered", names, stated, **more)


def test_skew_lets_a_step_precede_its_predecessor():
    """[W2] a step may precede its predecessor by that much; the firing's time is its latest member's."""
    assert Bench(rule(names="a b", skew=2)).feed(match("b", 10), match("a", 12)) == [12]
    assert Bench(rule(names="a b", skew=2)).feed(match("b", 10), match("a", 12.000001)) == []


def test_with_skew_the_chain_still_lies_in_one_timespan():
    """[W2] the chain still lies in one timespan."""
    three = {"skew": 2, "span": 3}
    assert Bench(rule(**three)).feed(match("a", 13), match("b", 12), match("c", 10)) == [13]
    assert Bench(rule(**three)).feed(match("a", 13.5), match("b", 12), match("c", 10)) == []


def test_skew_does_not_apply_to_a_not():
    """[W2] skew does not apply to `not`."""
    bench = Bench(rule("a and c and not b", skew=5))
    bench.feed(match("a", 10), match("b", 9), match("c", 12))
    assert bench.finish() == [12]


@pytest.mark.parametrize("decides", ["arrival", "watermark"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2), (1, 2, 0)])
def test_a_step_just_after_the_completing_event_changes_nothing_that_was_told(order, decides):
    """[G3] the same set of firings in any order within lateness."""
    matches = [match("a", 9), match("b", 10), match("a", 11)]
    bench = Bench(rule(names="a b", skew=2, decides=decides))
    bench.feed(matches[order[0]], matches[order[1]])
    bench.advance(8.5)
    bench.feed(matches[order[2]])
    bench.finish()
    assert sorted(bench.times()) == [10, 11]


def test_what_is_told_of_a_time_rests_on_matches_up_to_it():
    """[C9] time of a firing: its latest member."""
    bench = Bench(rule(names="a b", skew=2, decides="watermark"))
    bench.feed(match("a", 9), match("b", 10))
    assert bench.advance(10.5) == [10]
    bench.feed(match("a", 11))
    assert bench.advance(12) == [11]


@pytest.mark.parametrize("skew", [1, 3])
@pytest.mark.parametrize("decides", ["arrival", "watermark"])
def test_any_order_tells_what_trying_everything_finds(decides, skew):
    """[G1] [G3] in any arrival order: the same set of firings. [W1] [W2] [W3]"""
    rng = random.Random(skew)
    fired = 0
    for _ in range(60):
        matches = []
        for number in range(12):
            at = rng.randrange(20)
            matches += [match(name, at, str(number)) for name in rng.sample("abc", rng.choice((1, 1, 2)))]
        lines = [[(one.time_us, one.identity) for one in matches if one.rule == name] for name in "abc"]
        expected = set()
        for chain in product(*lines):
            found = [time for time, _ in chain]
            if (
                len({identity for _, identity in chain}) == 3
                and max(found) - min(found) <= 6 * SECOND
                and all(after >= before - skew * SECOND for before, after in pairwise(found))
            ):
                expected.add(max(found) / SECOND)
        rng.shuffle(matches)
        bench = Bench(rule(skew=skew, span=6, decides=decides))
        bench.feed(*matches[:9])
        bench = bench.restarted()
        assert bench.all(matches[9:]) == sorted(expected)
        fired += len(expected)
    assert fired > 100
