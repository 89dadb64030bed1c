"""The evaluator against a reading of pySigma's own condition tree, on random rules and random flat events."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.collection import SigmaCollection
from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.types import (
    SigmaCasedString,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
)

from streamer.detect import evaluate
from streamer.sigma import load_text
from tests.detect.events import event

TEXTS = st.text(alphabet="aAb -*?1", max_size=4)
PLACES = ("contains", "startswith", "endswith")
VALUES = st.one_of(TEXTS, st.integers(0, 12), st.none())


def item(modifier: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    many = st.lists(values, min_size=1, max_size=3)
    return st.tuples(st.sampled_from("xyz").map(lambda field: field + modifier), st.one_of(values, many))


ITEMS = st.one_of(
    item("", VALUES),
    item("|neq", TEXTS),
    item("|cased", TEXTS),
    item("|gte", st.integers(0, 12)),
    item("|windash", TEXTS),
    item("|re", st.sampled_from(["a+", "^b", "A$", "a|b"])),
    *(
        item(f"|{kind}{rest}", TEXTS)
        for kind in ("contains", "startswith", "endswith")
        for rest in ("", "|all", "|cased")
    ),
    st.tuples(st.sampled_from(["x|exists", "y|exists"]), st.booleans()),
)
SELECTION = st.one_of(
    st.lists(ITEMS, min_size=1, max_size=2).map(dict),
    st.lists(st.lists(ITEMS, min_size=1, max_size=2).map(dict), min_size=1, max_size=2),
)
CONDITIONS = [
    "s1 and not s2 and (s1 or t)",
    "1 of s* or t",
    "all of s* and not t",
    "1 of them",
    "not all of them",
    "not (s1 or s2) and not t",
]


def yaml_of(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {yaml_of(inner)}' for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(yaml_of, value)) + "]"
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return f"'{value}'" if isinstance(value, str) else str(value)


@given(
    st.fixed_dictionaries({"s1": SELECTION, "s2": SELECTION, "t": SELECTION}),
    st.sampled_from(CONDITIONS),
    st.lists(st.dictionaries(st.sampled_from("xyz"), st.one_of(TEXTS, st.integers(0, 12)), max_size=3), max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_rules_match_what_pysigma_says_they_mean(
    selections: dict[str, Any], condition: str, events: list[dict[str, Any]]
) -> None:
    """[D1] Sigma 2.1 as pySigma reads it."""
    body = yaml_of(selections)[:-1] + f", condition: '{condition}'}}"
    text = f"title: A\nlogsource: {{product: other}}\ndetection: {body}\n"
    loaded = load_text({"a.yml": text})
    assert all(problem.severity == "warning" for problem in loaded.problems), loaded.problems
    predicate = loaded.ok().detections[0].predicate
    (rule,) = SigmaCollection.from_yaml(text).rules
    tree = rule.detection.parsed_condition[0].parsed
    for fields in events:
        assert evaluate(predicate, event(fields)) is _means(tree, fields), (text, fields)


def _means(tree: Any, fields: dict[str, Any]) -> bool:
    if isinstance(tree, ConditionAND):
        return all(_means(arg, fields) for arg in tree.args)
    if isinstance(tree, ConditionOR):
        return any(_means(arg, fields) for arg in tree.args)
    if isinstance(tree, ConditionNOT):
        return not _means(tree.args[0], fields)
    assert isinstance(tree, ConditionFieldEqualsValueExpression)
    return _holds(tree.value, fields.get(tree.field), present=tree.field in fields)


def _holds(wanted: Any, value: Any, *, present: bool) -> bool:
    if isinstance(wanted, SigmaExpansion):
        return any(_holds(option, value, present=present) for option in wanted.values)
    if isinstance(wanted, SigmaNull):
        return value is None
    if isinstance(wanted, SigmaExists):
        return present is wanted.exists
    if value is None:
        return False
    if isinstance(wanted, SigmaNumber):
        return str(value) == str(wanted.number)
    if isinstance(wanted, SigmaCompareExpression):
        return str(value).isdecimal() and int(value) >= wanted.number.number
    if isinstance(wanted, SigmaRegularExpression):
        return re.search(str(wanted.regexp), str(value)) is not None
    assert isinstance(wanted, SigmaString)
    flags = re.DOTALL if isinstance(wanted, SigmaCasedString) else re.DOTALL | re.IGNORECASE
    return re.fullmatch(str(wanted.to_regex().regexp), str(value), flags) is not None
