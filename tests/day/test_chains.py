"""Every chain at two speeds and in two envelopes, inside the benign day: told once, with actor, outcome and steps."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from streamer.sigma.rules import RuleSet
from tests.day.chain_checking import Verdict, of_the_day, verdicts
from tests.day.chain_playing import PACKINGS, instances, woven
from tests.day.chain_reading import SPEEDS, Chain, ChainError, check_rule_names, read_chain, read_chains
from tests.day.report import evidence_of
from tests.day.shipping import shipped
from tests.day.watching import Seen, shipped_rules, watch
from tests.day.writing import BEGIN, day_before, day_of

EVENTS = 8_000
CHAINS = read_chains()


@cache
def rules() -> RuleSet:
    return shipped_rules()


@cache
def played() -> tuple[Seen, list[Verdict], Seen]:
    told = instances(CHAINS, BEGIN, 1)
    past, day = woven(shipped(day_before(EVENTS, 1), 1), shipped(day_of(EVENTS, 1), 1), told, 1)
    seen = watch(day, rules(), past=past)
    return seen, verdicts(seen, told), of_the_day(seen, told)


def test_all_chains_are_there() -> None:
    assert {chain.number for chain in CHAINS} >= set(range(1, 25))
    assert len(played()[1]) == len(CHAINS) * len(SPEEDS) * len(PACKINGS)


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)
def test_the_chain_names_rules_that_exist(chain: Chain) -> None:
    known = {str(rule.meta.name) for rule in rules().by_key().values()}

    assert check_rule_names(chain, known) == []


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)
def test_the_chain_is_told_once_at_both_speeds_and_in_both_envelopes(chain: Chain) -> None:
    found = {
        f"{verdict.instance.speed}, {verdict.instance.packing}": list(verdict.wrong)
        for verdict in played()[1]
        if verdict.instance.chain == chain
    }

    assert found == {f"{speed}, {packing}": [] for speed in SPEEDS for packing in PACKINGS}


def test_the_day_around_the_chains_stays_quiet() -> None:
    seen, _, day = played()
    loud = [alert for alert in day.alerts if seen.level(alert) in {"high", "critical"}]

    assert "\n".join(evidence_of(seen, alert) for alert in loud) == ""


_GOOD = """
chain: c
number: 1
title: C
alert: a
level: high
actor: {name: mallory}
outcome: success
step_names: [s]
steps:
  - {name: one, fast: 0s, slow: 0s, events: [{at: 0s, audit: {verb: get, resource: pods}}]}
"""


@pytest.mark.parametrize(
    ("instead_of", "written", "said"),
    [
        ("chain: c", "chian: c", "`chian` is no key of a scenario (did you mean `chain`?)"),
        ("level: high", "level: loud", "`level` cannot be a text `loud`"),
        ("actor: {name: mallory}", "actor: mallory", "`actor` is a mapping"),
        ("slow: 0s", "slow: soon", "`slow` is no length of time"),
        ("verb: get", "verbs: get", "did you mean `verb`?"),
        ("audit: {verb: get, resource: pods}", "raw: '{}'", "`raw` cannot be moved"),
        ("step_names: [s]", "step_names: s", "`step_names` is a list"),
    ],
)
def test_an_error_in_a_scenario_says_where_and_what(instead_of: str, written: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "01_c.yml"
    path.write_text(_GOOD, encoding="utf-8")
    assert read_chain(path).name == "c"
    path.write_text(_GOOD.replace(instead_of, written), encoding="utf-8")

    with pytest.raises(ChainError) as raised:
        read_chain(path)

    assert said in str(raised.value)
    assert "tests/day/chains/01_c.yml:" in str(raised.value)
