"""Whom a match is sent to: every correlation that references its rule, once per key, and the rule itself if it alerts.

A match that is sent carries only the values that its receiver needs; what only makes its key is in the key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from streamer.correlate import CorrelateLimits, Counters
from streamer.correlate.alerting import alert_keys
from streamer.correlate.host import has_value
from streamer.correlate.keys import keys_of
from streamer.correlate.plan import Plan
from streamer.model import Key, Match
from streamer.sigma.rules import CorrelationRule, CountCondition, DetectionRule, RuleSet
from streamer.stages.wire import FIRING, Addressed, meaning_of, partition_for

Sent: TypeAlias = tuple[int, Addressed]
"""A partition of detections and what is written to it."""


@dataclass(frozen=True, slots=True)
class _Route:
    """One receiver of the matches of one rule."""

    plan: Plan
    ref: int
    fields: tuple[str, ...]
    meaning: bytes


class Addresser:
    """Finds the keys of matches.

    Args:
        rules: what runs.
        partitions: number of partitions of detections.
        counters: where matches without a key, without a value or with too many keys are counted.
        only: receivers to send to; all without it.
    """

    def __init__(
        self, rules: RuleSet, partitions: int, counters: Counters, *, only: frozenset[str] | None = None
    ) -> None:
        self._partitions = partitions
        self._counters = counters
        self._routes: dict[str, list[_Route]] = {}
        self._alerting: dict[str, tuple[DetectionRule, bytes]] = {}
        for detection in rules.detections:
            if detection.alerts and (only is None or detection.meta.key in only):
                self._alerting[detection.meta.key] = (detection, meaning_of(detection))
        for rule in rules.correlations:
            if only is not None and rule.meta.key not in only:
                continue
            plan = Plan.of(rule, CorrelateLimits(), counters)
            for ref, below in enumerate(plan.refs):
                route = _Route(plan, ref, _needed(rule, below), meaning_of(rule))
                self._routes.setdefault(below, []).append(route)

    def address(self, match: Match, lane: str = FIRING, offset: int = -1) -> list[Sent]:
        """Everything that is to be sent on account of a match, in the order of the rules."""
        found: list[Sent] = []
        alerting = self._alerting.get(match.rule)
        if alerting is not None:
            rule, meaning = alerting
            _, keys = alert_keys(rule, match, self._counters)
            cut = _cut(match, rule.suppress.by or () if rule.suppress is not None else ())
            for key in keys:
                self._send(Addressed(match.rule, key, cut, lane, 0, meaning, offset), found)
        for route in self._routes.get(match.rule, ()):
            overflow, keys = self._keys(route, match)
            cut = _cut(match, route.fields)
            for key in keys:
                receiver = route.plan.rule.meta.key
                self._send(Addressed(receiver, key, cut, lane, overflow, route.meaning, offset), found)
                overflow = 0
        return found

    def _keys(self, route: _Route, match: Match) -> tuple[int, list[Key]]:
        name = route.plan.rule.meta.key
        keys, overflow = keys_of(match, route.plan.rule)
        if not keys:
            self._counters.missing_key[name] += 1
            return 0, []
        if not has_value(route.plan, route.ref, match):
            self._counters.missing_value[name] += 1
            return 0, []
        self._counters.key_overflow[name] += overflow
        return overflow, keys

    def _send(self, addressed: Addressed, found: list[Sent]) -> None:
        found.append((partition_for(addressed.correlation, addressed.key, self._partitions), addressed))


def _needed(rule: CorrelationRule, below: str) -> tuple[str, ...]:
    """The fields of a referenced rule's matches that the correlation counts or hands on."""
    names = rule.fields_of.get(below, {})
    counted = rule.condition.fields if isinstance(rule.condition, CountCondition) else ()
    fields = [names.get(name, name) for name in counted]
    fields += rule.exported_fields.get(below, {}).values()
    return tuple(dict.fromkeys(fields))


def _cut(match: Match, fields: tuple[str, ...]) -> Match:
    if len(match.values) <= len(fields) and match.values.keys() <= set(fields):
        return match
    return replace(match, values={name: match.values[name] for name in fields if name in match.values})
