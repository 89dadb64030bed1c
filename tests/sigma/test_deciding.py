from __future__ import annotations

import pytest

from streamer.sigma.deciding import MAX_ON_ARRIVAL
from tests.sigma.writing import THREE, accepted, correlation, correlation_of, refused

TEMPORAL = "type: temporal\nrules: [r_a, r_b]\ntimespan: 5m\n"
NOT = TEMPORAL + "condition: r_a and not r_b\n"


def count(condition: str, kind: str = "event_count") -> str:
    return f"type: {kind}\nrules: r_a\ntimespan: 5m\ncondition: {condition}\n"


SEEN = count("{gte: 1, field: x}", "value_count")
UPPER = [count(f"{{{op}: 5}}") for op in ("lt", "lte", "eq", "neq")]
AGGREGATES = [
    *(count("{gte: 5, field: x}", kind) for kind in ("value_sum", "value_avg", "value_median")),
    count("{gte: 5, field: x, percentile: 50}", "value_percentile"),
]


@pytest.mark.parametrize(
    "body",
    [
        count("{gte: 5}"),
        count("{gt: 5}"),
        count("{gte: 5, field: x}", "value_count"),
        TEMPORAL,
        TEMPORAL.replace("temporal", "temporal_ordered"),
        TEMPORAL + "condition: {gte: 1}\n",
        TEMPORAL + "condition: r_a or r_b\n",
    ],
)
def test_positive_statements_are_decided_on_arrival(body: str) -> None:
    """[C1] [C2] [C5] [C6] as the table of section 5 says."""
    rule = correlation_of(body)
    assert (rule.decides, rule.provisional) == ("arrival", False)


@pytest.mark.parametrize("body", [NOT, *UPPER, *AGGREGATES])
def test_negative_statements_and_aggregates_are_decided_at_the_watermark(body: str) -> None:
    """[C3] [C4] [C7] only when nothing can come any more."""
    rule = correlation_of(body)
    assert (rule.decides, rule.provisional) == ("watermark", False)


def test_first_seen_is_decided_at_the_watermark() -> None:
    """[C8]"""
    assert correlation_of(SEEN, more="streamer: {first_seen: true}\n").decides == "watermark"


def test_a_positive_rule_may_ask_for_the_watermark() -> None:
    """[C1] its alerts are then independent of arrival order."""
    assert correlation_of(TEMPORAL, more="streamer: {decide: watermark}\n").decides == "watermark"


def test_not_and_first_seen_may_be_decided_on_arrival_and_are_provisional() -> None:
    """[C7] [C8] speed for certainty."""
    rule = correlation_of(NOT, more="streamer: {decide: arrival}\n")
    assert (rule.decides, rule.provisional) == ("arrival", True)
    rule = correlation_of(SEEN, more="streamer: {first_seen: true, decide: arrival}\n")
    assert (rule.decides, rule.provisional) == ("arrival", True)


def test_asking_for_arrival_where_it_is_the_rule_changes_nothing() -> None:
    rule = correlation_of(TEMPORAL, more="streamer: {decide: arrival}\n")
    assert (rule.decides, rule.provisional) == ("arrival", False)


@pytest.mark.parametrize("body", [*UPPER, *AGGREGATES, count("{gte: 1001}")])
def test_upper_bounds_aggregates_and_high_counts_cannot_be_decided_on_arrival(body: str) -> None:
    """[C3] [C4] [C12] refused for counts with upper bounds and for aggregates."""
    refused("bad-extension", THREE + correlation(body, more="streamer: {▸decide: arrival}\n"))


@pytest.mark.parametrize("kind", ["event_count", "value_count"])
def test_counts_above_a_thousand_are_decided_at_the_watermark(kind: str) -> None:
    """[C12] thresholds above 1,000 decide at the watermark."""
    field = ", field: x" if kind == "value_count" else ""
    assert correlation_of(count(f"{{gte: {MAX_ON_ARRIVAL}{field}}}", kind)).decides == "arrival"
    assert correlation_of(count(f"{{gt: {MAX_ON_ARRIVAL}{field}}}", kind)).decides == "watermark"
    assert correlation_of(count(f"{{gte: {MAX_ON_ARRIVAL + 1}{field}}}", kind)).decides == "watermark"


UPPER_RULE = """\
type: temporal
rules: [low, r_c]
group-by: [user]
aliases: {user: {low: r_a.user.username, r_c: user.username}}
timespan: 5m
"""


def two(below: str, above: str, more: str = "") -> tuple[str, bool]:
    text = THREE + correlation(below, name="low", more=more) + correlation(above, name="high")
    rule = accepted(text).correlations[0]
    assert rule.meta.key == "low"
    return rule.decides, rule.provisional


def test_a_correlation_whose_values_others_use_decides_at_the_watermark() -> None:
    """[C10] so that the values are complete and it is told once."""
    assert two(TEMPORAL, UPPER_RULE) == ("watermark", False)


def test_such_a_correlation_may_decide_on_arrival_with_the_values_known_then() -> None:
    """[C10] marked provisional."""
    assert two(TEMPORAL, UPPER_RULE, "streamer: {decide: arrival}\n") == ("arrival", True)


def test_key_fields_alone_need_no_waiting() -> None:
    """[C10]"""
    below = TEMPORAL + "group-by: [user.username]\n"
    above = "type: temporal\nrules: [low, r_c]\ngroup-by: [user.username]\ntimespan: 5m\n"
    assert two(below, above) == ("arrival", False)


def test_values_in_the_key_of_an_episode_are_waited_for() -> None:
    """[A2] [C10] an episode's key must not depend on the order of arrival."""
    rule = correlation_of(TEMPORAL, more="streamer: {suppress: {by: r_a.user.username}}\n")
    assert (rule.decides, rule.exports) == ("watermark", ("r_a.user.username",))
