"""A case's records in the envelopes of other shippers: other bytes, the same events."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streamer.authoring.cases_lines import container_record
from streamer.authoring.cases_shippers import shipped_otherwise
from streamer.decode.source import SourceKind
from tests.decode.given import audit, one

TIME_US = 1_767_225_600_123_456
LINES = [
    {"message": "hello", "pod": "a-1", "labels": {"workflows.argoproj.io/workflow": "seq-x1"}},
    {"message": "no uid", "pod_uid": "", "image": "registry.example:5000/app"},
    {"message": '{"level":"info"}', "image": "app@sha256:" + "a" * 64, "stream": "stderr"},
    {"message": "x", "image": "registry.example:5000/app:1.0"},
]


def line(form: dict[str, Any]) -> bytes:
    return orjson.dumps(container_record(form, TIME_US))


@pytest.mark.parametrize("form", LINES, ids=str)
@pytest.mark.parametrize("choice", range(3))
def test_a_line_says_the_same_from_every_shipper(form: dict[str, Any], choice: int) -> None:
    value = line(form)
    changed = shipped_otherwise("containers", value, choice)

    assert changed != value
    assert told("containers", changed) == told("containers", value)


@pytest.mark.parametrize("choice", range(3))
def test_an_audit_event_says_the_same_from_every_shipper(choice: int) -> None:
    given = audit(verb="create", objectRef={"resource": "pods", "namespace": "lab"}, requestObject={"kind": "Pod"})
    value = orjson.dumps(given)
    changed = shipped_otherwise("audit", value, choice)

    assert changed != value
    assert told("audit", changed) == told("audit", value)


@pytest.mark.parametrize("value", [b"", b"garbage", b"[]", b'{"kind":"EventList","items":[]}', b'{"log":"x"}'])
@pytest.mark.parametrize("kind", ["audit", "containers"])
def test_what_a_case_gives_as_text_stays_as_it_is(kind: SourceKind, value: bytes) -> None:
    assert shipped_otherwise(kind, value, 1) == value


def told(kind: SourceKind, value: bytes) -> tuple[int, object]:
    """Time and fields; without what not every envelope has: the kind of an item, the id of a container."""
    event = one(value, kind)
    fields = {name: field for name, field in event.fields.items() if name not in ("kind", "apiVersion")}
    if kind == "containers":
        fields["kubernetes"]["container"].pop("id", None)
    return event.time_us, fields
