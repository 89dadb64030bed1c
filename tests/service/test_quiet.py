from __future__ import annotations

from streamer.service.quiet import Quiet

A, B = ("a", 0), ("b", 0)


def test_silence_counts_from_the_last_record_while_the_reader_stands_at_the_end():
    quiet = Quiet(10)
    quiet.listen({A, B}, {A}, 100)
    quiet.listen({A, B}, {B}, 105)
    assert quiet.quiet_for_s(A, 106) == 6
    assert quiet.quiet_for_s(B, 106) == 1


def test_who_does_not_stand_at_the_end_is_not_silent():
    quiet = Quiet(10)
    quiet.listen({A}, set(), 100)
    quiet.listen(set(), set(), 101)
    assert quiet.quiet_for_s(A, 102) is None


def test_the_time_a_process_was_frozen_is_no_silence():
    quiet = Quiet(10)
    quiet.listen({A}, set(), 100)
    quiet.listen({A}, set(), 101)
    quiet.listen({A}, set(), 400)
    assert quiet.quiet_for_s(A, 401) == 1


def test_a_partition_that_was_given_up_begins_anew():
    quiet = Quiet(10)
    quiet.listen({A}, set(), 100)
    quiet.forget(A)
    quiet.listen({A}, set(), 105)
    assert quiet.quiet_for_s(A, 106) == 1
