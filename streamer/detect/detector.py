"""Events in, matches out: every detection rule on every event whose log source it names.

This is the plain road on which every predicate is evaluated in full. A faster one may go in front of it, as long as
all it ever says is "cannot match"; rules and events come in batches so that it can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from streamer.detect.evaluate import evaluate
from streamer.detect.evidence import evidence_of, kind_of
from streamer.detect.paths import extract
from streamer.model import CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT, Event, Evidence, LogSource, Match, Position, Scalar
from streamer.sigma.rules import DetectionRule, RuleSet

_EXPANDED: Final = frozenset({CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT})


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
    """

    matches: tuple[Match, ...] = ()
    failures: tuple[RuleFailure, ...] = ()


class Detector:
    """Evaluates detection rules. Holds no state between events but a look-up of rules by log source."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules.detections
        self._for: dict[LogSource, tuple[DetectionRule, ...]] = {}

    def detect(self, events: Sequence[Event]) -> Detected:
        """All matches of a batch. Never raises on account of an event."""
        matches: list[Match] = []
        failures: list[RuleFailure] = []
        for event in events:
            evidence: Evidence | None = None
            for rule in self._rules_for(event.logsource):
                if event.stage_only and not rule.tests_stage:
                    continue
                try:
                    if evaluate(rule.predicate, event) is not True:
                        continue
                    values = {field: found for field in rule.extract if (found := extract(event.fields, field))}
                except Exception as error:  # noqa: BLE001 - one rule's failure must not silence the others
                    failures.append(_failure(rule, event, error))
                    continue
                try:
                    evidence = evidence or evidence_of(event)
                except Exception as error:  # noqa: BLE001 - what cannot be shown has happened all the same
                    failures.append(_failure(rule, event, error))
                    evidence = Evidence(kind_of(event), "unknown", "")
                matches.append(_match(rule, event, values, evidence))
        return Detected(tuple(matches), tuple(failures))

    def _rules_for(self, logsource: LogSource) -> tuple[DetectionRule, ...]:
        found = self._for.get(logsource)
        if found is None:
            found = tuple(rule for rule in self._rules if applies(rule.logsource, logsource))
            self._for[logsource] = found
        return found


def applies(asked: LogSource, given: LogSource) -> bool:
    """Whether a rule for one log source sees events of another: every attribute it names is equal.

    Events made of parts of other events are seen only by rules that name their category.
    """
    return (
        (asked.category == given.category or (not asked.category and given not in _EXPANDED))
        and asked.product in {"", given.product}
        and asked.service in {"", given.service}
    )


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
