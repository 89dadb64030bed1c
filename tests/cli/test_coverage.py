"""``streamer coverage``: tables, JSON, the layer file, exit codes."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.authoring.test_coverage import assert_is_layer
from tests.cli.verbs import ESCAPE, RULES, run


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "secrets.yml").write_text(RULES)
    return folder


def test_tables_name_rules_and_the_summary_stands_last(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    ran = run(capsys, "coverage", "--rules", rules)

    assert ran.code == 0
    assert ESCAPE not in ran.out
    assert "three_secrets" in ran.out
    assert "no rule yet" in ran.out
    attack, kubernetes = ran.out.strip().splitlines()[-2:]
    assert attack.startswith("MITRE ATT&CK, Containers v19: 2 of ")
    assert kubernetes.startswith("Microsoft Threat Matrix for Kubernetes v3: 0 of ")


def test_one_matrix_can_be_asked_for(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    ran = run(capsys, "coverage", "--rules", rules, "--matrix", "kubernetes")

    assert "ATT&CK" not in ran.out
    assert "MS-TA9025" in ran.out


def test_json_is_one_object_per_matrix(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    found = [orjson.loads(line) for line in run(capsys, "coverage", "--rules", rules, "--json").out.splitlines()]

    assert [each["matrix"] for each in found] == ["attack", "kubernetes"]
    assert (found[0]["covered"], found[1]["covered"]) == (2, 0)


def test_firing_cases_are_counted_from_the_case_files(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    read = "{at: 0s, audit: {verb: get, resource: secrets, name: a, user: alice}}"
    cases = rules.parent / "tests" / "secrets.test.yml"
    cases.parent.mkdir()
    cases.write_text(
        "rule: rules/secrets.yml#secret_read\ncases:\n"
        f"  - {{name: a read fires, events: [{read}], expect: [{{at: 0s}}]}}\n"
        f"  - {{name: nothing is silent, events: [{read}], expect: []}}\n"
    )
    ran = run(capsys, "coverage", "--rules", rules, "--cases", cases, "--json", "--matrix", "attack")
    tactics = orjson.loads(ran.out)["tactics"]
    cells = {cell["id"]: cell for tactic in tactics for cell in tactic["techniques"]}

    assert {rule["name"]: rule["firing_cases"] for rule in cells["T1552.007"]["rules"]} == {
        "secret_read": 1,
        "three_secrets": 0,
    }


def test_the_layer_is_written_to_a_file(capsys: pytest.CaptureFixture[str], rules: Path, tmp_path: Path) -> None:
    file = tmp_path / "layer.json"
    ran = run(capsys, "coverage", "--rules", rules, "--matrix", "kubernetes", "--navigator", file)

    assert ran.code == 0
    layer = orjson.loads(file.read_bytes())
    assert_is_layer(layer)
    assert {entry["techniqueID"]: entry["score"] for entry in layer["techniques"] if "score" in entry} == {
        "T1552": 2,
        "T1552.007": 2,
    }


def test_a_tag_that_names_nothing_is_told_and_is_exit_code_one(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    (rules / "secrets.yml").write_text(RULES.replace("attack.credential_access", "attack.t9999"))
    ran = run(capsys, "coverage", "--rules", rules)

    assert ran.code == 1
    assert "tag attack.t9999 names no technique or tactic: three_secrets" in ran.err


@pytest.mark.parametrize("option", ["--rules", "--cases"])
def test_a_folder_that_does_not_exist_is_exit_code_two(
    capsys: pytest.CaptureFixture[str], rules: Path, option: str
) -> None:
    ran = run(capsys, "coverage", "--rules", rules, option, rules / "nowhere")

    assert ran.code == 2
    assert "there is no file or folder" in ran.err


def test_a_layer_that_cannot_be_written_is_exit_code_two(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    ran = run(capsys, "coverage", "--rules", rules, "--navigator", rules)

    assert ran.code == 2
    assert "Traceback" not in ran.err
