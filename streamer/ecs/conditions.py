"""A correlation's condition as a person says it."""

from __future__ import annotations

from typing import Final

from streamer.ecs.members import Rules
from streamer.sigma.rules import AtLeast, CorrelationRule, CountCondition, Expression, Not, Or, Ref

_SIGNS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "neq": "!="}


def condition_text(rule: CorrelationRule, rules: Rules) -> str:
    """``visit and run and not proxy_speaks``, ``events >= 5``, ``different objectRef.name >= 3``."""
    condition = rule.condition
    if not isinstance(condition, CountCondition):
        joiner = " then " if rule.type == "temporal_ordered" else " and "
        return _expression(condition, rules, joiner)
    number = int(condition.threshold) if float(condition.threshold).is_integer() else condition.threshold
    fields = ", ".join(condition.fields)
    if rule.first_seen:
        return f"{fields} first seen"
    if rule.type == "event_count":
        what = "events"
    elif rule.type == "value_count":
        what = f"different {fields}"
    elif rule.type == "value_percentile":
        what = f"percentile {condition.percentile:g} of {fields}" if condition.percentile is not None else fields
    else:
        what = f"{rule.type.removeprefix('value_')} of {fields}"
    return f"{what} {_SIGNS[condition.op]} {number}"


def _expression(node: Expression, rules: Rules, joiner: str) -> str:
    if isinstance(node, Ref):
        rule = rules.get(node.rule)
        return (rule.meta.name or rule.meta.title) if rule else node.rule
    if isinstance(node, Not):
        return f"not {_expression(node.item, rules, joiner)}"
    if isinstance(node, AtLeast):
        return f"at least {node.count} of them"
    if isinstance(node, Or):
        return "(" + " or ".join(_expression(item, rules, joiner) for item in node.items) + ")"
    return joiner.join(_expression(item, rules, joiner) for item in node.items)
