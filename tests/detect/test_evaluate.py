from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.detect import evaluate
from streamer.model import CONTAINER_LOG, UNKNOWN, WEBSERVER, LogSource, Unknown
from streamer.sigma.predicates import AllOf, AnyOf, FieldTest, Negated, Null, Predicate, Text
from tests.detect.events import event
from tests.sigma.writing import accepted, predicate_of


def truth(items: str, fields: dict[str, Any], *, logsource: LogSource = CONTAINER_LOG) -> bool | Unknown:
    return evaluate(predicate_of(items), event(fields, logsource=logsource))


@pytest.mark.parametrize(
    ("items", "fields", "expected"),
    [
        ("a: x", {"a": ["y", "x"]}, True),
        ("a: x", {"a": []}, False),
        ("a|neq: x", {"a": ["y", "x"]}, False),
        ("a|neq: x", {"a": ["y", "z"]}, True),
        ("a|neq: x", {}, True),
        ("a|contains|all: [x, y]", {"a": ["ax", "by"]}, True),
        ("a|contains|all: [x, y]", {"a": ["ax", "bz"]}, False),
        ("a.b: x\na.c: y", {"a": [{"b": "x", "c": "n"}, {"b": "n", "c": "y"}]}, True),
        ("a: null", {}, True),
        ("a: null", {"a": None}, True),
        ("a: null", {"a": []}, True),
        ("a: null", {"a": ""}, False),
        ("a.b: null", {"a": [{"b": 1}, {}]}, True),
        ("a.b: null", {"a": [{"b": 1}, {"b": 2}]}, False),
        ("a: ''", {"a": ""}, True),
        ("a: ''", {}, False),
        ("a: '*'", {"a": 0}, True),
        ("a: '*'", {"a": {"b": 1}}, True),
        ("a: '*'", {"a": None}, False),
        ("a: '*'", {}, False),
        ("a|exists: true", {"a": None}, True),
        ("a|exists: true", {"a": []}, True),
        ("a|exists: true", {}, False),
        ("a|exists: false", {}, True),
        ("a|exists: false", {"a": {"b": 1}}, False),
        ("a.b|exists: false", {"a": [{"b": 1}, {}]}, False),
        ("a|fieldref: b", {"a": "x", "b": ["y", "X"]}, True),
        ("a|fieldref: b", {"a": "x"}, False),
        ("a|fieldref: b", {"a": None, "b": None}, False),
        ("a: 200", {"a": 200}, True),
        ("a: '200'", {"a": 200}, True),
        ("a: 200", {"a": "200"}, True),
        ("a: '2*'", {"a": 200}, True),
        ("a: 1", {"a": True}, False),
        ("a: true", {"a": 1}, False),
        ("a: true", {"a": True}, True),
        ("a|gt: 0", {"a": True}, False),
        ("a: x", {"a": {"b": "x"}}, False),
    ],
)
def test_what_a_test_says_of_a_field(items: str, fields: dict[str, Any], *, expected: bool) -> None:
    """[D1] [D2] a list means any element, its negation none; two predicates need not hold for the same element."""
    assert truth(items, fields) is expected


@pytest.mark.parametrize(
    ("items", "fields", "expected"),
    [
        ("a: x", {"a": UNKNOWN}, UNKNOWN),
        ("a.b: x", {"a": UNKNOWN}, UNKNOWN),
        ("a: x", {"a": ["x", UNKNOWN]}, True),
        ("a: x", {"a": ["y", UNKNOWN]}, UNKNOWN),
        ("a|neq: x", {"a": UNKNOWN}, UNKNOWN),
        ("a|neq: x", {"a": ["x", UNKNOWN]}, False),
        ("a: null", {"a": UNKNOWN}, UNKNOWN),
        ("a.b|exists: true", {"a": UNKNOWN}, UNKNOWN),
        ("a.b|exists: false", {"a": UNKNOWN}, UNKNOWN),
        ("a.b|exists: true", {"a": [UNKNOWN, {"b": 1}]}, True),
        ("a|re: x", {"a": UNKNOWN}, UNKNOWN),
        ("a|gt: 1", {"a": UNKNOWN}, UNKNOWN),
        ("a|fieldref: b", {"a": "x", "b": UNKNOWN}, UNKNOWN),
        ("a|fieldref: b", {"a": "x", "b": [UNKNOWN, "x"]}, True),
        ("a: x\nb: y", {"a": UNKNOWN, "b": "n"}, False),
        ("a: x\nb: y", {"a": UNKNOWN, "b": "y"}, UNKNOWN),
        ("'': x", {"message": UNKNOWN}, UNKNOWN),
    ],
)
def test_what_was_cut_off_is_unknown(items: str, fields: dict[str, Any], *, expected: bool | Unknown) -> None:
    """[D5] logic is three-valued; `not unknown` is unknown."""
    assert truth(items, fields) is expected


