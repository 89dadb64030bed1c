"""`temporal_ordered`: several rules within one timespan, one after the other."""

from __future__ import annotations

import pytest

from streamer.sigma.rules import And, Or, Ref
from tests.correlate.making import SECOND, Bench, correlation, expression, match


def rule(condition: str | None = None, names: str = "a b c", **more):
    stated = expression(condition) if condition else None
    return correlation("o", "temporal_ordered", names, stated, **more)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1)])
def test_steps_in_order_of_time_fire_in_any_order_of_arrival(order):
    """[C6] times in the order of `rules`. [G1] in any arrival order."""
    matches = [match("a", 10), match("b", 40), match("c", 70)]
    bench = Bench(rule())
    assert bench.feed(*(matches[at] for at in order)) == [70]


def test_the_wrong_order_of_time_does_not_fire():
    """[C6] times in the order of `rules`."""
    assert Bench(rule(names="a b")).feed(match("b", 1), match("a", 1.000001)) == []


def test_equal_times_count_as_in_order():
    """[W2] equal times count as in order."""
    assert Bench(rule()).feed(match("c", 5), match("b", 5), match("a", 5)) == [5]


def test_the_whole_chain_lies_in_one_timespan():
    """[W1] latest - earliest <= timespan."""
    assert Bench(rule()).feed(match("a", 0), match("b", 30), match("c", 60)) == [60]
    assert Bench(rule()).feed(match("a", 0), match("b", 30), match("c", 60.000001)) == []


def test_one_event_fills_one_step():
    """[W3] in `temporal_ordered` the steps are different events."""
    bench = Bench(rule(names="a b"))
    assert bench.feed(match("a", 5, "x"), match("b", 5, "x")) == []
    assert bench.feed(match("a", 4, "y")) == [5]


def test_among_equal_times_the_steps_share_out_the_events():
    """[C9] so that the remaining steps can still be filled by different events."""
    bench = Bench(rule(decides="watermark"))
    for names, event in (("ab", "x"), ("bc", "y"), ("c", "z")):
        bench.feed(*(match(name, 5, event) for name in names))
    assert bench.advance(6) == [5]


def test_the_completing_event_is_the_match_of_the_last_step():
    """[C9] in `temporal_ordered` the completing event is the match of the last positive step."""
    bench = Bench(rule(names="a b"))
    assert bench.feed(match("a", 1), match("b", 2), match("a", 3), match("b", 4)) == [2, 4]


def test_a_late_first_step_makes_all_later_completions_true():
    """[C9] a late match that makes older completions true makes them fire."""
    bench = Bench(rule())
    bench.feed(match("b", 5), match("c", 3), match("c", 10), match("c", 20), match("c", 61))
    assert bench.feed(match("a", 1)) == [10, 20, 61]


def test_the_named_chain_takes_the_latest_match_for_each_step():
    """[C9] going back from the completing event, for each step the latest match that fits."""
    bench = Bench(rule(decides="watermark"))
    bench.feed(*(match("a", at) for at in (1, 4, 9)), *(match("b", at) for at in (5, 8, 20)), match("c", 15))
    bench.advance(16)
    assert [step.members[0].time_us // SECOND for step in bench.told.firings[0].steps] == [4, 8, 15]
    assert bench.told.firings[0].window_us == (4 * SECOND, 15 * SECOND)


@pytest.mark.parametrize(("at", "fires"), [(10, True), (10.000001, False), (19.999999, False), (20, True)])
def test_a_not_between_steps_looks_strictly_between_them(at, fires):
    """[C7] none strictly between the neighbouring positive steps of the chain."""
    bench = Bench(rule("a and c and not b"))
    bench.feed(match("a", 10), match("b", at), match("c", 20))
    assert bench.advance(20) == []
    assert (bench.advance(20.000001) == [20]) is fires


@pytest.mark.parametrize(("at", "fires"), [(39.999999, True), (40, False), (99.999999, False), (100, True)])
def test_a_not_before_the_first_step_looks_back_one_timespan(at, fires):
    """[C7] if r is first in `rules`, none in [next - timespan, next)."""
    bench = Bench(rule("b and not a", "a b"))
    bench.feed(match("b", 100), match("a", at))
    assert (bench.finish() == [100]) is fires


@pytest.mark.parametrize(("at", "fires"), [(120, True), (120.000001, False), (160, False), (160.000001, True)])
def test_a_not_after_the_last_step_looks_to_the_end_of_the_timespan(at, fires):
    """[C7] if r is last, none in (last step, first + timespan]. [C9] the end of its last `not` window."""
    bench = Bench(rule("a and b and not c"))
    bench.feed(match("a", 100), match("b", 120), match("c", at))
    assert bench.advance(160) == []
    assert (bench.finish() == [160]) is fires


def test_neighbours_are_those_of_the_chain():
    """[C7] the neighbouring positive steps of the chain: rules of other alternatives stand in between."""
    condition = And((Ref("a"), Or((Ref("b"), Ref("d"))), *expression("x and not c").items[1:]))
    bench = Bench(correlation("o", "temporal_ordered", "a b c d", condition))
    assert bench.all([match("a", 1), match("c", 3), match("d", 2)]) == [2]
    other = Bench(correlation("o", "temporal_ordered", "a b c d", condition))
    assert other.all([match("a", 1), match("c", 3), match("d", 4)]) == []


def test_twice_the_timespan_is_kept_where_a_not_comes_first():
    """[T7] twice the timespan if a `not` comes first in `temporal_ordered`."""
    for first, kept in (("b and c and not a", True), ("a and c and not b", False)):
        bench = Bench(rule(first, reach=0))
        bench.feed(match("a", 100))
        bench.advance(161)
        held = any(b"part" in key for key in bench.correlator.snapshot())
        assert held is kept
        bench.advance(220.000001)
        assert not any(b"part" in key for key in bench.correlator.snapshot())


def test_looking_back_beyond_the_start_is_marked():
    """[G2] a `not` that looks back beyond the start of the stream is marked `cold_start`."""
    for start, marks in ((50, ("cold_start",)), (40, ())):
        bench = Bench(rule("b and not a", "a b"), start=start)
        bench.feed(match("b", 100))
        bench.advance(101)
        assert bench.told.firings[0].marks == marks


def test_values_of_every_match_in_some_chain_are_carried():
    """[C10] distinct values over every match of that rule that takes part in some chain ending at the event."""
    carrying = rule(
        names="a b",
        decides="watermark",
        exported_fields={"a": {"a.ip": "ip"}, "b": {"b.ip": "ip"}},
        exports=("user", "a.ip", "b.ip"),
    )
    bench = Bench(carrying)
    bench.feed(match("a", 1, ip="w"), match("a", 50, ip="x"), match("a", 70, ip="y"), match("a", 81, ip="z"))
    bench.feed(match("b", 75, ip="p"), match("b", 80, ip="q"))
    bench.advance(82)
    assert dict(bench.told.firings[1].values) == {"user": ("alice",), "a.ip": ("y", "x"), "b.ip": ("q",)}


def test_where_events_are_shared_only_true_chains_carry_values():
    """[C10] every match that takes part in some chain. [W3] the steps are different events."""
    carrying = rule(names="a b", decides="watermark", exported_fields={"a": {"a.ip": "ip"}})
    bench = Bench(carrying)
    bench.feed(match("a", 70, "x", ip="own"), match("b", 70, "x", ip="own"), match("a", 60, ip="other"))
    bench.advance(71)
    assert bench.told.firings[0].values["a.ip"] == ("other",)
