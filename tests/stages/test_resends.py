"""What was sent before is told apart by the raw record it came from, in every lane by itself."""

from __future__ import annotations

from dataclasses import replace

from streamer.model import Position
from streamer.stages.resends import LANES, Resends
from streamer.stages.wire import Addressed, SourceTold
from tests.correlate.making import match


def sent(offset: int, event: str = "x", lane: str = "v1", at: float = 1, key: str = "1") -> Addressed:
    one = replace(match("a", at, event), position=Position("topic", 0, offset, is_file=False))
    return Addressed("c", (key,), one, lane, offset=offset)


def test_what_comes_again_from_an_earlier_record_is_dropped():
    resends = Resends()
    assert [resends.is_new(sent(offset)) for offset in (3, 4, 7, 3, 4, 7, 8)] == [
        True, True, True, False, False, False, True,
    ]  # fmt: skip


def test_of_the_newest_record_only_what_was_kept_is_dropped():
    resends = Resends()
    assert resends.is_new(sent(5, "x"))
    assert not resends.is_new(sent(5, "x"))
    assert resends.is_new(sent(5, "y")), "the send broke off between two events of one record"
    assert resends.is_new(sent(5, "x", key="2"))


def test_a_task_that_tells_how_far_it_is_has_sent_everything_before():
    resends = Resends()
    assert resends.is_new(sent(3))
    resends.told("v1", SourceTold("topic", 0, 0, next_offset=9, newest_us=2_000_000))
    assert not resends.is_new(sent(8, "decoded otherwise after a restart"))
    assert resends.is_new(sent(9))


def test_lanes_know_nothing_of_each_other():
    resends = Resends()
    assert resends.is_new(sent(2, lane="v1"))
    assert resends.is_new(sent(9, lane="v1"))
    assert resends.is_new(sent(3, lane="rebuild"))
    assert resends.is_new(sent(4, lane="rebuild"))
    assert not resends.is_new(sent(4, lane="v1"))


def test_a_lane_that_another_task_begins_earlier_is_heard_from_there():
    resends = Resends()
    assert resends.is_new(sent(9))
    assert resends.is_new(sent(5, "not sent by the task that began at 9"))


def test_the_lane_used_longest_ago_is_forgotten():
    resends = Resends()
    for lane in ("v1", "v2", "v1", "v3"):
        resends.is_new(sent(9, lane, lane=lane))
    assert len(resends.state()) == LANES
    assert {one[2] for one in resends.state()} == {"v1", "v3"}


def test_offsets_that_begin_again_with_newer_events_are_a_topic_made_anew():
    resends = Resends()
    assert resends.is_new(sent(10, at=10))
    assert resends.is_new(sent(1_000, at=50))
    assert not resends.is_new(sent(20, at=50))
    assert resends.is_new(sent(20, at=51))
    assert not resends.is_new(sent(20, at=51))
    assert resends.is_new(sent(21, at=52))


def test_firings_come_in_transactions_and_are_never_dropped():
    resends = Resends()
    one = Addressed("c", ("1",), replace(match("a", 1), position=None), "")
    assert resends.is_new(one)
    assert resends.is_new(one)


def test_a_stored_state_goes_on():
    resends = Resends()
    for one in (sent(3), sent(5, "x"), sent(5, "y"), sent(2, lane="v2")):
        resends.is_new(one)
    after = Resends()
    after.load(resends.state())
    assert after.state() == resends.state()
    assert not after.is_new(sent(5, "y"))
    assert not after.is_new(sent(4))
    assert after.is_new(sent(5, "z"))
