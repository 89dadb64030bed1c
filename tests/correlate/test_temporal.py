"""`temporal`: several rules within one timespan, in any order."""

from __future__ import annotations

import pytest

from streamer.sigma.rules import And, Not, Or, Ref
from tests.correlate.making import SECOND, Bench, correlation, expression, match


def rule(condition: str | None = None, names: str = "a b c", **more):
    stated = expression(condition) if condition else None
    return correlation("t", "temporal", names, stated, **more)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_all_rules_within_one_timespan_fire_in_any_order_of_arrival(order):
    """[C5] every referenced rule has a match with the key within one timespan. [G1] in any arrival order."""
    matches = [match("a", 10), match("b", 40), match("c", 70)]
    bench = Bench(rule())
    assert bench.feed(*(matches[at] for at in order)) == [70]


def test_the_timespan_includes_its_bounds():
    """[W1] matches fit if latest - earliest <= timespan."""
    assert Bench(rule(names="a b")).feed(match("a", 0), match("b", 60)) == [60]
    assert Bench(rule(names="a b")).feed(match("a", 0), match("b", 60.000001)) == []


def test_windows_slide_and_are_never_cut_by_the_clock():
    """[W1] sliding, never cut by the clock."""
    assert Bench(rule(names="a b")).feed(match("a", 59), match("b", 61)) == [61]


def test_one_rule_twice_is_not_two_rules():
    """[C5] every referenced rule."""
    assert Bench(rule(names="a b")).feed(match("a", 1), match("a", 2)) == []


def test_one_event_may_satisfy_several_rules():
    """[W3] in `temporal` one event may satisfy several rules."""
    bench = Bench(rule(names="a b"))
    assert bench.feed(match("a", 5, "x"), match("b", 5, "x")) == [5]
    assert [step.members[0].identity for step in bench.told.firings[0].steps] == [match("a", 5, "x").identity] * 2


def test_other_keys_and_clusters_do_not_help():
    """[K4] `cluster` is part of every key."""
    bench = Bench(rule(names="a b"))
    assert bench.feed(match("a", 1), match("b", 2, user="bob"), match("b", 3, cluster="west")) == []


def test_each_completing_event_fires():
    """[C9] each completing event gives a firing, also if the rule was already true without it."""
    assert Bench(rule(names="a b")).feed(match("a", 1), match("b", 2), match("b", 3), match("a", 4)) == [2, 3, 4]


def test_a_late_match_makes_older_completions_fire():
    """[C9] a late match that makes older completions true makes them fire."""
    bench = Bench(rule(names="a b"))
    assert bench.feed(match("b", 20), match("b", 40), match("b", 90)) == []
    assert bench.feed(match("a", 10)) == [20, 40]


def test_completions_of_equal_time_are_one_firing():
    """[I5] There is exactly one firing per (rule, key, time)."""
    bench = Bench(rule(names="a b", decides="watermark"))
    bench.feed(match("a", 1), match("b", 2, "x"), match("b", 2, "y"))
    assert bench.advance(3) == [2]
    assert [(step.rule, step.total) for step in bench.told.firings[0].steps] == [("a", 1), ("b", 2)]


def test_duplicates_change_nothing():
    """[I5] duplicates by identity change nothing."""
    bench = Bench(rule(names="a b"))
    assert bench.feed(match("a", 1), match("a", 1), match("b", 2), match("b", 2), match("a", 1)) == [2]
    assert bench.correlator.counters.duplicates["t"] == 3


def test_the_named_member_of_a_rule_is_its_latest_that_fits():
    """[C9] for each step the latest match that fits."""
    bench = Bench(rule(names="a b"))
    bench.feed(match("a", 1), match("a", 5), match("a", 7), match("b", 6))
    firing = next(one for one in bench.told.firings if one.time_us == 6 * SECOND)
    assert [member.time_us for member in firing.steps[0].members] == [5 * SECOND]
    assert firing.window_us == (5 * SECOND, 6 * SECOND)


def test_at_least_m_different_rules():
    """[C5] `gte m`: at least m different rules."""
    bench = Bench(rule("2"))
    assert bench.feed(match("a", 1), match("a", 2), match("c", 3)) == [3]
    assert bench.feed(match("b", 100), match("c", 160)) == [160]


def test_an_or_needs_one_of_its_rules():
    """[C7] boolean conditions over rule names."""
    assert Bench(rule("a and (b or c)")).feed(match("a", 1), match("c", 2)) == [2]
    assert Bench(rule("a and (b or c)")).feed(match("b", 1), match("c", 2)) == []


def test_an_event_that_takes_no_part_does_not_complete():
    """[C9] with the event taking part."""
    condition = Or((Ref("a"), And((Ref("b"), Ref("c")))))
    bench = Bench(correlation("t", "temporal", "a b c", condition))
    assert bench.feed(match("a", 1), match("b", 2)) == [1]


def test_of_an_or_the_alternative_that_the_event_completed_is_named():
    """[C9] only needed members; of an `or`, the alternative that the event completed."""
    condition = Or((Ref("a"), And((Ref("b"), Ref("c")))))
    bench = Bench(correlation("t", "temporal", "a b c", condition))
    bench.feed(match("a", 1), match("b", 2), match("c", 3))
    assert [step.rule for step in bench.told.firings[-1].steps] == ["b", "c"]


