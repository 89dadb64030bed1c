"""Limits: what is refused, what is said, what does not fire."""

from __future__ import annotations

from streamer.correlate import CorrelateLimits
from streamer.correlate.pressure import Contributors
from tests.correlate.making import Bench, correlation, count, detection, expression, match

HOUR = 3600


def per_key(entries: int) -> CorrelateLimits:
    return CorrelateLimits(entries_per_key=entries)


def per_rule(entries: int, reserved: float = 0.2) -> CorrelateLimits:
    return CorrelateLimits(entries_per_rule=entries, reserved=reserved)


def test_a_key_at_its_limit_takes_no_more_and_says_so():
    """[Bounded] nothing is evicted silently: counted, and a notice names the rule and the top sources."""
    bench = Bench(correlation("n", "event_count", "a", count("gte", 5)), limits=per_key(3))
    assert bench.feed(*(match("a", at) for at in range(10))) == []
    assert bench.correlator.counters.refused["n"] == 7
    (notice,) = bench.told.notices
    assert (notice.kind, notice.rule) == ("state-pressure", "n")
    assert dict(notice.top) == {'cluster="prod"': 1, 'user="alice"': 1}


def test_there_is_one_notice_per_rule_and_hour():
    """[Bounded] one notice per rule and hour of event time, with what came together since the last."""
    bench = Bench(correlation("n", "event_count", "a", count("gte", 5)), limits=per_key(1))
    for hour in range(3):
        bench.advance(hour * HOUR)
        bench.feed(*(match("a", hour * HOUR + at) for at in range(10)))
    assert [notice.detail.split()[0] for notice in bench.told.notices] == ["1", "9", "9"]


def test_a_stamp_from_the_future_does_not_silence_notices():
    """[T3] one event stamped next year does not hide anything."""
    bench = Bench(correlation("n", "event_count", "a", count("gte", 5), reach=9 * HOUR), limits=per_key(1))
    bench.feed(match("a", 1), match("a", 10_000 * HOUR), match("a", 2))
    bench.advance(HOUR)
    bench.feed(match("a", HOUR))
    assert len(bench.told.notices) == 2


def test_the_flood_is_named_not_its_victims():
    """[Bounded] the top sources, in bounded room."""
    sources = Contributors(8)
    for number in range(1000):
        sources.add(f"random {number}")
        sources.add("mallory")
    name, times = sources.top()[0]
    assert name == "mallory"
    assert times >= 1000
    assert len(sources.counts) == 8


def test_new_keys_are_refused_and_old_ones_go_on():
    """[Bounded] new keys are counted; nothing that is held is thrown away."""
    rule = correlation("n", "event_count", "a", count("gte", 2))
    bench = Bench(rule, limits=per_rule(3))
    bench.feed(match("a", 1, user="x"))
    bench.feed(*(match("a", 2, user=str(n)) for n in range(10)))
    assert bench.correlator.counters.refused["n"] == 8
    assert bench.feed(match("a", 3, user="x")) == []
    bench.advance(362.5)
    assert bench.feed(match("a", 363, user="y"), match("a", 364, user="y")) == [364]


def test_a_share_is_kept_for_steps_that_go_on():
    """[Bounded] a share of the limit is reserved for partial matches at step two or later."""
    bench = Bench(correlation("o", "temporal_ordered", "a b"), limits=per_rule(10))
    bench.feed(*(match("a", 1, user=str(n)) for n in range(50)))
    assert bench.correlator.counters.used["o"] == 8
    assert bench.feed(match("b", 2, user="3"), match("b", 2, user="40")) == [2]


def test_all_rules_share_one_limit():
    rules = [correlation(name, "event_count", "a", count("gte", 5)) for name in "xy"]
    bench = Bench(*rules, limits=CorrelateLimits(entries=10, reserved=0))
    bench.feed(*(match("a", at, user=str(at)) for at in range(20)))
    used = bench.correlator.counters.used
    assert used["x"] + used["y"] == 10


def test_room_comes_back_when_state_goes():
    bench = Bench(correlation("n", "event_count", "a", count("gte", 2), reach=0), limits=per_rule(2))
    bench.feed(match("a", 1), match("a", 1, "other", user="bob"), match("a", 1, "third", user="eve"))
    bench.advance(1000)
    assert bench.feed(match("a", 1000), match("a", 1001)) == [1001]


