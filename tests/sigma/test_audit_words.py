"""Rules that could load and never match say so."""

from __future__ import annotations

import pytest

from streamer.sigma import load_text
from streamer.sigma.predicates import fields_tested
from tests.sigma.writing import detection


def warnings_of(items: str, source: str = "product: kubernetes\n    service: audit") -> list[str]:
    loaded = load_text({"r.yml": detection("r_a", items, source=source)})
    assert len(loaded.ok().detections) == 1
    return [problem.code for problem in loaded.problems]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("product: windows", ["unknown-logsource"]),
        ("product: Kubernetes", ["unknown-logsource"]),
        ("product: kubernetes\n    service: auditd", ["unknown-logsource"]),
        ("product: kubernetes\n    service: audit\n    category: container_log", ["unknown-logsource"]),
        ("service: audit", []),
        ("category: webserver", []),
        ("product: kubernetes\n    category: rbac_rule", []),
    ],
)
def test_a_log_source_that_no_event_has_is_reported(source: str, expected: list[str]) -> None:
    """[D4] a rule never silently does not match."""
    assert warnings_of("a: x", source) == expected


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ("objectRef.resource: pods/exec", ["never-said"]),
        ("objectRef.resource|contains: /exec", []),
        ("responseStatus.code: ALLOW", ["never-said"]),
        ("responseStatus.code: [403, '401']", []),
        ("verb: create\nobjectRef.subresource: exec", ["never-said"]),
        ("verb: [create, get]\nobjectRef.subresource: [exec, attach]", []),
        ("verb: create\nobjectRef.subresource: token", []),
    ],
)
def test_a_test_that_no_audit_event_passes_is_reported(items: str, expected: list[str]) -> None:
    """[D4] a rule never silently does not match."""
    assert warnings_of(items) == expected


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ("apiGroup: apps", "objectRef.apiGroup"),
        ("hostPath: '*'", "workload.host_paths"),
        ("capabilities|contains: SYS", "workload.capabilities_added"),
    ],
)
def test_a_field_of_public_rules_is_read_as_what_it_means(items: str, field: str) -> None:
    loaded = load_text({"r.yml": detection("r_a", items, source="product: kubernetes\n    service: audit")})
    assert [(problem.code, problem.hint) for problem in loaded.problems] == [("other-name", f"write `{field}`")]
    assert fields_tested(loaded.ok().detections[0].predicate) == (field,)


def test_other_events_may_have_a_field_of_that_name() -> None:
    assert warnings_of("apiGroup: apps", "product: kubernetes\n    category: container_log") == []


def test_an_offset_form_without_contains_is_reported() -> None:
    """[D4] a rule never silently does not match."""
    assert warnings_of("a|base64offset: foo") == ["whole-value"]
    assert warnings_of("a|base64offset|contains: foo") == []
