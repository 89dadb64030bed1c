from __future__ import annotations

import pytest
from sigma.collection import SigmaCollection

from streamer.model import LogSource
from streamer.sigma import load_text
from streamer.sigma.detection import MAX_SELECTIONS
from streamer.sigma.predicates import AllOf, AnyOf, FieldTest, KeywordTest, Negated, Null, Predicate, Text, Wild
from tests.sigma.writing import accepted, detection, predicate_of, refused

RULE = """\
title: A
logsource: {{product: kubernetes}}
detection:
{body}
"""


def rule(body: str) -> str:
    return RULE.format(body="\n".join(f"    {line}" for line in body.strip("\n").splitlines()))


def equal(field: str, value: str) -> Predicate:
    return FieldTest(field, Text((value,)))


def whole(body: str) -> Predicate:
    return accepted(rule(body)).detections[0].predicate


def test_a_mapping_means_all_of_it_and_a_list_of_mappings_any_of_them() -> None:
    """[D1] Sigma 2.1 as pySigma reads it."""
    assert whole("s: {a: x, b: y}\ncondition: s") == AllOf((equal("a", "x"), equal("b", "y")))
    assert whole("s: [{a: x, b: y}, {c: z}]\ncondition: s") == AnyOf(
        (AllOf((equal("a", "x"), equal("b", "y"))), equal("c", "z"))
    )


def test_plain_values_are_keywords_alone_in_lists_and_beside_mappings() -> None:
    """[D1] values without a field are keywords."""

    def keyword(text: str) -> Predicate:
        return KeywordTest(Text((Wild.ANY, text, Wild.ANY)))

    assert whole("s: x\ncondition: s") == keyword("x")
    assert whole("s: [x, y]\ncondition: s") == AnyOf((keyword("x"), keyword("y")))
    assert whole("s: [x, {a: y}]\ncondition: s") == AnyOf((keyword("x"), equal("a", "y")))


def test_conditions_combine_selections() -> None:
    body = "s1: {a: x}\ns2: {b: y}\nfilter: {c: z}\n"
    one, two, three = equal("a", "x"), equal("b", "y"), equal("c", "z")
    assert whole(body + "condition: 1 of s* and not filter") == AllOf((AnyOf((one, two)), Negated(three)))
    assert whole(body + "condition: all of s* and not filter") == AllOf((AllOf((one, two)), Negated(three)))
    assert whole(body + "condition: 1 of them") == AnyOf((one, two, three))
    assert whole(body + "condition: any of them") == AnyOf((one, two, three))
    assert whole(body + "condition: s1 or s2 and filter") == AnyOf((one, AllOf((two, three))))


def test_patterns_pass_over_selections_that_begin_with_an_underscore() -> None:
    """As in pySigma."""
    body = "s1: {a: x}\n_s2: {b: y}\n"
    assert whole(body + "condition: 1 of them and _s2") == AllOf((equal("a", "x"), equal("b", "y")))
    assert whole(body + "condition: 1 of _* and s1") == AllOf((equal("b", "y"), equal("a", "x")))


def test_a_list_of_conditions_means_any_of_them() -> None:
    assert whole("s: {a: x}\nt: {b: y}\ncondition: [s, t]") == AnyOf((equal("a", "x"), equal("b", "y")))


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("empty-selection", "s: ▸{}\ncondition: s"),
        ("empty-selection", "s: ▸[]\ncondition: s"),
        ("empty-list", "s: {a: ▸[]}\ncondition: s"),
        ("nested-field", "s: {a: ▸{b: x}}\ncondition: s"),
        ("bad-value", "s: {a: [▸[x]]}\ncondition: s"),
        ("bad-value", "s: ▸null\ncondition: s"),
        ("bad-value", "s: [x, ▸null]\ncondition: s"),
        ("unknown-selection", "s: {a: x}\ncondition: s and ▸t"),
        ("unknown-selection", "s: {a: x}\ncondition: 's or ▸1 of t*'"),
        ("unused-selection", "s: {a: x}\n▸t: {a: x}\ncondition: s"),
        ("bad-condition", "s: {a: x}\ncondition: s and▸"),
        ("bad-condition", "s: {a: x}\ncondition: s ▸| count() > 5"),
        ("bad-condition", "s: {a: x}\ncondition: ▸5"),
        ("bad-condition", "s: {a: x}\ncondition: ▸[]"),
        ("bad-selection", "▸'s t': {a: x}\ns: {a: x}\ncondition: s"),
        ("unknown-key", "s: {a: x}\n▸timeframe: 5m\ncondition: s"),
    ],
)
def test_a_mistake_is_reported_where_it_stands(code: str, body: str) -> None:
    """[D4] refused at load with its place and the reason."""
    refused(code, rule(body))


