"""What the parser derives from random rules is what SEMANTICS derives: ranks, decisions, alerts, exports."""

from __future__ import annotations

import random

import pytest

from streamer.sigma import load_text
from streamer.sigma.rules import CorrelationRule, RuleSet
from tests.correlate.properties import ledger
from tests.correlate.properties.build import Draft, detection, link
from tests.correlate.properties.rules import NAMES, RuleMaker
from tests.correlate.properties.yaml import documents, path_of

CASES = 60
SAME = (
    "type",
    "rules",
    "group_by",
    "timespan_us",
    "decides",
    "provisional",
    "alerts",
    "across_clusters",
    "skew_us",
    "first_seen",
    "learn_us",
    "rank",
)


def random_drafts(seed: int) -> list[Draft]:
    """Drafts with everything that YAML can say."""
    maker = RuleMaker(random.Random(f"yaml/{seed}"))
    maker.provisional = 0.3
    drafts = maker.drafts()
    for draft in drafts:
        draft.suppress = None
    return drafts


def by_key(rules: RuleSet) -> dict[str, CorrelationRule]:
    """Correlations by key."""
    return {rule.meta.key: rule for rule in rules.correlations}


@pytest.mark.parametrize("part", range(4))
def test_the_parser_and_the_definition_derive_the_same_from_random_rules(part: int) -> None:
    """[C10] [C11] [A1] [K5] rank, time of decision, provisional, alerting and exported values."""
    count = ledger.cases_per_lane(CASES)
    for seed in range(part * count, (part + 1) * count):
        drafts = random_drafts(seed)
        by_name = {draft.name: draft for draft in drafts}
        texts = documents(drafts)
        loaded = load_text(texts)
        errors = [str(problem) for problem in loaded.problems if problem.severity == "error"]
        assert not errors, "\n".join([*errors, *texts.values()])
        expected, found = by_key(link([detection(name) for name in NAMES], drafts)), by_key(loaded.rules)
        assert expected.keys() == found.keys()
        for key, rule in expected.items():
            got = found[key]
            for name in SAME:
                assert getattr(got, name) == getattr(rule, name), f"{key} {name}\n{texts[f'rules/{key}.yml']}"
            assert got.suppress == rule.suppress, f"{key}\n{texts[f'rules/{key}.yml']}"
            fields = {
                one: {name: path_of(one, field, by_name) for name, field in names.items()}
                for one, names in rule.fields_of.items()
            }
            assert {one: dict(names) for one, names in got.fields_of.items()} == fields
            exported = {
                one: {path_of(one, field, by_name) for field in names.values()}
                for one, names in rule.exported_fields.items()
                if names
            }
            told = {one: set(names.values()) for one, names in got.exported_fields.items() if names}
            assert told == exported, f"{key}\n" + "\n".join(texts.values())
