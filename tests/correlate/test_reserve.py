"""A flood of beginnings fills the state; an attack under way is found all the same."""

from __future__ import annotations

import dataclasses

import pytest

from streamer.correlate import CorrelateLimits
from streamer.sigma.rules import Suppress
from tests.correlate.making import SECOND, Bench, correlation, count, detection, expression, match

HOUR = 3600
SMALL = CorrelateLimits(entries_per_key=1_000, entries_per_rule=1_000, entries=2_000)
TINY_KEYS = CorrelateLimits(entries_per_key=300, entries_per_rule=1_000, entries=2_000)


def ordered(steps: str, **more):
    return correlation("o", "temporal_ordered", steps, span=HOUR, **more)


def flood(rule: str, at: float, users: int, name: str = "noise"):
    return (match(rule, at, f"{name} {rule} {at} {user}", user=f"{name}-{user}") for user in range(users))


def refused(bench: Bench) -> int:
    return sum(bench.correlator.counters.refused.values())


def test_a_slow_attack_among_a_flood_of_first_steps_is_found():
    """[Bounded] a share of the limit is reserved for partial matches at step two or later."""
    bench = Bench(ordered("a b c d"), limits=SMALL)
    bench.feed(match("a", 0, user="mallory"))
    for number, step in enumerate("bcd", 1):
        bench.feed(*flood("a", number * 100, 3_000))
        bench.feed(match(step, number * 100 + 50, user="mallory"))
    assert refused(bench) > 5_000
    assert [(one.key[1], one.time_us) for one in bench.told.firings] == [('"mallory"', 350 * SECOND)]


def test_steps_out_of_order_use_the_reserve_too():
    """[G1] in any order of arrival: a first step that comes after its second goes on with something."""
    bench = Bench(ordered("a b c"), limits=SMALL)
    bench.feed(match("b", 20, user="mallory"))
    bench.feed(*flood("a", 1, 3_000))
    assert bench.feed(match("a", 10, user="mallory"), match("c", 30, user="mallory")) == [30]


def test_a_flood_of_second_steps_leaves_room_for_third_ones():
    bench = Bench(ordered("a b c"), limits=SMALL)
    bench.feed(match("a", 0, user="mallory"), match("b", 1, user="mallory"))
    for at in range(2, 8):
        bench.feed(*flood("a", at, 400, f"noise{at}"), *flood("b", at + 0.5, 400, f"noise{at}"))
    assert refused(bench) > 1_000
    assert bench.feed(match("c", 10, user="mallory")) == [10]


def test_a_flood_under_the_attackers_own_key_does_not_hide_the_attack():
    """The limit of one key has a reserve, too: who floods his own key is found."""
    bench = Bench(ordered("a b c"), limits=TINY_KEYS)
    bench.feed(*(match("a", at / 10, user="mallory") for at in range(2_000)))
    assert bench.feed(match("b", 300, user="mallory")) == []
    bench.feed(*(match("b", 300 + at / 10, user="mallory") for at in range(1, 2_000)))
    assert bench.feed(match("c", 900, user="mallory")) == [900]
    assert refused(bench) > 3_000


def test_a_crowd_of_second_steps_of_one_key_does_not_take_the_reserve_from_others():
    bench = Bench(ordered("a b c"), limits=SMALL)
    bench.feed(match("a", 0, user="mallory"))
    bench.feed(*(match("a", 0, user=f"noise-{user}") for user in range(5)))
    for user in range(5):
        bench.feed(*(match("b", 1 + at / 100, user=f"noise-{user}") for at in range(1_000)))
    assert refused(bench) > 1_000
    assert bench.feed(match("b", 100, user="mallory"), match("c", 101, user="mallory")) == [101]


def test_in_any_order_the_other_rules_are_what_was_begun():
    bench = Bench(correlation("t", "temporal", "a b c", span=HOUR), limits=SMALL)
    bench.feed(match("b", 0, user="mallory"))
    bench.feed(*flood("a", 1, 3_000))
    assert bench.feed(match("c", 2, user="mallory"), match("a", 3, user="mallory")) == [3]
    some = Bench(correlation("t", "temporal", "a b c", expression("2"), span=HOUR), limits=SMALL)
    some.feed(match("b", 0, user="mallory"))
    some.feed(*flood("a", 1, 3_000))
    assert some.feed(match("c", 2, user="mallory")) == [2]


@pytest.mark.parametrize("type_", ["event_count", "value_count"])
def test_a_count_under_way_goes_on_among_a_flood_of_new_keys(type_):
    fields = ("v",) if type_ == "value_count" else ()
    bench = Bench(correlation("n", type_, "a", count("gte", 10, *fields), span=HOUR), limits=SMALL)
    bench.feed(match("a", 0, user="mallory", v=0))
    found = []
    for number in range(1, 10):
        bench.feed(
            *(match("a", number, f"{number} {user}", user=f"noise-{number}-{user}", v=1) for user in range(1_000))
        )
        found += bench.feed(match("a", number + 0.5, user="mallory", v=number))
    assert refused(bench) > 7_000
    assert found == [9.5]


