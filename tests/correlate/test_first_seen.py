"""Values that a key did not have for a whole timespan."""

from __future__ import annotations

import random

from tests.correlate.making import SECOND, Bench, correlation, count, match


def rule(*fields: str, **more):
    return correlation("f", "value_count", "a", count("gte", 1, *(fields or ("v",))), first_seen=True, **more)


def test_a_value_not_seen_for_a_timespan_fires():
    """[C8] a match whose value was not seen with that key in [m - timespan, m)."""
    bench = Bench(rule())
    assert bench.all([match("a", at, v="x") for at in (0, 60, 120.000001, 121)]) == [0, 120.000001]


def test_values_belong_to_their_key():
    """[C8] with that key."""
    assert Bench(rule()).all([match("a", 1, v="x"), match("a", 2, v="x", user="bob")]) == [1, 2]


def test_it_waits_for_the_watermark():
    """[C8] decided at the watermark: an earlier match may still come."""
    bench = Bench(rule())
    bench.feed(match("a", 10, v="x"), match("a", 5, v="x"))
    assert bench.advance(5) == []
    assert bench.advance(11) == [5]


def test_late_values_are_remembered_too():
    """[C8] every match's value is remembered, late ones too."""
    bench = Bench(rule())
    bench.advance(100)
    assert bench.feed(match("a", 90, v="x")) == [90]
    bench.feed(match("a", 120, v="x"))
    assert bench.advance(130) == []


def test_a_late_value_does_not_take_back_what_was_told():
    """[T6] a completing event, once judged, is not judged again."""
    bench = Bench(rule())
    bench.feed(match("a", 10, v="x"))
    assert bench.advance(20) == [10]
    assert bench.feed(match("a", 5, v="x"), match("a", 10, v="x")) == [5]


def test_nothing_fires_while_it_learns():
    """[C8] `learn`: no firing in a cluster during that time after the rule's first match there."""
    bench = Bench(rule(learn=10))
    bench.feed(match("a", 0, v=1), match("a", 9.999999, v=2), match("a", 10, v=3), match("a", 11, v=1))
    bench.feed(match("a", 50, v=1, cluster="west"), match("a", 61, v=2, cluster="west"))
    bench.finish()
    assert bench.times() == [10, 61]


def test_a_match_judged_while_learning_is_not_judged_again():
    """[I5] duplicates by identity change nothing. [T6] once judged, it is not judged again."""
    bench = Bench(rule(learn=3, span=6))
    bench.feed(match("a", 6, "x", v=1))
    bench.advance(9)
    bench = bench.restarted()
    bench.feed(match("a", 2, "y", v=2, user="bob"))
    assert bench.feed(match("a", 6, "x", v=1)) == []
    bench.advance(400)
    assert not any(b"part" in key for key in bench.correlator.snapshot())


def test_looking_back_beyond_the_start_is_marked():
    """[G2] a `first_seen` that looks back beyond the start of the stream is marked `cold_start`."""
    bench = Bench(rule(), start=0)
    bench.all([match("a", 59, v=1), match("a", 60, v=2)])
    assert [one.marks for one in bench.told.firings] == [("cold_start",), ()]


def test_each_new_value_has_its_own_episode():
    """[A2] for `first_seen` the value is part of the key."""
    bench = Bench(rule())
    bench.all([match("a", 1, v="x"), match("a", 2, v="y"), match("a", 3, v="x")])
    assert [alert.firing.suppress_key[-1] for alert in bench.told.alerts] == ['"x"', '"y"']


def test_one_match_with_two_new_values_is_one_firing_and_two_alerts():
    """[A2] for `first_seen` the value is part of the key. [G4] one alert per episode."""
    bench = Bench(rule())
    assert bench.all([match("a", 1, v=["x", "y"])]) == [1]
    assert [alert.firing.suppress_key[-1] for alert in bench.told.alerts] == ['"y"', '"x"']
    assert len({alert.id for alert in bench.told.alerts}) == 2


def test_on_arrival_it_tells_what_it_knows():
    """[C8] `decide: arrival` is allowed for `first_seen`; the alert says `provisional`."""
    bench = Bench(rule(decides="arrival", provisional=True), start=-100)
    assert bench.feed(match("a", 10, v="x"), match("a", 5, v="x"), match("a", 7, v="x")) == [10, 5]
    assert bench.told.firings[0].marks == ("provisional",)


def test_a_value_that_keeps_coming_takes_the_room_of_one():
    """[T7] state is kept until watermark > its time + timespan + reach."""
    bench = Bench(rule(reach=0))
    for at in range(500):
        bench.feed(match("a", at, v="x"))
        bench.advance(at)
    parts = [key for key in bench.correlator.snapshot() if b"part" in key]
    assert len(parts) < 5
    bench.advance(10_000)
    assert not [key for key in bench.correlator.snapshot() if b"part" in key]


def test_any_order_tells_what_a_look_back_by_hand_finds():
    """[G3] in any order within lateness: the same set of firings; and across restarts."""
    rng = random.Random(5)
    for _ in range(60):
        matches = [match("a", rng.randrange(80), str(n), v=rng.randrange(4)) for n in range(25)]
        expected = {
            one.time_us / SECOND
            for one in matches
            if not any(
                other.values == one.values and 0 < one.time_us - other.time_us <= 10 * SECOND for other in matches
            )
        }
        rng.shuffle(matches)
        bench = Bench(rule(span=10))
        bench.feed(*matches[:12])
        bench = bench.restarted()
        assert bench.all(matches[12:]) == sorted(expected)
