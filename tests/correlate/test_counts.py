"""Counts with a lower bound."""

from __future__ import annotations

import random

import pytest

from tests.correlate.making import SECOND, Bench, correlation, count, match


def events(op: str, threshold: float, **more):
    return correlation("n", "event_count", more.pop("names", "a"), count(op, threshold), **more)


def values(op: str, threshold: float, *fields: str, **more):
    return correlation("n", "value_count", more.pop("names", "a"), count(op, threshold, *(fields or ("v",))), **more)


def test_n_events_within_one_timespan_fire():
    """[C1] n different events with one key fit into a timespan."""
    assert Bench(events("gte", 3)).feed(match("a", 0), match("a", 30), match("a", 60)) == [60]
    assert Bench(events("gte", 3)).feed(match("a", 0), match("a", 30), match("a", 60.000001)) == []


def test_more_than_n_is_one_more():
    """[C1] `gt n` is `gte n+1`."""
    assert Bench(events("gt", 2)).feed(*(match("a", at) for at in range(3))) == [2]


@pytest.mark.parametrize(("op", "threshold", "needs"), [("gte", 2.5, 3), ("gt", 2.5, 3), ("gte", 0, 1), ("gt", 2.0, 3)])
def test_thresholds_may_be_fractions(op, threshold, needs):
    """[C1] the count is compared with the threshold as it stands."""
    assert len(Bench(events(op, threshold)).feed(*(match("a", at) for at in range(5)))) == 5 - needs + 1


def test_each_completing_event_fires_and_carries_the_count():
    """[C9] each completing event gives a firing; for counts: the matches in the window."""
    bench = Bench(events("gte", 2))
    bench.feed(match("a", 1), match("a", 2), match("a", 62))
    assert [(one.time_us // SECOND, one.value, one.window_us) for one in bench.told.firings] == [
        (2, 2.0, (SECOND, 2 * SECOND)),
        (62, 2.0, (2 * SECOND, 62 * SECOND)),
    ]


def test_a_late_event_makes_later_ones_complete():
    """[C9] a late match that makes older completions true makes them fire."""
    bench = Bench(events("gte", 3))
    assert bench.feed(*(match("a", at) for at in (1000, 1010, 1100))) == []
    assert bench.feed(match("a", 1020)) == [1020]
    assert bench.feed(match("a", 990)) == [1010]


def test_events_of_the_past_are_not_counted_with_those_of_the_present():
    """[G2] what fires is true in event time."""
    assert Bench(events("gte", 3)).feed(*(match("a", at) for at in (1000, 1001, 900, 905))) == []


def test_an_event_that_two_rules_accept_is_one_event():
    """[C1] n different events."""
    bench = Bench(events("gte", 2, names="a b"))
    assert bench.feed(match("a", 1, "x"), match("b", 1, "x")) == []
    assert bench.feed(match("b", 2, "y")) == [2]
    assert [(step.rule, step.total) for step in bench.told.firings[0].steps] == [("a", 1), ("b", 2)]


def test_a_step_shows_twenty_members_and_the_true_count():
    """[A4] at most 20 per step with the true count."""
    bench = Bench(events("gte", 50))
    bench.feed(*(match("a", at) for at in range(50)))
    step = bench.told.firings[0].steps[0]
    assert (len(step.members), step.total, step.members[0].time_us) == (20, 50, 30 * SECOND)


def test_different_values_are_counted():
    """[C2] n different values of the field."""
    bench = Bench(values("gte", 3))
    assert bench.feed(match("a", 1, v=1), match("a", 2, v=1.0), match("a", 3, v="1"), match("a", 4, v=True)) == [4]


def test_a_list_gives_each_of_its_values():
    """[C2] a list gives each element."""
    assert Bench(values("gte", 3)).feed(match("a", 1, v=["p", "q"]), match("a", 2, v=["q", "r"])) == [2]


def test_several_fields_make_tuples():
    """[C2] several fields: the tuple."""
    bench = Bench(values("gte", 3, "v", "w"))
    assert bench.feed(match("a", 1, v=1, w=2), match("a", 2, v=2, w=1), match("a", 3, v=[1, 2], w=[1, 2])) == [3]


def test_a_match_without_the_field_takes_no_part():
    """[C2] a match lacking one takes no part."""
    bench = Bench(values("gte", 1, "v", "w"))
    assert bench.feed(match("a", 1, v=1)) == []
    assert bench.correlator.counters.missing_value["n"] == 1


def test_a_count_decided_at_the_watermark_is_told_after_its_time():
    """[C12] with thresholds above 1,000 decided at the watermark."""
    bench = Bench(events("gte", 1001, decides="watermark", span=5000))
    assert bench.feed(*(match("a", at) for at in range(1001))) == []
    assert bench.advance(1000) == []
    assert bench.advance(1001) == [1000]


def test_after_the_watermark_late_events_complete_at_once():
    """[T6] a late match may complete events that were not complete, and these are judged at once."""
    bench = Bench(events("gte", 3, decides="watermark"))
    bench.feed(match("a", 10), match("a", 20), match("a", 40))
    assert bench.advance(100) == [40]
    assert bench.feed(match("a", 5)) == [20]
    assert bench.told.firings[-1].decided == "watermark"


@pytest.mark.parametrize("kind", ["events", "values"])
@pytest.mark.parametrize("decides", ["arrival", "watermark"])
def test_any_order_tells_what_a_count_by_hand_finds(kind, decides):
    """[G1] [G3] in any arrival order, with any duplicates: the same set of firings."""
    rng = random.Random(7)
    fired = 0
    for _ in range(60):
        rule = events("gte", 3, span=10, decides=decides)
        if kind == "values":
            rule = values("gte", 3, span=10, decides=decides)
        matches = [match("a", rng.randrange(60), str(n), v=[rng.randrange(5) for _ in range(2)]) for n in range(30)]
        expected = set()
        for one in matches:
            window = [other for other in matches if 0 <= one.time_us - other.time_us <= 10 * SECOND]
            found = {v for other in window for v in other.values["v"]} if kind == "values" else window
            if len(found) >= 3:
                expected.add(one.time_us / SECOND)
        rng.shuffle(matches)
        bench = Bench(rule)
        assert bench.all([*matches, *matches[:5]]) == sorted(expected)
        fired += len(expected)
    assert fired > 300