def test_keywords_are_searched_in_the_message_of_container_lines_only() -> None:
    """[D1] keywords are searched in `message` of container lines."""
    fields = {"message": "Use POOL stratum+tcp://x", "kubernetes": {"pod": {"name": "stratum"}}}
    assert truth("'': 'STRATUM+tcp'", fields) is True
    assert truth("'': pool*stratum", fields) is True
    assert truth("'|startswith': use", fields) is True
    assert truth("'|re': '^pool'", fields) is False
    assert truth("'': name", fields) is False
    assert truth("'': stratum", {"message": "x", "kubernetes": {"pod": {"name": "stratum"}}}) is False
    assert truth("'': x", {}) is False


def test_keywords_are_searched_in_every_string_of_other_events() -> None:
    """[D1] in every string leaf of other events."""
    fields = {"a": [{"b": "one"}, "two"], "c": {"d": {"three": 4}}, "n": 5, "t": True}
    for keyword, expected in {"ONE": True, "two": True, "three": False, "5": False, "true": False, "a": False}.items():
        assert truth(f"'': '{keyword}'", fields, logsource=WEBSERVER) is expected
    assert truth("'|all': [one, two]", fields, logsource=WEBSERVER) is True
    assert truth("'': nothing", fields | {"u": UNKNOWN}, logsource=WEBSERVER) is UNKNOWN
    assert truth("'': one", fields | {"u": UNKNOWN}, logsource=WEBSERVER) is True
    assert truth("'|cidr': 10.0.0.0/8", {"ips": ["10.1.2.3"]}, logsource=WEBSERVER) is True


VALUES = {"t": True, "f": False, "u": UNKNOWN}


def leaf(name: str) -> Predicate:
    return FieldTest(name, Text(("x",)))


EVENT = event({"t": "x", "f": "y", "u": UNKNOWN})


@pytest.mark.parametrize(("left", "right"), list(itertools.product("tfu", repeat=2)))
def test_and_or_and_not_have_three_values(left: str, right: str) -> None:
    """[D5] Kleene's tables."""
    order: list[bool | Unknown] = [False, UNKNOWN, True]
    values = (VALUES[left], VALUES[right])
    assert evaluate(AllOf((leaf(left), leaf(right))), EVENT) is min(values, key=order.index)
    assert evaluate(AnyOf((leaf(left), leaf(right))), EVENT) is max(values, key=order.index)
    assert evaluate(Negated(leaf(left)), EVENT) is order[2 - order.index(VALUES[left])]


PREDICATES = st.recursive(
    st.sampled_from("abcd").map(leaf),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda items: AllOf(tuple(items))),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: AnyOf(tuple(items))),
        inner.map(Negated),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(PREDICATES, st.fixed_dictionaries({name: st.sampled_from(["x", "y", UNKNOWN]) for name in "abcd"}))
def test_a_definite_answer_holds_whatever_was_cut_off(predicate: Predicate, fields: dict[str, Any]) -> None:
    """[D5] a rule matches only on true: then no value of what is unknown could make it false."""
    answer = evaluate(predicate, event(fields))
    unknown = [name for name, value in fields.items() if value is UNKNOWN]
    for values in itertools.product(["x", "y"], repeat=len(unknown)):
        known = evaluate(predicate, event(fields | dict(zip(unknown, values, strict=True))))
        assert answer is UNKNOWN or known is answer


def test_the_resource_itself_is_meant_where_the_subresource_is_not_spoken_of() -> None:
    """[D6] `pods` is not `pods/exec`."""
    (rule,) = accepted(
        "title: A\nlogsource: {product: kubernetes, service: audit}\n"
        "detection: {s: {objectRef.resource: pods}, condition: s}\n"
    ).detections
    assert evaluate(rule.predicate, event({"objectRef": {"resource": "pods"}})) is True
    assert evaluate(rule.predicate, event({"objectRef": {"resource": "pods", "subresource": ""}})) is True
    assert evaluate(rule.predicate, event({"objectRef": {"resource": "pods", "subresource": "exec"}})) is False
    assert evaluate(rule.predicate, event({"objectRef": {"resource": "pods", "subresource": UNKNOWN}})) is UNKNOWN


def test_null_over_an_empty_event_is_true() -> None:
    assert evaluate(FieldTest("a.b.c", Null()), event({})) is True


def test_long_lists_of_two_fields_are_not_compared_pair_by_pair() -> None:
    left, right = [f"x{n}" for n in range(20_000)], [f"Y{n}" for n in range(20_000)]
    assert truth("a|fieldref: b", {"a": left, "b": right}) is False
    assert truth("a|fieldref: b", {"a": [*left, "y7"], "b": right}) is True
    assert truth("a|fieldref: b", {"a": [*left, UNKNOWN], "b": right}) is UNKNOWN
    assert truth("a|fieldref|contains: b", {"a": left, "b": right}) is UNKNOWN
