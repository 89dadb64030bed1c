"""The shipped rules: they load, say what they must about themselves, and do what their cases say."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import pytest
import yaml
from sigma.collection import SigmaCollection

from streamer.authoring.cases import FileResult, read_cases
from streamer.cli.test import find_cases, run
from streamer.sigma import load_rules

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "rules").rglob("*.yml"))
CASES = find_cases([ROOT / "tests" / "rules"])
TACTICS = {
    "reconnaissance", "resource-development", "initial-access", "execution", "persistence", "privilege-escalation",
    "stealth", "defense-impairment", "credential-access", "discovery", "lateral-movement", "collection",
    "command-and-control", "exfiltration", "impact",
}  # fmt: skip
NEVER_LEGITIMATE = {"anonymous_workload_created"}
ORDER = ["title", "id", "name", "status", "description", "references", "author", "date", "tags"]


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def case_file_of(rule: Path) -> Path:
    return ROOT / "tests" / "rules" / rule.relative_to(ROOT / "rules").with_suffix(".test.yml")


def test_all_shipped_rules_load_together_without_any_problem() -> None:
    loaded = load_rules([ROOT / "rules"])

    assert [str(problem) for problem in loaded.problems] == []
    assert len(RULES) == len(loaded.rules.detections) + len(loaded.rules.correlations)


def test_plain_pysigma_reads_all_shipped_rules_and_resolves_their_references() -> None:
    collection = SigmaCollection.load_ruleset([str(ROOT / "rules")], collect_errors=True)
    collection.resolve_rule_references()

    assert collection.errors == []
    assert len(collection.rules) == len(RULES)


@pytest.mark.parametrize("path", RULES, ids=shown)
def test_a_rule_says_everything_about_itself(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    assert len(documents) == 1
    rule = documents[0]

    assert UUID(rule["id"]).version == 4
    assert re.fullmatch(r"[a-z][a-z0-9_]+", rule["name"])
    assert rule["name"] == path.stem
    assert rule["level"] in {"informational", "low", "medium", "high", "critical"}
    assert rule["status"] in {"stable", "test", "experimental"}
    assert rule["author"] == "streamer"
    assert len(rule["description"].split()) >= 8
    assert rule["falsepositives"]
    assert not rule["title"].endswith(".")
    assert [key for key in rule if key in ORDER] == [key for key in ORDER if key in rule]


@pytest.mark.parametrize("path", RULES, ids=shown)
def test_a_rule_names_a_tactic_and_a_technique_of_attack_v19(path: Path) -> None:
    tags = yaml.safe_load(path.read_text(encoding="utf-8"))["tags"]
    attack = [tag.removeprefix("attack.") for tag in tags if tag.startswith("attack.")]
    matrix = [tag for tag in tags if tag.startswith("threat-matrix.")]
    techniques = [tag for tag in attack if re.fullmatch(r"t\d{4}(\.\d{3})?", tag)]
    tactics = [tag for tag in attack if tag not in techniques]

    assert techniques
    assert tactics
    assert set(tactics) <= TACTICS
    assert all(re.fullmatch(r"threat-matrix\.ms-ta9\d{3}", tag) for tag in matrix)
    assert len(attack) + len(matrix) == len(tags) == len(set(tags))


@pytest.mark.parametrize("path", RULES, ids=shown)
def test_a_rule_has_a_case_that_fires_and_one_that_is_silent(path: Path) -> None:
    file = case_file_of(path)
    read = read_cases(shown(file), file.read_text(encoding="utf-8"), lambda name: (ROOT / name).read_text())

    assert [str(problem) for problem in read.problems] == []
    assert read.cases is not None
    assert read.cases.rule == shown(path)
    assert any(case.expect for case in read.cases.cases)
    assert any(not case.expect for case in read.cases.cases)


def test_every_case_file_belongs_to_a_rule() -> None:
    assert {case_file_of(rule) for rule in RULES} == set(CASES)


@pytest.mark.parametrize("path", CASES, ids=shown)
def test_a_rule_does_what_its_cases_say_however_the_records_arrive(path: Path) -> None:
    """[G3] the same set of firings in any order within lateness; [I5] duplicates change nothing."""
    assert wrong_of(run(path, ROOT)) == []


def wrong_of(result: FileResult) -> list[str]:
    problems = [f"{problem} ({problem.hint})" for problem in result.problems]
    return problems + [f"{case.case.name}: {sentence}" for case in result.results for sentence in case.wrong]


def test_a_building_block_never_alerts_by_itself() -> None:
    """[A1] a rule alerts unless another loaded correlation references it: building blocks must all be referenced."""
    rules = load_rules([ROOT / "rules"]).ok()
    alerting = [rule.meta for rule in (*rules.detections, *rules.correlations) if rule.alerts]

    assert [meta.name for meta in alerting if meta.level == "informational"] == []


def test_critical_are_only_chains_and_what_is_never_legitimate() -> None:
    rules = load_rules([ROOT / "rules"]).ok()

    assert {rule.meta.name for rule in rules.detections if rule.meta.level == "critical"} <= NEVER_LEGITIMATE


def test_the_patterns_of_a_miner_are_the_same_with_and_without_a_pod_uid() -> None:
    patterns, without = (
        yaml.safe_load((ROOT / "rules/kubernetes/impact" / name).read_text(encoding="utf-8"))["detection"]
        for name in ("miner_output_line.yml", "miner_line_without_uid.yml")
    )

    assert {name.removeprefix("line_"): test for name, test in without.items() if name.startswith("line_")} == {
        name: test for name, test in patterns.items() if name != "condition"
    }
