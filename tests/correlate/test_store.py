"""State in and out."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import pytest

from streamer.correlate import Correlator
from streamer.errors import StateError
from tests.correlate.making import SECOND, Bench, correlation, count, detection, expression, match, meta, rules


def every_kind():
    return [
        detection("d", alerts=True),
        correlation("events", "event_count", "a", count("gte", 3), span=20),
        correlation("events_late", "event_count", "a", count("gte", 3), span=20, decides="watermark"),
        correlation("values", "value_count", "a b", count("gte", 3, "v"), span=20),
        correlation("few", "event_count", "a", count("lt", 3), span=7),
        correlation("first", "value_count", "a", count("gte", 1, "v"), span=15, first_seen=True, learn=5),
        correlation("sum", "value_sum", "a", count("gt", 6, "v"), span=9),
        correlation("median", "value_median", "a b", count("gt", 2, "v"), span=9),
        correlation("all", "temporal", "a b c", span=8),
        correlation("two", "temporal", "a b c", expression("2"), span=5),
        correlation("not", "temporal", "a b c", expression("a and b and not c"), span=8),
        correlation("order", "temporal_ordered", "a b c", span=12, alerts=False),
        correlation("before", "temporal_ordered", "a b c", expression("b and c and not a"), span=9, reach=20),
        correlation("after", "temporal_ordered", "a b c", expression("a and b and not c"), span=9),
        correlation("above", "event_count", "order", count("gte", 2), span=30, rank=2),
    ]


def _matches(rng: random.Random, size: int):
    names = ["a", "b", "c", "d"]
    found = []
    for number in range(size):
        at = rng.randrange(120)
        found += [
            match(name, at, str(number), v=rng.randrange(5), user=rng.choice("xy"))
            for name in rng.sample(names, rng.choice((1, 1, 2)))
        ]
    found.sort(key=lambda one: one.time_us + rng.randrange(10 * SECOND))
    return found


@pytest.mark.parametrize("how", ["snapshot", "changes"])
def test_a_restart_at_any_point_changes_nothing(how):
    """[G1] across any crash. [G3] the same alerts with the same ids, after a crash, on another machine."""
    rng = random.Random(how)
    fired = 0
    for _ in range(15):
        loaded = rules(*every_kind())
        matches = _matches(rng, 60)
        straight, broken = Correlator(loaded), Correlator(loaded)
        stored: dict[bytes, bytes] = {}
        for number, one in enumerate(matches):
            expected, got = straight.feed(one), broken.feed(one)
            assert got == expected
            if number % 5 == 0:
                watermark = one.time_us - 10 * SECOND
                assert broken.advance(watermark) == straight.advance(watermark)
            if rng.random() < 0.3:
                for key, value in broken.changes().items():
                    if value is None:
                        stored.pop(key, None)
                    else:
                        stored[key] = value
                assert stored == broken.snapshot()
                broken = Correlator(loaded)
                broken.restore(stored)
                assert broken.snapshot() == stored
                assert (broken.next_deadline() is None) is (straight.next_deadline() is None)
        expected = straight.finish()
        assert broken.finish() == expected
        fired += len(expected.firings)
    assert fired > 100


def test_only_what_changed_is_written():
    bench = Bench(correlation("n", "event_count", "a", count("gte", 100)))
    bench.feed(*(match("a", at) for at in range(50)))
    assert len(bench.correlator.changes()) > 50
    bench.feed(match("a", 51))
    changed = bench.correlator.changes()
    assert len(changed) == 2
    assert None not in changed.values()
    assert bench.correlator.changes() == {}


def test_what_is_gone_is_told_as_gone():
    bench = Bench(correlation("n", "event_count", "a", count("gte", 100)))
    bench.feed(match("a", 1))
    written = {key for key in bench.correlator.changes() if b"part" in key}
    bench.advance(10_000)
    assert {key for key, value in bench.correlator.changes().items() if value is None} == written


def test_state_belongs_to_the_meaning_of_a_rule():
    """Section 8: a changed meaning starts anew; a changed title keeps the state; the reload says which."""
    one = correlation("one", "event_count", "a", count("gte", 3))
    two = correlation("two", "event_count", "b", count("gte", 3))
    bench = Bench(one, two)
    bench.feed(match("a", 1), match("a", 2), match("b", 1), match("b", 2))
    entries = bench.correlator.snapshot()
    retitled = replace(one, meta=replace(one.meta, title="other"))
    changed = replace(two, meta=meta("two", "something else"))
    fresh = Bench(retitled, changed, correlation("three", "event_count", "a", count("gte", 3)))
    report = fresh.correlator.restore(entries)
    assert (report.kept, report.dropped, report.new) == (("a", "b", "one"), ("two",), ("three",))
    assert fresh.feed(match("a", 3), match("b", 3)) == [3]
    left = {key for key, value in fresh.correlator.changes().items() if value is None}
    assert {key for key in entries if b"part" in key and b"two" in key} == left


def test_state_of_a_rule_that_is_gone_is_deleted():
    bench = Bench(correlation("one", "event_count", "a", count("gte", 3)))
    bench.feed(match("a", 1))
    other = Bench(correlation("two", "event_count", "a", count("gte", 3)))
    assert other.correlator.restore(bench.correlator.snapshot()).dropped == ("one",)
    assert [key for key, value in other.correlator.changes().items() if value is None]


def test_matches_with_evidence_and_nested_firings_come_back_as_they_were():
    low = correlation("low", "temporal_ordered", "a b", alerts=False)
    bench = Bench(low, correlation("high", "event_count", "low", count("gte", 2), rank=2))
    bench.feed(match("a", 1, v=[1, 1.5, True, "x"]), match("b", 2))
    again = bench.restarted()
    again.feed(match("b", 3))
    nested = again.told.firings[-1].steps[0].members[0].firing
    assert nested == bench.told.firings[0]
    assert nested.steps[0].members[0].evidence == match("a", 1).evidence


def test_a_newer_schema_is_refused_with_a_sentence():
    bench = Bench(correlation("n", "event_count", "a", count("gte", 3)))
    bench.feed(match("a", 1))
    entries = {key: msgspec.msgpack.encode((99, None)) for key in bench.correlator.snapshot()}
    with pytest.raises(StateError, match="schema 99"):
        Correlator(bench.rules).restore(entries)


def test_damaged_entries_are_refused_with_a_sentence():
    bench = Bench(correlation("n", "event_count", "a", count("gte", 3)))
    bench.feed(match("a", 1))
    for damage in ({b"\xc1": b""}, dict.fromkeys(bench.correlator.snapshot(), b"\xc1")):
        with pytest.raises(StateError, match="damaged"):
            Correlator(bench.rules).restore(damage)
