"""Drafts to rules, in the order in which they build on one another.

1. Forwards, each by itself: aliases, fields, condition, extensions. What is wrong breaks the rule and its users.
2. Backwards, users before what they use: which fields a rule must hand upwards.
3. Forwards again: when it decides, its rank, its meaning, and the finished value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from streamer.sigma.correlation import Written
from streamer.sigma.deciding import Deciding, decide
from streamer.sigma.drafts import Draft
from streamer.sigma.expressions import read_expression
from streamer.sigma.fields import Fields, read_fields
from streamer.sigma.meaning import correlation_meaning, detection_meaning
from streamer.sigma.predicates import fields_tested
from streamer.sigma.problems import Problems
from streamer.sigma.references import Reference, References, Registry
from streamer.sigma.rules import (
    DAY_US,
    MINUTE_US,
    CorrelationRule,
    CountCondition,
    DetectionRule,
    Expression,
    RuleMeta,
    RuleSet,
    Suppress,
)

_REACH_US = 5 * MINUTE_US


@dataclass(slots=True)
class Ready:
    """What the first pass found out about a correlation."""

    fields: Fields
    condition: Expression | CountCondition


def check_correlations(
    drafts: Sequence[Draft], references: References, registry: Registry, problems: Problems
) -> dict[str, Ready]:
    """Pass 1, over every correlation, so that every problem is found. What has one becomes broken."""
    ready: dict[str, Ready] = {}
    for draft in drafts:
        if draft.written is None:
            continue
        before = problems.errors()
        _check_clusters(draft, references[draft.key], problems)
        fields = read_fields(draft, references, registry, problems)
        condition = None if draft.broken else _condition(draft, draft.written, references[draft.key], problems)
        decide(draft, condition, exports=False, problems=problems)
        draft.broken = draft.broken or problems.errors() > before
        if condition is not None:
            ready[draft.key] = Ready(fields, condition)
    return ready


def _check_clusters(draft: Draft, items: Sequence[Reference], problems: Problems) -> None:
    for item in items:
        spans = item.rule.written is not None and item.rule.extensions.across_clusters
        if spans and not draft.extensions.across_clusters:
            message = f"`{item.rule.shown}` spans clusters, this rule has a key per cluster"
            hint = "add `streamer: {across_clusters: true}` here, or take it out there"
            problems.error("cluster-key", item.mention.place, message, hint)


def _condition(
    draft: Draft, written: Written, items: Sequence[Reference], problems: Problems
) -> Expression | CountCondition | None:
    if written.temporal:
        return read_expression(written, {item.mention.text: item.rule.key for item in items}, problems)
    threshold = written.threshold
    if threshold is None:
        return None
    return CountCondition(threshold.op, threshold.number, threshold.fields, threshold.percentile)


@dataclass(slots=True)
class Builder:
    """Passes 2 and 3 over rules that are whole, referenced ones first."""

    references: References
    ready: Mapping[str, Ready]
    problems: Problems
    wanted: dict[str, dict[str, None]] = field(default_factory=dict)
    meanings: dict[str, str] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)

    def build(self, ordered: Sequence[Draft], drafts: Sequence[Draft]) -> RuleSet:
        """The rules of ``ordered``, within a rank in the order of ``drafts``."""
        for draft in reversed(ordered):
            self._want(draft)
        silent = self._silent(ordered)
        detections: dict[str, DetectionRule] = {}
        correlations: dict[str, CorrelationRule] = {}
        for draft in ordered:
            alerts = draft.key not in silent
            if draft.written is None:
                detections[draft.key] = self._detection(draft, alerts=alerts)
            else:
                correlations[draft.key] = self._correlation(draft, draft.written, alerts=alerts)
        in_order = [correlations[draft.key] for draft in drafts if draft.key in correlations]
        return RuleSet(
            detections=tuple(detections[draft.key] for draft in drafts if draft.key in detections),
            correlations=tuple(sorted(in_order, key=lambda rule: rule.rank)),
        )

    def _want(self, draft: Draft) -> None:
        """Pass 2."""
        by = [name for name, _ in draft.extensions.suppress_by or ()]
        own = self.wanted.setdefault(draft.key, {})
        own.update(dict.fromkeys(by))
        ready = self.ready.get(draft.key)
        if ready is None:
            return
        for key, names in ready.fields.of.items():
            self.wanted.setdefault(key, {}).update(dict.fromkeys(names.values()))
        for key, exported in ready.fields.exported(own).items():
            self.wanted.setdefault(key, {}).update(dict.fromkeys(exported.values()))

    def _silent(self, good: Sequence[Draft]) -> set[str]:
        """Keys of rules that only feed others."""
        used: set[str] = set()
        generating: set[str] = set()
        for draft in good:
            if draft.written is not None:
                keys = {item.rule.key for item in self.references[draft.key]}
                (generating if draft.written.generate else used).update(keys)
        return used - generating

    def _meta(self, draft: Draft) -> RuleMeta:
        about = draft.about
        return RuleMeta(
            key=draft.key,
            id=about.id,
            name=about.name,
            title=about.title,
            level=about.level,
            status=about.status,
            description=about.description,
            author=about.author,
            references=about.references,
            tags=about.tags,
            falsepositives=about.falsepositives,
            license=about.license,
            version=about.version,
            place=draft.place,
            meaning="",
        )

    def _detection(self, draft: Draft, *, alerts: bool) -> DetectionRule:
        assert draft.predicate is not None
        assert draft.logsource is not None
        extensions = draft.extensions
        suppress = None
        if extensions.suppress:
            suppress = self._suppress(draft, extensions.suppress_gap_us or DAY_US)
        rule = DetectionRule(
            meta=self._meta(draft),
            logsource=draft.logsource,
            predicate=draft.predicate,
            tests_stage="stage" in fields_tested(draft.predicate),
            alerts=alerts,
            suppress=suppress,
            reach_us=extensions.reach_us or _REACH_US,
            extract=tuple(self.wanted.get(draft.key, ())),
            allowed=draft.allowed,
        )
        self.ranks[draft.key] = 0
        self.meanings[draft.key] = detection_meaning(rule)
        return replace(rule, meta=replace(rule.meta, meaning=self.meanings[draft.key]))

    def _suppress(self, draft: Draft, gap_us: int) -> Suppress:
        extensions = draft.extensions
        by = extensions.suppress_by
        return Suppress(
            gap_us=extensions.suppress_gap_us or gap_us,
            max_us=extensions.suppress_max_us or DAY_US,
            by=None if by is None else tuple(name for name, _ in by),
        )

    def _correlation(self, draft: Draft, written: Written, *, alerts: bool) -> CorrelationRule:
        """Pass 3."""
        ready, extensions = self.ready[draft.key], draft.extensions
        keys = tuple(item.rule.key for item in self.references[draft.key])
        exported = ready.fields.exported(self.wanted.get(draft.key, {}))
        names = tuple(dict.fromkeys(name for of_rule in exported.values() for name in of_rule))
        deciding: Deciding = decide(draft, ready.condition, exports=bool(names), problems=self.problems)
        rule = CorrelationRule(
            meta=self._meta(draft),
            type=written.type,
            rules=keys,
            group_by=ready.fields.group_by,
            fields_of=ready.fields.of,
            timespan_us=written.timespan_us,
            condition=ready.condition,
            decides=deciding.decides,
            suppress=self._suppress(draft, written.timespan_us),
            provisional=deciding.provisional,
            alerts=alerts,
            across_clusters=extensions.across_clusters,
            skew_us=extensions.skew_us or 0,
            first_seen=extensions.first_seen,
            learn_us=extensions.learn_us or 0,
            link_exact=extensions.link_exact,
            reach_us=extensions.reach_us or _REACH_US,
            rank=1 + max(self.ranks[key] for key in keys),
            exports=(*ready.fields.group_by, *names),
            exported_fields=exported,
        )
        self.ranks[draft.key] = rule.rank
        self.meanings[draft.key] = correlation_meaning(rule, self.meanings)
        return replace(rule, meta=replace(rule.meta, meaning=self.meanings[draft.key]))
