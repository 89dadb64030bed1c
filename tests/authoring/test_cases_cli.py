"""``streamer test``: which files it takes, what it prints, and its exit code."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from streamer.cli.test import project_of
from streamer.cli.test import test as verb

APP = typer.Typer()
APP.command("test")(verb)
RULE = """\
title: Secrets listed
id: 6d0c5ffb-63f5-4b5c-9d5c-0f1e0a4f0a11
name: secrets_listed
logsource: {category: application, product: kubernetes, service: audit}
detection: {selection: {verb: list, objectRef.resource: secrets}, condition: selection}
level: low
"""
CASES = """\
rule: rules/area/secrets_listed.yml
cases:
  - name: a list of secrets
    events: [{at: 0s, audit: {verb: list, resource: secrets}}]
    expect: [{at: %s}]
  - {name: nothing happens, events: [], expect: []}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rules, cases = tmp_path / "rules" / "area", tmp_path / "tests" / "rules" / "area"
    rules.mkdir(parents=True)
    cases.mkdir(parents=True)
    (rules / "secrets_listed.yml").write_text(RULE)
    (cases / "secrets_listed.test.yml").write_text(CASES % "0s")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(APP, [str(argument) for argument in arguments])


def test_a_folder_of_cases_that_pass_gives_0(project: Path) -> None:
    result = run(project / "tests")

    assert result.exit_code == 0
    assert "pass  secrets_listed: a list of secrets" in result.output
    assert "2 cases of 1 file, 0 failed" in result.output


def test_a_case_that_fails_gives_1_and_says_why_and_where(project: Path) -> None:
    (project / "tests/rules/area/secrets_listed.test.yml").write_text(CASES % "1s")
    result = run(project / "tests", "--quiet")

    assert result.exit_code == 1
    assert "FAIL  secrets_listed: a list of secrets" in result.output
    assert "secrets_listed.test.yml:3" in result.output
    assert "expected at 1s, and nothing fired (line 5)" in result.output
    assert "nothing happens" not in result.output


def test_a_case_file_that_cannot_be_used_gives_2(project: Path) -> None:
    (project / "tests/rules/area/broken.test.yml").write_text(
        "rule: rules/gone.yml\ncases: [{name: n, events: [], expect: []}]\n"
    )
    result = run(project / "tests")

    assert result.exit_code == 2
    assert "broken.test.yml:1:7: error: there is no file `rules/gone.yml`  [unknown-rule]" in result.output
    assert "1 │ rule: rules/gone.yml" in result.output
    assert "^^^^" in result.output
    assert "paths begin at the root of the project" in result.output


@pytest.mark.parametrize("what", ["no/such/folder", "."])
def test_a_path_without_cases_gives_2(tmp_path: Path, what: str) -> None:
    assert run(tmp_path / what).exit_code == 2


def test_json_is_one_object_per_case(project: Path) -> None:
    lines = [json.loads(line) for line in run(project / "tests", "--json").output.splitlines()]

    assert [(line["case"], line["passed"]) for line in lines] == [
        ("a list of secrets", True),
        ("nothing happens", True),
    ]
    assert lines[0]["fired"][0]["time"] == "2026-01-01T00:00:00.000000Z"


def test_junit_holds_a_suite_per_file_and_a_failure_per_case(project: Path) -> None:
    (project / "tests/rules/area/secrets_listed.test.yml").write_text(CASES % "1s")
    run(project / "tests", "--junit", project / "junit.xml")
    (suite,) = ET.parse(project / "junit.xml").getroot()

    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "expected at 1s, and nothing fired (line 5)"


def test_rule_paths_begin_at_the_root_that_is_given(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.test.yml"
    elsewhere.write_text(CASES % "0s")

    assert run(elsewhere).exit_code == 2
    assert run(elsewhere, "--root", project).exit_code == 0


def test_the_project_is_the_nearest_folder_around_a_case_file_that_holds_rules(project: Path) -> None:
    assert project_of(project / "tests/rules/area/secrets_listed.test.yml") == project
