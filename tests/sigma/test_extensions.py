from __future__ import annotations

import pytest

from streamer.sigma.rules import DAY_US, HOUR_US, MINUTE_US, SECOND_US, Suppress
from tests.sigma.writing import THREE, accepted, correlation, correlation_of, detection, refused

ORDERED = "type: temporal_ordered\nrules: [r_a, r_b]\ngroup-by: [x]\ntimespan: 5m\n"
SEEN = "type: value_count\nrules: r_a\ntimespan: 5m\ncondition: {gte: 1, field: x}\n"


def test_without_extensions_the_defaults_of_the_semantics_hold() -> None:
    """[A2] an episode ends after one timespan, at the latest after 24 h; [T6] reach is 5 minutes."""
    rule = correlation_of(ORDERED)
    assert (rule.skew_us, rule.first_seen, rule.learn_us, rule.across_clusters) == (0, False, 0, False)
    assert (rule.link_exact, rule.reach_us) == (False, 5 * MINUTE_US)
    assert rule.suppress == Suppress(5 * MINUTE_US, DAY_US, None)


def test_every_extension_of_an_ordered_rule_is_read() -> None:
    """[W2] skew, [T6] reach, [K4] across clusters, [A2] suppress, [A4] link."""
    more = """\
streamer:
    skew: 2s
    reach: 1h
    across_clusters: true
    link: exact
    suppress: {for: 1h, max: 2d, by: [x]}
"""
    rule = correlation_of(ORDERED, more=more)
    assert (rule.skew_us, rule.reach_us, rule.across_clusters, rule.link_exact) == (
        2 * SECOND_US,
        HOUR_US,
        True,
        True,
    )
    assert rule.suppress == Suppress(HOUR_US, 2 * DAY_US, ("x",))


def test_first_seen_with_learning_is_read() -> None:
    """[C8] `first_seen` and `learn`."""
    rule = correlation_of(SEEN, more="streamer: {first_seen: true, learn: 1d}\n")
    assert (rule.first_seen, rule.learn_us) == (True, DAY_US)
    assert correlation_of(SEEN.replace("gte: 1", "gt: 0"), more="streamer: {first_seen: true}\n").first_seen


def test_a_detection_may_say_how_far_it_reaches_and_how_it_is_suppressed() -> None:
    """[A2] a detection rule alerts once per event unless it says `suppress`."""
    more = "streamer: {reach: 1h, suppress: {for: 10m, by: user.username}}\n"
    (rule,) = accepted(detection("r_a", more=more)).detections
    assert (rule.reach_us, rule.suppress) == (HOUR_US, Suppress(10 * MINUTE_US, DAY_US, ("user.username",)))
    assert rule.extract == ("user.username",)
    assert accepted(detection("r_a")).detections[0].suppress is None


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("unknown-key", "streamer: {▸skw: 2s}\n"),
        ("unknown-key", "streamer: {suppress: {▸gap: 2s, for: 1h}}\n"),
        ("bad-extension", "streamer: ▸[]\n"),
        ("bad-extension", "streamer: {across_clusters: ▸'yes'}\n"),
        ("bad-extension", "streamer: {decide: ▸later}\n"),
        ("bad-extension", "streamer: {decide: ▸true}\n"),
        ("bad-extension", "streamer: {link: ▸fuzzy}\n"),
        ("bad-extension", "streamer: {suppress: ▸1h}\n"),
        ("bad-extension", "streamer: {suppress: ▸{}}\n"),
        ("bad-extension", "streamer: {suppress: {for: 2h, max: ▸1h}}\n"),
        ("bad-extension", "streamer: {suppress: {by: ▸[]}}\n"),
        ("bad-extension", "streamer: {suppress: {by: [x, ▸x]}}\n"),
        ("bad-extension", "streamer: {suppress: {by: ▸7}}\n"),
        ("unknown-export", "streamer: {suppress: {by: ▸y}}\n"),
        ("bad-timespan", "streamer: {skew: ▸2}\n"),
        ("bad-timespan", "streamer: {reach: ▸0s}\n"),
        ("bad-extension", "streamer: {▸learn: 1d}\n"),
        ("bad-extension", "streamer: {▸first_seen: true}\n"),
    ],
)
def test_a_malformed_extension_is_refused_at_its_place(code: str, more: str) -> None:
    refused(code, THREE + correlation(ORDERED, more=more))


@pytest.mark.parametrize(
    ("body", "more"),
    [
        (ORDERED.replace("_ordered", ""), "streamer: {▸skew: 2s}\n"),
        (SEEN.replace("gte: 1", "gte: 2"), "streamer: {▸first_seen: true}\n"),
        (SEEN.replace("gte: 1", "lte: 1"), "streamer: {▸first_seen: true}\n"),
        (SEEN.replace("value_count", "value_sum"), "streamer: {▸first_seen: true}\n"),
        (SEEN, "streamer: {▸learn: 1d}\n"),
        (SEEN, "streamer: {▸link: exact}\n"),
    ],
)
def test_an_extension_that_does_not_fit_the_rule_is_refused(body: str, more: str) -> None:
    """[W2] [C8] skew is for ordered rules, `first_seen` for `value_count` with `gte: 1`."""
    refused("bad-extension", THREE + correlation(body, more=more))


@pytest.mark.parametrize("key", ["skew: 2s", "decide: arrival", "first_seen: true", "link: exact"])
def test_extensions_of_correlations_are_refused_in_detections(key: str) -> None:
    problem = refused("unknown-key", detection("r_a", more=f"streamer: {{▸{key}}}\n"))
    assert problem.hint == "it is for correlation rules only"


def test_a_suppressed_detection_needs_a_length() -> None:
    refused("bad-extension", detection("r_a", more="streamer: {▸suppress: {by: x}}\n"))


def test_extensions_inside_the_correlation_are_refused_with_the_right_place() -> None:
    problem = refused("unknown-key", THREE + correlation(ORDERED + "▸streamer: {skew: 2s}"))
    assert problem.hint == "`streamer:` belongs at the root of the document"
