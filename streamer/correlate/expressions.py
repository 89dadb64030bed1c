"""A boolean condition as alternatives: what must be there, each way of it, and what must not.

``(a or b) and c and not d`` becomes the alternatives {a, c} and {b, c} with d forbidden. A completing event is judged
against every alternative it takes part in.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamer.sigma.rules import And, AtLeast, Expression, Not, Or, Ref


@dataclass(frozen=True, slots=True)
class Shape:
    """A condition over the numbered references of a correlation.

    Attributes:
        alternatives: each the ascending numbers of the references that must have a match.
        forbidden: references that must have none, ascending.
        at_least: how many different references must have a match; 0 where the alternatives say it.
    """

    alternatives: tuple[tuple[int, ...], ...]
    forbidden: tuple[int, ...] = ()
    at_least: int = 0


def shape_of(condition: Expression, refs: tuple[str, ...]) -> Shape:
    """Bring a condition into its alternatives. References are numbered by their place in ``refs``."""
    if isinstance(condition, AtLeast):
        return Shape((tuple(range(len(refs))),), at_least=condition.count)
    number = {rule: at for at, rule in enumerate(refs)}
    forbidden = sorted({number[rule] for rule in _forbidden(condition)})
    alternatives = dict.fromkeys(tuple(sorted(way)) for way in _ways(condition, number))
    return Shape(tuple(alternatives), tuple(forbidden))


def _forbidden(condition: Expression) -> list[str]:
    if isinstance(condition, Not):
        return [condition.item.rule]
    if isinstance(condition, And):
        return [rule for item in condition.items for rule in _forbidden(item)]
    return []


def _ways(condition: Expression, number: dict[str, int]) -> list[frozenset[int]]:
    if isinstance(condition, Ref):
        return [frozenset((number[condition.rule],))]
    if isinstance(condition, Or):
        return [way for item in condition.items for way in _ways(item, number)]
    ways = [frozenset[int]()]
    if isinstance(condition, And):
        for item in condition.items:
            ways = list(dict.fromkeys(old | new for old in ways for new in _ways(item, number)))
    return ways
