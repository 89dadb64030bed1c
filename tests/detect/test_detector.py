from __future__ import annotations

import pytest

from streamer.detect import Detector, applies
from streamer.detect import detector as module
from streamer.detect.paths import Found
from streamer.model import AUDIT, CONTAINER_LOG, CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT, UNKNOWN, Event, LogSource
from streamer.sigma.predicates import Predicate
from streamer.sigma.rules import RuleSet
from tests.detect.events import event
from tests.sigma.writing import accepted, correlation, detection

RULES = accepted(
    detection("created", "verb: create", source="product: kubernetes\n    service: audit")
    + detection("panicked", "stage: Panic", source="service: audit")
    + detection("anything", "verb: '*'", source="category: application")
    + detection("mined", "'': stratum", source="category: container_log")
    + correlation("type: event_count\nrules: created\ngroup-by: [user.name, ips]\ntimespan: 5m\ncondition: {gte: 2}")
)


def matched(*events: Event, rules: RuleSet = RULES) -> list[tuple[str, int]]:
    return [(match.rule, match.time_us // 1_000_000) for match in Detector(rules).detect(events).matches]


def test_matches_come_in_the_order_of_events_then_of_rules() -> None:
    events = [
        event({"verb": "create"}, offset=2),
        event({"verb": "delete"}, offset=1),
        event({"verb": "create"}, offset=3),
    ]
    assert matched(*events) == [("created", 2), ("anything", 2), ("anything", 1), ("created", 3), ("anything", 3)]


def test_rules_see_only_events_of_their_log_source() -> None:
    """[D3] every attribute of its log source equals the event's."""
    line = event({"message": "stratum", "verb": "create"}, logsource=CONTAINER_LOG)
    assert matched(line) == [("mined", 1)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (LogSource("application", "kubernetes", "audit"), True),
        (LogSource("", "kubernetes", "audit"), True),
        (LogSource("", "kubernetes", ""), True),
        (LogSource("application", "", ""), True),
        (LogSource("webserver", "kubernetes", ""), False),
        (LogSource("", "Kubernetes", ""), False),
        (LogSource("", "", "kubelet"), False),
    ],
)
def test_a_rule_applies_if_every_attribute_it_names_is_equal(asked: LogSource, *, expected: bool) -> None:
    """[D3]"""
    assert applies(asked, AUDIT) is expected


@pytest.mark.parametrize("logsource", [CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT])
def test_expanded_events_are_seen_only_by_rules_that_name_their_category(logsource: LogSource) -> None:
    """[D2] a rule sees expanded events only by naming their category."""
    rules = accepted(
        detection("audit", "a: x", source="service: audit")
        + detection("everything", "a: x", source="product: kubernetes")
        + detection("named", "a: x", source=f"category: {logsource.category}")
    )
    assert matched(event({"a": "x"}, logsource=logsource), rules=rules) == [("named", 1)]
    assert matched(event({"a": "x"}), rules=rules) == [("audit", 1), ("everything", 1)]


def test_unfinished_stages_are_seen_only_by_rules_that_test_the_stage() -> None:
    """[I2] events of other stages match only rules that test `stage`."""
    assert matched(event({"verb": "create", "stage": "Panic"}, stage_only=True)) == [("panicked", 1)]


def test_a_rule_matches_only_on_true() -> None:
    """[D5]"""
    assert matched(event({"verb": UNKNOWN})) == []


def test_a_match_carries_what_correlations_use_and_nothing_else() -> None:
    """[K2] [K3] a field that is missing has no entry; a list gives each element."""
    told = event({"verb": "create", "user": {"name": "u"}, "ips": ["1.1.1.1", "2.2.2.2"], "secret": "s"}, offset=7)
    first, second = Detector(RULES).detect([told]).matches
    assert first.values == {"user.name": ("u",), "ips": ("1.1.1.1", "2.2.2.2")}
    assert (first.identity, first.cluster, first.index) == (told.identity, "c1", 0)
    assert (first.position, first.time_us) == (told.position, 7_000_000)
    assert first.evidence is not None
    assert second.values == {}
    (bare,) = [
        match for match in Detector(RULES).detect([event({"verb": "create"})]).matches if match.rule == "created"
    ]
    assert bare.values == {}


def test_a_rule_that_raises_is_counted_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken rule must never look like a quiet rule."""
    plain = module.judge

    def broken(predicate: Predicate, told: Event, seen: dict[str, Found]) -> object:
        if predicate == RULES.detections[0].predicate and told.fields["verb"] == "create":
            raise RecursionError("too deep")
        return plain(predicate, told, seen)

    monkeypatch.setattr(module, "judge", broken)
    events = [event({"verb": "create"}, offset=1), event({"verb": "delete"}, offset=2)]
    detected = Detector(RULES).detect(events)
    assert [(match.rule, match.time_us) for match in detected.matches] == [
        ("anything", 1_000_000),
        ("anything", 2_000_000),
    ]
    (failure,) = detected.failures
    assert (failure.rule, failure.position, failure.index) == ("created", events[0].position, 0)
    assert failure.error == "RecursionError: too deep"


def test_no_events_no_matches() -> None:
    assert matched() == []


def test_what_cannot_be_shown_is_a_match_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Event) -> object:
        raise RecursionError("too deep")

    monkeypatch.setattr(module, "evidence_of", broken)
    detected = Detector(RULES).detect([event({"verb": "create"}, offset=1)])
    assert [match.rule for match in detected.matches] == ["created", "anything"]
    assert {failure.error for failure in detected.failures} == {"RecursionError: too deep"}
    evidence = detected.matches[0].evidence
    assert evidence is not None
    assert (evidence.kind, evidence.summary) == ("audit", "")
