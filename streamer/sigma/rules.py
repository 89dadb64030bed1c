"""Loaded rules as values: what the parser produces and what detection and correlation consume.

Nothing here parses or evaluates. A rule that could not be evaluated exactly never becomes one of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from streamer.errors import Place
from streamer.model import Decided, LogSource
from streamer.sigma.predicates import Predicate

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US

Level: TypeAlias = Literal["informational", "low", "medium", "high", "critical"]
LEVELS: Final[tuple[Level, ...]] = ("informational", "low", "medium", "high", "critical")

CorrelationType: TypeAlias = Literal[
    "event_count",
    "value_count",
    "value_sum",
    "value_avg",
    "value_median",
    "value_percentile",
    "temporal",
    "temporal_ordered",
]
Operator: TypeAlias = Literal["gt", "gte", "lt", "lte", "eq", "neq"]


@dataclass(frozen=True, slots=True)
class RuleMeta:
    """What a rule says about itself; nothing here changes what it matches.

    Attributes:
        key: how the engine refers to the rule: its id, else its name, else a key made from its place.
        id: Sigma id (UUID) or ``None``.
        name: Sigma name (snake_case, how conditions refer to it) or ``None``.
        meaning: hex digest of everything that changes what the rule matches or when it fires, referenced rules
            included; title, level, tags and texts are not part of it.
        tags: raw Sigma tags, for example ``attack.t1496``.
        place: where the rule's document starts.
    """

    key: str
    id: str | None
    name: str | None
    title: str
    level: Level
    status: str
    description: str
    author: str
    references: tuple[str, ...]
    tags: tuple[str, ...]
    falsepositives: tuple[str, ...]
    license: str
    version: str
    place: Place
    meaning: str


@dataclass(frozen=True, slots=True)
class Suppress:
    """How firings are folded into episodes.

    Attributes:
        gap_us: an episode ends when no firing happened for this long.
        max_us: an episode ends at the latest this long after it began.
        by: fields that make the episode's key instead of the group-by fields; ``None`` keeps those.
    """

    gap_us: int
    max_us: int = DAY_US
    by: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """An exception of a site, as far as it concerns one rule.

    Attributes:
        entry: its name.
        predicates: by log source of the event, when it covers one; events of others it never covers.
        until_us: event time from which on it covers nothing; ``None``: it has no end.
    """

    entry: str
    predicates: Mapping[LogSource, Predicate]
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class DetectionRule:
    """A rule about one event.

    Attributes:
        logsource: attributes the event's log source must equal; an empty attribute asks for nothing.
        predicate: when it matches.
        tests_stage: the rule tests ``stage`` and therefore sees audit stages that do not stand for the request.
        alerts: tells people by itself (SEMANTICS A1).
        suppress: ``None`` alerts once per event.
        reach_us: how far behind the watermark an event still counts in correlations over this rule.
        extract: fields whose values correlations over this rule (and ``suppress.by``) need, dotted paths.
        allowed: exceptions of the site; an event that one of them covers is no match.
    """

    meta: RuleMeta
    logsource: LogSource
    predicate: Predicate
    tests_stage: bool = False
    alerts: bool = True
    suppress: Suppress | None = None
    reach_us: int = 5 * MINUTE_US
    extract: tuple[str, ...] = ()
    allowed: tuple[Allowed, ...] = ()


@dataclass(frozen=True, slots=True)
class Ref:
    """A referenced rule, by :attr:`RuleMeta.key`."""

    rule: str


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them; never holds a ``Not``."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """No match of this rule; stands only at the top level or directly under the top-level ``And``."""

    item: Ref


@dataclass(frozen=True, slots=True)
class AtLeast:
    """At least ``count`` different rules of the correlation's references (temporal only)."""

    count: int


Expression: TypeAlias = Ref | And | Or | Not | AtLeast


@dataclass(frozen=True, slots=True)
class CountCondition:
    """Threshold of counts and aggregates.

    Attributes:
        fields: the counted or aggregated field names; several make a tuple (``value_count`` only).
        percentile: 0 to 100, for ``value_percentile``.
    """

    op: Operator
    threshold: float
    fields: tuple[str, ...] = ()
    percentile: float | None = None


@dataclass(frozen=True, slots=True)
class CorrelationRule:
    """A rule about matches of other rules.

    Attributes:
        rules: keys of the referenced rules in the order written.
        group_by: names of the key fields, without ``cluster``.
        fields_of: per referenced rule, for every name in ``group_by`` and ``condition.fields`` the field of that
            rule's matches to read (aliases resolved; the name itself where there is no alias).
        condition: an expression for temporal types (never ``None``; "all" is an ``And`` over all references),
            a threshold for the others.
        decides: when it decides, after SEMANTICS section 5 and C10.
        provisional: decided on arrival although what is stated may still change.
        reach_us: how far behind the watermark a match still counts.
        suppress: never ``None``: the defaults are the timespan and 24 h.
        rank: one more than the highest rank referenced; detections have 0.
        exports: names of the values its firings must carry for rules above it: group-by names and
            ``<rule name>.<field>``.
        exported_fields: per referenced rule key, ``export name -> field of that rule's matches``.
        learn_us: first_seen only: no firing in a cluster during this time after the rule's first match there.
    """

    meta: RuleMeta
    type: CorrelationType
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    fields_of: Mapping[str, Mapping[str, str]]
    timespan_us: int
    condition: Expression | CountCondition
    decides: Decided
    suppress: Suppress
    provisional: bool = False
    alerts: bool = True
    across_clusters: bool = False
    skew_us: int = 0
    first_seen: bool = False
    learn_us: int = 0
    link_exact: bool = False
    reach_us: int = 5 * MINUTE_US
    rank: int = 1
    exports: tuple[str, ...] = ()
    exported_fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules that run together; every reference resolves, there is no cycle, keys and names are unique.

    Attributes:
        detections: in the order loaded.
        correlations: by rank, then in the order loaded.
    """

    detections: tuple[DetectionRule, ...] = ()
    correlations: tuple[CorrelationRule, ...] = ()

    def meta(self, key: str) -> RuleMeta:
        """What the rule with this key says about itself. Raises ``KeyError`` for a key that is not loaded."""
        return self.by_key()[key].meta

    def by_key(self) -> dict[str, DetectionRule | CorrelationRule]:
        """All rules by key; build it once, it is not kept."""
        rules: list[DetectionRule | CorrelationRule] = [*self.detections, *self.correlations]
        return {rule.meta.key: rule for rule in rules}
