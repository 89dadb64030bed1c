"""Random rules, small and nasty."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

from streamer.sigma.rules import (
    And,
    AtLeast,
    CountCondition,
    DetectionRule,
    Expression,
    Not,
    Operator,
    Or,
    Ref,
    RuleSet,
    Suppress,
)
from tests.correlate.properties.build import AGGREGATES, DETECTION_FIELDS, UNIT, Draft, detection, link, pick

UPPER_BOUNDED: tuple[Operator, ...] = ("lt", "lte", "eq", "neq")
OPERATORS: tuple[Operator, ...] = ("gt", "gte", *UPPER_BOUNDED)
NAMES = ("a", "b", "c", "d")
FAMILIES = {
    "event_count": 3,
    "value_count": 3,
    "bounded": 3,
    "aggregate": 3,
    "first_seen": 3,
    "temporal": 5,
    "temporal_ordered": 6,
}


class RuleMaker:
    """Makes rule sets; what a lane wants is set by attributes.

    Attributes:
        families: weights of rule types.
        upper: how many correlations of correlations at most.
        skew: share of ordered rules with skew.
        alerting_detections: whether detections alert by themselves.
        provisional: share of `not` and first_seen rules decided on arrival.
        longest: longest timespan in units.
        vetoes: share of temporal rules that get a `not` (and again that get a second).
        reach: choices of reach in units; ``None`` leaves the default.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.families: dict[str, int] = dict(FAMILIES)
        self.upper = 2
        self.skew = 0.15
        self.provisional = 0.0
        self.reach: tuple[int, ...] | None = None
        self.across = 0.1
        self.vetoes = 0.4
        self.longest = 7
        self.alerting_detections = False

    def drafts(self) -> list[Draft]:
        """One to three rules of rank 1, and up to :attr:`upper` above them."""
        rng = self.rng
        drafts = [self._draft(f"r{number}", NAMES, []) for number in range(rng.choice((1, 1, 2, 2, 3)))]
        for number in range(rng.randint(0, self.upper)):
            drafts.append(self._draft(f"u{number}", self._sources(drafts), drafts))
        return drafts

    def rule_set(self) -> RuleSet:
        """The drafts linked, over detections that are made here."""
        drafts = self.drafts()
        detections = [self._detection(name) for name in NAMES]
        return link(detections, drafts)

    def _detection(self, name: str) -> DetectionRule:
        rng = self.rng
        if not self.alerting_detections or rng.random() < 0.3:
            return detection(name)
        suppress = self._suppress()
        if suppress is not None:
            suppress = replace(suppress, by=rng.choice((None, ("user",), ("user", "ip"))))
        return detection(name, alerts=True, suppress=suppress)

    def _sources(self, drafts: list[Draft]) -> tuple[str, ...]:
        """Names an upper rule may use; at least one correlation first."""
        correlations = [draft.name for draft in drafts]
        self.rng.shuffle(correlations)
        return (*correlations, *self.rng.sample(NAMES, self.rng.randint(0, 2)))

    def _suppress(self) -> Suppress | None:
        rng = self.rng
        if rng.random() < 0.7:
            return None
        return Suppress(gap_us=rng.randint(0, 8) * UNIT, max_us=rng.randint(4, 20) * UNIT)

    def _draft(self, name: str, sources: tuple[str, ...], below: list[Draft]) -> Draft:
        rng = self.rng
        family = pick(rng, self.families)
        want = rng.randint(2, 4) if family.startswith("temporal") else rng.randint(1, 2)
        rules = self._references(sources, want, bool(below))
        draft = Draft(
            name,
            "event_count",
            rules,
            rng.randint(1, self.longest) * UNIT,
            CountCondition("gte", 1),
            suppress=self._suppress(),
        )
        if self.reach is not None:
            draft.reach_us = rng.choice(self.reach) * UNIT
        by_name = {one.name: one for one in below}
        draft.across = rng.random() < self.across or any(by_name[one].across for one in rules if one in by_name)
        getattr(self, f"_{family}")(draft)
        draft.group_by = rng.choice(((), ("user",), ("user",), ("ip",), ("user", "ip")))
        self._fields(draft, by_name)
        if draft.suppress is not None and len(draft.group_by) == 2 and rng.random() < 0.3:
            draft.suppress = replace(draft.suppress, by=rng.choice((("user",), ("ip",), ("ip", "user"))))
        if rng.random() < 0.15 and draft.natural() == "arrival":
            draft.decide = "watermark"
        return draft

    def _references(self, sources: tuple[str, ...], want: int, upper: bool) -> tuple[str, ...]:
        chosen = list(sources[:1]) if upper else []
        rest = [name for name in sources if name not in chosen]
        self.rng.shuffle(rest)
        chosen = (chosen + rest)[: max(want, 1)]
        self.rng.shuffle(chosen)
        return tuple(chosen)

    def _fields(self, draft: Draft, by_name: dict[str, Draft]) -> None:
        """Where each referenced rule's matches hold the key fields and the counted fields."""
        counted = draft.condition.fields if isinstance(draft.condition, CountCondition) else ()
        for rule in draft.rules:
            fields: dict[str, str] = {}
            for name in dict.fromkeys((*draft.group_by, *counted)):
                if rule not in by_name:
                    fields[name] = name if self.rng.random() < 0.93 else self.rng.choice(DETECTION_FIELDS)
                    continue
                lower = by_name[rule]
                if name in lower.group_by and self.rng.random() < 0.7:
                    fields[name] = name
                    continue
                fields[name] = self._export(lower, name, by_name)
            draft.fields_of[rule] = fields

    def _export(self, lower: Draft, name: str, by_name: dict[str, Draft]) -> str:
        inner = self.rng.choice(lower.rules)
        if inner not in by_name:
            return lower.export(inner, name if name in DETECTION_FIELDS else "user")
        deeper = by_name[inner]
        if deeper.group_by and self.rng.random() < 0.7:
            return lower.export(inner, self.rng.choice(deeper.group_by))
        return lower.export(inner, self._export(deeper, name, by_name))

    def _event_count(self, draft: Draft) -> None:
        draft.condition = CountCondition(self.rng.choice(("gte", "gte", "gt")), self.rng.randint(1, 4))

    def _value_count(self, draft: Draft) -> None:
        draft.type = "value_count"
        fields = self.rng.choice((("v",), ("v",), ("ip",), ("v", "ip")))
        draft.condition = CountCondition(self.rng.choice(("gte", "gte", "gt")), self.rng.randint(1, 3), fields)

    def _bounded(self, draft: Draft) -> None:
        operator: Operator = self.rng.choice(UPPER_BOUNDED)
        draft.type = "event_count" if self.rng.random() < 0.5 else "value_count"
        fields = ("v",) if draft.type == "value_count" else ()
        least = 2 if operator == "lt" else 1
        draft.condition = CountCondition(operator, self.rng.randint(least, 3), fields)

    def _aggregate(self, draft: Draft) -> None:
        rng = self.rng
        draft.type = rng.choice(AGGREGATES)
        operator: Operator = rng.choice(OPERATORS)
        percentile = rng.choice((0, 10, 25, 50, 90, 95.5, 100)) if draft.type == "value_percentile" else None
        threshold = rng.choice((-2, -0.5, 0, 0.1, 0.2, 0.3, 0.5, 1, 1.5, 2, 3))
        draft.condition = CountCondition(operator, threshold, ("n",), percentile)

    def _first_seen(self, draft: Draft) -> None:
        draft.type = "value_count"
        draft.first_seen = True
        draft.condition = CountCondition("gte", 1, self.rng.choice((("v",), ("v",), ("ip",), ("v", "user"))))
        draft.learn_us = self.rng.choice((0, 0, 0, 3, 6)) * UNIT
        if self.rng.random() < self.provisional:
            draft.decide = "arrival"

    def _temporal(self, draft: Draft) -> None:
        draft.type = "temporal"
        if self.rng.random() < 0.25:
            draft.condition = AtLeast(self.rng.randint(1, len(draft.rules)))
            return
        self._expression(draft)

    def _temporal_ordered(self, draft: Draft) -> None:
        draft.type = "temporal_ordered"
        self._expression(draft)
        if self.rng.random() < self.skew:
            draft.skew_us = self.rng.randint(1, 3) * UNIT

    def _expression(self, draft: Draft) -> None:
        """All; or with one or two `not`; or with an `or`."""
        rng = self.rng
        names = list(draft.rules)
        rng.shuffle(names)
        vetoes: list[str] = []
        while len(names) > 1 and len(vetoes) < 2 and rng.random() < self.vetoes:
            vetoes.append(names.pop())
        positive: list[Expression] = [Ref(name) for name in names]
        if len(positive) > 1 and rng.random() < 0.4:
            split = rng.randint(2, len(positive))
            branch = Or(tuple(positive[:split]))
            if split == 3 and rng.random() < 0.5:
                branch = Or((And(tuple(positive[:2])), positive[2]))
            elif rng.random() < 0.3 and len(positive) > 2:
                pairs = product(positive[:1], positive[1:3])
                branch = Or(tuple(And(pair) for pair in pairs))
                split = 3
            positive = [branch, *positive[split:]]
        items = (*positive, *(Not(Ref(name)) for name in vetoes))
        draft.condition = items[0] if len(items) == 1 else And(items)
        if vetoes and rng.random() < self.provisional:
            draft.decide = "arrival"


def with_reach(rules: RuleSet, reach_us: int) -> RuleSet:
    """The same rules with one reach for all."""
    return replace(rules, correlations=tuple(replace(one, reach_us=reach_us) for one in rules.correlations))
