"""Windows and order in event time: what arrival order, far-off stamps and whole seconds must not change."""

from __future__ import annotations

from tests.peers.story import TEN_YEARS, Act, count, rule, run

A, B = rule("did_a", "a"), rule("did_b", "b")

THREE_IN_A_MINUTE = """\
title: Three times within a minute
name: the_rule
status: test
correlation:
    type: event_count
    rules: [did_a]
    group-by: [user.username]
    timespan: 60s
    condition:
        gte: 3
level: high
"""

TWO_IN_A_MINUTE = THREE_IN_A_MINUTE.replace("gte: 3", "gte: 2")

A_AND_B = """\
title: Both within a minute
name: the_rule
status: test
correlation:
    type: temporal
    rules: [did_a, did_b]
    group-by: [user.username]
    timespan: 60s
level: high
"""

A_THEN_B = A_AND_B.replace("type: temporal", "type: temporal_ordered")


def acts(kind: str, *times: float) -> list[Act]:
    """The same act at several times, in this order of arrival."""
    return [Act(kind, at) for at in times]


def test_late_events_of_an_old_window_do_not_count_in_a_new_one() -> None:
    """[W1] two events at 1000 s and two at 900 s never are three in a minute."""
    assert count([A, THREE_IN_A_MINUTE], acts("a", 1000, 1001, 900, 905)) == 0


def test_an_event_out_of_order_completes_the_window_it_belongs_to() -> None:
    """[G1] 1000, 1010 and 1020 s are within a minute although 1100 s arrived between them."""
    assert count([A, THREE_IN_A_MINUTE], acts("a", 1000, 1010, 1100, 1020)) == 1


def test_an_event_a_hundred_seconds_late_still_counts() -> None:
    """[T6] within reach a late event is used as if it came in time."""
    assert count([A, THREE_IN_A_MINUTE], acts("a", 1000, 1005, 1105, 1010)) == 1


def test_a_late_event_far_from_its_partner_does_not_complete_both() -> None:
    """[C5] the distance is taken in event time, not in arrival."""
    assert count([A, B, A_AND_B], [Act("b", 1000), Act("a", 100)]) == 0


def test_a_late_first_step_beyond_the_timespan_does_not_complete_a_sequence() -> None:
    """[C6] a at 900 s and b at 1000 s do not fit into 60 s, in whatever order they arrive."""
    assert count([A, B, A_THEN_B], [Act("b", 1000), Act("a", 900)]) == 0


def test_a_stamp_ten_years_ahead_hides_no_sequence() -> None:
    """[T3] the sequence around it is found."""
    story = [Act("a", 1000), Act("a", 1000 + TEN_YEARS), Act("b", 1010)]
    assert count([A, B, A_THEN_B], story) == 1


def test_a_stamp_ten_years_ahead_is_no_partner_for_today() -> None:
    """[T3] [C5] ten years are more than a minute."""
    assert count([A, B, A_AND_B], [Act("a", 1000 + TEN_YEARS), Act("b", 1010)]) == 0


def test_a_stamp_ten_years_ahead_does_not_make_later_single_events_fire() -> None:
    """[T3] one event an hour is never two in a minute."""
    story = acts("a", 1000 + TEN_YEARS, 4600, 8200, 11800)
    assert count([A, TWO_IN_A_MINUTE], story) == 0


def test_a_stamp_ten_years_ahead_does_not_hide_a_burst() -> None:
    """[T3] [A2] five events in one minute after it are one episode and one alert."""
    story = acts("a", 1000 + TEN_YEARS, 1000, 1005, 1010, 1015, 1020)
    assert count([A, THREE_IN_A_MINUTE], story) == 1


def test_order_is_kept_within_one_second() -> None:
    """[T1] [C6] b at .1 s and a at .9 s are not a then b."""
    assert count([A, B, A_THEN_B], [Act("b", 1000.1), Act("a", 1000.9)]) == 0
    assert count([A, B, A_THEN_B], [Act("a", 1000.1), Act("b", 1000.9)]) == 1


def test_a_window_of_one_second_does_not_reach_two() -> None:
    """[T1] [W1] 1.9 s apart is more than one second; exactly one second is not."""
    rules = [A, TWO_IN_A_MINUTE.replace("60s", "1s")]
    assert count(rules, acts("a", 1000.05, 1001.95)) == 0
    assert count(rules, acts("a", 1000.05, 1001.05)) == 1
    assert count(rules, acts("a", 1000.05, 1001.050001)) == 0


def test_stamps_a_day_apart_are_a_day_apart() -> None:
    """[T2] the audit event's own stamp is its time, never the clock on the wall."""
    assert count([A, TWO_IN_A_MINUTE], acts("a", 0, 86_400)) == 0


def test_ten_events_of_one_storm_are_one_alert() -> None:
    """[A2] eight of ten events complete the rule; they are one episode."""
    ending = run([A, THREE_IN_A_MINUTE], acts("a", *range(1000, 1010)))
    assert ending.seconds("the_rule") == [float(at) for at in range(1002, 1010)]
    assert len(ending.alerts_of("the_rule")) == 1
