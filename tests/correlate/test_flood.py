"""A flood of alerts: who is told, what is counted, what is said."""

from __future__ import annotations

import dataclasses
import random

import pytest

from streamer.correlate import CorrelateLimits
from streamer.correlate.flood import SHARES, divided, share_of
from streamer.sigma.rules import HOUR_US, LEVELS
from tests.correlate.making import SECOND, Bench, correlation, count, detection, match

HOUR = 3600
T0 = 480_000 * HOUR


def leveled(key: str, level: str, **more):
    rule = detection(key, alerts=True, **more)
    return dataclasses.replace(rule, meta=dataclasses.replace(rule.meta, level=level))


def per_rule(alerts: int, total: int = 100_000) -> CorrelateLimits:
    return CorrelateLimits(alerts_per_rule=alerts, alerts=total)


def bench_of(*rules, limits: CorrelateLimits) -> Bench:
    bench = Bench(*rules, limits=limits)
    bench.advance(T0)
    return bench


def floods(bench: Bench):
    return [notice for notice in bench.told.notices if notice.kind == "alert-flood"]


def said_of(notice) -> str:
    """The number a notice says at the end of an hour; nothing for the first of an hour."""
    return notice.detail.split()[0] if "were not told in the hour" in notice.detail else ""


def test_more_alerts_of_a_rule_than_an_hour_may_have_are_counted_and_not_told():
    bench = bench_of(detection("d", alerts=True), limits=per_rule(3))
    bench.feed(*(match("d", T0 + at) for at in range(10)))
    assert len(bench.told.alerts) == 3
    assert len(bench.told.firings) == 10
    assert bench.correlator.counters.suppressed == {"d": 7}


def test_the_first_suppressed_alert_is_said_at_once_and_the_number_when_the_hour_has_passed():
    bench = bench_of(detection("d", alerts=True), limits=per_rule(3))
    bench.feed(*(match("d", T0 + at) for at in range(4)))
    (first,) = floods(bench)
    assert (first.rule, first.time_us) == ("d", (T0 + 3) * SECOND)
    assert "limits.alerts_per_rule" in first.detail
    bench.feed(*(match("d", T0 + at) for at in range(4, 10)))
    bench.advance(T0 + HOUR - 1)
    assert len(floods(bench)) == 1
    bench.advance(T0 + HOUR)
    _, last = floods(bench)
    assert (last.rule, last.time_us) == ("d", (T0 + HOUR) * SECOND)
    assert last.detail.startswith("7 alerts of this rule were not told")
    assert "3 were" in last.detail


def test_the_largest_sources_are_named():
    bench = bench_of(correlation("c", "event_count", "a", count("gte", 1), span=1), limits=per_rule(1))
    bench.feed(match("a", T0), *(match("a", T0 + 10 * at, user="mallory") for at in range(1, 9)))
    bench.advance(T0 + HOUR)
    assert dict(floods(bench)[-1].top) == {'cluster="prod"': 8, 'user="mallory"': 8}


