"""Counts with an upper bound."""

from __future__ import annotations

import pytest

from tests.correlate.making import SECOND, Bench, correlation, count, match


def rule(op: str, threshold: float, **more):
    return correlation("n", "event_count", more.pop("names", "a"), count(op, threshold), **more)


def test_the_first_match_opens_a_window_judged_once_at_its_end():
    """[C3] at its end the count is judged once and the firing's time is that end."""
    bench = Bench(rule("lt", 3))
    bench.feed(match("a", 100), match("a", 110))
    assert bench.correlator.next_deadline() == 160 * SECOND + 1
    assert bench.advance(160) == []
    assert bench.advance(160.000001) == [160]
    assert (bench.told.firings[0].value, bench.told.firings[0].window_us) == (2.0, (100 * SECOND, 160 * SECOND))


def test_the_next_match_after_it_opens_the_next_window():
    """[C3] the next match after it opens the next window; bounds included."""
    bench = Bench(rule("lt", 3))
    assert bench.all([match("a", at) for at in (100, 130, 160, 161, 300)]) == [221, 360]


@pytest.mark.parametrize(
    ("op", "threshold", "fires"),
    [("lt", 2, 0), ("lte", 2, 1), ("eq", 2, 1), ("neq", 2, 0), ("eq", 2.5, 0), ("neq", 3, 1), ("lt", 2.5, 1)],
)
def test_each_operator_compares_the_count(op, threshold, fires):
    """[C3] `lt`, `lte`, `eq`, `neq`."""
    assert len(Bench(rule(op, threshold)).all([match("a", 1), match("a", 2)])) == fires


def test_a_match_not_after_the_last_judged_window_is_not_used():
    """[C3] a match not after the end of the last judged window is not used."""
    bench = Bench(rule("eq", 1))
    bench.feed(match("a", 100))
    assert bench.advance(170) == [160]
    assert bench.feed(match("a", 160), match("a", 90)) == []
    assert bench.finish() == []


def test_an_earlier_match_in_time_opens_the_window():
    """[C3] the first match of a key: by time, not by arrival."""
    bench = Bench(rule("eq", 2))
    assert bench.all([match("a", 100), match("a", 95), match("a", 156)]) == [155]


def test_a_late_match_may_open_a_window_that_is_judged_at_once():
    """[T6] judged at once."""
    bench = Bench(rule("eq", 1))
    bench.advance(300)
    assert bench.feed(match("a", 200)) == [260]


def test_events_that_two_rules_accept_are_counted_once():
    """[C3] the count of different events."""
    bench = Bench(rule("eq", 2, names="a b"))
    assert bench.all([match("a", 1, "x"), match("b", 1, "x"), match("b", 2, "y")]) == [61]


def test_values_are_counted_in_windows_too():
    """[C3] the count of different events (values)."""
    stated = correlation("n", "value_count", "a", count("eq", 2, "v"))
    assert Bench(stated).all([match("a", 1, v=1), match("a", 2, v=[1, 2]), match("a", 3, v=1.0)]) == [61]


def test_a_window_is_remembered_by_its_end():
    """[T7] a window's time is its end."""
    bench = Bench(rule("eq", 1, reach=30))
    bench.feed(match("a", 100))
    bench.advance(250)
    bench = bench.restarted()
    assert any(b"part" in key for key in bench.correlator.snapshot())
    bench.advance(250.000001)
    assert not any(b"part" in key for key in bench.correlator.snapshot())
