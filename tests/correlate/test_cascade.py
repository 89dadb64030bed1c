"""Correlations of correlations, rank by rank."""

from __future__ import annotations

from streamer.correlate.firings import firing_identity
from tests.correlate.making import SECOND, Bench, correlation, count, expression, match


def pair(**more):
    return correlation("pair", "temporal_ordered", "a b", alerts=False, **more)


def test_a_firing_is_a_match_for_the_rules_above():
    """[C10] a correlation may reference correlations."""
    bench = Bench(pair(), correlation("twice", "event_count", "pair", count("gte", 2), rank=2))
    bench.feed(match("a", 1), match("b", 2))
    assert bench.feed(match("b", 3)) == [3, 3]
    member = bench.told.firings[-1].steps[0].members[-1]
    assert member.firing == bench.told.firings[-2]
    assert member.identity == firing_identity(member.firing)


def test_alert_suppression_hides_nothing_from_another_correlation():
    """[C10] alert suppression never hides a firing from another correlation."""
    low = correlation("low", "event_count", "a", count("gte", 1))
    bench = Bench(low, correlation("high", "event_count", "low", count("gte", 3), rank=2))
    bench.feed(*(match("a", at) for at in (1, 2, 3)))
    assert [alert.firing.rule for alert in bench.told.alerts] == ["low", "high"]


def test_each_step_may_bind_a_new_key():
    """[C10] so each step may bind a new key: client address -> run id -> pod."""
    upload = correlation(
        "upload",
        "temporal_ordered",
        "login create",
        by=("ip",),
        decides="watermark",
        alerts=False,
        exported_fields={"create": {"create.run": "run"}},
        exports=("ip", "create.run"),
    )
    mining = correlation(
        "mining",
        "temporal_ordered",
        "upload pod",
        by=("run",),
        rank=2,
        aliases={"upload": {"run": "create.run"}, "pod": {"run": "label"}},
    )
    bench = Bench(upload, mining)
    bench.feed(
        match("login", 1, ip="10.0.0.1"),
        match("create", 2, ip="10.0.0.1", run="r-7"),
        match("pod", 5, label="r-7"),
        match("pod", 5, "other", label="r-8"),
    )
    bench.advance(3)
    assert [(one.rule, one.key) for one in bench.told.firings] == [
        ("upload", ('"prod"', '"10.0.0.1"')),
        ("mining", ('"prod"', '"r-7"')),
    ]


def test_ranks_are_judged_one_after_the_other():
    """[C11] a rule of rank k judges by the watermark of rank k - 1: nothing a lower rank still says is late."""
    low = correlation("low", "temporal", "a b", expression("a and not b"), alerts=False)
    high = correlation("high", "temporal", "low c", expression("c and not low"), rank=2)
    bench = Bench(low, high)
    bench.feed(match("a", 0), match("c", 30))
    assert bench.advance(1000) == [60]
    assert bench.correlator.counters.late["high"] == 0
    other = Bench(low, high)
    other.feed(match("c", 30))
    assert other.advance(1000) == [90]


def test_the_end_of_all_input_goes_rank_by_rank():
    """[T5] the stream's watermark goes to infinity rank by rank, and everything open is decided."""
    low = correlation("low", "value_sum", "a", count("gte", 5, "v"), alerts=False)
    high = correlation("high", "event_count", "low", count("lt", 3), rank=2)
    assert Bench(low, high).all([match("a", 1, v=5), match("a", 2, v=1)]) == [1, 2, 61]


def test_firings_are_told_in_order_of_time():
    """[G3] the same order of detections gives the same alerts."""
    bench = Bench(correlation("s", "value_sum", "a", count("gte", 1, "v")))
    bench.feed(*(match("a", at, user=str(at % 7), v=1) for at in range(40, 0, -1)))
    assert bench.advance(100) == list(range(1, 41))


def test_a_rule_across_clusters_sees_firings_of_all():
    """[K4] `across_clusters`."""
    low = correlation("low", "event_count", "a", count("gte", 1), alerts=False)
    high = correlation("high", "value_count", "low", count("gte", 2, "user"), by=(), across_clusters=True, rank=2)
    bench = Bench(low, high)
    bench.feed(match("a", 1, user="x", cluster="east"), match("a", 2, user="y", cluster="west"))
    assert bench.times("high") == [2]


def test_firings_within_reach_of_the_rule_above_are_used():
    """[T6] [C11] a late event may complete an older one, whose firing is late above."""
    bench = Bench(pair(), correlation("twice", "event_count", "pair", count("gte", 2), rank=2, reach=10))
    bench.feed(match("b", 50), match("b", 60), match("b", 70))
    bench.advance(65)
    bench.feed(match("a", 40))
    assert bench.times("pair") == [50, 60, 70]
    assert bench.times("twice") == [70]
    counters = bench.correlator.counters
    assert (counters.late["twice"], counters.too_late["twice"]) == (2, 1)


def test_the_next_deadline_is_the_first_watermark_that_decides_something():
    low = correlation("low", "temporal", "a b", expression("a and not b"), alerts=False)
    bench = Bench(low, correlation("high", "event_count", "low", count("lt", 3), rank=2))
    assert bench.correlator.next_deadline() is None
    bench.feed(match("a", 10))
    assert bench.correlator.next_deadline() == 70 * SECOND + 1
    bench.advance(70.000001)
    assert bench.times() == [70]
    assert bench.correlator.next_deadline() == 130 * SECOND + 1
