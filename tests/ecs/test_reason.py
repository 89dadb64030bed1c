"""``event.reason``: the sentence that reaches a pager."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from streamer.ecs import alert_document
from streamer.model import AUDIT, Alert, Firing
from streamer.sigma.rules import CountCondition, RuleSet
from tests.ecs.samples import CONTEXT, RULES, audit, chain, correlation, event, firing, match


def told(fired: Firing, **changes: Any) -> dict[str, Any]:
    """The document of a firing of a rule ``counted`` with these properties."""
    rule = correlation("counted", ("pod",), ("user.username",), **changes)
    rules = RuleSet(RULES.detections, (*RULES.correlations, rule))
    parsed: dict[str, Any] = orjson.loads(alert_document(Alert("ab" * 16, fired), rules, CONTEXT).body)
    return parsed


def reads(count: int, *, step_ms: int = 1_000, value: float | None = None) -> Firing:
    members = [
        match("pod", event(AUDIT, at * step_ms, audit("get", "secrets", "bob", auditID=f"a{at}"), at + 1))
        for at in range(count)
    ]
    fired = firing("counted", {"user.username": "bob"}, *members)
    return replace(fired, value=float(count) if value is None else value)


def test_a_chain_is_told_step_by_step() -> None:
    rules = RULES
    document = orjson.loads(alert_document(Alert("ab" * 16, chain()), rules, CONTEXT).body)
    reason = document["event"]["reason"]
    assert reason.startswith("gateway 203.0.113.7 POST /pipeline/apis/v1beta1/runs 200; then ml-pipeline created")
    assert reason.count("argo created pod") == 1
    assert reason.endswith("(6 events in 52 s)")
    assert len(reason) <= 1_000


@pytest.mark.parametrize(
    ("changes", "fired", "sentence", "condition"),
    [
        (
            {"type": "event_count", "condition": CountCondition("gte", 3)},
            reads(3),
            "3 events in 2 s for user.username bob; the last: bob read secret in kubeflow",
            "events >= 3",
        ),
        (
            {"type": "event_count", "condition": CountCondition("gte", 3)},
            reads(3, step_ms=0),
            "3 events for user.username bob; the last: bob read secret in kubeflow",
            "events >= 3",
        ),
        (
            {"type": "value_count", "condition": CountCondition("gt", 2, ("objectRef.name",))},
            reads(3),
            "3 different objectRef.name in 2 s for user.username bob; the last: bob read secret in kubeflow",
            "different objectRef.name > 2",
        ),
        (
            {"type": "value_percentile", "condition": CountCondition("lt", 0.5, ("n",), 95)},
            reads(2, value=0.25),
            "percentile of n is 0.25 for user.username bob; the last: bob read secret in kubeflow",
            "percentile 95 of n < 0.5",
        ),
        (
            {"type": "event_count", "condition": CountCondition("gte", 1)},
            reads(1),
            "bob read secret in kubeflow",
            "events >= 1",
        ),
    ],
)
def test_a_count_says_how_many_in_which_time_and_the_last(
    changes: dict[str, Any], fired: Firing, sentence: str, condition: str
) -> None:
    document = told(fired, **changes)
    assert document["event"]["reason"] == sentence
    assert document["streamer"]["correlation"]["condition"] == condition
