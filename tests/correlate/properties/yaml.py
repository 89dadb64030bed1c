"""Random rules written as Sigma YAML, so that parser, detector and correlator are tried together."""

from __future__ import annotations

import json
from collections.abc import Sequence

from streamer.sigma.rules import And, AtLeast, CountCondition, Expression, Not, Or, Ref
from tests.correlate.properties.build import Draft
from tests.correlate.properties.rules import NAMES

PATHS = {
    "user": "user.username",
    "ip": "sourceIPs",
    "v": "requestObject.spec.v",
    "n": "requestObject.spec.n",
}
"""Where an audit event holds what the drafts call by a letter."""


def detection_text(name: str) -> str:
    """A detection that matches every request whose object's name holds the letter."""
    return f"""\
title: An object with {name}
name: {name}
status: test
logsource:
    category: application
    product: kubernetes
    service: audit
detection:
    selection:
        objectRef.name|contains: {name}
    condition: selection
level: low
"""


def path_of(rule: str, field: str, by_name: dict[str, Draft]) -> str:
    """The field's name in YAML: an audit field, a key field of a correlation, or one that it exports."""
    if rule in NAMES:
        return PATHS[field]
    draft = by_name[rule]
    for inner in draft.rules:
        if field.startswith(f"{inner}.") and field in draft.exported.get(inner, {}):
            return f"{inner}.{path_of(inner, field.removeprefix(f'{inner}.'), by_name)}"
    return field


def correlation_text(draft: Draft, by_name: dict[str, Draft]) -> str:
    """The draft as a document. JSON is YAML, so nested values are written as JSON."""
    counted = draft.condition.fields if isinstance(draft.condition, CountCondition) else ()
    aliases = {
        name: {rule: path_of(rule, draft.fields_of[rule][name], by_name) for rule in draft.rules}
        for name in dict.fromkeys((*draft.group_by, *counted))
    }
    lines = [
        f"title: Random rule {draft.name}",
        f"name: {draft.name}",
        "status: test",
        "correlation:",
        f"    type: {draft.type}",
        f"    rules: {json.dumps(list(draft.rules))}",
        f"    timespan: {draft.timespan_us // 1_000_000}s",
        f"    condition: {_condition(draft)}",
    ]
    if draft.group_by:
        lines.append(f"    group-by: {json.dumps(list(draft.group_by))}")
    if aliases:
        lines.append(f"    aliases: {json.dumps(aliases)}")
    extensions = _extensions(draft)
    if extensions:
        lines.append(f"streamer: {json.dumps(extensions)}")
    return "\n".join([*lines, "level: medium", ""])


def _condition(draft: Draft) -> str:
    condition = draft.condition
    if isinstance(condition, AtLeast):
        return json.dumps({"gte": condition.count})
    if not isinstance(condition, CountCondition):
        return _expression(condition)
    written: dict[str, object] = {condition.op: condition.threshold}
    if condition.fields:
        written["field"] = condition.fields[0] if len(condition.fields) == 1 else list(condition.fields)
    if condition.percentile is not None:
        written["percentile"] = condition.percentile
    return json.dumps(written)


def _expression(expression: Expression) -> str:
    if isinstance(expression, Ref):
        return expression.rule
    if isinstance(expression, Not):
        return f"not {expression.item.rule}"
    assert isinstance(expression, And | Or)
    word = " and " if isinstance(expression, And) else " or "
    return word.join(
        f"({text})" if " " in text and "not" not in text else text for text in map(_expression, expression.items)
    )


def _extensions(draft: Draft) -> dict[str, object]:
    written: dict[str, object] = {}
    if draft.first_seen:
        written["first_seen"] = True
    if draft.learn_us:
        written["learn"] = f"{draft.learn_us // 1_000_000}s"
    if draft.skew_us:
        written["skew"] = f"{draft.skew_us // 1_000_000}s"
    if draft.across:
        written["across_clusters"] = True
    if draft.decide:
        written["decide"] = draft.decide
    return written


def documents(drafts: Sequence[Draft]) -> dict[str, str]:
    """Files of a rule set: the detections and the drafts."""
    by_name = {draft.name: draft for draft in drafts}
    files = {f"rules/{name}.yml": detection_text(name) for name in NAMES}
    return files | {f"rules/{draft.name}.yml": correlation_text(draft, by_name) for draft in drafts}