def test_the_next_hour_tells_again():
    bench = bench_of(detection("d", alerts=True), limits=per_rule(2))
    for hour in range(3):
        bench.advance(T0 + hour * HOUR)
        bench.feed(*(match("d", T0 + hour * HOUR + at) for at in range(5)))
    bench.finish()
    assert [alert.firing.time_us // HOUR_US - T0 // HOUR for alert in bench.told.alerts] == [0, 0, 1, 1, 2, 2]
    assert [said_of(notice) for notice in floods(bench)] == ["", "3"] * 3


def test_an_hour_without_a_flood_says_nothing():
    bench = bench_of(detection("d", alerts=True), limits=per_rule(5))
    bench.feed(*(match("d", T0 + at) for at in range(5)))
    bench.advance(T0 + HOUR)
    bench.finish()
    assert floods(bench) == []


def test_a_stamp_from_the_future_opens_no_hour():
    """[T3] one event stamped next year does not hide anything."""
    bench = bench_of(detection("d", alerts=True), limits=per_rule(2))
    bench.feed(match("d", T0), match("d", T0 + 9000 * HOUR), match("d", T0 + 1), match("d", T0 + 2))
    assert [alert.firing.time_us // SECOND - T0 for alert in bench.told.alerts] == [0, 9000 * HOUR]
    bench.advance(T0 + HOUR)
    bench.feed(match("d", T0 + HOUR))
    assert len(bench.told.alerts) == 3


def test_the_end_of_all_input_says_what_was_suppressed_also_by_itself():
    bench = Bench(detection("d", alerts=True), limits=per_rule(1))
    bench.feed(match("d", T0), match("d", T0 + 1))
    bench.finish()
    bench_of_absences = Bench(correlation("c", "event_count", "a", count("lt", 5)), limits=per_rule(1))
    bench_of_absences.feed(*(match("a", T0 + at, user=str(at)) for at in range(4)))
    bench_of_absences.finish()
    assert [notice.detail.split()[0] for notice in floods(bench)] == ["1", "1"]
    assert len(bench_of_absences.told.alerts) == 1
    assert floods(bench_of_absences)[-1].detail.startswith("3 alerts")


def test_a_critical_alert_is_never_suppressed_by_lower_ones():
    rules = [leveled(level, level) for level in LEVELS]
    bench = bench_of(*rules, limits=per_rule(100_000, 100))
    for at in range(300):
        bench.feed(*(match(level, T0 + at) for level in LEVELS if level != "critical"))
    bench.feed(*(match("critical", T0 + 500 + at) for at in range(40)))
    told = [alert.firing.rule for alert in bench.told.alerts]
    assert told.count("critical") == 40
    assert {level: told.count(level) for level in LEVELS} == {level: round(100 * SHARES[level]) for level in LEVELS}
    assert len(told) == 100


@pytest.mark.parametrize("seed", range(20))
def test_what_is_told_of_a_level_depends_on_no_other_level(seed):
    chance = random.Random(seed)
    rules = [leveled(f"{level}-{number}", level) for level in LEVELS for number in range(2)]
    limits = per_rule(chance.choice([5, 20, 1000]), 100)
    keys = [rule.meta.key for rule in rules]
    matches = [match(chance.choice(keys), T0 + at) for at in range(600)]

    def told(some) -> list[str]:
        bench = bench_of(*rules, limits=limits)
        for one in some:
            bench.advance(one.time_us / SECOND - 10)
            bench.feed(one)
        return [alert.id for alert in bench.told.alerts]

    everything = told(matches)
    for level in LEVELS:
        alone = told([one for one in matches if one.rule.startswith(level + "-")])
        assert set(alone) <= set(everything)
        assert len(alone) <= share_of(limits, level)
    assert len(everything) <= 100


def test_told_and_suppressed_alerts_are_all_there_are():
    """Exact numbers: told, suppressed and said add up, over many hours and restarts at any moment."""
    chance = random.Random(3)
    rules = [leveled("low", "low"), leveled("high", "high"), detection("d", alerts=True)]
    limits = per_rule(7, 60)
    bench = bench_of(*rules, limits=limits)
    fed, suppressed, at = 0, 0, 0.0
    for number in range(2000):
        at += chance.random() * 30
        bench.advance(T0 + at - 5)
        bench.feed(match(chance.choice(["low", "high", "d"]), T0 + at, str(number)))
        fed += 1
        if chance.random() < 0.02:
            suppressed += sum(bench.correlator.counters.suppressed.values())
            bench = bench.restarted()
    suppressed += sum(bench.correlator.counters.suppressed.values())
    bench.finish()
    assert len(bench.told.alerts) + suppressed == fed
    assert suppressed == sum(int(said_of(notice) or 0) for notice in floods(bench))
    assert suppressed > 300


@pytest.mark.parametrize("seed", range(10))
def test_a_restart_changes_nothing(seed):
    """[G3] the same order of detections gives the same alerts after a crash."""
    chance = random.Random(seed)
    whole = bench_of(leveled("x", "low"), leveled("y", "critical"), limits=per_rule(4, 50))
    cut = bench_of(leveled("x", "low"), leveled("y", "critical"), limits=per_rule(4, 50))
    at = 0.0
    for number in range(300):
        at += chance.random() * 200
        one = match(chance.choice("xy"), T0 + at, str(number))
        for bench in (whole, cut):
            bench.advance(T0 + at - 5)
            bench.feed(one)
        if chance.random() < 0.1:
            cut = cut.restarted()
    whole.finish()
    cut.finish()
    assert [alert.id for alert in cut.told.alerts] == [alert.id for alert in whole.told.alerts]
    assert cut.told.notices == whole.told.notices


def test_changes_are_enough_to_go_on_from():
    bench = bench_of(leveled("x", "low"), limits=per_rule(2))
    stored = dict(bench.correlator.snapshot())
    bench.correlator.changes()
    for hour in range(3):
        bench.advance(T0 + hour * HOUR)
        bench.feed(*(match("x", T0 + hour * HOUR + at) for at in range(4)))
        for key, value in bench.correlator.changes().items():
            if value is None:
                stored.pop(key, None)
            else:
                stored[key] = value
        assert stored == bench.correlator.snapshot()


def test_a_number_is_said_even_if_its_rule_was_taken_away_meanwhile():
    bench = bench_of(leveled("x", "low"), leveled("y", "low"), limits=per_rule(1))
    bench.feed(match("x", T0), match("x", T0 + 1), match("x", T0 + 2))
    other = bench_of(leveled("y", "low"), limits=per_rule(1))
    fresh = Bench(leveled("y", "low"), limits=per_rule(1))
    fresh.correlator.restore(bench.correlator.snapshot())
    fresh.advance(T0 + HOUR)
    (notice,) = floods(fresh)
    assert notice.rule is None
    assert notice.detail.startswith("2 alerts of this rule (rule x, which does not run any more)")
    assert floods(other) == []


def test_suppressed_alerts_leave_their_episode_counted():
    """[A2] later firings are counted in state: a suppressed alert's episode is not told again as if it were new."""
    rule = correlation("c", "event_count", "a", count("gte", 1), span=HOUR)
    bench = bench_of(rule, limits=per_rule(1))
    bench.feed(match("a", T0, user="one"), match("a", T0 + 1, user="two"))
    bench.advance(T0 + HOUR)
    bench.feed(match("a", T0 + HOUR, user="two"))
    assert [alert.firing.key[1] for alert in bench.told.alerts] == ['"one"']


def test_limits_of_a_partition_are_its_share_but_not_so_small_that_chance_fills_them():
    whole = CorrelateLimits(alerts_per_rule=4_800, alerts=48_000)
    part = divided(whole, 24)
    assert (part.alerts_per_rule, part.alerts) == (200, 2_000)
    small = divided(CorrelateLimits(alerts_per_rule=240, alerts=300), 24)
    assert (small.alerts_per_rule, small.alerts) == (100, 300)
    assert divided(CorrelateLimits(alerts_per_rule=5), 24).alerts_per_rule == 5
    assert divided(whole, 1) == whole


def test_memory_is_divided_exactly():
    whole = CorrelateLimits(entries_per_key=1_000, entries_per_rule=48_000, entries=240_000)
    part = divided(whole, 24)
    assert (part.entries_per_key, part.entries_per_rule, part.entries) == (1_000, 2_000, 10_000)
    assert divided(CorrelateLimits(entries_per_key=1_000, entries_per_rule=2_400), 24).entries_per_key == 100


def test_the_shares_of_the_levels_are_the_whole():
    assert sum(SHARES.values()) == pytest.approx(1)
    assert list(SHARES) == list(LEVELS)
    ranked = [SHARES[level] for level in LEVELS]
    assert ranked == sorted(ranked)
