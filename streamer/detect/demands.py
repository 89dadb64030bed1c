"""What every event that satisfies a predicate has: demands on its fields.

A demand is *necessary* where it stands outside of every ``not``. Under an ``or`` each way has demands of its own; so a
predicate becomes a few ways, and an event that meets the demands of none of them cannot satisfy it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final, TypeAlias

from streamer.detect.witness import witnesses_of
from streamer.sigma.folding import fold
from streamer.sigma.predicates import AllOf, AnyOf, EveryTest, Exists, FieldsTest, FieldTest, Null, Predicate, Text

MAX_WAYS: Final = 24
"""Ways that one predicate is taken apart into; what would be more keeps only what its ways have in common."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a field must have among its values.

    Attributes:
        texts: it may equal one of these folded texts,
        pieces: or hold one of these folded literals,
        anything: or be anything at all.
    """

    texts: frozenset[str] = frozenset()
    pieces: frozenset[str] = frozenset()
    anything: bool = False

    def __or__(self, other: Demand) -> Demand:
        """One of both."""
        return Demand(self.texts | other.texts, self.pieces | other.pieces, self.anything or other.anything)

    @property
    def width(self) -> tuple[bool, int, int]:
        """How much it lets through, for comparing."""
        return self.anything, len(self.pieces), len(self.texts)


ANYTHING: Final = Demand(anything=True)

Demands: TypeAlias = Mapping[str, Demand]
"""By field; all of them must be met."""


def ways_of(predicate: Predicate) -> list[Demands]:
    """The ways to satisfy a predicate: at least one of them has all its demands met by every event that does."""
    if isinstance(predicate, AnyOf):
        shared = demands_of(predicate)
        if shared and all(isinstance(item, FieldTest) for item in predicate.items):
            return [shared]
        ways = [way for item in predicate.items for way in ways_of(item)]
        return ways if len(ways) <= MAX_WAYS else [shared]
    if isinstance(predicate, AllOf):
        found: list[Demands] = [{}]
        for item in predicate.items:
            more = ways_of(item)
            if len(found) * len(more) > MAX_WAYS:
                more = [demands_of(item)]
            found = [_both(one, other) for one in found for other in more]
        return found
    return [demands_of(predicate)]


def _both(one: Demands, other: Demands) -> Demands:
    """Both together; of two demands on one field the better, for two elements of a list may satisfy one each."""
    met = dict(one)
    for field, demand in other.items():
        met[field] = min(met.get(field, ANYTHING), demand, key=lambda each: each.width)
    return met


def demands_of(predicate: Predicate) -> Demands:
    """What every event that satisfies a predicate has, by field."""
    if isinstance(predicate, AllOf):
        return reduce(_both, map(demands_of, predicate.items))
    if isinstance(predicate, AnyOf):
        ways = [demands_of(item) for item in predicate.items]
        shared = set(ways[0]).intersection(*ways[1:])
        return {field: reduce(or_, [way[field] for way in ways]) for field in ways[0] if field in shared}
    if isinstance(predicate, FieldTest):
        return _demand_of_test(predicate)
    if isinstance(predicate, EveryTest):
        return {predicate.field: ANYTHING}
    if isinstance(predicate, FieldsTest):
        return {predicate.field: ANYTHING, predicate.other: ANYTHING}
    return {}


def _demand_of_test(test: FieldTest) -> Demands:
    check = test.check
    if isinstance(check, (Null, Exists)):
        return {}
    if isinstance(check, Text) and all(isinstance(part, str) for part in check.parts):
        return {test.field: Demand(texts=frozenset([fold("".join(str(part) for part in check.parts))]))}
    pieces = witnesses_of(check)
    return {test.field: ANYTHING if pieces is None else Demand(pieces=pieces)}
