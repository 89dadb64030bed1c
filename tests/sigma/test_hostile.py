"""Whatever stands in a rule file: a rule set and problems come back, and nothing is raised."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.collection import SigmaCollection

from streamer.errors import RuleSetError
from streamer.sigma import load_text
from tests.sigma.writing import THREE, correlation, detection

WHOLE = THREE + correlation(
    "type: temporal\nrules: [r_a, r_b]\ngroup-by: [ns]\naliases: {ns: {r_a: x, r_b: y}}\n"
    "timespan: 5m\ncondition: r_a and not r_b",
    more="level: high\nstreamer: {decide: arrival, suppress: {for: 1h, by: ns}}\n",
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["5m", "r_a", "r_b and not r_a", "1 of them", "temporal", "value_count", "arrival", "x*"]),
)
WORDS = (
    "title id name level tags date status related references logsource product detection condition s t "
    "correlation type rules group-by timespan aliases generate field gte lt percentile streamer skew decide "
    "first_seen learn across_clusters reach suppress for max by link a|re a|contains a|cidr|all "
    "a|gt |re a|expand"
)
KEYS = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
RULES = st.dictionaries(KEYS, VALUES, max_size=8)


def load(text: str) -> None:
    loaded = load_text({"hostile.yml": text})
    for problem in loaded.problems:
        assert problem.place.path == "hostile.yml"
        assert str(problem).isprintable()
    try:
        loaded.ok()
    except RuleSetError:
        assert loaded.problems


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    load(text)


@given(st.lists(RULES, min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_tree_of_known_keys(documents: list[dict[str, object]]) -> None:
    load("\n---\n".join(map(_flow, documents)))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_good_file_with_a_piece_cut_out_or_put_in(data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(WHOLE)))
    end = data.draw(st.integers(begin, min(begin + 20, len(WHOLE))))
    load(WHOLE[:begin] + data.draw(st.text(alphabet="[]{}&*!|>'\"%@:,-?# \nabx0", max_size=4)) + WHOLE[end:])


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_pysigma_reads_whatever_is_accepted(data: st.DataObject) -> None:
    """Rule files stay valid Sigma."""
    value = data.draw(SCALARS)
    modifier = data.draw(
        st.sampled_from(["", "|contains", "|re", "|cidr", "|gt", "|exists", "|cased", "|windash", "|neq"])
    )
    text = _flow(
        {
            "title": "A",
            "logsource": {"product": "kubernetes"},
            "detection": {"s": {f"a{modifier}": value}, "condition": "s"},
        }
    )
    if not load_text({"a.yml": text}).problems:
        assert SigmaCollection.from_yaml(text).errors == []


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
        "&a [*a]",
        "? ? ? ? ? ?",
        "title: A\ncorrelation: {type: temporal, rules: [" + ", ".join(f"r{n}" for n in range(5_000)) + "]}\n",
        detection("r_a", "a|re: '" + "(" * 5_000 + "'"),
        detection("r_a", "a|re: '" + "(a|b)*" * 5_000 + "'"),
        detection("r_a", "a" + "|contains" * 5_000 + ": x"),
        detection("r_a", "a|windash: '" + " -x" * 5_000 + "'"),
        detection("r_a", "a|expand: '" + "%x%" * 50 + "'"),
        detection("r_a", "'" + "." * 50_000 + "': x"),
        detection("r_a", "a: '" + "?*" * 100_000 + "'"),
        detection("r_a", "a: [" + "x, " * 49_000 + "x]"),
        detection("r_a", "a: [" + ", ".join(map(str, range(19_000))) + "]"),
    ],
    ids=range(13),
)
def test_a_bomb_is_refused_or_read_in_no_time(text: str) -> None:
    begin = time.process_time()
    load(text)
    assert time.process_time() - begin < 5


def _flow(value: object) -> str:
    """YAML in flow style, which JSON nearly is; texts are quoted with every odd character escaped."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in value) + '"'
    if value is None:
        return "null"
    if isinstance(value, float):
        return f".{value}" if value == float("inf") or value != value else repr(value).replace("-inf", "-.inf")
    return str(value).lower() if isinstance(value, bool) else str(value)
