"""The table of fields, against what the decoder makes."""

from __future__ import annotations

from typing import Any

import pytest

from streamer.model import AUDIT, CONTAINER_SPEC, RBAC_RULE, SOURCE_HEALTH, WEBSERVER, LogSource
from streamer.sigma.event_fields import SOURCES, fields_of, may_exist, sources_of
from tests.decode.given import decode
from tests.decode.happenings import AUDIT as HAPPENINGS
from tests.decode.lines import LINE_ENVELOPES, LINES
from tests.decode.test_access_kubeflow import BODY
from tests.decode.test_access_nginx import INGRESS


def paths(value: dict[str, Any]) -> list[str]:
    """The names of two levels."""
    found = []
    for name, child in value.items():
        found += [f"{name}.{below}" for below in child] if isinstance(child, dict) else [name]
    return found


def test_every_field_of_a_decoded_event_is_known() -> None:
    """A field that is not would be called unknown in rules that work."""
    lines = [LINE_ENVELOPES["Fluent Bit"](line) for line in (*LINES, INGRESS, f"Got body: {BODY}")]
    events = [event for happening in HAPPENINGS for event in decode(happening).events]
    events += [event for line in lines for event in decode(line, kind="containers").events]
    assert {event.logsource for event in events} >= set(SOURCES) - {RBAC_RULE, SOURCE_HEALTH}
    for event in events:
        known = fields_of((event.logsource,))
        assert [path for path in paths(event.fields) if not may_exist(path, known)] == []


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("verb", True),
        ("verbs", False),
        ("user", True),
        ("user.username", True),
        ("user.name", False),
        ("requestObject.spec.anything", True),
        ("annotations.authorization.k8s.io/decision", True),
        ("workload.labels.a.b/c", True),
        ("workload.colour", False),
        ("container.image", False),
        ("", False),
        (".", False),
    ],
)
def test_a_path_may_exist_if_it_leads_to_a_known_field(field: str, expected: bool) -> None:
    assert may_exist(field, fields_of((AUDIT,))) is expected


def test_a_log_source_that_names_less_sees_more() -> None:
    assert set(sources_of(LogSource("", "kubernetes", ""))) == set(SOURCES) - {SOURCE_HEALTH}
    assert sources_of(LogSource("source_health", "streamer", "")) == (SOURCE_HEALTH,)
    assert sources_of(LogSource("webserver", "", "")) == (WEBSERVER,)
    assert sources_of(LogSource("container_spec", "kubernetes", "")) == (CONTAINER_SPEC,)
    assert sources_of(LogSource("", "windows", "")) == ()
    assert may_exist("container.image", fields_of((CONTAINER_SPEC,)))
