"""Watermarks of partitions and of the stream."""

from __future__ import annotations

import pytest

from streamer.correlate.clocks import UNSTAMPED, Clocks, PartitionClock
from streamer.correlate.limits import FOREVER
from streamer.errors import StateError

S = 1_000_000
H = 3600 * S
YEAR = 365 * 24 * H


def topic(lateness: int = 10) -> PartitionClock:
    return PartitionClock(lateness * S, is_file=False)


def file(*stamps: int | None, lateness: int = 0) -> PartitionClock:
    clock = PartitionClock(lateness * S, is_file=True)
    for stamp in stamps:
        clock.observe(None if stamp is None else stamp)
    return clock


def test_a_partition_is_as_far_as_the_smaller_of_event_and_append_time():
    """[T4] the smaller of the largest event time seen and the newest append time, minus lateness."""
    clock = topic()
    clock.observe(100 * S, 105 * S)
    assert clock.watermark_us == 90 * S
    clock.observe(300 * S, 110 * S)
    assert clock.watermark_us == 100 * S


def test_a_watermark_never_goes_back():
    """[T4] it never goes back."""
    clock = topic()
    clock.observe(100 * S, 105 * S)
    clock.observe(20 * S, 104 * S)
    assert clock.watermark_us == 90 * S


def test_records_without_a_usable_stamp_do_not_move_a_topic_that_is_behind():
    """[T3] one event stamped next year, or one broken line, neither closes a window nor hides anything."""
    clock = topic()
    clock.observe(100 * S, 5_000 * S)
    for _ in range(UNSTAMPED - 1):
        clock.observe(None, 5_000 * S)
    assert clock.watermark_us == 90 * S
    clock.observe(110 * S, 5_001 * S)
    clock.observe(None, 5_002 * S)
    assert clock.watermark_us == 100 * S


def test_a_topic_whose_records_have_no_stamps_goes_by_append_time():
    """[T2] else append time; [T4] the newest append time."""
    clock = topic()
    for second in range(UNSTAMPED):
        assert clock.watermark_us is None
        clock.observe(None, second * S)
    assert clock.watermark_us == (UNSTAMPED - 1 - 10) * S


def test_an_idle_partition_goes_on_with_the_clock():
    """[T4] its watermark is now - idle_after - lateness."""
    clock = topic()
    clock.idle(1000 * S, 60 * S)
    assert clock.watermark_us == 930 * S
    clock.idle(500 * S, 60 * S)
    assert clock.watermark_us == 930 * S


def test_the_first_stamp_of_a_file_needs_three_later_records():
    """[T3] the first stamp of a file does not move the watermark until three later records confirm it."""
    assert file(5 * S, 6 * S, 7 * S).watermark_us is None
    assert file(5 * S, 6 * S, 7 * S, 6 * S).watermark_us == 6 * S


def test_after_confirmation_a_file_goes_on_with_every_stamp():
    """[T4] files: the largest confirmed time."""
    assert file(5 * S, 6 * S, 7 * S, 8 * S, 20 * S, lateness=10).watermark_us == 10 * S


def test_one_stamp_from_next_year_does_not_move_a_file():
    """[T3] one event stamped next year neither closes a window nor hides anything."""
    assert file(0, 1 * S, 2 * S, 3 * S, YEAR, 4 * S, 5 * S, 6 * S, 7 * S).watermark_us == 7 * S


def test_a_file_that_begins_with_a_stamp_from_next_year_recovers():
    """[T3] also the first stamp."""
    assert file(YEAR, 1 * S, 2 * S, 3 * S, 4 * S).watermark_us == 4 * S


def test_a_jump_that_three_later_records_confirm_counts():
    """[T3] none more than one hour behind it; ahead is fine."""
    start = [0, 1 * S, 2 * S, 3 * S]
    assert file(*start, YEAR, YEAR - H, YEAR + 1, YEAR + H).watermark_us == YEAR + H
    assert file(*start, YEAR, YEAR + 1, YEAR + 2).watermark_us == 3 * S


def test_a_record_more_than_an_hour_behind_breaks_the_confirmation():
    """[T3] three later records in a row."""
    assert file(0, 1 * S, 2 * S, 3 * S, YEAR, YEAR, YEAR, YEAR - H - 1).watermark_us == 3 * S


def test_records_without_a_stamp_neither_confirm_nor_break():
    """[T3] three later records with a stamp."""
    assert file(0, None, 1 * S, None, 2 * S, None).watermark_us is None
    assert file(0, None, 1 * S, None, 2 * S, None, 3 * S).watermark_us == 3 * S


def test_exactly_one_hour_ahead_needs_no_confirmation():
    """[T3] more than one hour ahead."""
    assert file(0, 1, 2, 3, H + 3).watermark_us == H + 3
    assert file(0, 1, 2, 3, H + 4).watermark_us == 3


def test_the_stream_is_as_far_as_its_slowest_partition():
    """[T4] the minimum over all partitions; one not heard of yet holds it."""
    clocks = Clocks()
    clocks.expect(("t", 0), lateness_us=0, is_file=False)
    clocks.expect(("t", 1), lateness_us=0, is_file=False)
    clocks.observe(("t", 0), 50 * S, 60 * S)
    assert (clocks.watermark(), clocks.slowest()) == (None, ("t", 1))
    clocks.observe(("t", 1), 20 * S, 60 * S)
    assert (clocks.watermark(), clocks.slowest()) == (20 * S, ("t", 1))
    clocks.expect(("t", 2), lateness_us=0, is_file=False)
    assert clocks.watermark() == 20 * S
    clocks.observe(("t", 2), 5 * S, 6 * S)
    assert clocks.watermark() == 20 * S


def test_the_end_of_a_file_is_the_end_of_its_time():
    """[T5] at the end of a file its own watermark goes to infinity; when all have ended, the stream's does."""
    clocks = Clocks()
    for name in ("a", "b"):
        clocks.expect((name, 0), lateness_us=0, is_file=True)
    clocks.end(("a", 0))
    assert (clocks.watermark(), clocks.all_ended()) == (None, False)
    clocks.end(("b", 0))
    assert (clocks.watermark(), clocks.all_ended(), clocks.slowest()) == (FOREVER, True, None)


def test_no_partition_at_all_is_no_end():
    assert (Clocks().watermark(), Clocks().all_ended()) == (None, False)


def test_a_restored_stream_goes_on_where_it_stood():
    """[T4] it never goes back, not across a restart either."""
    one = Clocks()
    one.expect(("f", 0), lateness_us=0, is_file=True)
    for stamp in (1 * S, 2 * S, 3 * S, 4 * S, YEAR, YEAR):
        one.observe(("f", 0), stamp)
    two = Clocks()
    two.restore(one.snapshot())
    two.expect(("f", 0), lateness_us=0, is_file=True)
    assert two.watermark() == 4 * S
    two.observe(("f", 0), YEAR)
    two.observe(("f", 0), YEAR)
    assert two.watermark() == YEAR
    again = Clocks()
    again.expect(("f", 0), lateness_us=0, is_file=True)
    again.restore(two.snapshot())
    assert again.watermark() == YEAR


def test_damaged_state_is_refused_with_a_sentence():
    with pytest.raises(StateError, match="damaged"):
        Clocks().restore(b"\xc1")
