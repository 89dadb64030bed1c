"""Episodes, alert ids, links."""

from __future__ import annotations

from dataclasses import replace

from streamer.correlate import CorrelateLimits
from streamer.correlate.episodes import EpisodeBook, alert_id
from streamer.correlate.limits import Room
from streamer.sigma.rules import DAY_US, Suppress
from tests.correlate.making import SECOND, Bench, correlation, count, match, meta

HOUR = 3600


def each(**more):
    """Fires for every match."""
    return correlation("n", "event_count", "a", count("gte", 1), **more)


def alerts(bench: Bench) -> list[float]:
    return [alert.firing.time_us / SECOND for alert in bench.told.alerts]


def opens(book: EpisodeBook, *times: float) -> list[float]:
    return [time for time in times if book.fold(("k",), round(time * SECOND))]


def book(gap: float, longest: float = 24 * HOUR, room: int = 100) -> EpisodeBook:
    limits = CorrelateLimits(entries_per_rule=room)
    return EpisodeBook(Suppress(round(gap * SECOND), round(longest * SECOND)), 0, limits, Room())


def test_one_alert_per_episode():
    """[A2] ends when no firing of that key happened for one timespan. [G4] one alert per episode."""
    bench = Bench(each(span=60))
    bench.feed(*(match("a", at) for at in (0, 60, 120, 180.000001, 200)))
    assert alerts(bench) == [0, 180.000001]
    assert len(bench.told.firings) == 5


def test_an_episode_ends_at_the_latest_after_a_day():
    """[A2] at the latest after 24 h."""
    assert opens(book(HOUR), *range(0, 26 * HOUR, HOUR)) == [0, 25 * HOUR]
    assert Suppress(1).max_us == DAY_US


def test_other_lengths_can_be_said():
    """[A2] `suppress` sets other lengths (the gap, the maximum)."""
    bench = Bench(each(suppress=Suppress(gap_us=10 * SECOND, max_us=25 * SECOND)))
    bench.feed(*(match("a", at) for at in (0, 10, 20, 30, 41)))
    assert alerts(bench) == [0, 30, 41]


def test_a_late_firing_may_precede_the_episode_it_joins():
    """[A2] later firings are counted, never in the alert."""
    assert opens(book(10), 100, 95, 86, 75) == [100, 75]


def test_a_late_firing_that_joins_two_episodes_takes_nothing_back():
    """[A2] if a late firing joins two episodes that have both alerted, both alerts stand."""
    assert opens(book(10), 100, 115, 107, 125) == [100, 115]


def test_another_key_can_be_said():
    """[A2] or another key."""
    stated = each(by=("user", "ip"), suppress=Suppress(gap_us=60 * SECOND, by=("user",)))
    bench = Bench(stated)
    bench.feed(match("a", 1, ip="x"), match("a", 2, ip="y"), match("a", 3, ip="z", user="bob"))
    assert alerts(bench) == [1, 3]
    assert bench.told.firings[1].suppress_key == ('"prod"', '"alice"')


def test_a_key_that_the_firing_lacks_hides_nothing():
    """[A2] without the field, firings are folded under their own key."""
    bench = Bench(each(suppress=Suppress(gap_us=60 * SECOND, by=("ip",))))
    bench.feed(match("a", 1), match("a", 2, user="bob"))
    assert alerts(bench) == [1, 2]


def test_an_alert_id_is_made_of_rule_meaning_key_and_opening():
    """[A3] a hash of rule id, the rule's meaning, key, and the time of the firing that opened the episode."""
    rule = each()
    ids = {
        alert_id(rule, ("k",), 1),
        alert_id(rule, ("k",), 2),
        alert_id(rule, ("l",), 1),
        alert_id(replace(rule, meta=meta("n", "other")), ("k",), 1),
        alert_id(replace(rule, meta=replace(rule.meta, id="an-id")), ("k",), 1),
    }
    assert len(ids) == 5
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)
    retitled = replace(rule, meta=replace(rule.meta, title="other", level="high"))
    assert alert_id(retitled, ("k",), 1) == alert_id(rule, ("k",), 1)


def test_episodes_go_when_nothing_can_join_them():
    """[T7] episodes are kept until the watermark has passed their time and what may still come."""
    bench = Bench(each(span=60, reach=30, suppress=Suppress(gap_us=100 * SECOND)))
    bench.feed(match("a", 0))
    bench.advance(130)
    assert any(b"open" in key for key in bench.correlator.snapshot())
    bench.advance(130.000001)
    assert not any(b"open" in key for key in bench.correlator.snapshot())


def test_a_book_without_room_says_so():
    """[Bounded] what is not remembered is told all the same; see test_pressure."""
    one = book(10, room=1)
    assert one.has_room(("k",))
    one.fold(("k",), 0)
    assert one.has_room(("k",))
    assert not one.has_room(("other",))
    one.expire(DAY_US)
    assert one.has_room(("other",))


def test_links_are_counted_along_the_chain():
    """[A4] the alert counts both along its chain: exact by a key that names the thing itself, else by time."""
    low = correlation("low", "temporal", "a b", link_exact=True, alerts=False)
    middle = correlation("middle", "temporal_ordered", "low c", rank=2, alerts=False)
    high = correlation("high", "temporal", "middle d e", rank=3)
    bench = Bench(low, middle, high)
    bench.feed(*(match(name, at) for at, name in enumerate("abcde")))
    assert [(alert.links_exact, alert.links_by_time) for alert in bench.told.alerts] == [(1, 3)]