def test_an_aggregate_at_its_limit_does_not_fire():
    """[Bounded] an aggregate at its limit does not fire."""
    bench = Bench(correlation("s", "value_sum", "a", count("lt", 10, "v"), span=10), limits=per_key(2))
    bench.feed(match("a", 1, v=1), match("a", 2, v=1), match("a", 3, v=100))
    assert bench.advance(20) == [1, 2]
    bench = bench.restarted()
    bench.advance(315)
    bench.feed(match("a", 330, v=1))
    assert bench.advance(340) == [330]
    other = Bench(correlation("s", "value_sum", "a", count("lt", 10, "v"), span=10), limits=per_rule(1))
    other.feed(match("a", 1, v=1), match("a", 2, v=100, user="bob"))
    other.advance(311.5)
    other.feed(match("a", 311.7, v=1, user="bob"))
    assert other.advance(312) == [311.7]


def test_a_window_that_lacks_a_match_does_not_fire():
    """[G2] an upper bound is not said to hold where a match was refused."""
    bench = Bench(correlation("n", "event_count", "a", count("lt", 3)), limits=per_key(2))
    assert bench.all([match("a", at) for at in (1, 2, 3)]) == []


def test_windows_are_not_trusted_until_a_pause_after_a_refused_match():
    """[C3] which windows there are depends on every match before them. [G2] no false."""
    bench = Bench(correlation("n", "event_count", "a", count("lt", 2), span=5), limits=per_key(1))
    bench.feed(match("a", 1), match("a", 14))
    bench.advance(17)
    bench = bench.restarted()
    bench.feed(match("a", 19))
    bench.advance(25)
    bench.feed(match("a", 24.5))
    bench.advance(35)
    assert bench.times() == [6, 29.5]


def test_an_absence_is_not_said_where_a_match_was_refused():
    """[G2] a `not` does not hold where a match was refused."""
    rule = correlation("t", "temporal", "a b", expression("a and not b"))
    bench = Bench(rule, limits=per_key(1))
    assert bench.all([match("a", 1), match("b", 2)]) == []


def test_first_seen_stops_for_values_it_cannot_store():
    """[Bounded] `first_seen` at its limit stops firing for values it cannot store."""
    rule = correlation("f", "value_count", "a", count("gte", 1, "v"), first_seen=True, decides="arrival")
    bench = Bench(rule, limits=per_key(3))
    assert bench.feed(*(match("a", at, v=at) for at in range(10))) == [0, 1, 2]
    assert bench.feed(match("a", 61.5, v=1)) == []
    assert bench.feed(match("a", 130, v=1)) == [130]


def test_more_than_sixteen_keys_are_said():
    """[K3] overflow is counted and shown as pressure."""
    bench = Bench(correlation("n", "event_count", "a", count("gte", 2), by=("ip",)))
    bench.feed(match("a", 1, ip=list(range(20))))
    assert bench.correlator.counters.key_overflow["n"] == 4
    assert bench.told.notices[0].detail.startswith("4 keys were left out")


def test_more_values_than_one_match_may_add_are_said():
    """[Bounded] each says so."""
    limits = CorrelateLimits(values_per_match=5)
    bench = Bench(correlation("n", "value_count", "a", count("gte", 6, "v")), limits=limits)
    assert bench.feed(match("a", 1, v=list(range(20)))) == []
    assert bench.correlator.counters.value_overflow["n"] == 15
    assert bench.told.notices[0].kind == "state-pressure"


def test_values_that_were_left_out_are_not_new_later():
    """[G2] no false: a value that was not remembered may have been seen."""
    rule = correlation("f", "value_count", "a", count("gte", 1, "v"), first_seen=True, decides="arrival")
    bench = Bench(rule, limits=CorrelateLimits(values_per_match=1))
    assert bench.feed(match("a", 1, v=["x", "y"]), match("a", 2, v="x"), match("a", 61, v="z")) == [1]
    assert bench.feed(match("a", 61.5, v="w")) == [61.5]


def test_alerts_are_told_even_where_episodes_find_no_room():
    """[Bounded] nothing is hidden for want of room, and that is said."""
    bench = Bench(detection("d", alerts=True), limits=per_rule(1))
    bench.feed(match("d", 1), match("d", 2), match("d", 3))
    assert len(bench.told.alerts) == 3
    assert bench.told.notices[0].rule == "d"


def test_what_was_said_is_remembered_across_a_restart():
    """[G3] the same alerts after a crash."""
    bench = Bench(correlation("n", "event_count", "a", count("gte", 5)), limits=per_key(1))
    bench.feed(match("a", 1), match("a", 2))
    bench = bench.restarted()
    bench.feed(match("a", 3))
    assert len(bench.told.notices) == 1
