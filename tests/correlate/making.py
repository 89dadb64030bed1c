"""Rules and matches built by hand, short enough for a test to be read at a glance. Times are seconds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, cast

from streamer.correlate import CorrelateLimits, Correlator, Told
from streamer.errors import Place
from streamer.model import Evidence, LogSource, Match, Position, Scalar
from streamer.sigma.rules import (
    And,
    AtLeast,
    CorrelationRule,
    CountCondition,
    DetectionRule,
    Expression,
    Not,
    Or,
    Ref,
    RuleMeta,
    RuleSet,
    Suppress,
)

SECOND = 1_000_000


def meta(key: str, meaning: str | None = None) -> RuleMeta:
    return RuleMeta(
        key=key,
        id=None,
        name=key,
        title=key,
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
        meaning=meaning or f"meaning of {key}",
    )


def detection(key: str, *, alerts: bool = False, suppress: Suppress | None = None) -> DetectionRule:
    return DetectionRule(meta(key), LogSource(), cast("Any", None), alerts=alerts, suppress=suppress)


def _decides(type_: str, condition: Expression | CountCondition, first_seen: bool) -> str:
    if isinstance(condition, CountCondition):
        counts = type_ in ("event_count", "value_count") and condition.op in ("gt", "gte") and not first_seen
        return "arrival" if counts else "watermark"
    items = condition.items if isinstance(condition, And) else (condition,)
    return "watermark" if any(isinstance(item, Not) for item in items) else "arrival"


def correlation(
    key: str,
    type_: str,
    rules: str,
    condition: Expression | CountCondition | None = None,
    *,
    span: float = 60,
    by: tuple[str, ...] = ("user",),
    skew: float = 0,
    reach: float = 300,
    aliases: Mapping[str, Mapping[str, str]] | None = None,
    learn: float = 0,
    meaning: str | None = None,
    **more: Any,
) -> CorrelationRule:
    """``rules`` are names with blanks between; without a condition a temporal rule wants all of them."""
    names = tuple(rules.split())
    stated = condition if condition is not None else And(tuple(Ref(name) for name in names))
    more.setdefault("decides", _decides(type_, stated, bool(more.get("first_seen"))))
    more.setdefault("suppress", Suppress(gap_us=int(span * SECOND)))
    fields = (*by, *(stated.fields if isinstance(stated, CountCondition) else ()))
    return CorrelationRule(
        meta=meta(key, meaning),
        type=cast("Any", type_),
        rules=names,
        group_by=by,
        fields_of=aliases or {name: {field: field for field in fields} for name in names},
        timespan_us=int(span * SECOND),
        condition=stated,
        skew_us=int(skew * SECOND),
        reach_us=int(reach * SECOND),
        learn_us=int(learn * SECOND),
        **more,
    )


def expression(text: str) -> Expression:
    """``a and (b or c) and not d`` without parentheses inside parentheses; or a number for "at least"."""
    if text.isdigit():
        return AtLeast(int(text))
    parts = [part.strip() for part in text.split(" and ")]
    if len(parts) == 1:
        return _operand(parts[0])
    return And(tuple(_operand(part) for part in parts))


def _operand(text: str) -> Expression:
    if text.startswith("not "):
        return Not(Ref(text[4:]))
    text = text.strip("()")
    names = [name.strip() for name in text.split(" or ")]
    return Ref(text) if len(names) == 1 else Or(tuple(Ref(name) for name in names))


def count(op: str, threshold: float, *fields: str, percentile: float | None = None) -> CountCondition:
    return CountCondition(cast("Any", op), threshold, fields, percentile)


def identity(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:16]


def match(rule: str, at: float, event: str | None = None, **values: Scalar | list[Scalar]) -> Match:
    """A match of user ``alice`` unless told otherwise; the event is named by ``event``, else by all that it is."""
    values.setdefault("user", "alice")
    cluster = str(values.pop("cluster", "prod"))
    name = event if event is not None else f"{rule} {at} {sorted(values.items())}"
    return Match(
        rule=rule,
        identity=identity(name),
        time_us=round(at * SECOND),
        cluster=cluster,
        values={field: tuple(value) if isinstance(value, list) else (value,) for field, value in values.items()},
        position=Position("audit.log", 0, 1, is_file=True),
        evidence=Evidence("audit", "success", "somebody did something"),
    )


def rules(*all_rules: DetectionRule | CorrelationRule) -> RuleSet:
    """A rule set; detections that are referenced but not given are made, silent."""
    detections = [rule for rule in all_rules if isinstance(rule, DetectionRule)]
    correlations = [rule for rule in all_rules if isinstance(rule, CorrelationRule)]
    known = {rule.meta.key for rule in all_rules}
    referenced = dict.fromkeys(name for rule in correlations for name in rule.rules)
    detections += [detection(name) for name in referenced if name not in known]
    return RuleSet(tuple(detections), tuple(sorted(correlations, key=lambda rule: rule.rank)))


class Bench:
    """A correlator and everything it has told."""

    def __init__(
        self,
        *all_rules: DetectionRule | CorrelationRule,
        limits: CorrelateLimits | None = None,
        start: float | None = None,
    ) -> None:
        self.rules = rules(*all_rules)
        self.limits = limits
        self.correlator = Correlator(self.rules, limits, start_us=None if start is None else round(start * SECOND))
        self.told = Told()

    def _note(self, told: Told) -> Told:
        self.told.firings += told.firings
        self.told.alerts += told.alerts
        self.told.notices += told.notices
        return told

    def feed(self, *matches: Match) -> list[float]:
        """Times of the firings the matches set off."""
        told = Told()
        for one in matches:
            some = self._note(self.correlator.feed(one))
            told.firings += some.firings
        return [firing.time_us / SECOND for firing in told.firings]

    def advance(self, watermark: float) -> list[float]:
        """Times of the firings decided by this watermark."""
        told = self._note(self.correlator.advance(round(watermark * SECOND)))
        return [firing.time_us / SECOND for firing in told.firings]

    def finish(self) -> list[float]:
        return [firing.time_us / SECOND for firing in self._note(self.correlator.finish()).firings]

    def restarted(self) -> Bench:
        """The same rules with a correlator restored from a snapshot."""
        other = Bench.__new__(Bench)
        other.rules, other.limits, other.told = self.rules, self.limits, self.told
        other.correlator = Correlator(self.rules, self.limits)
        other.correlator.restore(self.correlator.snapshot())
        return other

    def times(self, rule: str | None = None) -> list[float]:
        """Times of all firings told so far."""
        return [one.time_us / SECOND for one in self.told.firings if rule in (None, one.rule)]

    def all(self, matches: Iterable[Match]) -> list[float]:
        """Feed everything, finish, and return the times of all firings in order."""
        self.feed(*matches)
        self.finish()
        return sorted(self.times())
