"""Conditions, keys and thresholds: the answers that other engines were seen to get wrong, and some they get right."""

from __future__ import annotations

import pytest

from streamer.errors import RuleSetError
from tests.peers.story import Act, count, rule, rules_of, run

A, B, C = rule("did_a", "a"), rule("did_b", "b"), rule("did_c", "c")


def correlation(body: str, *, name: str = "the_rule", root: str = "") -> str:
    """A correlation document around the lines that matter."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"title: Rule under test ({name})\nname: {name}\nstatus: test\ncorrelation:\n{lines}level: high\n{root}"


def temporal(rules: str, *, kind: str = "temporal", more: str = "", name: str = "the_rule") -> str:
    """A temporal correlation by user within a minute."""
    body = f"type: {kind}\nrules: [{rules}]\ngroup-by: [user.username]\ntimespan: 60s\n{more}"
    return correlation(body, name=name)


def numbers(kind: str, condition: str) -> str:
    """A correlation over the number that an act carries."""
    body = f"type: {kind}\nrules: [did_a]\ngroup-by: [user.username]\ntimespan: 60s\ncondition:\n{condition}"
    return correlation(body)


def acts_with(*values: float) -> list[Act]:
    """Acts that carry a number, a second apart."""
    return [Act("a", 1000 + at, more={"requestObject": {"spec": {"n": value}}}) for at, value in enumerate(values)]


def test_a_percentile_is_the_numeric_one() -> None:
    """[C4] the median of 10, 10, 10 is not 1000 or more."""
    condition = "  field: requestObject.spec.n\n  percentile: 50\n  gte: "
    assert count([A, numbers("value_percentile", condition + "1000")], acts_with(10, 10, 10)) == 0
    assert count([A, numbers("value_percentile", condition + "10")], acts_with(10, 10, 10)) == 1


def test_temporal_without_a_condition_needs_every_rule() -> None:
    """[C5] two times the same rule is not both."""
    assert count([A, B, temporal("did_a, did_b")], [Act("a", 1000), Act("a", 1010)]) == 0
    assert count([A, B, temporal("did_a, did_b")], [Act("b", 1000), Act("a", 1010)]) == 1


def test_rules_without_ids_are_referenced_by_name() -> None:
    """[C1] a name is enough."""
    body = "type: event_count\nrules: [did_a]\ngroup-by: [user.username]\ntimespan: 60s\ncondition:\n  gte: 2"
    assert count([A, correlation(body)], [Act("a", 1000), Act("a", 1010)]) == 1


TWO_A = correlation(
    "type: event_count\nrules: [did_a]\ngroup-by: [user.username]\ntimespan: 60s\ncondition:\n  gte: 2",
    name="twice_a",
)


def test_a_correlation_of_correlations_fires() -> None:
    """[C10] [C11] twice a, then b, then c, where the first step is itself a correlation."""
    middle = temporal("twice_a, did_b", kind="temporal_ordered", name="middle")
    top = temporal("middle, did_c", kind="temporal_ordered")
    story = [Act("a", 1000), Act("a", 1010), Act("b", 1020), Act("c", 1030)]
    assert count([A, B, C, TWO_A, middle, top], story) == 1


def test_a_correlation_may_be_the_last_step() -> None:
    """[C10] b, then twice a."""
    top = temporal("did_b, twice_a", kind="temporal_ordered")
    story = [Act("b", 1000), Act("a", 1010), Act("a", 1020)]
    assert count([A, B, TWO_A, top], story) == 1


def test_not_is_judged_only_when_nothing_can_come_any_more() -> None:
    """[C7] a, and b five seconds later: not "a without b"."""
    rules = [A, B, temporal("did_a, did_b", more="condition: did_a and not did_b")]
    assert count(rules, [Act("a", 1000), Act("b", 1005), Act("x", 1200)]) == 0
    assert count(rules, [Act("a", 1000), Act("b", 1061), Act("x", 1200)]) == 1


def test_absence_is_found_when_time_goes_on_and_an_earlier_event_is_no_veto() -> None:
    """[C7] [T4] b, then a that no b follows: told once the watermark has passed, before the input ends."""
    absent = temporal("did_a, did_b", kind="temporal_ordered", more="condition: did_a and not did_b")
    story = [Act("b", 1000), Act("a", 1030), Act("x", 1200)]
    ending = run([A, B, absent], story, topic=True, ends=False)
    assert ending.seconds("the_rule") == [1090.0]
    assert [alert.firing.decided for alert in ending.alerts_of("the_rule")] == ["watermark"]


def test_one_event_is_not_two_steps_of_a_sequence() -> None:
    """[W3] both rules match the same single event."""
    again = rule("did_a_too", "a")
    assert count([A, again, temporal("did_a, did_a_too", kind="temporal_ordered")], [Act("a", 1000)]) == 0
    assert count([A, again, temporal("did_a, did_a_too")], [Act("a", 1000)]) == 1


def test_a_threshold_may_be_a_fraction() -> None:
    """[C4] an average of 0.5 reaches 0.5."""
    rules = [A, numbers("value_avg", "  field: requestObject.spec.n\n  gte: 0.5")]
    assert count(rules, acts_with(0.25, 0.75)) == 1
    assert count(rules, acts_with(0.25, 0.5)) == 0


def test_a_threshold_may_be_negative() -> None:
    """[C4] a sum of 0 is not below -5."""
    rules = [A, numbers("value_sum", "  field: requestObject.spec.n\n  lt: -5")]
    assert count(rules, acts_with(0)) == 0
    assert count(rules, acts_with(0, -6)) == 1


def _by(field: str, *, kind: str = "event_count", condition: str = "  gte: 2") -> str:
    return correlation(f"type: {kind}\nrules: [did_a]\ngroup-by: [{field}]\ntimespan: 60s\ncondition:\n{condition}")


def test_grouping_by_a_list_takes_each_element() -> None:
    """[K3] source addresses are a list; two requests share one of them."""
    story = [
        Act("a", 1000, more={"sourceIPs": ["198.51.100.1", "192.0.2.7"]}),
        Act("a", 1010, more={"sourceIPs": ["192.0.2.7"]}),
    ]
    assert count([A, _by("sourceIPs")], story) == 1


def test_counting_values_of_a_list_takes_each_element() -> None:
    """[C2] one request with two addresses brings two values."""
    story = [Act("a", 1000, more={"sourceIPs": ["198.51.100.1", "192.0.2.7"]})]
    condition = "  field: sourceIPs\n  gte: 2"
    assert count([A, _by("user.username", kind="value_count", condition=condition)], story) == 1


def test_a_key_that_holds_dots_can_be_grouped_by() -> None:
    """[D1] the label's own name holds dots."""
    labels = {"requestObject": {"metadata": {"labels": {"app.kubernetes.io/name": "miner"}}}}
    story = [Act("a", 1000, more=labels), Act("a", 1010, more=labels)]
    assert count([A, _by("requestObject.metadata.labels.app.kubernetes.io/name")], story) == 1


