"""A correlation rule prepared for running: numbered references, the times it holds to, how it decides.

One plan serves all keys of a rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from streamer.correlate.expressions import Shape, shape_of
from streamer.correlate.keys import key_names
from streamer.correlate.limits import CorrelateLimits, Counters
from streamer.model import Key, Match
from streamer.sigma.rules import CorrelationRule, CountCondition


@dataclass(frozen=True, slots=True)
class Plan:
    """What every key of one correlation shares.

    Attributes:
        rule: the correlation.
        refs: keys of the referenced rules, each once, in the order written; states speak of them by number.
        number: the number of each reference.
        key_names: names of the parts of a key.
        shape: the condition of a temporal rule as alternatives.
        looks_back: a ``not`` stands before the first step, so that state is needed for twice the timespan.
        on_arrival: decided as soon as the evidence is in.
        hold_us: how long after its time a match may still be needed (SEMANTICS T7).
        limits: bounds of what may be kept.
        counters: where it is counted what happened.
    """

    rule: CorrelationRule
    refs: tuple[str, ...]
    number: dict[str, int]
    key_names: tuple[str, ...]
    shape: Shape
    looks_back: bool
    on_arrival: bool
    hold_us: int
    limits: CorrelateLimits
    counters: Counters = field(default_factory=Counters)

    @classmethod
    def of(cls, rule: CorrelationRule, limits: CorrelateLimits, counters: Counters | None = None) -> Plan:
        """Prepare a rule."""
        refs = tuple(dict.fromkeys(rule.rules))
        shape = Shape(())
        if not isinstance(rule.condition, CountCondition):
            shape = shape_of(rule.condition, refs)
        first = min((way[0] for way in shape.alternatives if way), default=0)
        last_first = max((way[0] for way in shape.alternatives if way), default=first)
        looks_back = rule.type == "temporal_ordered" and any(ref < last_first for ref in shape.forbidden)
        return cls(
            rule=rule,
            refs=refs,
            number={name: at for at, name in enumerate(refs)},
            key_names=key_names(rule),
            shape=shape,
            looks_back=looks_back,
            on_arrival=rule.decides == "arrival",
            hold_us=rule.timespan_us * (2 if looks_back else 1) + rule.reach_us,
            limits=limits,
            counters=counters if counters is not None else Counters(),
        )

    @property
    def count(self) -> CountCondition:
        """The threshold of a rule that has one."""
        assert isinstance(self.rule.condition, CountCondition)
        return self.rule.condition

    def counted_fields(self, ref: int) -> tuple[str, ...]:
        """The fields of a reference's matches that are counted or aggregated."""
        names = self.rule.fields_of.get(self.refs[ref], {})
        return tuple(names.get(name, name) for name in self.count.fields)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One match on its way into the state of one key.

    Attributes:
        ref: number of the reference it is a match of.
        match: the match.
        watermark: the watermark of the rules below, which calls it late or not.
    """

    ref: int
    match: Match
    watermark: int


@dataclass(frozen=True, slots=True)
class Address:
    """Whose state it is."""

    rule: str
    key: Key