def test_a_not_waits_until_nothing_can_come_any_more():
    """[C7] `not r`: none in [first, first + timespan]; watermark strictly after the end. [C9] time of a firing."""
    bench = Bench(rule("a and not b", "a b"))
    assert bench.feed(match("a", 100)) == []
    assert bench.correlator.next_deadline() == 160 * SECOND + 1
    assert bench.advance(160) == []
    assert bench.advance(160.000001) == [160]
    assert bench.told.firings[0].decided == "watermark"


@pytest.mark.parametrize(("at", "fires"), [(99, True), (100, False), (130, False), (160, False), (160.000001, True)])
def test_a_not_looks_from_the_first_member_to_the_end_of_the_timespan(at, fires):
    """[C7] [first, first + timespan], first = the earliest member of the chain."""
    bench = Bench(rule("a and c and not b"))
    bench.feed(match("b", at), match("a", 100), match("c", 120))
    assert (bench.finish() == [160]) is fires


def test_the_not_is_judged_on_the_named_chain_only():
    """[C7] judged on the one chain that C9 names; no other chain is tried."""
    bench = Bench(rule("a and c and not b"))
    bench.feed(match("a", 0), match("a", 50), match("c", 55), match("b", 100))
    assert bench.finish() == []


def test_a_not_of_one_event_for_both_rules():
    """[C7] an event that is a match of the forbidden rule too."""
    assert Bench(rule("a and not b", "a b")).all([match("a", 1, "x"), match("b", 1, "x")]) == []


def test_a_completing_event_once_judged_is_not_judged_again():
    """[T6] a completing event, once judged, is not judged again."""
    bench = Bench(rule("a and c and not b"))
    bench.feed(match("a", 0), match("c", 30), match("b", 60))
    assert bench.advance(70) == []
    assert bench.feed(match("a", 10)) == []
    assert bench.finish() == []


def test_late_matches_may_complete_events_which_are_judged_at_once():
    """[T6] a late match may complete events that were not complete, and these are judged at once."""
    bench = Bench(rule("a and c and not b"))
    bench.feed(match("c", 30), match("c", 90))
    bench.advance(200)
    assert bench.feed(match("a", 20)) == [80]
    assert bench.told.firings[0].decided == "watermark"
    assert bench.correlator.counters.late["t"] == 1


def test_a_match_beyond_reach_is_counted_and_not_used():
    """[T6] older than that, a correlation counts it and does not use it."""
    bench = Bench(rule(names="a b", reach=30))
    bench.feed(match("b", 100))
    bench.advance(121)
    assert bench.feed(match("a", 90.999999)) == []
    assert bench.feed(match("a", 91)) == [100]
    counters = bench.correlator.counters
    assert (counters.late["t"], counters.too_late["t"]) == (2, 1)


def test_a_match_at_the_watermark_is_not_late():
    """[T6] older than the stream's watermark."""
    bench = Bench(rule(names="a b"))
    bench.advance(100)
    bench.feed(match("a", 100))
    assert bench.correlator.counters.late["t"] == 0


def test_decide_at_the_watermark_on_a_positive_rule():
    """[C9] `decide: watermark` on a positive rule: told strictly after the event's time."""
    bench = Bench(rule(names="a b", decides="watermark"))
    assert bench.feed(match("b", 20), match("a", 10)) == []
    assert bench.advance(20) == []
    assert bench.advance(20.000001) == [20]


def test_a_provisional_not_is_told_on_arrival():
    """[C7] `decide: arrival` for `not`: speed for certainty; the alert says `provisional`."""
    bench = Bench(rule("a and not b", "a b", decides="arrival", provisional=True))
    assert bench.feed(match("a", 100)) == [160]
    assert bench.told.firings[0].marks == ("provisional",)
    assert bench.feed(match("b", 99, user="bob"), match("b", 101, user="bob")) == []
    assert bench.feed(match("a", 100, user="bob")) == []


def test_a_not_whose_window_reaches_beyond_the_end_is_marked_cut():
    """[T5] a firing that rests on a `not` whose window reaches beyond the last event is marked `cut`."""
    bench = Bench(rule("a and not b", "a b"))
    bench.feed(match("a", 100), match("a", 141), match("b", 150, user="bob"))
    bench.finish()
    assert [(one.time_us, one.marks) for one in bench.told.firings] == [
        (160 * SECOND, ("cut",)),
        (201 * SECOND, ("cut",)),
    ]
    other = Bench(rule("a and not b", "a b"))
    other.feed(match("a", 100), match("b", 161))
    other.finish()
    assert other.told.firings[0].marks == ()


def test_state_goes_when_it_can_be_of_no_use():
    """[T7] state is kept until watermark > its time + timespan + reach."""
    bench = Bench(rule(names="a b", reach=30))
    bench.advance(99)
    bench.feed(match("a", 100))
    held = len(bench.correlator.snapshot())
    bench.advance(190)
    assert len(bench.correlator.snapshot()) == held
    bench.advance(190.000001)
    assert len(bench.correlator.snapshot()) < held


def test_a_rule_that_is_not_under_the_and_is_not_needed():
    condition = And((Ref("a"), Not(Ref("b"))))
    assert Bench(correlation("t", "temporal", "a b c", condition)).all([match("a", 1), match("c", 2)]) == [61]
