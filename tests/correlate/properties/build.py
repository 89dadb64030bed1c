"""Rules built by hand: ranks, exports and the time of decision are derived here from SEMANTICS, not by the parser."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from streamer.errors import Place
from streamer.model import Decided, LogSource
from streamer.sigma.rules import (
    DAY_US,
    CorrelationRule,
    CorrelationType,
    CountCondition,
    DetectionRule,
    Expression,
    RuleMeta,
    RuleSet,
    Suppress,
)
from tests.oracle.chains import negatives

UNIT = 1_000_000
"""The grid on which times stand: a second."""
AGGREGATES: tuple[CorrelationType, ...] = ("value_sum", "value_avg", "value_median", "value_percentile")
DETECTION_FIELDS = ("user", "ip", "v", "n")


def meta(name: str) -> RuleMeta:
    """A rule that says nothing about itself but its name."""
    return RuleMeta(
        key=name,
        id=None,
        name=name,
        title=name,
        level="medium",
        status="test",
        description="",
        author="",
        references=(),
        tags=(),
        falsepositives=(),
        license="",
        version="",
        place=Place("test.yml"),
        meaning=f"meaning of {name}",
    )


def detection(name: str, *, alerts: bool = False, suppress: Suppress | None = None) -> DetectionRule:
    """A detection whose predicate nobody evaluates: its matches are made by hand."""
    return DetectionRule(
        meta=meta(name),
        logsource=LogSource(),
        predicate=cast("Any", None),
        alerts=alerts,
        suppress=suppress,
        extract=DETECTION_FIELDS,
    )


@dataclass
class Draft:
    """A correlation while it is being written: what is derived is still missing."""

    name: str
    type: CorrelationType
    rules: tuple[str, ...]
    timespan_us: int
    condition: Expression | CountCondition
    group_by: tuple[str, ...] = ()
    fields_of: dict[str, dict[str, str]] = field(default_factory=dict)
    decide: Decided | None = None
    skew_us: int = 0
    first_seen: bool = False
    learn_us: int = 0
    reach_us: int = 300_000_000
    across: bool = False
    suppress: Suppress | None = None
    exported: dict[str, dict[str, str]] = field(default_factory=dict)
    referenced: bool = False

    def natural(self) -> Decided:
        """When the table of section 5 decides it."""
        condition = self.condition
        if self.first_seen or self.type in AGGREGATES:
            return "watermark"
        if isinstance(condition, CountCondition):
            return "watermark" if condition.op in ("lt", "lte", "eq", "neq") else "arrival"
        return "watermark" if negatives(condition) else "arrival"

    def export(self, rule: str, source: str) -> str:
        """Ask for the values of a referenced rule's field; the name under which they are exported."""
        name = f"{rule}.{source}"
        self.exported.setdefault(rule, {})[name] = source
        return name


def link(detections: Sequence[DetectionRule], drafts: Sequence[Draft]) -> RuleSet:
    """The rule set: ranks, decisions (C10), alerts (A1)."""
    ranks = {one.meta.key: 0 for one in detections}
    done: list[CorrelationRule] = []
    for draft in drafts:
        ranks[draft.name] = 1 + max(ranks[name] for name in draft.rules)
        certain: Decided = "watermark" if draft.exported else draft.natural()
        decides = draft.decide or certain
        done.append(
            CorrelationRule(
                meta=meta(draft.name),
                type=draft.type,
                rules=draft.rules,
                group_by=draft.group_by,
                fields_of={name: dict(draft.fields_of.get(name, {})) for name in draft.rules},
                timespan_us=draft.timespan_us,
                condition=draft.condition,
                decides=decides,
                suppress=draft.suppress or Suppress(gap_us=draft.timespan_us, max_us=DAY_US),
                provisional=decides == "arrival" and certain == "watermark",
                alerts=not any(draft.name in other.rules for other in drafts),
                across_clusters=draft.across,
                skew_us=draft.skew_us,
                first_seen=draft.first_seen,
                learn_us=draft.learn_us,
                reach_us=draft.reach_us,
                rank=ranks[draft.name],
                exports=(*draft.group_by, *(name for names in draft.exported.values() for name in names)),
                exported_fields={name: dict(draft.exported.get(name, {})) for name in draft.rules},
            )
        )
    done.sort(key=lambda rule: rule.rank)
    return RuleSet(tuple(detections), tuple(done))


def pick(rng: random.Random, weights: dict[Any, int]) -> Any:
    """One of the keys, by weight."""
    return rng.choices(list(weights), list(weights.values()))[0]
