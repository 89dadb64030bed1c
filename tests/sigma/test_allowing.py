"""Which rules an exception is about, and what it does to their meaning."""

from __future__ import annotations

import pytest

from streamer.model import AUDIT, CONTAINER_LOG, WEBSERVER
from streamer.sigma import Loaded, load_text
from streamer.sigma.rules import RuleSet
from tests.sigma.writing import correlation, detection

AUDITED = "{product: kubernetes, service: audit}"
FILES = {
    "kubernetes/discovery/listed.yml": detection("listed", "verb: list", source=AUDITED).replace("---\n", ""),
    "kubernetes/discovery/asked.yml": detection(
        "asked", "verb: get", source=AUDITED, more="id: 00000000-0000-4000-8000-0000000000a1\n"
    ).replace("---\n", ""),
    "kubernetes/impact/mined.yml": detection(
        "mined", "message: x", source="{product: kubernetes, category: container_log}"
    ).replace("---\n", ""),
    "kubernetes/impact/many.yml": correlation(
        "type: event_count\nrules: [listed]\ntimespan: 1h\ncondition: {gte: 2}", name="many"
    ).replace("---\n", ""),
}


def loaded(*entries: str) -> Loaded:
    items = [f"{{name: n{number}, reason: r, {entry}}}" for number, entry in enumerate(entries)]
    return load_text(FILES, allow=f"allow: [{', '.join(items)}]")


def touched(rules: RuleSet) -> list[str | None]:
    return [rule.meta.name for rule in rules.detections if rule.allowed]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("listed", ["listed"]),
        ("00000000-0000-4000-8000-0000000000A1", ["asked"]),
        ("discovery/*", ["listed", "asked"]),
        ("discovery/", ["listed", "asked"]),
        ("kubernetes/discovery/asked.yml", ["asked"]),
        ("kubernetes/*", ["listed", "asked", "mined"]),
        ("*/listed", ["listed"]),
        ("m*", ["mined"]),
    ],
)
def test_rules_are_named_by_name_id_or_pattern(rules: str, expected: list[str]) -> None:
    assert touched(loaded(f"namespaces: [a], rules: ['{rules}']").ok()) == expected


def test_without_rules_an_entry_is_about_all_detections_whose_events_have_what_it_asks_for() -> None:
    assert touched(loaded("namespaces: [a]").ok()) == ["listed", "asked", "mined"]
    assert touched(loaded("users: [a]").ok()) == ["listed", "asked"]


@pytest.mark.parametrize(
    ("rules", "message", "hint"),
    [
        ("listde", "no rule `listde`", "did you mean `listed`?"),
        ("discvery/*", "no detection fits", "did you mean `discovery`?"),
        ("many", "is a correlation", "name the rules it rests on: listed"),
        ("zzz", "no rule", "for a folder `folder/*`"),
    ],
)
def test_a_name_that_leads_to_no_detection_is_an_error(rules: str, message: str, hint: str) -> None:
    (problem,) = loaded(f"namespaces: [a], rules: ['{rules}']").problems
    assert (problem.severity, problem.place.path) == ("error", "allow.yml")
    assert message in problem.message
    assert hint in (problem.hint or "")


def test_an_entry_that_can_never_cover_anything_is_told() -> None:
    (problem,) = loaded("users: [alice], rules: [mined]").problems
    assert (problem.code, problem.severity) == ("idle-allow", "warning")


def test_a_rule_has_a_predicate_per_log_source_it_sees() -> None:
    rules = load_text(
        {"r.yml": detection("all", "a: x", source="product: kubernetes")},
        allow="allow: [{name: n, reason: r, addresses: [10.0.0.0/8]}]",
    )
    (allowed,) = rules.ok().detections[0].allowed
    assert AUDIT in allowed.predicates
    assert WEBSERVER in allowed.predicates
    assert CONTAINER_LOG not in allowed.predicates


def meanings(*entries: str) -> dict[str | None, str]:
    rules = loaded(*entries).ok()
    return {rule.meta.name: rule.meta.meaning for rule in rules.by_key().values()}


def test_an_exception_is_part_of_the_meaning_of_its_rules_and_of_what_rests_on_them() -> None:
    """A changed exception is a changed rule: what was counted before it was counted otherwise."""
    before, after = meanings(), meanings("users: [alice], rules: [listed]")
    assert {name for name in before if before[name] != after[name]} == {"listed", "many"}


@pytest.mark.parametrize(
    "other",
    [
        "users: [bob], rules: [listed]",
        "users: [alice], rules: [listed], until: 2027-03-01",
        "namespaces: [alice], rules: [listed]",
    ],
)
def test_what_an_exception_covers_is_its_meaning(other: str) -> None:
    assert meanings("users: [alice], rules: [listed]")["listed"] != meanings(other)["listed"]


def test_what_an_exception_is_called_and_in_which_order_they_stand_is_not() -> None:
    one, two = "users: [alice], rules: [listed]", "namespaces: [a], rules: [listed]"
    assert meanings(one, two) == meanings(two, one)
    renamed = load_text(FILES, allow=f"allow: [{{name: other, reason: because, {one}}}]").ok()
    assert renamed.detections[0].meta.meaning == meanings(one)["listed"]
