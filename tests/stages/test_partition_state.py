"""What a partition stores, and what it does not go on with."""

from __future__ import annotations

import msgspec
import pytest

from streamer.correlate import codec
from streamer.errors import RecordError, StateError
from tests.correlate.making import correlation, count, detection, match, rules
from tests.stages.bench import ABSENT, CHAIN, LEARNS, Bench, entries


def test_time_and_positions_alone_are_no_reason_to_commit():
    bench = Bench(CHAIN)
    assert bench.cores[0].has_changes(), "the rules that run here"
    bench.sources(5)
    assert len(bench.cores[0].changes()) > 1
    bench.sources(10)
    bench.ranks()
    assert not bench.cores[0].has_changes()
    assert len(bench.cores[0].changes()) == 1
    assert bench.cores[0].changes() == {}
    bench.match(match("a", 20))
    assert bench.cores[0].has_changes()
    bench.cores[0].forget_changes()
    assert not bench.cores[0].has_changes()
    assert bench.cores[0].changes() == {}


def test_the_sum_of_the_changes_is_the_snapshot():
    bench = Bench(rules(*CHAIN.correlations, LEARNS, detection("a", alerts=True)))
    stored: dict[bytes, bytes] = {}
    for second in range(40):
        bench.match(match("abc"[second % 3], second * 20, v=second % 4, user=f"u{second % 3}"))
        bench.deliver()
        bench.sources(second * 20 - 30)
        bench.ranks()
        if second % 3 == 0:
            assert entries(bench, stored) == bench.cores[0].snapshot()
    assert len(bench.firings) > 10
    after = bench.core(0, bench.rules)
    after.restore(stored | entries(bench, stored))
    assert after.snapshot() == bench.cores[0].snapshot()


def test_state_of_a_newer_version_stops_with_a_sentence():
    bench = Bench(rules(ABSENT))
    bench.sources(10)
    stored = entries(bench, {})
    for key in stored:
        newer = {**stored, key: msgspec.msgpack.encode((codec.SCHEMA + 1, []))}
        with pytest.raises(StateError, match="schema"):
            bench.core(0, bench.rules).restore(newer)


def test_state_that_does_not_say_how_far_time_had_come_is_not_gone_on_with():
    bench = Bench(rules(ABSENT))
    bench.sources(10)
    stored = entries(bench, {})
    del stored[codec.encode_key("heard")]
    with pytest.raises(StateError, match="partition 0 is not whole"):
        bench.core(0, bench.rules).restore(stored)


def test_a_partition_nobody_ever_owned_begins_with_all_rules_new():
    report = Bench(rules(ABSENT)).cores[0].restore({})
    assert set(report.new) == {"absent", "a", "b"}
    assert (report.kept, report.dropped) == ((), ())


def test_a_record_that_cannot_be_read_changes_nothing():
    bench = Bench(rules(ABSENT))
    bench.match(match("a", 1))
    before = bench.cores[0].snapshot()
    with pytest.raises(RecordError):
        bench.cores[0].feed(7, b"nonsense")
    assert bench.cores[0].snapshot() == before
    with pytest.raises(StateError, match="offset 7 of partition 0"):
        bench.cores[0].feed(7, msgspec.msgpack.encode((99, "match", [])))


def test_a_rule_whose_feeder_has_another_name_begins_anew():
    """A rule without an id is known by its name; state that speaks of the old name cannot be gone on with."""
    before = correlation("two", "event_count", "a", count("gte", 2), meaning="the same")
    after = correlation("two", "event_count", "q", count("gte", 2), meaning="the same")
    bench = Bench(rules(before))
    bench.match(match("a", 1))
    core = bench.core(0, rules(after))
    report = core.restore(bench.cores[0].snapshot())
    assert "two" in report.dropped
    assert "two" not in report.kept
