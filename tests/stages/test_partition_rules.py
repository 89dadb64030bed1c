"""Other rules: what a partition does with matches and tellings of rule sets that are not its own."""

from __future__ import annotations

from streamer.correlate import codec
from streamer.sigma.rules import RuleSet
from streamer.stages import shelf
from streamer.stages.wire import meaning_of
from tests.correlate.making import correlation, count, expression, match, rules
from tests.stages.bench import ABSENT, Bench, at, entries


def renamed(meaning: str) -> RuleSet:
    return rules(correlation("absent", "temporal", "a b", expression("a and not b"), meaning=meaning))


def test_a_rule_that_begins_anew_is_not_judged_before_all_sources_run_it():
    """[G2] matches of the old meaning say nothing about what the new one would have seen."""
    old, new = renamed("old"), renamed("new")
    bench = Bench(old)
    bench.sources(0, expects={"topic": 2})
    bench.sources(0, expects={"topic": 2}, source=("topic", 1))
    bench.reload(0, new)
    bench.sources(10, new, since=5, expects={"topic": 2})
    bench.match(match("a", 20), new)
    bench.sources(900, new, since=5, expects={"topic": 2})
    bench.sources(900, old, expects={"topic": 2}, source=("topic", 1))
    assert bench.told() == []
    bench.sources(901, new, since=880, expects={"topic": 2}, source=("topic", 1))
    assert [(one.time_us, one.marks) for one in bench.firings] == [(at(80), ("cold_start",))]


def test_a_rule_that_the_sources_do_not_run_any_more_is_not_judged():
    old, new = renamed("old"), renamed("new")
    bench = Bench(old)
    bench.match(match("a", 20))
    bench.sources(10)
    bench.sources(900, new)
    assert bench.told() == []
    bench.sources(901, old, since=900)
    assert bench.told() == [("absent", 80)], "rolled back"


def test_a_rule_that_means_the_same_goes_on_whoever_runs_it():
    old = rules(ABSENT)
    new = rules(ABSENT, correlation("more", "event_count", "a", count("gte", 9)))
    bench = Bench(old)
    bench.match(match("a", 20))
    bench.sources(10)
    bench.sources(900, new)
    assert bench.told() == [("absent", 80)]


def test_what_comes_for_a_rule_that_does_not_run_here_yet_is_taken_up_when_it_does():
    old, new = renamed("old"), renamed("new")
    bench = Bench(old)
    bench.sources(10)
    bench.match(match("a", 20), new)
    bench.sources(900, new, since=15)
    assert bench.cores[0].counters.shelved == 1
    stored = entries(bench, {})
    bench.cores[0] = bench.core(0, new)
    report = bench.cores[0].restore(stored)
    assert report.dropped == ("absent",)
    bench.sources(901, new, since=15)
    assert bench.told() == [("absent", 80)]
    assert not any(codec.decode_key(key)[0] == "wait" for key in entries(bench, stored))


def test_what_comes_for_what_a_rule_meant_before_is_let_go():
    old, new = renamed("old"), renamed("new")
    bench = Bench(old)
    bench.reload(0, new)
    bench.match(match("a", 20), old)
    assert (bench.cores[0].counters.shelved, bench.cores[0].counters.unasked) == (0, 1)
    bench.reload(0, old)
    bench.match(match("a", 20), old, lane="again")
    assert bench.cores[0].counters.matches["absent"] == 1


def test_what_nobody_asks_for_within_an_hour_is_let_go():
    old, new = renamed("old"), renamed("new")
    bench = Bench(old)
    bench.match(match("a", 20), new)
    stored = entries(bench, {})
    assert sum(codec.decode_key(key)[0] == "wait" for key in stored) == 1
    bench.sources(3_700)
    assert not any(codec.decode_key(key)[0] == "wait" for key in entries(bench, stored))


