"""Sums, averages, medians and percentiles."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from streamer.correlate.aggregates import numbers_of, units
from tests.correlate.making import SECOND, Bench, correlation, count, match


def rule(type_: str, op: str, threshold: float, percentile: float | None = None, **more):
    return correlation("n", f"value_{type_}", "a", count(op, threshold, "v", percentile=percentile), **more)


def values(*numbers, start: float = 0):
    return [match("a", start + at, v=number) for at, number in enumerate(numbers)]


@pytest.mark.parametrize(
    ("stated", "numbers", "fires"),
    [
        (rule("sum", "gte", 6), (1, 2, 3), [2]),
        (rule("sum", "lt", -5), (0, -5, -1), [2]),
        (rule("avg", "gte", 0.5), (0, 1, 0), [1]),
        (rule("median", "eq", 2), (1, 3, 2), [1, 2]),
        (rule("median", "gt", 2), (1, 10, 3), [1, 2]),
        (rule("percentile", "gte", 1000, 50.0), (10, 10, 10), []),
        (rule("percentile", "eq", 3.25, 25.0), (1, 10), [1]),
        (rule("percentile", "eq", 10, 100.0), (1, 10, 2), [1, 2]),
        (rule("percentile", "eq", 1, 0.0), (1, 10, 2), [0, 1, 2]),
        (rule("sum", "neq", 0), (0, 1, -1), [1]),
    ],
)
def test_an_aggregate_is_judged_for_every_event(stated, numbers, fires):
    """[C4] judged for every event m over [m - timespan, m]; linear between closest ranks; negative and fractional
    thresholds."""
    assert Bench(stated).all(values(*numbers)) == fires


def test_aggregates_are_exact():
    """[C4] neither rounding nor the order of addition tips a comparison."""
    assert Bench(rule("sum", "eq", 0.30000000000000004)).all(values(0.1, 0.2)) == []
    exact = float(Fraction(0.1) + Fraction(0.25))
    assert Bench(rule("sum", "eq", 0.5)).all(values(1e300, 0.5, -1e300)) == [2]
    assert Bench(rule("sum", "gt", 2.0**53)).all(values(2**53, 1)) == [1]
    assert exact == 0.35


def test_booleans_and_strings_are_no_numbers():
    """[C4] a number in the field; others are skipped and counted."""
    bench = Bench(rule("sum", "gte", 0))
    assert bench.all(values(True, "7", 5)) == [2]
    assert bench.correlator.counters.missing_value["n"] == 2
    assert numbers_of(match("a", 1, v=[1, True, "2", 2.5]), ("v",)) == [1, 2.5]


def test_the_window_slides():
    """[C4] in [m - timespan, m]. [W1] bounds included."""
    bench = Bench(rule("sum", "gte", 2, span=10))
    assert bench.all([match("a", at, v=1) for at in (0, 10, 20.5)]) == [10]


def test_an_aggregate_waits_for_the_watermark():
    """[C4] judged when the watermark has passed the event."""
    bench = Bench(rule("avg", "gte", 2))
    bench.feed(match("a", 10, v=4))
    assert bench.advance(10) == []
    bench.feed(match("a", 10, "late within lateness", v=0))
    assert bench.advance(11) == [10]
    assert bench.told.firings[0].value == 2.0


def test_a_late_event_is_judged_at_once_and_others_not_again():
    """[T6] a completing event, once judged, is not judged again."""
    bench = Bench(rule("sum", "gte", 5))
    bench.feed(match("a", 10, v=4))
    bench.advance(20)
    assert bench.feed(match("a", 5, v=3)) == []
    assert bench.feed(match("a", 6, v=3)) == [6]
    assert bench.finish() == []


@pytest.mark.parametrize("kind", ["sum", "avg", "median", "percentile"])
def test_any_order_tells_what_arithmetic_by_hand_finds(kind):
    """[G3] in any order within lateness: the same set of firings."""
    rng = random.Random(kind)
    for _ in range(40):
        matches = [match("a", rng.randrange(40), str(n), v=rng.choice((1, -2, 0.1, 7, 2.5))) for n in range(25)]
        expected = set()
        for one in matches:
            window = [other for other in matches if 0 <= one.time_us - other.time_us <= 8 * SECOND]
            numbers = sorted(Fraction(other.values["v"][0]) for other in window)
            place = Fraction(len(numbers) - 1) * (Fraction(30, 100) if kind == "percentile" else Fraction(1, 2))
            low = numbers[int(place)]
            high = numbers[min(int(place) + 1, len(numbers) - 1)]
            result = {
                "sum": sum(numbers),
                "avg": Fraction(sum(numbers), len(numbers)),
                "median": low + (high - low) * (place - int(place)),
                "percentile": low + (high - low) * (place - int(place)),
            }[kind]
            if result >= Fraction(1.7):
                expected.add(one.time_us / SECOND)
        rng.shuffle(matches)
        bench = Bench(rule(kind, "gte", 1.7, 30.0 if kind == "percentile" else None, span=8))
        bench.feed(*matches[:20])
        bench = bench.restarted()
        assert bench.all(matches[20:]) == sorted(expected)


def test_units_are_exact():
    for number in (0.1, -3, 5e-324, 1e308, 0):
        assert Fraction(units(number), 1 << 1074) == Fraction(number)
