"""Conditions as alternatives."""

from __future__ import annotations

from streamer.correlate.expressions import Shape, shape_of
from streamer.sigma.rules import And, AtLeast, Not, Or, Ref
from tests.correlate.making import expression

REFS = ("a", "b", "c", "d")


def test_all_rules_are_one_alternative():
    """[C5] `temporal`, no condition: every referenced rule."""
    assert shape_of(expression("a and b and c"), REFS) == Shape(((0, 1, 2),))


def test_an_or_makes_alternatives():
    """[C7] boolean conditions over rule names."""
    condition = And((Or((Ref("a"), And((Ref("b"), Ref("d"))))), Ref("c"), Not(Ref("b"))))
    assert shape_of(condition, REFS) == Shape(((0, 2), (1, 2, 3)), forbidden=(1,))


def test_a_single_rule_is_an_alternative():
    assert shape_of(Ref("b"), REFS) == Shape(((1,),))


def test_equal_alternatives_are_one():
    assert shape_of(And((Or((Ref("a"), Ref("b"))), Or((Ref("a"), Ref("b"))))), REFS).alternatives == (
        (0,),
        (0, 1),
        (1,),
    )


def test_at_least_is_over_all_rules():
    """[C5] `gte m`: at least m different rules."""
    assert shape_of(AtLeast(2), REFS) == Shape(((0, 1, 2, 3),), at_least=2)
