"""The index in front of the evaluator: whatever it rules out, the evaluator does not match either."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamer.decode import Decoder, Source
from streamer.detect import applies, evaluate
from streamer.detect.demands import MAX_WAYS, Demand, demands_of, ways_of
from streamer.detect.index import RuleIndex
from streamer.detect.witness import witnesses_of
from streamer.model import UNKNOWN, Event, Position, Record
from streamer.sigma import load_rules
from streamer.sigma.folding import fold
from streamer.sigma.predicates import (
    AllOf,
    AnyOf,
    Check,
    Cidr,
    EveryTest,
    Exists,
    FieldsTest,
    FieldTest,
    Negated,
    Null,
    Predicate,
    Regex,
    Text,
    Wild,
)
from tests.detect.events import event
from tests.sigma.writing import accepted, detection

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "streamer" / "_demo" / "campaign"
FIELDS = ("verb", "objectRef.resource", "spec.containers.image", "a.b.c")
WORDS = ("get", "create", "secrets", "xmrig", "Kelvin", "kelvin", "\u212aelvin", "mi\u017fs", "miss", "10.0.0.1", "")


def text(*parts: str | Wild, cased: bool = False) -> Text:
    return Text(tuple(part if cased or not isinstance(part, str) else fold(part) for part in parts), cased)


def a_check(dice: random.Random) -> Check:
    one = dice.choice(WORDS)
    return dice.choice(
        [
            text(one) if one else Text(()),
            text(Wild.ANY, one or "x", Wild.ANY),
            text(one or "x", Wild.ANY, cased=True),
            text(one or "x", Wild.ONE),
            Regex(one or "x", dice.choice(("", "i"))),
            Regex(f"({one or 'x'}|secrets?)+", "i"),
            Cidr("10.0.0.0/8"),
            Null(),
            Exists(),
        ]
    )


def a_predicate(dice: random.Random, depth: int = 3) -> Predicate:
    kind = dice.random()
    if depth == 0 or kind < 0.3:
        return FieldTest(dice.choice(FIELDS), a_check(dice))
    if kind < 0.35:
        return FieldsTest(dice.choice(FIELDS), dice.choice(FIELDS))
    if kind < 0.4:
        return EveryTest(dice.choice(FIELDS), (Regex("e"), Text((Wild.ANY,))))
    if kind < 0.55:
        return Negated(a_predicate(dice, depth - 1))
    items = tuple(a_predicate(dice, depth - 1) for _ in range(dice.randint(1, 3)))
    return AllOf(items) if kind < 0.8 else AnyOf(items)


def a_value(dice: random.Random, depth: int = 2) -> Any:
    if depth and dice.random() < 0.3:
        return [a_value(dice, depth - 1) for _ in range(dice.randint(0, 3))]
    word = dice.choice(WORDS)
    return dice.choice([word, word.upper(), f"x{word}y", word, None, UNKNOWN, 7, True, {}, {"b": word}])


def fields_of(dice: random.Random) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "verb": a_value(dice),
        "objectRef": dice.choice([{"resource": a_value(dice)}, [{"resource": a_value(dice)}, {}], UNKNOWN, "x"]),
        "spec": {"containers": [{"image": a_value(dice)} for _ in range(dice.randint(0, 2))]},
        "a": {"b": {"c": a_value(dice)}, "b.c": a_value(dice)},
        "objectRef.resource": a_value(dice),
    }
    return {name: value for name, value in whole.items() if dice.random() < 0.7}


def index_over(*predicates: Predicate) -> RuleIndex:
    plain = accepted(detection("r_a", "verb: get")).detections[0]
    numbered = ((replace(plain.meta, key=str(number)), one) for number, one in enumerate(predicates))
    return RuleIndex([replace(plain, meta=meta, predicate=one) for meta, one in numbered])


@pytest.mark.parametrize("seed", range(40))
def test_no_rule_is_ruled_out_that_matches(seed: int) -> None:
    dice = random.Random(seed)
    predicates = [a_predicate(dice) for _ in range(40)]
    index = index_over(*predicates)
    matched = 0
    for _ in range(60):
        happened = event(fields_of(dice))
        left = [rule.predicate for rule in index.candidates(happened.fields)]
        for predicate in predicates:
            if evaluate(predicate, happened) is True:
                matched += 1
                assert predicate in left
    assert matched > 50


def recorded() -> list[Event]:
    events: list[Event] = []
    for kind in ("audit", "containers"):
        decoder = Decoder(Source(kind, "audit" if kind == "audit" else "containers", cluster="c1"))
        lines = (DEMO / f"{kind}.ndjson").read_bytes().splitlines()
        for number, line in enumerate(lines, 1):
            events += decoder.decode(Record(line, Position(kind, 0, number, is_file=True))).events
    return events


def test_the_shipped_rules_match_the_recorded_campaign_as_they_do_without_the_index() -> None:
    rules = load_rules([ROOT / "rules"]).rules.detections
    events = recorded()
    sources = {happened.logsource for happened in events}
    indexes = {source: RuleIndex([rule for rule in rules if applies(rule.logsource, source)]) for source in sources}
    plain = fast = 0
    for happened in events:
        asked = [rule for rule in rules if applies(rule.logsource, happened.logsource)]
        left = list(indexes[happened.logsource].candidates(happened.fields))
        expected = [rule.meta.key for rule in asked if evaluate(rule.predicate, happened) is True]
        assert [rule.meta.key for rule in left if evaluate(rule.predicate, happened) is True] == expected
        plain, fast = plain + len(asked), fast + len(left)
    assert fast * 5 < plain


def test_candidates_keep_the_order_of_the_rules() -> None:
    index = index_over(*(FieldTest("verb", text(word)) for word in ("get", "create", "get")), Negated(a_test("x")))

    assert [rule.predicate for rule in index.candidates({"verb": "GET"})] == [
        FieldTest("verb", text("get")),
        FieldTest("verb", text("get")),
        Negated(a_test("x")),
    ]


def a_test(word: str) -> FieldTest:
    return FieldTest("verb", text(word))


def test_a_demand_stands_outside_of_negations_and_of_ways_around_it() -> None:
    other = FieldTest("objectRef.resource", text("secrets"))

    assert demands_of(AllOf((a_test("get"), Negated(other)))) == {"verb": Demand(texts=frozenset(["get"]))}
    assert demands_of(AnyOf((a_test("get"), other))) == {}
    assert demands_of(AnyOf((a_test("get"), a_test("list")))) == {"verb": Demand(texts=frozenset(["get", "list"]))}


def test_each_way_has_demands_of_its_own() -> None:
    other = FieldTest("objectRef.resource", text("secrets"))
    verb, resource = Demand(texts=frozenset(["get"])), Demand(texts=frozenset(["secrets"]))

    assert ways_of(AnyOf((a_test("get"), other))) == [{"verb": verb}, {"objectRef.resource": resource}]
    assert ways_of(AllOf((other, AnyOf((a_test("get"), other))))) == [
        {"objectRef.resource": resource, "verb": verb},
        {"objectRef.resource": resource},
    ]


def test_too_many_ways_keep_what_they_have_in_common() -> None:
    pairs = tuple(AllOf((a_test("get"), FieldTest(f"f{number}", text("x")))) for number in range(MAX_WAYS + 1))

    assert ways_of(AnyOf(pairs)) == [{"verb": Demand(texts=frozenset(["get"]))}]


def test_a_rule_that_may_match_in_two_ways_is_a_candidate_once() -> None:
    both = AnyOf((a_test("get"), FieldTest("objectRef.resource", text("secrets"))))

    assert len(list(index_over(both).candidates({"verb": "get", "objectRef": {"resource": "secrets"}}))) == 1


def test_two_demands_on_one_field_may_be_met_by_two_elements() -> None:
    both = AllOf((a_test("get"), a_test("list")))

    assert list(index_over(both).candidates({"verb": ["get", "list"]}))
    assert not list(index_over(both).candidates({"verb": "create"}))


def test_an_unknown_value_meets_no_demand_and_absence_no_demand_either() -> None:
    assert not list(index_over(a_test("get")).candidates({"verb": UNKNOWN}))
    assert not list(index_over(a_test("get")).candidates({}))
    assert list(index_over(FieldTest("verb", Null())).candidates({}))


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (text(Wild.ANY, "stratum", Wild.ANY, "x"), {"stratum"}),
        (Regex("wget|curl -[sk]"), {"wget", "curl -"}),
        (Regex("(?:new job from) .* algo"), {"new job from "}),
        (Regex("XMRig", "i"), {"xmrig"}),
        (Regex("(xmrig)?"), None),
        (Regex("[a-z]+"), None),
        (Regex("ab|abcdef"), None),
        (Regex(r"\pL+miner\z"), None),
        (Regex("[[:alpha:]]foo"), None),
        (Regex("mi\u017fs spelt", "i"), {"s spelt"}),
        (Cidr("10.0.0.0/8"), None),
    ],
)
def test_the_literals_without_which_no_text_passes(check: Check, expected: set[str] | None) -> None:
    found = witnesses_of(check)

    assert (None if found is None else set(found)) == expected


def test_beyond_ascii_no_pattern_is_ruled_out() -> None:
    long_s = FieldTest("verb", Regex("miss", "i"))

    assert evaluate(long_s, event({"verb": "mi\u017fs"})) is True
    assert list(index_over(long_s).candidates({"verb": "mi\u017fs"}))
