from __future__ import annotations

import pytest

from streamer.sigma.rules import CountCondition
from tests.sigma.writing import THREE, correlation, correlation_of, refused


def body(kind: str, condition: str) -> str:
    rules = "[r_a, r_b]" if kind.startswith("temporal") else "r_a"
    return f"type: {kind}\nrules: {rules}\ntimespan: 5m\ncondition: {condition}"


@pytest.mark.parametrize(
    ("kind", "condition", "read"),
    [
        ("event_count", "{gte: 10}", CountCondition("gte", 10)),
        ("event_count", "{gt: 0}", CountCondition("gt", 0)),
        ("event_count", "{neq: 3}", CountCondition("neq", 3)),
        ("event_count", "{eq: 1}", CountCondition("eq", 1)),
        ("event_count", "{lte: 1}", CountCondition("lte", 1)),
        ("event_count", "{lt: 2}", CountCondition("lt", 2)),
        ("value_count", "{gte: 5, field: x}", CountCondition("gte", 5, ("x",))),
        ("value_count", "{lt: 5, field: [x, y.z]}", CountCondition("lt", 5, ("x", "y.z"))),
        ("value_sum", "{lt: -5, field: x}", CountCondition("lt", -5, ("x",))),
        ("value_avg", "{gte: 0.5, field: x}", CountCondition("gte", 0.5, ("x",))),
        ("value_median", "{eq: 0, field: [x]}", CountCondition("eq", 0, ("x",))),
        ("value_percentile", "{gt: 9, field: x, percentile: 99.9}", CountCondition("gt", 9, ("x",), 99.9)),
    ],
)
def test_thresholds_are_read(kind: str, condition: str, read: CountCondition) -> None:
    """[C1] [C2] [C3] [C4] thresholds of aggregates may be negative and fractional."""
    assert correlation_of(body(kind, condition)).condition == read


@pytest.mark.parametrize(
    ("code", "kind", "condition"),
    [
        ("impossible-condition", "event_count", "{gte: ▸-1}"),
        ("impossible-condition", "event_count", "{gte: ▸0}"),
        ("impossible-condition", "event_count", "{neq: ▸0}"),
        ("impossible-condition", "event_count", "{lt: ▸1}"),
        ("impossible-condition", "event_count", "{lt: ▸0}"),
        ("impossible-condition", "event_count", "{lte: ▸0}"),
        ("impossible-condition", "event_count", "{eq: ▸0}"),
        ("impossible-condition", "value_count", "{eq: ▸-3, field: x}"),
        ("bad-condition", "event_count", "{gte: ▸0.5}"),
        ("bad-condition", "event_count", "{gte: ▸'5'}"),
        ("bad-condition", "event_count", "{gte: ▸true}"),
        ("bad-condition", "event_count", "{gte: ▸null}"),
        ("bad-condition", "value_sum", "{gte: ▸.nan, field: x}"),
        ("bad-condition", "value_sum", "{gte: ▸.inf, field: x}"),
        ("bad-condition", "event_count", "{gte: 5, ▸field: x}"),
        ("missing-field", "value_count", "▸{gte: 5}"),
        ("missing-field", "value_avg", "▸{gte: 5}"),
        ("bad-condition", "value_count", "{gte: 5, field: ▸7}"),
        ("bad-condition", "value_count", "{gte: 5, field: ▸[]}"),
        ("duplicate-field", "value_count", "{gte: 5, field: [x, ▸x]}"),
        ("bad-condition", "value_sum", "{gte: 5, field: ▸[x, y]}"),
        ("missing-percentile", "value_percentile", "▸{gte: 5, field: x}"),
        ("bad-condition", "value_percentile", "{gte: 5, field: x, percentile: ▸250}"),
        ("bad-condition", "value_percentile", "{gte: 5, field: x, percentile: ▸-1}"),
        ("bad-condition", "value_percentile", "{gte: 5, field: x, percentile: ▸true}"),
        ("bad-condition", "value_sum", "{gte: 5, field: x, ▸percentile: 5}"),
        ("range-condition", "event_count", "{gt: 5, ▸lte: 10}"),
        ("bad-condition", "event_count", "▸{}"),
        ("bad-condition", "event_count", "▸5"),
        ("bad-condition", "event_count", "▸r_a"),
        ("bad-condition", "event_count", "▸[r_a]"),
        ("bad-condition", "temporal", "{▸field: x, gte: 2}"),
        ("impossible-condition", "temporal", "▸{gte: 3}"),
        ("impossible-condition", "temporal", "▸{gt: 2}"),
        ("impossible-condition", "temporal", "{gte: ▸0}"),
        ("bad-condition", "temporal", "{lt: ▸2}"),
        ("bad-condition", "temporal", "{eq: ▸2}"),
        ("bad-condition", "temporal_ordered", "{gte: ▸2}"),
    ],
)
def test_thresholds_that_cannot_be_judged_or_never_hold_are_refused(code: str, kind: str, condition: str) -> None:
    """[C3] [C5] [C6] other operators, more rules than referenced, and counts of ordered rules are refused."""
    refused(code, THREE + correlation(body(kind, condition)))


def test_an_unknown_key_of_a_condition_names_the_nearest() -> None:
    problem = refused("unknown-key", THREE + correlation(body("event_count", "{gte: 5, ▸feild: x}")))
    assert problem.hint == "did you mean `field`?"


def test_a_range_says_what_to_write_instead() -> None:
    problem = refused("range-condition", THREE + correlation(body("event_count", "{gt: 5, ▸lte: 10}")))
    assert problem.hint is not None
    assert problem.hint.startswith("write two rules")


def test_other_types_than_temporal_need_a_condition() -> None:
    text = correlation("type: event_count\nrules: r_a\ntimespan: 5m").replace("correlation:", "▸correlation:")
    refused("missing-condition", THREE + text)
