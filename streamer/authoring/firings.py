"""Firings as NDJSON: for those who compare engines, and for tests. Exact values, nothing redacted."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from streamer.ecs.members import Rules
from streamer.ecs.safe import scalar_of, timestamp
from streamer.model import Firing, Match, Position
from streamer.sigma.rules import CorrelationRule


def firing_line(firing: Firing, rules: Rules) -> bytes | None:
    """One firing of a correlation rule as a JSON object; ``None`` for the alert of a detection rule.

    ``rule`` is the rule's id, or its name where it has no id; ``key`` holds ``cluster`` and the group-by fields under
    their names in the rule; lines count from 1.
    """
    rule = rules.get(firing.rule)
    if not isinstance(rule, CorrelationRule):
        return None
    return orjson.dumps(
        {
            "rule": _rule_name(firing.rule, rules),
            "name": rule.meta.name,
            "title": rule.meta.title,
            "key": _key(firing),
            "time": timestamp(firing.time_us),
            "decided": firing.decided,
            "marks": list(firing.marks),
            "members": [_member(match, rules) for step in firing.steps for match in step.members],
        }
    )


def _rule_name(key: str, rules: Rules) -> str:
    rule = rules.get(key)
    return (rule.meta.id or rule.meta.name or key) if rule else key


def _key(firing: Firing) -> dict[str, Any]:
    """The key's values as the canonical JSON texts they are compared by."""
    return {name: _json(text) for name, text in zip(firing.key_names, firing.key, strict=True)}


def _json(text: str) -> Any:
    """The text itself where it can be written; lone surrogates only as escapes, infinities as text."""
    value = scalar_of(text)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value == text:
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return orjson.Fragment(json.dumps(value))
    return orjson.Fragment(text)


def _member(match: Match, rules: Rules) -> dict[str, Any]:
    member: dict[str, Any] = {
        "rule": _rule_name(match.rule, rules),
        "event": None if match.firing is not None else match.identity.hex(),
        "time": timestamp(match.time_us),
    }
    if match.firing is not None:
        member["key"] = _key(match.firing)
    if match.position is not None:
        member["source"] = _source(match.position)
    return member


def _source(position: Position) -> dict[str, Any]:
    if position.is_file:
        return {"file": position.source, "line": position.offset}
    return {"topic": position.source, "partition": position.partition, "offset": position.offset}