def test_a_wrong_character_in_a_condition_over_several_lines_has_the_place_of_the_condition() -> None:
    refused("unknown-selection", rule("s: {a: x}\ncondition: ▸|\n    s\n    or t"))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("missing-detection", "▸title: A\nlogsource: {product: kubernetes}\n"),
        ("bad-detection", "title: A\nlogsource: {product: kubernetes}\ndetection: ▸x\n"),
        ("missing-condition", "title: A\nlogsource: {product: kubernetes}\n▸detection: {s: {a: x}}\n"),
        ("missing-logsource", "▸title: A\ndetection: {s: {a: x}, condition: s}\n"),
        ("bad-logsource", "title: A\nlogsource: ▸x\ndetection: {s: {a: x}, condition: s}\n"),
        ("bad-logsource", "title: A\nlogsource: ▸{definition: x}\ndetection: {s: {a: x}, condition: s}\n"),
        ("bad-logsource", "title: A\nlogsource: {service: audit, product: ▸7}\ndetection: {s: {a: x}, condition: s}\n"),
        ("unknown-key", "title: A\nlogsource: {▸prodct: x, service: audit}\ndetection: {s: {a: x}, condition: s}\n"),
    ],
)
def test_a_rule_needs_a_log_source_and_a_detection(code: str, text: str) -> None:
    refused(code, text)


def test_a_value_that_stands_twice_is_a_warning() -> None:
    loaded = load_text({"r.yml": rule("s: {a: [x, y, x]}\ncondition: s")})
    assert [(p.code, p.severity, str(p.place)) for p in loaded.problems] == [
        ("duplicate-value", "warning", "r.yml:4:19")
    ]
    assert len(loaded.ok().detections) == 1


def test_the_log_source_holds_what_is_named_and_nothing_else() -> None:
    """[D3] every attribute of a rule's log source must equal the event's."""
    text = detection("r_a", source="category: application\n    service: audit\n    definition: told elsewhere")
    assert accepted(text).detections[0].logsource == LogSource("application", "", "audit")


def itself(test: Predicate) -> Predicate:
    missing = FieldTest("objectRef.subresource", Null())
    return AllOf((test, AnyOf((missing, FieldTest("objectRef.subresource", Text(()))))))


@pytest.mark.parametrize("source", ["product: kubernetes", "service: audit", "category: container_spec"])
def test_a_resource_without_a_word_about_subresources_is_the_resource_itself(source: str) -> None:
    """[D6] `pods` is not `pods/exec`."""
    assert predicate_of("objectRef.resource: pods", source=source) == itself(equal("objectRef.resource", "pods"))


def test_a_negated_resource_is_negated_as_a_whole() -> None:
    """[D6] what is not the resource itself may be its subresource."""
    assert predicate_of("objectRef.resource|neq: pods", source="service: audit") == Negated(
        itself(equal("objectRef.resource", "pods"))
    )


@pytest.mark.parametrize(
    "item", ["objectRef.subresource: exec", "objectRef.subresource: null", "objectRef.subresource|exists: true"]
)
def test_any_test_of_the_subresource_leaves_the_resource_as_it_is(item: str) -> None:
    """[D6] only without any test of `objectRef.subresource`."""
    predicate = predicate_of(f"objectRef.resource: pods\n{item}", source="service: audit")
    assert isinstance(predicate, AllOf)
    assert predicate.items[0] == equal("objectRef.resource", "pods")


def test_rules_for_other_products_may_have_a_field_of_that_name() -> None:
    """[D6] in rules for Kubernetes audit."""
    loaded = load_text({"r.yml": detection("r_a", "objectRef.resource: pods", source="product: other")})
    assert loaded.rules.detections[0].predicate == equal("objectRef.resource", "pods")


def test_pysigma_reads_what_is_accepted_here() -> None:
    text = rule("s: [{a|contains: [x, y], b: null}, z]\nt: {c|re|i: x+}\ncondition: 1 of s* and not t")
    accepted(text)
    collection = SigmaCollection.from_yaml(text)
    assert [rule.errors for rule in collection.rules] == [[]]


def test_a_rule_of_too_many_selections_or_tests_is_refused() -> None:
    many = "\n".join(f"s{number}: {{a: x}}" for number in range(MAX_SELECTIONS))
    refused("rule-too-large", rule("▸" + many + "\ncondition: 1 of them"))
    large = f"s: {{a: [{', '.join(map(str, range(500)))}]}}\ncondition: " + " or ".join(["s"] * 50)
    assert [p.code for p in load_text({"r.yml": rule(large)}).problems] == ["rule-too-large"]


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        ("1.10", "1.1"),
        ("1.0", "1"),
        ("-0.0", "0"),
        ("on", "true"),
        ("No", "false"),
        ("010", "8"),
        ("0x1F", "31"),
        ("22:22", "1342"),
        ("[a, 1_000]", "1000"),
    ],
)
def test_a_value_that_yaml_reads_as_something_else_is_reported(value: str, read_as: str) -> None:
    """[D4] a rule never silently does not match."""
    loaded = load_text({"r.yml": rule(f"s: {{container.tag: {value}}}\ncondition: s")})
    (problem,) = loaded.problems
    assert (problem.code, problem.severity, problem.hint) == ("spelling", "warning", "quote it if it is a text")
    assert f"is read as `{read_as}`" in problem.message


@pytest.mark.parametrize("item", ["a: '1.10'", "a: 1.5", "a: True", "a: -3", "a|gte: 1.0", "a|exists: yes", "a: 1e5"])
def test_a_value_that_yaml_reads_as_written_is_not(item: str) -> None:
    accepted(rule(f"s: {{{item}}}\ncondition: s"))
