"""What is told of a source's health: a function of its records, once per minute, and nothing rather than a guess."""

from __future__ import annotations

import orjson
import pytest

from streamer.decode import Decoder, Source
from streamer.detect.health import CLUSTERS, MINUTE_US, REMEMBERED, SourceHealth, is_asked_for
from streamer.detect.intake import IntakeCounters, timed
from streamer.errors import StateError
from streamer.model import SOURCE_HEALTH, Event, Position, Record
from streamer.sigma import load_text
from streamer.sigma.event_fields import fields_of

BASE = 29_454_000 * MINUTE_US  # a full minute, and a full day
HOUR = 60 * MINUTE_US
SECOND = 1_000_000
SOURCE = Source("topic", "containers", cluster="c1")
RULE = """
title: Heard
name: heard
logsource: {category: %s, product: %s}
detection: {selection: {health.event: heard}, condition: selection}
level: low
"""


class Partition:
    """A partition that is read record by record, by a file's or a topic's means."""

    def __init__(self, *, is_file: bool = False, source: Source = SOURCE, offset: int | None = None) -> None:
        self.is_file, self.source = is_file, source
        self.counters = IntakeCounters()
        self.offset = int(is_file) if offset is None else offset
        self.begin()

    def begin(self, state: bytes = b"") -> None:
        """Somebody who knows nothing but the state goes on."""
        self.health = SourceHealth(self.source, 0, self.counters, is_file=self.is_file)
        if state:
            self.health.restore(state)

    def read(
        self, time_us: int, *, append_us: int | None = None, cluster: str = "c1", reached_us: int | None = None
    ) -> list[Event]:
        line = {
            "log": "x",
            "stream": "stdout",
            "cluster": cluster,
            "@timestamp": time_us / 1e6,
        }
        return self.raw(orjson.dumps(line), append_us if append_us is not None else time_us, cluster, reached_us)

    def raw(
        self, value: bytes, append_us: int | None, cluster: str = "c1", reached_us: int | None = None
    ) -> list[Event]:
        position = Position(self.source.name, 0, self.offset, self.is_file)
        headers = (("cluster", cluster.encode()),)
        record = Record(value, position, None if self.is_file else append_us, headers)
        self.offset += 1
        decoded = Decoder(self.source).decode(record)
        return self.health.read(record, decoded, timed(decoded.events, reached_us), reached_us)


def said(events: list[Event]) -> list[tuple[str, int]]:
    return [(event.fields["health"]["event"], event.time_us - BASE) for event in events]