def test_a_key_far_beyond_its_threshold_does_not_take_the_reserve():
    bench = Bench(correlation("n", "event_count", "a", count("gte", 3), span=HOUR), limits=SMALL)
    bench.feed(match("a", 0, user="mallory"))
    bench.feed(*(match("a", 1 + at / 1000, user="loud") for at in range(5_000)))
    assert refused(bench) > 3_000
    assert bench.feed(match("a", 10, user="mallory"), match("a", 11, user="mallory")) == [11]


def test_rules_that_never_go_on_leave_the_common_reserve_to_those_that_do():
    """The limit of all rules: new values fill only what is not reserved."""
    limits = CorrelateLimits(entries_per_key=10_000, entries_per_rule=10_000, entries=1_000)
    seen = correlation("f", "value_count", "n", count("gte", 1, "v"), first_seen=True, span=HOUR)
    bench = Bench(ordered("a b"), seen, limits=limits)
    bench.feed(match("a", 0, user="mallory"))
    bench.feed(*(match("n", 1, user="noise", v=value) for value in range(3_000)))
    assert refused(bench) > 2_000
    assert bench.feed(match("b", 2, user="mallory")) == [2]


def test_what_was_told_takes_no_room_from_what_is_correlated():
    """A flood of alerts is remembered elsewhere: an attack can begin in it."""
    limits = CorrelateLimits(entries_per_key=100, entries_per_rule=100, entries=200, alerts_per_rule=10)
    bench = Bench(ordered("a b"), detection("d", alerts=True), limits=limits)
    bench.feed(*(match("d", at / 10) for at in range(2_000)))
    assert bench.feed(match("a", 300, user="mallory"), match("b", 301, user="mallory")) == [301]


def test_a_detection_that_cannot_remember_what_it_told_says_so_and_names_the_sources():
    """[Bounded] each says so: the alert may come again with a redelivery."""
    limits = CorrelateLimits(entries_per_rule=50, entries=80, alerts_per_rule=1_000)
    by = Suppress(gap_us=HOUR * SECOND, by=("user",))
    rule = dataclasses.replace(detection("d", alerts=True), suppress=by)
    bench = Bench(rule, limits=limits)
    bench.feed(*(match("d", at, user="mallory") for at in range(200)))
    assert bench.correlator.counters.refused["d"] == 150
    (notice,) = [one for one in bench.told.notices if "without remembering their event" in one.detail]
    assert dict(notice.top)['user="mallory"'] == 1
    assert len(bench.told.alerts) == 1
    assert bench.feed(match("d", 199, user="mallory")) == [199]


def test_episodes_that_find_no_room_are_said_once_an_hour_also_after_a_restart():
    limits = CorrelateLimits(entries_per_rule=100, entries=100, alerts_per_rule=1_000)
    by = Suppress(gap_us=HOUR * SECOND, by=("user",))
    rule = dataclasses.replace(detection("d", alerts=True), suppress=by)
    bench = Bench(rule, limits=limits)
    bench.advance(HOUR)
    for at in range(200):
        bench.feed(match("d", HOUR + at, user=str(at)))
        if at == 150:
            bench = bench.restarted()
    said = [one for one in bench.told.notices if "without remembering their episode" in one.detail]
    assert len(said) == 1
    assert len(bench.told.alerts) == 200
    assert said[0].top


def test_room_for_what_was_told_comes_back():
    limits = CorrelateLimits(entries_per_rule=100, entries=100)
    bench = Bench(detection("d", alerts=True), limits=limits)
    bench.feed(*(match("d", at) for at in range(200)))
    before = bench.correlator.counters.refused["d"]
    assert before > 0
    bench.advance(10 * HOUR)
    bench = bench.restarted()
    bench.feed(*(match("d", 10 * HOUR + at) for at in range(40)))
    assert bench.correlator.counters.refused["d"] == 0
    assert bench.feed(match("d", 10 * HOUR + 5)) == []


def test_the_room_in_use_is_exact_over_growth_expiry_and_restart():
    pairs = correlation("n", "event_count", "a", count("gte", 2), span=60)
    rules = [ordered("a b"), detection("d", alerts=True), pairs]
    bench = Bench(*rules, limits=SMALL)
    for hour in range(4):
        bench.feed(*flood("a", hour * HOUR, 50, str(hour)), *flood("d", hour * HOUR, 50, str(hour)))
        bench.advance(hour * HOUR + 1800)
        held = sum(state.size() for host in bench.correlator._cascade.hosts for state in host.states.values())
        alerter = bench.correlator._alerters.by_rule["d"]
        told = len(alerter.book) + len(bench.correlator._detections["d"].entries())
        assert [host._room.used for host in bench.correlator._cascade.hosts] == [held, held]
        assert alerter.telling.room.used == told
        bench = bench.restarted()
    bench.advance(100 * HOUR)
    assert bench.correlator._cascade.hosts[0]._room.used == 0
    assert bench.correlator._alerters.by_rule["d"].telling.room.used == 0
