from __future__ import annotations

import pytest

from streamer.errors import StateError
from streamer.service.roles.attempts import ATTEMPTS, SINGLY, Attempt, Suspects, begin, decode


def died(attempt: Attempt, position: int, process: str) -> Attempt:
    """The next process begins where the last one died."""
    return begin(decode(attempt.encode()), position, process)


def test_a_first_attempt_takes_as_many_records_as_there_are():
    assert begin(None, 7, "a") == Attempt(7, 1, 0, False, "a")


def test_progress_begins_the_count_anew():
    assert died(Attempt(7, 2, 0, False, "a"), 8, "b") == Attempt(8, 1, 0, False, "b")


def test_a_takeover_by_a_process_that_lives_is_no_death():
    attempt = Attempt(7, 2, 0, False, "a")
    assert begin(decode(attempt.encode()), 7, "a") == attempt


def test_after_some_deaths_records_go_singly_and_after_some_more_the_one_that_was_tried_is_the_culprit():
    attempt = begin(None, 7, "0")
    for number in range(1, ATTEMPTS):
        attempt = died(attempt, 7, str(number))
        assert attempt.left == 0
    attempt = died(attempt, 7, "first single one")
    for number in range(ATTEMPTS):
        assert (attempt.left, attempt.is_culprit) == (SINGLY, False)
        attempt = died(attempt.trying(), 7, f"single {number}")
    assert attempt.is_culprit


def test_who_dies_with_another_is_not_blamed_for_it():
    attempt = Attempt(7, 0, SINGLY, False, "a")
    for number in range(3 * ATTEMPTS):
        attempt = died(attempt, 7, str(number))
    assert not attempt.is_culprit


def test_a_record_that_was_got_over_singly_clears_the_next_one():
    attempt = Attempt(7, ATTEMPTS, SINGLY, False, "a")
    passed = attempt.passed(9)
    assert passed == Attempt(9, 0, SINGLY - 1, False, "a")
    assert not died(passed.trying(), 9, "b").is_culprit


def test_going_singly_ends():
    assert Attempt(7, 1, 1, False, "a").passed(8) is None
    assert Attempt(7, 1, 0, False, "a").passed(8) is None


def test_a_damaged_note_stops():
    with pytest.raises(StateError, match="damaged"):
        decode(b"x")


def test_a_record_is_a_suspect_until_it_was_got_over():
    suspects = Suspects[int]()
    for _ in range(ATTEMPTS):
        assert not suspects.is_culprit(3)
        suspects.add(3, ValueError("why"))
    assert suspects.is_culprit(3)
    assert suspects.reasons[3] == "ValueError: why"
    suspects.forget(lambda offset: offset < 4)
    assert not suspects.is_culprit(3)
