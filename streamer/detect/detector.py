"""Events in, matches out: every detection rule on every event whose log source it names.

Every predicate is evaluated in full, but for rules of which :mod:`~streamer.detect.index` says that they cannot match.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from streamer.detect.evaluate import evaluate, judge
from streamer.detect.evidence import evidence_of, kind_of
from streamer.detect.index import RuleIndex
from streamer.detect.paths import Found, extract
from streamer.model import (
    CONTAINER_SPEC,
    RBAC_RULE,
    RBAC_SUBJECT,
    SOURCE_HEALTH,
    Event,
    Evidence,
    LogSource,
    Match,
    Position,
    Scalar,
)
from streamer.sigma.rules import DetectionRule, RuleSet

_DERIVED: Final = frozenset({CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT, SOURCE_HEALTH})


@dataclass(frozen=True, slots=True)
class RuleFailure:
    """A rule that raised on an event, or an event that could not be shown: a defect of ours.

    The rule's other events and all other rules went on; what matched and could not be shown is a match all the same.

    Attributes:
        rule: its key.
        index: the event's index within its record.
        error: class and text of the exception.
    """

    rule: str
    position: Position
    index: int
    error: str


@dataclass(frozen=True, slots=True)
class Detected:
    """What one batch gave.

    Attributes:
        matches: in the order of the events, then of the rules.
        allowed: what would have been matches, by exception of the site and rule.
    """

    matches: tuple[Match, ...] = ()
    failures: tuple[RuleFailure, ...] = ()
    allowed: Mapping[tuple[str, str], int] = field(default_factory=dict)


class Detector:
    """Evaluates detection rules. Holds no state between events but an index of rules by log source."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules.detections
        self._for: dict[LogSource, RuleIndex] = {}

    def detect(self, events: Sequence[Event]) -> Detected:
        """All matches of a batch. Never raises on account of an event."""
        matches: list[Match] = []
        failures: list[RuleFailure] = []
        allowed: Counter[tuple[str, str]] = Counter()
        for event in events:
            evidence: Evidence | None = None
            seen: dict[str, Found] = {}
            for rule in self._index(event.logsource).candidates(event.fields):
                if event.stage_only and not rule.tests_stage:
                    continue
                try:
                    if judge(rule.predicate, event, seen) is not True:
                        continue
                    values = {field: found for field in rule.extract if (found := extract(event.fields, field))}
                except Exception as error:  # noqa: BLE001 - one rule's failure must not silence the others
                    failures.append(_failure(rule, event, error))
                    continue
                try:
                    entry = allowing(rule, event) if rule.allowed else None
                    if entry is not None:
                        allowed[entry, rule.meta.key] += 1
                        continue
                    evidence = evidence or evidence_of(event)
                except Exception as error:  # noqa: BLE001 - what cannot be excused or shown has happened all the same
                    failures.append(_failure(rule, event, error))
                    evidence = evidence or Evidence(kind_of(event), "unknown", "")
                matches.append(_match(rule, event, values, evidence))
        return Detected(tuple(matches), tuple(failures), allowed)

    def _index(self, logsource: LogSource) -> RuleIndex:
        found = self._for.get(logsource)
        if found is None:
            found = RuleIndex([rule for rule in self._rules if applies(rule.logsource, logsource)])
            self._for[logsource] = found
        return found


def applies(asked: LogSource, given: LogSource) -> bool:
    """Whether a rule for one log source sees events of another: every attribute it names is equal.

    Events made of other events are seen only by rules that name their category.
    """
    return (
        (asked.category == given.category or (not asked.category and given not in _DERIVED))
        and asked.product in {"", given.product}
        and asked.service in {"", given.service}
    )


def allowing(rule: DetectionRule, event: Event) -> str | None:
    """The first exception of the site that certainly covers a match of this rule; what is unknown is not covered."""
    for item in rule.allowed:
        predicate = item.predicates.get(event.logsource)
        if predicate is None or (item.until_us is not None and event.time_us >= item.until_us):
            continue
        if evaluate(predicate, event) is True:
            return item.entry
    return None


def _failure(rule: DetectionRule, event: Event, error: Exception) -> RuleFailure:
    text = f"{type(error).__name__}: {error}"[:500]
    return RuleFailure(rule.meta.key, event.position, event.index, text)


def _match(rule: DetectionRule, event: Event, values: Mapping[str, tuple[Scalar, ...]], evidence: Evidence) -> Match:
    return Match(
        rule=rule.meta.key,
        identity=event.identity,
        time_us=event.time_us,
        cluster=event.cluster,
        values=values,
        position=event.position,
        index=event.index,
        evidence=evidence,
    )
