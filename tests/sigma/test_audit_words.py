"""Rules that could load and never match say so."""

from __future__ import annotations

import pytest

from streamer.sigma import load_text
from streamer.sigma.audit_words import known_fields, never_matches
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
    ("items", "reason"),
    [
        ("verb: create", None),
        ("verb: replace", "no request has the verb `replace`"),
        ("verb: [replace, update]", None),
        ("verb: rep*", None),
        ("responseStatus.code: soon", "a response code is a number, never `soon`"),
        ("responseStatus.code: [403, soon]", None),
        ("responseStatus.code|gte: 400", None),
        ("colour: red", "no event of this log source has a field `colour`"),
        ("colour: null", None),
        ("objectRef.colour: red", "no event of this log source has a field `objectRef.colour`"),
        ("objectref.resource: pods", "no event of this log source has a field `objectref.resource`"),
        ("requestObject.spec.colour: red", None),
        ("annotations.a/b: x", None),
        ("user: x", None),
        ("verb: create\nverb|contains: g", None),
        ("'': anything", None),
    ],
)
def test_a_rule_that_can_never_match_is_told_from_one_that_may(items: str, reason: str | None) -> None:
    """[D4] a rule never silently does not match."""
    source = "category: application\n    product: kubernetes\n    service: audit"
    rule = load_text({"r.yml": detection("r_a", items, source=source)}).ok().detections[0]
    assert never_matches(rule.predicate, rule.logsource) == reason


@pytest.mark.parametrize(
    ("condition", "possible"),
    [
        ("a and b", False),
        ("a or b", True),
        ("a and not b", True),
        ("a and c", True),
        ("not x", True),
        ("a and x", False),
        ("a or x", True),
        ("1 of *", True),
        ("all of *", False),
    ],
)
def test_what_contradicts_itself_can_never_match(condition: str, *, possible: bool) -> None:
    text = (
        "title: t\nlogsource: {product: kubernetes, service: audit}\ndetection:\n  a: {verb: create}\n"
        f"  b: {{verb: [get, list]}}\n  c: {{verb: [create, update]}}\n  x: {{colour: red}}\n  condition: {condition}\n"
    )
    if "of" not in condition:
        for name in "abcx":
            if name not in condition.replace("and", "").replace("or", "").replace("not", ""):
                text = "\n".join(line for line in text.split("\n") if not line.startswith(f"  {name}: "))
    rule = load_text({"r.yml": text}).ok().detections[0]
    assert (never_matches(rule.predicate, rule.logsource) is None) is possible


def test_rules_for_log_sources_that_nobody_knows_are_not_judged_by_their_fields() -> None:
    rule = load_text({"r.yml": detection("r_a", "Image: x", source="product: windows")}).ok().detections[0]
    assert known_fields(rule.logsource) == frozenset()
    assert never_matches(rule.predicate, rule.logsource) is None


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