def minutes(events: list[Event]) -> list[int]:
    return [time // MINUTE_US for event, time in said(events) if event == "heard"]


def test_a_minute_is_heard_once_at_its_end() -> None:
    partition = Partition()

    first = partition.read(BASE + 5 * SECOND)
    assert said(first) == [("heard", MINUTE_US)]
    assert first[0].logsource == SOURCE_HEALTH
    assert first[0].cluster == "c1"
    assert first[0].fields["health"]["kind"] == "containers"
    assert partition.read(BASE + 6 * SECOND) == []
    assert said(partition.read(BASE + MINUTE_US)) == [("heard", 2 * MINUTE_US), ("counted", MINUTE_US)]


def test_a_minute_that_comes_late_is_heard_and_one_that_was_told_is_not_told_again() -> None:
    """[G3] the same records in another order tell the same."""
    partition = Partition()

    assert minutes(partition.read(BASE + MINUTE_US)) == [2]
    assert minutes(partition.read(BASE, append_us=BASE + MINUTE_US)) == [1]
    assert minutes(partition.read(BASE + 2, append_us=BASE + MINUTE_US)) == []
    assert minutes(partition.read(BASE + 3 * MINUTE_US)) == [4]
    assert minutes(partition.read(BASE + 2 * MINUTE_US, append_us=BASE + 3 * MINUTE_US)) == [3]
    assert minutes(partition.read(BASE + MINUTE_US, append_us=BASE + 3 * MINUTE_US)) == []


def test_what_is_read_again_by_somebody_else_says_the_same() -> None:
    """[I5] the identity is that of the minute, not of the record."""
    partition = Partition()
    (first,) = partition.read(BASE + 5 * SECOND)
    partition.begin()
    (again,) = partition.read(BASE + 50 * SECOND)

    assert again.position != first.position
    assert (again.identity, again.time_us, again.fields) == (first.identity, first.time_us, first.fields)


def test_clusters_and_sources_are_told_apart() -> None:
    partition = Partition()
    (one,) = partition.read(BASE, cluster="c1")
    (other,) = partition.read(BASE, cluster="c2")
    (elsewhere,) = Partition(source=Source("other", "containers", cluster="c1")).read(BASE)

    assert len({one.identity, other.identity, elsewhere.identity}) == 3
    assert other.cluster == "c2"


def test_a_stamp_of_long_ago_says_nothing_in_a_topic() -> None:
    partition = Partition()

    assert partition.read(BASE - 25 * HOUR, append_us=BASE) == []
    assert minutes(partition.read(BASE)) == [1]


def test_a_stamp_of_long_ago_says_nothing_where_the_partition_has_come_to_today() -> None:
    partition = Partition()

    assert partition.read(BASE - 25 * HOUR, append_us=BASE, reached_us=BASE) == []


def test_a_history_that_is_written_into_a_topic_speaks_of_its_own_time() -> None:
    partition = Partition()
    then = BASE - 60 * 24 * HOUR

    assert len(partition.read(then, append_us=BASE, reached_us=then)) == 1
    assert len(partition.read(then + HOUR, append_us=BASE, reached_us=then + HOUR)) == 1


def test_a_clock_that_stands_at_1970_is_no_history() -> None:
    assert Partition().read(HOUR, append_us=BASE, reached_us=HOUR) == []


def test_a_stamp_of_next_year_counts_as_the_time_at_which_it_was_appended() -> None:
    """[T3] an event has its corrected time."""
    partition = Partition()

    assert minutes(partition.read(BASE + 365 * 24 * HOUR, append_us=BASE)) == [1]


def test_a_minute_more_than_an_hour_behind_is_not_told() -> None:
    partition = Partition()
    partition.read(BASE + REMEMBERED * MINUTE_US)

    assert minutes(partition.read(BASE, append_us=BASE + REMEMBERED * MINUTE_US)) == []
    assert minutes(partition.read(BASE + MINUTE_US, append_us=BASE + REMEMBERED * MINUTE_US)) == [2]


def test_a_stamp_in_a_file_counts_once_others_have_confirmed_it() -> None:
    """[T3] one line from next year is no sign of life."""
    partition = Partition(is_file=True)

    assert partition.read(BASE, reached_us=None) == []
    assert minutes(partition.read(BASE + 1, reached_us=BASE + 1)) == [1]
    assert minutes(partition.read(BASE + 365 * 24 * HOUR, reached_us=BASE + 1)) == []


def test_invented_clusters_do_not_fill_the_memory_and_are_counted() -> None:
    partition = Partition()
    for number in range(CLUSTERS):
        assert len(partition.read(BASE, cluster=f"c{number}")) == 1

    assert partition.read(BASE, cluster="one too many") == []
    assert partition.counters.unwatched == 1
    assert minutes(partition.read(BASE + MINUTE_US, cluster="c7")) == [2]
    later = BASE + 25 * HOUR
    assert len(partition.read(later, cluster="a day later")) == 2
    assert partition.counters.unwatched == 1


# -- counting ----------------------------------------------------------------------------------------------------------


AUDIT = Source("topic", "audit", cluster="c1")


def counted(events: list[Event]) -> list[tuple[int, int, int, float]]:
    health = [(event.time_us - BASE, event.fields["health"]) for event in events]
    return [
        (time // MINUTE_US, one["records"], one["undecodable"], one["undecodable_share"])
        for time, one in health
        if one["event"] == "counted"
    ]


def test_the_records_of_a_minute_are_counted_when_it_is_over() -> None:
    partition = Partition(source=AUDIT)
    for second in range(4):
        assert partition.raw(b"{" if second == 2 else b" ", BASE + second * SECOND) == []

    found = partition.raw(b" ", BASE + MINUTE_US)
    assert counted(found) == [(1, 4, 1, 25.0)]
    assert found[0].position.offset == 2  # a record that cannot be read
    assert counted(partition.raw(b" ", BASE + 3 * MINUTE_US)) == [(2, 1, 0, 0.0)]


def test_a_minute_whose_beginning_was_not_read_is_left_out() -> None:
    partition = Partition(source=AUDIT, offset=17)
    partition.raw(b"{", BASE)

    assert partition.raw(b" ", BASE + MINUTE_US) == []
    assert counted(partition.raw(b" ", BASE + 2 * MINUTE_US)) == [(2, 1, 0, 0.0)]


def test_an_append_time_that_goes_back_opens_no_minute_again() -> None:
    partition = Partition(source=AUDIT)
    partition.raw(b" ", BASE + MINUTE_US)
    partition.raw(b"{", BASE)

    assert counted(partition.raw(b" ", BASE + 2 * MINUTE_US)) == [(2, 2, 1, 50.0)]


def test_a_minute_that_is_counted_again_is_the_same_minute() -> None:
    """[I5] whatever the counts."""
    first, again = Partition(source=AUDIT), Partition(source=AUDIT)
    first.raw(b" ", BASE)
    again.raw(b" ", BASE)
    again.raw(b"{", BASE)

    (one,) = first.raw(b" ", BASE + MINUTE_US)
    (other,) = again.raw(b" ", BASE + MINUTE_US)
    assert one.identity == other.identity
    assert one.fields != other.fields


# -- ends --------------------------------------------------------------------------------------------------------------


def test_a_file_says_of_every_cluster_that_it_has_ended() -> None:
    """[T5] after everything that was heard."""
    partition = Partition(is_file=True)
    partition.read(BASE, reached_us=BASE)
    partition.read(BASE + 2 * MINUTE_US, cluster="c2", reached_us=BASE + 2 * MINUTE_US)

    found = partition.health.end()
    assert said(found) == [("counted", 3 * MINUTE_US), ("ended", MINUTE_US + 1), ("ended", 3 * MINUTE_US + 1)]
    assert [event.cluster for event in found] == ["c1", "c1", "c2"]
    assert found[-1].position == Position("topic", 0, 2, is_file=True)


def test_a_topic_never_ends() -> None:
    partition = Partition()
    partition.read(BASE)

    assert said(partition.health.end()) == [("counted", MINUTE_US)]


# -- state -------------------------------------------------------------------------------------------------------------


def test_a_restart_goes_on_where_the_state_was_stored() -> None:
    partition = Partition()
    partition.read(BASE)
    partition.read(BASE + MINUTE_US, cluster="c2")
    partition.begin(partition.health.snapshot())

    assert partition.read(BASE + 1, append_us=BASE + MINUTE_US) == []
    assert minutes(partition.read(BASE, append_us=BASE + MINUTE_US, cluster="c2")) == [1]
    assert counted(partition.read(BASE + 2 * MINUTE_US)) == [(2, 3, 0, 0.0)]


def test_nothing_is_stored_before_the_first_record() -> None:
    assert Partition().health.snapshot() == b""


@pytest.mark.parametrize("state", [b"{", b"[1]", b'[1,0,["x"],[]]', b"[1,0,null,7]", b"[99,0,null,[]]"])
def test_a_damaged_or_newer_state_is_refused(state: bytes) -> None:
    with pytest.raises(StateError):
        Partition().begin(state)


@pytest.mark.parametrize(
    ("category", "product", "asked"),
    [("source_health", "streamer", True), ("container_log", "kubernetes", False)],
)
def test_it_is_made_only_where_a_rule_asks_for_it(category: str, product: str, asked: bool) -> None:
    assert is_asked_for(load_text({"r.yml": RULE % (category, product)}).ok()) is asked


def test_every_field_of_it_is_known_to_those_who_check_rules() -> None:
    partition = Partition(is_file=True)
    partition.read(BASE, reached_us=BASE)
    events = [*partition.read(BASE + MINUTE_US, reached_us=BASE + MINUTE_US), *partition.health.end()]
    known = fields_of((SOURCE_HEALTH,))

    assert {name for event in events for name in event.fields["health"]} == {
        name.removeprefix("health.") for name in known - {"cluster"}
    }
