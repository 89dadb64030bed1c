"""A digest of everything that changes what a rule matches or when it fires, and of nothing else.

State belongs to a meaning (SEMANTICS: rule changes). Rules are named by their meanings, not by their keys, so that a
renamed feeder is still the same feeder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from streamer.sigma.rules import Allowed, CorrelationRule, DetectionRule


def detection_meaning(rule: DetectionRule) -> str:
    """Digest of the log source, the predicate, the extensions and what exceptions cover, whatever they are called.

    What is extracted for others is not part of it.
    """
    own: list[Any] = [rule.logsource, rule.predicate, rule.tests_stage, rule.reach_us, rule.suppress]
    allowed = sorted({_digest([*sorted(_covers(item)), item.until_us]) for item in rule.allowed})
    return _digest([*own, allowed] if allowed else own)


def _covers(allowed: Allowed) -> list[str]:
    return [_digest([source, predicate]) for source, predicate in allowed.predicates.items()]


def correlation_meaning(rule: CorrelationRule, meanings: Mapping[str, str]) -> str:
    """Digest of everything but the descriptive keys; ``meanings`` has those of the referenced rules by key."""
    names = {key: f"{number}:{meanings[key]}" for number, key in enumerate(rule.rules)}
    values = [
        getattr(rule, item.name) for item in fields(rule) if item.name not in {"meta", "alerts", "rank", "link_exact"}
    ]
    return _digest([*values, rule.link_exact], names)


def _digest(value: Any, names: Mapping[str, str] = {}) -> str:
    text = json.dumps(_plain(value, names), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _plain(value: Any, names: Mapping[str, str]) -> Any:
    """Dataclasses as lists that begin with their class name; rule keys as meanings."""
    if is_dataclass(value):
        return [type(value).__name__, *(_plain(getattr(value, item.name), names) for item in fields(value))]
    if isinstance(value, Enum):
        return [type(value).__name__, value.name]
    if isinstance(value, Mapping):
        return sorted([names.get(key, key), _plain(item, names)] for key, item in value.items())
    if isinstance(value, (tuple, list)):
        return [_plain(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value
