"""What stands in the log: it comes back as it was, within its budget, in the same partition on every machine."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from streamer.errors import RecordError, StateError
from streamer.model import Firing, Match, Notice, Position, Step
from streamer.stages import wire
from streamer.stages.wire import (
    BUDGET,
    Addressed,
    NoticeTold,
    RanksTold,
    RankTold,
    SourcesTold,
    SourceTold,
    decode,
    encode,
    kafka_key,
    partition_for,
    version_of,
)
from tests.correlate.making import correlation, count, detection, match, rules


def event(at: float = 1, **values: object) -> Match:
    return replace(match("a", at, **values), position=Position("topic", 3, 17, is_file=False))


def firing(members: int, below: Firing | None = None, text: str = "x") -> Firing:
    found = tuple(
        match("a", at, text=text) if below is None else Match("f", b"%16d" % at, at, "", {}, firing=below)
        for at in range(members)
    )
    return Firing("f", ("cluster",), ('"k"',), 9, "arrival", 9, (), (Step("a", found, members),), (1, 9))


TOLD = [
    Addressed("c", ('"prod"', '"alice"'), event(user="alice"), "lane", 3, b"12345678", 17),
    Addressed("c", ("1", "2.5", "true"), event(n=[1, 2.5, True, "é"]), "lane"),
    SourcesTold("v1", (SourceTold("t", 0, 5, 1, None, 9, 3), SourceTold("t", 1)), {"t": 2}, ((b"m", "k", 4),), (b"m",)),
    RanksTold({4: RankTold("v1", {1: 5, 2: 3}, {b"12345678": -7}, {1: 2}, ((b"m", "k", 4),), (b"m",)), 5: RankTold()}),
    NoticeTold(Notice("dead-letters", None, 5, "text", (("topic", 3),))),
]


@pytest.mark.parametrize("record", TOLD, ids=lambda record: type(record).__name__)
def test_everything_comes_back_as_it_was_written(record):
    assert decode(encode(record)) == record


def test_integers_beyond_64_bits_survive():
    record = Addressed("c", ("1",), event(n=[1 << 70, -(1 << 90), "x", 1.5]), "lane", 0, b"m", 5)
    assert decode(encode(record)) == record


def test_a_firing_with_more_than_fits_shows_fewer_members_and_the_true_totals():
    below = firing(20, text="x" * 2_000)
    record = Addressed("c", ("1",), Match("f", b"i" * 16, 9, "", {}, firing=firing(20, below)), "")
    data = encode(record)
    assert BUDGET / 4 < len(data) <= BUDGET
    assert data == encode(record)
    found = decode(data)
    assert isinstance(found, Addressed)
    outer = found.match.firing
    assert outer is not None
    step = outer.steps[0]
    assert step.total == 20
    assert 0 < len(step.members) < 20
    assert step.members[-1].time_us == 19, "the latest members are kept"
    inner = step.members[-1].firing
    assert inner is not None
    assert inner.steps[0].total == 20
    assert [one.time_us for one in inner.steps[0].members] == [
        one.time_us for one in below.steps[0].members[-len(inner.steps[0].members) :]
    ]


def test_a_firing_that_fits_keeps_all_its_members():
    record = Addressed("c", ("1",), Match("f", b"i" * 16, 9, "", {}, firing=firing(20)), "")
    assert decode(encode(record)) == record


def test_a_newer_schema_stops_with_a_sentence():
    data = msgspec.msgpack.encode((wire.SCHEMA + 1, "match", []))
    with pytest.raises(StateError, match="schema 2"):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"hello", msgspec.msgpack.encode((1, "match", [])), msgspec.msgpack.encode((1, "other", []))],
    ids=["empty", "byte", "text", "wrong match", "unknown kind"],
)
def test_bytes_that_are_no_record_are_said_to_be_unreadable(data):
    with pytest.raises(RecordError) as caught:
        decode(data)
    assert caught.value.reason == "not-readable"


def test_the_partition_of_a_key_is_the_same_on_every_machine():
    assert [partition_for("rule", (f'"{number}"',), 24) for number in range(8)] == [2, 20, 4, 15, 15, 18, 19, 7]


def test_keys_spread_over_the_partitions():
    found = [partition_for("rule", (str(number),), 24) for number in range(24_000)]
    assert all(800 < found.count(number) < 1_200 for number in range(24))


def test_neither_rule_and_key_nor_parts_of_a_key_run_together():
    one = Addressed("r", ("1", "2"), event(), "")
    assert len({kafka_key(replace(one, correlation=name, key=key)) for name, key in [
        ("r", ("1", "2")), ("r", ("12",)), ("r", ("1,2",)), ("r1", ("2",)), ("r", ('"1","2"',)), ("r", ("2", "1")),
    ]}) == 6  # fmt: skip


def test_half_a_surrogate_pair_in_a_key_is_no_trouble():
    assert partition_for("r", ('"\ud800"',), 7) in range(7)


def test_the_version_is_that_of_the_meanings_and_of_who_alerts():
    base = rules(detection("a", alerts=True), correlation("c", "event_count", "a", count("gte", 2)))
    assert len(version_of(base)) == 16
    assert version_of(base) == version_of(
        rules(detection("a", alerts=True), correlation("c", "event_count", "a", count("gte", 2)))
    )
    others = [
        rules(detection("a"), correlation("c", "event_count", "a", count("gte", 2))),
        rules(detection("a", alerts=True), correlation("c", "event_count", "a", count("gte", 2), meaning="another")),
        rules(detection("a", alerts=True)),
    ]
    assert len({version_of(base), *map(version_of, others)}) == 4