def test_what_found_no_room_aside_is_where_the_rule_begins(monkeypatch):
    monkeypatch.setattr(shelf, "ROOM", 1)
    before = expression("a and not b")
    old, new = (
        rules(correlation("before", "temporal_ordered", "b a", before, meaning=meaning)) for meaning in ("old", "new")
    )
    bench = Bench(old)
    bench.match(match("a", 20), new)
    bench.match(match("b", 70), new)
    assert bench.cores[0].counters.unasked == 1
    bench.reload(0, new)
    bench.sources(10, new)
    bench.match(match("a", 100), new)
    bench.match(match("a", 200), new)
    bench.sources(900, new)
    assert [(one.time_us // 1_000_000, one.marks) for one in bench.firings] == [
        (20, ("cold_start",)),
        (100, ("cold_start",)),
        (200, ()),
    ]


def test_rules_over_a_rule_that_begins_anew_wait_and_others_do_not():
    kept = correlation("kept", "event_count", "a", count("lte", 9), span=10)
    over_kept = correlation("over_kept", "event_count", "kept", count("lte", 9), span=10, rank=2)
    fresh = correlation("fresh", "event_count", "a", count("lte", 9), span=20)
    over_fresh = correlation("over_fresh", "event_count", "fresh", count("lte", 9), span=10, rank=2)
    old, new = rules(kept, over_kept), rules(kept, over_kept, fresh, over_fresh)
    bench = Bench(old)
    bench.sources(0, old)
    bench.ranks()
    bench.reload(0, new)
    bench.match(match("a", 5), new)
    bench.sources(100, old)
    bench.deliver()
    told = bench.ranks()
    assert bench.told() == [("kept", 15), ("over_kept", 25)]
    assert told[0].behind.keys() == {meaning_of(fresh)}
    bench.sources(101, new, since=0)
    bench.deliver()
    bench.ranks()
    assert bench.told() == [("fresh", 25), ("over_fresh", 35)]


SHOWN = correlation("shown", "event_count", "a", count("gte", 1))


def test_what_fired_before_a_partition_knew_a_rule_over_it_was_not_sent_to_it():
    over = correlation("over", "temporal_ordered", "shown d", expression("d and not shown"), rank=2)
    old, new = rules(SHOWN), rules(SHOWN, over)
    bench = Bench(old)
    bench.sources(0, old)
    bench.match(match("a", 50), old)
    bench.reload(0, new)
    bench.sources(10, new, since=5)
    bench.match(match("d", 80), new)
    bench.match(match("d", 200), new)
    bench.sources(900, new, since=5)
    bench.ranks()
    told = [(one.time_us // 1_000_000, one.marks) for one in bench.firings if one.rule == "over"]
    assert told == [(80, ("cold_start",)), (200, ())]


def test_a_rule_over_rules_and_detections_waits_for_the_sources_to_run_it_too():
    """[G2] all partitions run it already, and nobody sends it the detection that must be absent."""
    over = correlation("over", "temporal", "shown d", expression("shown and not d"), rank=2)
    old, new = rules(SHOWN), rules(SHOWN, over)
    bench = Bench(old)
    bench.sources(0, old)
    bench.reload(0, new)
    bench.ranks()
    bench.match(match("a", 20), old)
    bench.deliver()
    bench.sources(900, old)
    bench.ranks()
    bench.ranks()
    assert bench.told() == [("shown", 20)]
    bench.sources(901, new, since=880)
    bench.ranks()
    assert [(one.rule, one.marks) for one in bench.firings] == [("over", ("cold_start",))]


def test_what_waits_for_rules_that_are_gone_again_is_deleted():
    old, new, newest = renamed("old"), renamed("new"), renamed("newest")
    bench = Bench(new)
    bench.match(match("a", 20), old)
    stored = entries(bench, {})
    assert sum(codec.decode_key(key)[0] == "wait" for key in stored) == 1
    bench.cores[0] = bench.core(0, old)
    bench.cores[0].restore(stored)
    bench.sources(1, old)
    assert not any(codec.decode_key(key)[0] == "wait" for key in entries(bench, stored))
    bench.match(match("a", 30), newest)
    bench.reload(0, newest)
    bench.reload(0, old)
    bench.match(match("a", 40), newest, lane="again")
    assert bench.cores[0].counters.unasked == 1
