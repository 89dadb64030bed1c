from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.detect.paths import MAX_EXTRACTED, Found, extract, find, values_at
from streamer.model import UNKNOWN


@pytest.mark.parametrize(
    ("fields", "path", "values"),
    [
        ({"a": {"b": 1}}, "a.b", (1,)),
        ({"a.b": 1}, "a.b", (1,)),
        ({"a": {"b.c": 1}}, "a.b.c", (1,)),
        ({"a.b": {"c": 1}}, "a.b.c", (1,)),
        ({"a": {"authorization.k8s.io/decision": "x"}}, "a.authorization.k8s.io/decision", ("x",)),
        ({"labels": {"app.kubernetes.io/name": "x"}}, "labels.app.kubernetes.io/name", ("x",)),
        ({"a": {"b": 1}, "a.b": 2}, "a.b", (2,)),
        ({"a": {"b": {"c": 1}, "b.c": 2}, "a.b": {"c": 3}}, "a.b.c", (3,)),
        ({"a": {"b": {"c": 1}}, "a.b": {"d": 3}}, "a.b.c", (1,)),
        ({"a": {"b": {"c": 1}}, "a.b": 3}, "a.b.c", (1,)),
        ({"a": [{"b": 1}, {"b": 2}]}, "a.b", (1, 2)),
        ({"a": [{"b": [1, 2]}, {"b": 3}]}, "a.b", (1, 2, 3)),
        ({"a": [[1, [2]], 3]}, "a", (1, 2, 3)),
        ({"a": [{"b": 1}, {}, 7, None]}, "a.b", (1,)),
        ({"a": {"b": None}}, "a.b", ()),
        ({"a": 1}, "a.b", ()),
        ({}, "a", ()),
        ({"a": UNKNOWN}, "a.b.c", (UNKNOWN,)),
        ({"a": [{"b": 1}, UNKNOWN]}, "a.b", (1, UNKNOWN)),
        ({"": 1}, "", ()),
        ({"a.": 1}, "a.", (1,)),
        ({".a": 1}, ".a", (1,)),
    ],
)  # fmt: skip
def test_a_path_is_read_with_the_longest_key_first(fields: dict[str, Any], path: str, values: tuple[Any, ...]) -> None:
    """[D1] every way of reading the path is tried, longest key first; the first that exists counts."""
    assert values_at(fields, path) == (values if path else (fields,))


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, Found((), present=False)),
        ({"a": {}}, Found((), present=False)),
        ({"a": {"b": None}}, Found((None,), present=True)),
        ({"a": {"b": []}}, Found((), present=True)),
        ({"a": []}, Found((), present=False)),
        ({"a": [{"b": 1}, {}]}, Found((1, None), present=True)),
        ({"a": [{}, {}]}, Found((), present=False)),
        ({"a": UNKNOWN}, Found((UNKNOWN,), present=UNKNOWN)),
        ({"a": [{}, UNKNOWN]}, Found((None, UNKNOWN), present=UNKNOWN)),
        ({"a": [{"b": 1}, UNKNOWN]}, Found((1, UNKNOWN), present=True)),
        ({"a": {"b": UNKNOWN}}, Found((UNKNOWN,), present=UNKNOWN)),
    ],
)
def test_presence_is_known_apart_from_values(fields: dict[str, Any], found: Found) -> None:
    """[D1] [D5] a missing field is null; a field that was cut off is unknown, not absent."""
    assert find(fields, "a.b") == found


def test_extracted_values_are_scalars_in_order() -> None:
    """[K2] [K3] a list value stands for each of its elements; missing, null or unknown is no value."""
    fields = {"a": [1, "x", {"y": 1}, None, True, [2.5]], "u": [1, UNKNOWN], "n": None}
    assert extract(fields, "a") == (1, "x", True, 2.5)
    assert extract(fields, "u") == ()
    assert extract(fields, "n") == ()
    assert extract(fields, "missing") == ()


def test_of_a_long_list_the_last_element_is_kept() -> None:
    """[K3] the last element is among the keys."""
    found = extract({"a": list(range(5_000))}, "a")
    assert (len(found), found[0], found[-2], found[-1]) == (MAX_EXTRACTED, 0, MAX_EXTRACTED - 2, 4_999)


TREES = st.recursive(
    st.integers(0, 3),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "a.b", "b.a", "a.b.a"]), inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "a.b"]), TREES, max_size=3), st.sampled_from(["a", "a.b", "a.b.a.b"]))
def test_the_walk_agrees_with_trying_every_way_of_cutting_the_path(fields: dict[str, Any], path: str) -> None:
    """[D1]"""
    assert values_at(fields, path) == tuple(_naive(fields, path.split(".")))


def _naive(value: Any, keys: list[str]) -> list[Any]:
    found = _first(value, keys)
    return [] if found is None else found


def _first(value: Any, keys: list[str]) -> list[Any] | None:
    """``None`` if nothing stands there."""
    if isinstance(value, list):
        parts = [part for part in (_first(item, keys) for item in value) if part is not None]
        if not keys and not value:
            return []
        return [leaf for part in parts for leaf in part] if parts else None
    if not keys:
        return [value]
    if isinstance(value, dict):
        for length in range(len(keys), 0, -1):
            key = ".".join(keys[:length])
            found = _first(value[key], keys[length:]) if key in value else None
            if found is not None:
                return found
    return None
