from __future__ import annotations

import pytest

from streamer.sigma.expressions import has_not
from streamer.sigma.rules import And, AtLeast, Expression, Not, Or, Ref
from tests.sigma.writing import THREE, correlation, correlation_of, detection, refused

A, B, C = Ref("r_a"), Ref("r_b"), Ref("r_c")
BODY = "type: temporal\nrules: [r_a, r_b, r_c]\ntimespan: 5m\n"


@pytest.mark.parametrize(
    ("condition", "expression"),
    [
        ("r_a and r_b and r_c", And((A, B, C))),
        ("r_a and (r_b and r_c)", And((A, B, C))),
        ("r_a or (r_b or r_c)", Or((A, B, C))),
        ("r_a and (r_b or r_c)", And((A, Or((B, C))))),
        ("r_a or r_b and r_c", Or((A, And((B, C))))),
        ("r_a and not r_b and not r_c", And((A, Not(B), Not(C)))),
        ("r_a and not (r_b or r_c)", And((A, Not(B), Not(C)))),
        ("not (not r_a or r_b) and r_c", And((A, Not(B), C))),
        ("not not r_a and r_b and r_c", And((A, B, C))),
        ("(r_a or r_b) and not r_c", And((Or((A, B)), Not(C)))),
        ("r_a and r_a and (r_b or r_b) and r_c", And((A, B, C))),
        ("{gte: 2}", AtLeast(2)),
        ("{gt: 1}", AtLeast(2)),
        ("{gte: 1}", AtLeast(1)),
        ("{gte: 3}", And((A, B, C))),
        ("{gt: 2}", And((A, B, C))),
    ],
)
def test_not_stands_only_over_a_rule_at_the_top(condition: str, expression: Expression) -> None:
    """[C5] [C7] boolean conditions over rule names; `gte m` means m different rules."""
    assert correlation_of(BODY + f"condition: {condition}").condition == expression


@pytest.mark.parametrize(
    ("code", "condition"),
    [
        ("bad-condition", "r_a or r_b or ▸not r_c"),
        ("bad-condition", "r_c and (r_a or ▸not r_b)"),
        ("bad-condition", "r_c and ▸not (r_a and r_b)"),
        ("bad-condition", "▸not r_a and not r_b and not r_c"),
        ("bad-condition", "▸not (r_a or r_b or r_c)"),
        ("impossible-condition", "▸r_a and r_b and r_c and not r_a"),
        ("unknown-rule", "r_a and r_b and r_c and ▸r_d"),
        ("bad-condition", "▸r_a and r_b"),
        ("bad-condition", "▸1 of r_*"),
        ("bad-condition", "r_a and ▸AND r_b"),
        ("bad-condition", "r_a and (r_b or r_c▸"),
    ],
)
def test_conditions_that_have_no_meaning_are_refused_at_the_character(code: str, condition: str) -> None:
    """[C7] no positive part, and a `not` under an `or`, are refused."""
    refused(code, THREE + correlation(BODY + f"condition: {condition}"))


def test_conditions_name_rules_as_the_list_of_rules_does() -> None:
    """A rule named by id under `rules` has no name that the condition could use."""
    id_ = "eed82177-38f5-4299-8a76-098d50d225ab"
    text = detection("r_a", more=f"id: {id_}\n") + detection("r_b")
    body = f"type: temporal\nrules: [{id_}, r_b]\ntimespan: 5m\ncondition: ▸r_a and r_b"
    refused("unknown-rule", text + correlation(body))


def test_a_condition_with_too_many_alternatives_is_refused() -> None:
    """[C12] the cost of a condition is bounded."""
    names = [f"r_{number}" for number in range(14)]
    pairs = " and ".join(f"({left} or {right})" for left, right in zip(names[::2], names[1::2], strict=True))
    text = "".join(map(detection, names))
    body = f"type: temporal\nrules: [{', '.join(names)}]\ntimespan: 5m\ncondition: ▸{pairs}"
    refused("bad-condition", text + correlation(body))


def test_has_not_sees_what_must_not_happen() -> None:
    assert has_not(And((A, Not(B))))
    assert not has_not(And((A, Or((B, C)))))
