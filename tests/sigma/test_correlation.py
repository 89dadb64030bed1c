from __future__ import annotations

import pytest
from sigma.collection import SigmaCollection

from streamer.sigma.rules import And, Ref
from tests.sigma.writing import THREE, accepted, correlation, correlation_of, detection, refused

BODY = "type: temporal\nrules: [r_a, r_b]\ntimespan: 5m\n"


def test_a_correlation_is_read_whole() -> None:
    """[K1] [K5] [C5] key, aliases, and all rules without a condition."""
    rule = correlation_of(
        BODY + "group-by: [user.username, ns]\naliases:\n    ns: {r_a: objectRef.namespace, r_b: namespace.name}"
    )
    assert (rule.type, rule.rules, rule.group_by) == ("temporal", ("r_a", "r_b"), ("user.username", "ns"))
    assert rule.condition == And((Ref("r_a"), Ref("r_b")))
    assert rule.fields_of == {
        "r_a": {"user.username": "user.username", "ns": "objectRef.namespace"},
        "r_b": {"user.username": "user.username", "ns": "namespace.name"},
    }


def test_a_missing_group_by_means_one_key() -> None:
    """[K4] no `group-by` means one key per cluster."""
    rule = correlation_of(BODY)
    assert (rule.group_by, rule.across_clusters) == ((), False)


def test_a_single_reference_and_a_single_field_need_no_list() -> None:
    rule = correlation_of("type: event_count\nrules: r_a\ngroup-by: x\ntimespan: 5m\ncondition: {gte: 2}")
    assert (rule.rules, rule.group_by) == (("r_a",), ("x",))


def test_a_boolean_condition_may_name_the_rules_alone() -> None:
    rule = correlation_of("type: temporal_ordered\ntimespan: 5m\ncondition: r_b and r_a")
    assert rule.rules == ("r_b", "r_a")


@pytest.mark.parametrize("place", ["root", "inside", "both"])
def test_generate_is_honoured_at_the_root_and_inside(place: str) -> None:
    """[A1] `generate: true` makes the referenced rules alert too."""
    body = BODY + ("generate: true\n" if place != "root" else "")
    more = "generate: true\n" if place != "inside" else ""
    rules = accepted(THREE + correlation(body, more=more))
    assert [rule.alerts for rule in rules.detections] == [True, True, True]


def test_referenced_rules_do_not_alert_by_themselves() -> None:
    """[A1] a rule alerts unless another loaded correlation references it."""
    rules = accepted(THREE + correlation(BODY))
    assert [(rule.meta.key, rule.alerts) for rule in rules.detections] == [
        ("r_a", False),
        ("r_b", False),
        ("r_c", True),
    ]
    assert rules.correlations[0].alerts


def test_a_rule_used_twice_alerts_if_one_user_says_so() -> None:
    """[A1] `generate: true` on one correlation is enough."""
    silent = correlation(BODY, name="one")
    loud = correlation(BODY, name="two", more="generate: true\n")
    assert [rule.alerts for rule in accepted(THREE + silent + loud).detections] == [True, True, True]


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("unknown-key", BODY + "▸groupby: [x]"),
        ("unknown-key", BODY + "▸window: sliding"),
        ("unknown-key", BODY + "▸streamer: {skew: 2s}"),
        ("bad-correlation", "type: ▸temporl\nrules: [r_a, r_b]\ntimespan: 5m"),
        ("bad-correlation", "type: ▸7\nrules: [r_a, r_b]\ntimespan: 5m"),
        ("duplicate-rule", "type: temporal\nrules: [r_a, r_b, ▸r_a]\ntimespan: 5m"),
        ("bad-correlation", "type: temporal\nrules: [r_a, ▸7]\ntimespan: 5m"),
        ("bad-correlation", "type: temporal\nrules: ▸{r_a: r_b}\ntimespan: 5m"),
        ("duplicate-field", BODY + "group-by: [x, ▸x]"),
        ("empty-group-by", BODY + "group-by: ▸[]"),
        ("bad-correlation", BODY + "group-by: [x, ▸cluster]"),
        ("bad-correlation", BODY + "group-by: ▸{x: y}"),
        ("bad-correlation", BODY + "aliases: ▸[x]"),
        ("bad-correlation", BODY + "generate: ▸maybe"),
    ],
)
def test_a_mistake_is_reported_where_it_stands(code: str, body: str) -> None:
    refused(code, THREE + correlation(body))


def test_a_correlation_needs_a_type_and_rules() -> None:
    refused("missing-type", THREE + correlation("rules: [r_a]\ntimespan: 5m").replace("corr", "▸corr"))
    refused("missing-rules", THREE + correlation("type: temporal\ntimespan: 5m").replace("corr", "▸corr"))
    text = correlation("type: event_count\ntimespan: 5m\ncondition: {gte: 2}").replace("corr", "▸corr")
    refused("missing-rules", THREE + text)


def test_an_empty_list_of_rules_is_refused() -> None:
    assert refused("empty-rules", THREE + correlation("type: temporal\nrules: ▸[]\ntimespan: 5m")).hint == "name a rule"


def test_generate_that_says_two_things_is_refused() -> None:
    refused("bad-correlation", THREE + correlation(BODY + "generate: ▸false", more="generate: true\n"))


def test_a_correlation_has_no_detection_of_its_own() -> None:
    more = "▸detection: {s: {a: x}, condition: s}\n"
    refused("unknown-key", THREE + correlation(BODY, more=more))


def test_a_correlation_must_be_a_mapping() -> None:
    refused("bad-correlation", "title: A\ncorrelation: ▸temporal\n")


def test_pysigma_reads_what_is_accepted_here() -> None:
    """Rule files stay valid Sigma."""
    text = (
        detection("r_a", more="streamer: {reach: 1h}\n")
        + detection("r_b")
        + correlation(
            BODY + "group-by: [ns]\naliases: {ns: {r_a: x, r_b: y}}\ncondition: r_a and not r_b",
            more="generate: true\nstreamer: {decide: arrival, suppress: {for: 1h}}\n",
        )
    )
    accepted(text)
    collection = SigmaCollection.from_yaml(text)
    assert [rule.errors for rule in collection.rules] == [[], [], []]
