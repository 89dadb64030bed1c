from __future__ import annotations

from streamer.sigma.rules import CountCondition, Suppress
from tests.sigma.writing import THREE, accepted, correlation, detection


def test_rules_keep_the_order_of_their_files_within_a_rank() -> None:
    """[C11] detections have rank 0, a correlation one more than the highest it references."""
    body = "type: temporal\nrules: [{}]\ntimespan: 5m"
    text = (
        correlation(body.format("low, r_c"), name="top")
        + correlation(body.format("r_b, r_c"), name="second")
        + THREE
        + correlation(body.format("r_a, r_b"), name="low")
    )
    rules = accepted(text)
    assert [rule.meta.key for rule in rules.detections] == ["r_a", "r_b", "r_c"]
    assert [(rule.meta.key, rule.rank) for rule in rules.correlations] == [("second", 1), ("low", 1), ("top", 2)]
    assert [rule.meta.key for rule in rules.correlations if rule.alerts] == ["second", "top"]


def test_only_rules_that_test_the_stage_see_unfinished_requests() -> None:
    """[I2] events of other stages match only rules that test `stage`."""
    rules = accepted(detection("r_a", "stage: Panic") + detection("r_b", "verb: create"))
    assert [rule.tests_stage for rule in rules.detections] == [True, False]


def test_a_detection_extracts_each_field_once_for_all_its_users() -> None:
    body = "type: event_count\nrules: r_a\ngroup-by: [x, y]\ntimespan: 5m\ncondition: {gte: 2}"
    other = "type: value_count\nrules: r_a\ngroup-by: [y]\ntimespan: 5m\ncondition: {gte: 2, field: [z, x]}"
    rules = accepted(THREE + correlation(body, name="one") + correlation(other, name="two"))
    assert sorted(rules.detections[0].extract) == ["x", "y", "z"]
    assert [rule.extract for rule in rules.detections[1:]] == [(), ()]
    assert isinstance(rules.correlations[0].condition, CountCondition)
    assert rules.correlations[0].fields_of == {"r_a": {"x": "x", "y": "y"}}


def test_episodes_have_the_length_of_the_timespan_unless_the_rule_says_otherwise() -> None:
    """[A2] the gap is one timespan, the maximum 24 h."""
    body = "type: temporal\nrules: [r_a, r_b]\ntimespan: 90s"
    (rule,) = accepted(THREE + correlation(body)).correlations
    assert rule.suppress == Suppress(90_000_000, 86_400_000_000)
    (rule,) = accepted(THREE + correlation(body, more="streamer: {suppress: {max: 1h}}\n")).correlations
    assert rule.suppress == Suppress(90_000_000, 3_600_000_000)
