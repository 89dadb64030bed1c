"""Drafts to rules, in the order in which they build on one another.

1. Forwards, each by itself: aliases, fields, condition, extensions. What is wrong breaks the rule and its users.
2. Backwards, users before what they use: which fields a rule must hand upwards.
3. Forwards again: when it decides, its rank, its meaning, and the finished value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from streamer.sigma.deciding import Deciding, decide
from streamer.sigma.drafts import Draft
from streamer.sigma.expressions import read_expression
from streamer.sigma.fields import Fields, read_fields
from streamer.sigma.meaning import correlation_meaning, detection_meaning
from streamer.sigma.predicates import fields_tested
from streamer.sigma.problems import Problems
from streamer.sigma.references import Registry
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
class _Ready:
    """A correlation that passed the first pass."""

    draft: Draft
    fields: Fields
    condition: Expression | CountCondition


@dataclass(slots=True)
class Builder:
    """Builds one rule set.

    Attributes:
        references: referenced drafts by key of the correlation.
    """

    registry: Registry
    references: Mapping[str, Sequence[Draft]]
    problems: Problems
    ready: dict[str, _Ready] = field(default_factory=dict)
    wanted: dict[str, dict[str, None]] = field(default_factory=dict)
    meanings: dict[str, str] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)

    def build(self, ordered: Sequence[Draft], drafts: Sequence[Draft]) -> RuleSet:
        """The rules of the drafts that are not broken, ``ordered`` referenced first, in the order of ``drafts``."""
        for draft in ordered:
            self._check(draft)
        good = [draft for draft in ordered if not draft.broken]
        for draft in reversed(good):
            self._want(draft)
        silent = self._silent(good)
        built: dict[str, DetectionRule | CorrelationRule] = {}
        for draft in good:
            alerts = draft.key not in silent
            rule = self._detection(draft, alerts=alerts) if draft.written is None else self._correlation(draft, alerts=alerts)
            built[draft.key] = rule
        rules = [built[draft.key] for draft in drafts if not draft.broken and draft.key in built]
        correlations = [rule for rule in rules if isinstance(rule, CorrelationRule)]
        return RuleSet(
            detections=tuple(rule for rule in rules if isinstance(rule, DetectionRule)),
            correlations=tuple(sorted(correlations, key=lambda rule: rule.rank)),
        )

    def _check(self, draft: Draft) -> None:
        """Pass 1."""
        if draft.written is None:
            return
        before = self.problems.errors()
        rules = self.references[draft.key]
        for rule, mention in zip(rules, draft.written.rules, strict=True):
            if rule.broken:
                message = f"the referenced rule `{rule.shown}` cannot be used"
                self.problems.error("broken-reference", mention.place, message, f"mend it first: {rule.place}")
            elif rule.written is not None and rule.extensions.across_clusters and not draft.extensions.across_clusters:
                message = f"`{rule.shown}` spans clusters, this rule has a key per cluster"
                hint = "add `streamer: {across_clusters: true}` here, or take it out there"
                self.problems.error("cluster-key", mention.place, message, hint)
        if self.problems.errors() > before:
            draft.broken = True
            return
        fields = read_fields(draft, self.references, self.registry, self.problems)
        condition = self._condition(draft)
        decide(draft, condition, exports=False, problems=self.problems)
        draft.broken = self.problems.errors() > before
        if not draft.broken and condition is not None:
            self.ready[draft.key] = _Ready(draft, fields, condition)

    def _condition(self, draft: Draft) -> Expression | CountCondition | None:
        written = draft.written
        assert written is not None
        if written.temporal:
            keys = {
                mention.text: rule.key
                for mention, rule in zip(written.rules, self.references[draft.key], strict=True)
            }
            return read_expression(written, keys, self.problems)
        threshold = written.threshold
        if threshold is None:
            return None
        return CountCondition(threshold.op, threshold.number, threshold.fields, threshold.percentile)

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
                keys = {rule.key for rule in self.references[draft.key]}
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

    def _correlation(self, draft: Draft, *, alerts: bool) -> CorrelationRule:
        """Pass 3."""
        ready = self.ready[draft.key]
        written, extensions = draft.written, draft.extensions
        assert written is not None
        keys = tuple(rule.key for rule in self.references[draft.key])
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
