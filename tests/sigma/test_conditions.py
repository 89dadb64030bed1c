from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.conditions import ConditionAND, ConditionIdentifier, ConditionNOT, ConditionOR, ConditionSelector
from sigma.conditions import condition as grammar

from streamer.sigma.conditions import (
    Condition,
    ConditionError,
    Inverse,
    Joined,
    Name,
    Some,
    names_in,
    parse_condition,
)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("", 0),
        ("a and", 5),
        ("a b", 2),
        ("a or (b", 7),
        ("a) or b", 1),
        ("and a", 0),
        ("a not b", 2),
        ("a | count() > 5", 2),
        ("2 of a*", 2),
        ("1 of", 4),
        ("a AND b", 2),
        ("NOT a", 0),
        ("a*", 0),
        ("a and ~b", 6),
        ("(" * 17 + "a" + ")" * 17, 16),
    ],
)
def test_a_condition_goes_wrong_at_a_character(text: str, offset: int) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(text)
    assert caught.value.offset == offset


def test_not_binds_tighter_than_and_and_and_tighter_than_or() -> None:
    assert parse_condition("not a and b or c") == Joined(
        every=False,
        items=(
            Joined(every=True, items=(Inverse(Name("a", 4), 0), Name("b", 10)), offset=0),
            Name("c", 15),
        ),
        offset=0,
    )


def test_quantifiers_and_selections_named_like_them_are_told_apart() -> None:
    assert list(names_in(parse_condition("1 of sel_* and all of them or any of x and all"))) == [
        Some(every=False, pattern="sel_*", offset=0),
        Some(every=True, pattern="them", offset=15),
        Some(every=False, pattern="x", offset=30),
        Name("all", 43),
    ]


def test_a_long_condition_is_refused_and_a_long_row_of_not_is_read_at_once() -> None:
    with pytest.raises(ConditionError, match="longer than"):
        parse_condition("a or " * 1_000 + "a")
    assert parse_condition("not " * 900 + "a") == Name("a", 3_600)


CONDITIONS = st.recursive(
    st.sampled_from(["a", "b", "not a", "1 of s*", "all of them", "notsel", "android"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map("".join),
        inner.map("({})".format),
        inner.map("not ({})".format),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(CONDITIONS)
def test_pysigma_reads_the_same_tree(text: str) -> None:
    """[D1] Sigma as pySigma reads it."""
    assert _ours(parse_condition(text)) == _theirs(grammar.parse_string(text, parse_all=True)[0])


@settings(deadline=None)
@given(st.text(alphabet="ab()*1 ofandrt_-|\n", max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    offset = 0
    try:
        parse_condition(text)
    except ConditionError as error:
        offset = error.offset
    assert 0 <= offset <= len(text)


def test_parsing_takes_no_time_that_grows_with_the_nesting() -> None:
    begin = time.process_time()
    parse_condition("(" * 16 + "a" + ")" * 16)
    assert time.process_time() - begin < 1


def _flat(kind: str, items: list[object]) -> object:
    """Joins of equal kind in one level, as associativity allows."""
    out: list[object] = []
    for item in items:
        out += item[1] if isinstance(item, tuple) and item[0] == kind else [item]
    return (kind, out)


def _ours(tree: Condition) -> object:
    if isinstance(tree, Joined):
        return _flat("and" if tree.every else "or", [_ours(item) for item in tree.items])
    if isinstance(tree, Inverse):
        return ("not", _ours(tree.item))
    if isinstance(tree, Some):
        return ("some", tree.every, tree.pattern)
    return tree.name


def _theirs(tree: object) -> object:
    if isinstance(tree, ConditionSelector):
        return ("some", tree.cond_class is ConditionAND, tree.pattern)
    if isinstance(tree, ConditionIdentifier):
        return tree.identifier
    if isinstance(tree, ConditionNOT):
        return ("not", _theirs(tree.args[0]))
    assert isinstance(tree, (ConditionAND, ConditionOR))
    return _flat("and" if isinstance(tree, ConditionAND) else "or", [_theirs(arg) for arg in tree.args])
