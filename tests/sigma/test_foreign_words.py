"""Words of public rules, read as ours."""

from __future__ import annotations

import pytest

from streamer.sigma import load_text
from streamer.sigma.predicates import AllOf, AnyOf, FieldTest, Negated, Predicate, Text
from tests.sigma.writing import detection

AUDIT = "product: kubernetes\n    service: audit"
WEB = "category: webserver"
DECISION = "annotations.authorization.k8s.io/decision"


def read(items: str, source: str) -> tuple[Predicate, list[str]]:
    loaded = load_text({"r.yml": detection("r_a", items, source=source)})
    return loaded.ok().detections[0].predicate, [problem.code for problem in loaded.problems]


def text(field: str, value: str) -> FieldTest:
    return FieldTest(field, Text((value,)))


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ("responseStatus.code: ALLOW", text(DECISION, "allow")),
        ("responseStatus.code: Forbidden", text(DECISION, "forbid")),
        (
            "responseStatus.code: [403, FORBID]",
            AnyOf((FieldTest("responseStatus.code", Text(("403",))), text(DECISION, "forbid"))),
        ),
        (
            "objectRef.resource: pods/exec",
            AllOf((text("objectRef.resource", "pods"), text("objectRef.subresource", "exec"))),
        ),
        (
            "verb: create\nobjectRef.resource: pods/exec",
            AllOf(
                (
                    AnyOf((text("verb", "create"), text("verb", "get"))),
                    AllOf((text("objectRef.resource", "pods"), text("objectRef.subresource", "exec"))),
                )
            ),
        ),
        (
            "verb: create\nobjectRef.subresource: [exec, attach]",
            AllOf(
                (
                    AnyOf((text("verb", "create"), text("verb", "get"))),
                    AnyOf((text("objectRef.subresource", "exec"), text("objectRef.subresource", "attach"))),
                )
            ),
        ),
    ],
)
def test_values_that_no_audit_event_holds_are_read_as_what_they_mean(items: str, expected: Predicate) -> None:
    predicate, codes = read(items, AUDIT)
    assert predicate == expected
    assert set(codes) == {"read-as"}


@pytest.mark.parametrize(
    "items",
    [
        "responseStatus.code: 403",
        "verb: create\nobjectRef.subresource: token",
        "verb: [create, get]\nobjectRef.subresource: exec",
        "verb: create\nobjectRef.subresource: [exec, log]",
        "objectRef.subresource: exec",
        "objectRef.resource|contains: /exec",
        "objectRef.resource: /",
    ],
)
def test_what_events_can_say_is_left_as_it_is(items: str) -> None:
    assert read(items, AUDIT)[1] == []


def test_under_a_not_nothing_is_widened() -> None:
    rule = (
        "title: t\nlogsource: {product: kubernetes, service: audit}\ndetection:\n"
        "  a: {objectRef.subresource: exec}\n  b: {verb: create}\n  condition: a and not b\n"
    )
    predicate = load_text({"r.yml": rule}).ok().detections[0].predicate
    assert predicate == AllOf((text("objectRef.subresource", "exec"), Negated(text("verb", "create"))))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("c-uri", "cs-uri"),
        ("cs-uri-path", "cs-uri-stem"),
        ("c-useragent", "cs-user-agent"),
        ("cs(user-agent)", "cs-user-agent"),
        ("cs-referrer", "cs-referer"),
        ("src_ip", "c-ip"),
    ],
)
def test_names_of_other_web_servers_are_read_as_ours(name: str, meant: str) -> None:
    assert read(f"{name}: x", WEB) == (text(meant, "x"), ["other-name"])
    assert read(f"{name}: x", "category: container_log") == (text(name, "x"), [])


def test_a_path_in_the_query_is_looked_for_in_the_address() -> None:
    predicate, codes = read("cs-uri-query|contains: /manager", WEB)
    assert isinstance(predicate, AnyOf)
    assert [item.field for item in predicate.items if isinstance(item, FieldTest)] == ["cs-uri-query", "cs-uri"]
    assert codes == ["read-as"]
    assert read("cs-uri-query|contains: union", WEB)[1] == []
    assert read("cs-uri-query|re: /a", WEB)[1] == []


def test_a_remark_is_made_once() -> None:
    assert read("cs-uri-query|contains: [/a, /b, /c]", WEB)[1] == ["read-as"]
