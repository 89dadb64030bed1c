"""Setting a field by its dotted path, and values that are made up the same way every time."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from streamer.authoring.cases_fields import CannotSetError, made_suffix, made_uuid, number, set_field


@pytest.mark.parametrize(
    ("record", "path", "expected"),
    [
        ({}, "a.b", {"a": {"b": 1}}),
        ({"a": {"b": 0}}, "a.b", {"a": {"b": 1}}),
        ({"a.b": 0}, "a.b", {"a.b": 1}),
        ({"a": {"b.c": 0}}, "a.b.c", {"a": {"b.c": 1}}),
        ({"annotations": {}}, "annotations.audit.k8s.io/truncated", {"annotations": {"audit.k8s.io/truncated": 1}}),
        ({}, "metadata.labels.app.kubernetes.io/name", {"metadata": {"labels": {"app.kubernetes.io/name": 1}}}),
        ({"sourceIPs": ["x", "y"]}, "sourceIPs.1", {"sourceIPs": ["x", 1]}),
        ({"a": None}, "a.b", {"a": {"b": 1}}),
    ],
)
def test_a_path_finds_existing_keys_first_and_makes_the_rest(
    record: dict[str, Any], path: str, expected: dict[str, Any]
) -> None:
    set_field(record, path, 1)

    assert expected == record


@pytest.mark.parametrize(("record", "path"), [({"a": 1}, "a.b"), ({"a": [1]}, "a.7"), ({"a": [1]}, "a.b")])
def test_a_path_through_something_without_fields_is_refused(record: dict[str, Any], path: str) -> None:
    with pytest.raises(CannotSetError):
        set_field(record, path, 1)


def test_made_up_values_depend_on_nothing_but_their_parts() -> None:
    assert made_uuid("a", 1) == made_uuid("a", 1) != made_uuid("a", 2)
    assert UUID(made_uuid("a")).version == 4
    assert made_suffix(5, "a") == made_suffix(5, "a")
    assert len(made_suffix(5, "a")) == 5
    assert 0 <= number(7, "a") < 7
    assert number(0, "a") == 0