def test_a_match_without_the_key_takes_no_part() -> None:
    """[K2] absent is no common key."""
    assert count([A, _by("requestObject.metadata.name")], [Act("a", 1000), Act("a", 1010)]) == 0


@pytest.mark.parametrize(
    ("code", "document"),
    [
        ("unknown-key", correlation(
            "type: event_count\nrules: [did_a]\ngroupby: [user.username]\ntimespan: 60s\ncondition:\n  gte: 2")),
        ("impossible-condition", temporal("did_a, did_b", more="condition:\n  gte: 3")),
        ("range-condition", correlation(
            "type: event_count\nrules: [did_a]\ntimespan: 60s\ncondition:\n  gt: 1\n  lte: 5")),
        ("unknown-rule", temporal("did_a, did_nothing")),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_refused_for_exactly_that(code: str, document: str) -> None:
    """[D4] a rule that could never fire as meant is refused at load."""
    with pytest.raises(RuleSetError) as refused:
        rules_of(A, B, document)
    assert [problem.code for problem in refused.value.problems] == [code]


def test_aliases_join_fields_of_different_names() -> None:
    """[K5] the user of one is the object of the other."""
    body = """\
type: temporal
rules: [did_a, did_b]
group-by: [who]
timespan: 60s
aliases:
    who:
        did_a: user.username
        did_b: requestObject.spec.target"""
    story = [Act("a", 1000, user="eve"), Act("b", 1010, more={"requestObject": {"spec": {"target": "eve"}}})]
    assert count([A, B, correlation(body)], story) == 1
    assert count([A, B, correlation(body)], [Act("a", 1000, user="eve"), Act("b", 1010, user="eve")]) == 0


def test_two_of_three_rules_are_enough_when_asked() -> None:
    """[C5] gte counts different rules."""
    rules = [A, B, C, temporal("did_a, did_b, did_c", more="condition:\n  gte: 2")]
    assert count(rules, [Act("a", 1000), Act("c", 1010)]) == 1
    assert count(rules, [Act("a", 1000), Act("a", 1010)]) == 0


def test_three_steps_in_order() -> None:
    """[C6] a, b, c; not a, c, b."""
    rules = [A, B, C, temporal("did_a, did_b, did_c", kind="temporal_ordered")]
    assert count(rules, [Act("a", 1000), Act("b", 1010), Act("c", 1020)]) == 1
    assert count(rules, [Act("a", 1000), Act("c", 1010), Act("b", 1020)]) == 0


def test_different_values_are_counted_once() -> None:
    """[C2] three acts with two values."""
    condition = "  field: requestObject.spec.n\n  gte: 3"
    rules = [A, _by("user.username", kind="value_count", condition=condition)]
    assert count(rules, acts_with(1, 2, 2)) == 0
    assert count(rules, acts_with(1, 2, 3)) == 1


def test_an_event_told_again_counts_once() -> None:
    """[I5] the same request three times is one."""
    story = [Act("a", 1000, id="11111111-1111-4111-8111-111111111111")] * 3
    assert count([A, _by("user.username")], story) == 0


def test_two_stages_of_one_request_count_once() -> None:
    """[I2] received and complete are one request."""
    same = "11111111-1111-4111-8111-111111111111"
    story = [Act("a", 1000, id=same, stage="RequestReceived"), Act("a", 1000, id=same)]
    assert count([A, _by("user.username")], story) == 0


CONTAINERS = {
    "verb": "create",
    "requestURI": "/api/v1/namespaces/default/pods",
    "objectRef": {"resource": "pods", "namespace": "default", "name": "mixed", "apiVersion": "v1"},
    "requestObject": {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "mixed", "namespace": "default"},
        "spec": {
            "containers": [
                {"name": "web", "image": "nginx", "securityContext": {"privileged": False}},
                {"name": "evil", "image": "evil", "securityContext": {"privileged": True}},
            ]
        },
    },
}


def test_two_tests_of_a_list_may_meet_different_elements_but_a_container_is_one() -> None:
    """[D2] on the audit event any element will do; the container's own event joins both tests in one element."""
    body = "requestObject.spec.containers"
    on_event = f"""\
title: Privileged nginx, on the audit event
name: the_rule
status: test
logsource: {{category: application, product: kubernetes, service: audit}}
detection:
    selection:
        {body}.image: nginx
        {body}.securityContext.privileged: true
    condition: selection
level: high
"""
    on_container = """\
title: Privileged nginx, on the container
name: the_rule
status: test
logsource: {category: container_spec, product: kubernetes}
detection:
    selection:
        container.image: nginx
        container.privileged: true
    condition: selection
level: high
"""
    story = [Act("mixed", 1000, more=CONTAINERS)]
    assert count([on_event], story) == 1
    assert count([on_container], story) == 0
    assert count([on_container.replace("image: nginx", "image: evil")], story) == 1
