"""The generated pages say what the shipped rules are, and every public rule has its place among the behaviours."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from streamer.authoring.coverage import coverage
from streamer.authoring.matrix import Matrix
from streamer.authoring.matrix_attack import ATTACK
from streamer.authoring.matrix_kubernetes import KUBERNETES
from streamer.sigma import load_rules
from tests.docs.generated import BEHAVIOURS, COVERAGE, ROOT, SETS, behaviours, behaviours_page, coverage_page

AGAIN = "write it anew: python -m tests.docs.generated"
PUBLIC_RULES = Path(__file__).with_name("public_rules.csv")


def test_the_page_of_the_coverage_is_what_the_verb_says_of_the_shipped_rules() -> None:
    assert COVERAGE.read_text(encoding="utf-8") == coverage_page(), AGAIN


def test_the_page_of_the_behaviours_is_made_of_its_data() -> None:
    assert BEHAVIOURS.read_text(encoding="utf-8") == behaviours_page(), AGAIN


def test_every_public_rule_stands_in_exactly_one_behaviour() -> None:
    with PUBLIC_RULES.open(encoding="utf-8", newline="") as file:
        public = Counter((row["set"], row["title"]) for row in csv.DictReader(file))
    placed = Counter((name, title) for row in behaviours() for name, titles in row.public.items() for title in titles)

    assert max(public.values()) == 1
    assert placed == public
    assert {name for name, _ in public} == set(SETS)


def test_every_rule_that_a_behaviour_names_is_shipped_and_alerts() -> None:
    rules = load_rules([ROOT / "rules"]).ok()
    alerting = {rule.meta.name for rule in (*rules.detections, *rules.correlations) if rule.alerts}

    assert {name for row in behaviours() for name in row.rules} - alerting == set()


def test_a_behaviour_without_a_rule_says_why() -> None:
    rows = behaviours()

    assert [row.name for row in rows if not row.rules and len(row.reason.split()) < 4] == []
    assert len({row.name for row in rows}) == len(rows)


@pytest.mark.parametrize("matrix", [ATTACK, KUBERNETES], ids=lambda matrix: str(matrix.key))
def test_the_shipped_rules_name_no_technique_that_is_not_there(matrix: Matrix) -> None:
    assert coverage(load_rules([ROOT / "rules"]).ok(), matrix, {}).unknown == {}


@pytest.mark.parametrize("matrix", [ATTACK, KUBERNETES], ids=lambda matrix: str(matrix.key))
def test_no_shipped_rule_covers_what_our_table_calls_invisible(matrix: Matrix) -> None:
    cells = coverage(load_rules([ROOT / "rules"]).ok(), matrix, {}).cells.values()

    assert {
        item.cell.id: [rule.name for rule in item.rules] for item in cells if item.rules and not item.cell.visible
    } == {}
