"""Detections that alert by themselves."""

from __future__ import annotations

from streamer.sigma.rules import Suppress
from tests.correlate.making import SECOND, Bench, correlation, count, detection, identity, match


def alerting(suppress: Suppress | None = None):
    return detection("a", alerts=True, suppress=suppress)


def test_a_detection_alerts_once_per_event():
    """[A1] an alerting detection is a correlation of one. [A2] a detection rule alerts once per event."""
    bench = Bench(alerting())
    assert bench.feed(match("a", 1, "x"), match("a", 2, "y"), match("a", 1, "x")) == [1, 2]
    assert len(bench.told.alerts) == 2
    firing = bench.told.firings[0]
    assert firing.key == ('"prod"', f'"{identity("x").hex()}"')
    assert [(step.rule, step.total) for step in firing.steps] == [("a", 1)]


def test_with_suppress_by_it_alerts_once_per_episode_of_that_key():
    """[A1] its key is `suppress.by`, else the event's identity."""
    bench = Bench(alerting(Suppress(gap_us=10 * SECOND, by=("user",))))
    bench.feed(*(match("a", at) for at in (0, 10, 30)), match("a", 31, user="bob"))
    assert [alert.firing.time_us // SECOND for alert in bench.told.alerts] == [0, 30, 31]
    assert bench.told.firings[0].key_names == ("cluster", "user")


def test_an_event_without_that_field_is_told_by_itself():
    """[G1] no miss: a missing field of `suppress.by` hides nothing."""
    bench = Bench(alerting(Suppress(gap_us=10 * SECOND, by=("ip",))))
    assert bench.feed(match("a", 1), match("a", 2)) == [1, 2]
    assert bench.correlator.counters.missing_key["a"] == 2


def test_a_detection_that_another_rule_references_does_not_alert():
    """[A1] a rule alerts unless another loaded correlation references it."""
    bench = Bench(detection("a"), correlation("n", "event_count", "a", count("gte", 2)))
    assert bench.feed(match("a", 1)) == []
    assert bench.told.alerts == []


def test_with_generate_both_alert():
    """[A1] `generate: true` makes its referenced rules alert too."""
    bench = Bench(alerting(), correlation("n", "event_count", "a", count("gte", 2)))
    bench.feed(match("a", 1), match("a", 2))
    assert [alert.firing.rule for alert in bench.told.alerts] == ["a", "a", "n"]


def test_however_late_an_event_comes_it_is_told():
    """[T6] a detection rule's own alert is raised however late."""
    bench = Bench(alerting())
    bench.advance(100_000)
    assert bench.feed(match("a", 1), match("a", 1)) == [1]
    assert bench.correlator.counters.late["a"] == 2


def test_a_redelivery_after_its_state_is_gone_has_the_same_id():
    """[I5] a detection rule that sees a redelivery after that may repeat its alert with the same id."""
    bench = Bench(alerting())
    bench.feed(match("a", 1))
    bench.advance(302)
    bench.feed(match("a", 1))
    assert len({alert.id for alert in bench.told.alerts}) == 1


def test_what_was_told_is_remembered_across_a_restart():
    """[G4] one alert per episode, across any crash."""
    bench = Bench(alerting())
    bench.feed(match("a", 1))
    bench = bench.restarted()
    assert bench.feed(match("a", 1)) == []
