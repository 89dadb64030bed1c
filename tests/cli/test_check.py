"""``streamer check``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.verbs import RULES, run


def test_good_rules_are_counted_and_exit_code_is_zero(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    ran = run(capsys, "check", rules)
    assert ran.code == 0
    assert ran.out == "2 usable rules (1 detections, 1 correlations) in 1 file: no problems\n"


def test_the_shipped_rules_have_no_problems(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "check", "shipped", "--strict")
    assert ran.code == 0, ran.out


def test_a_problem_shows_place_line_caret_and_what_to_write(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    file = rules / "secrets.yml"
    file.write_text(RULES.replace("group-by", "groupby"))
    ran = run(capsys, "check", file)
    assert ran.code == 1
    number = 1 + RULES.splitlines().index("    group-by: [user.username]")
    assert f"{file}:{number}:5: error:" in ran.out
    assert f"  {number} │     groupby: [user.username]\n     │     ^^^^^^^\n     ╰ write `group-by`\n" in ran.out


def test_the_caret_stands_below_the_problem_behind_characters_of_two_columns(
    capsys: pytest.CaptureFixture[str], rules: Path
) -> None:
    (rules / "secrets.yml").write_text(RULES.split("---")[0].replace("verb: get", '"a": "日本", "verb|contain": get'))
    out = run(capsys, "check", rules).out.splitlines()
    line = next(number for number, text in enumerate(out) if "日本" in text)
    assert cell_len(out[line + 1].split("^")[0]) == cell_len(out[line].split('"verb')[0])


def test_a_file_that_is_no_text_is_counted_as_a_file(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    (rules / "binary.yml").write_bytes(b"\xff\x00" * 50)
    assert "in 2 files: 1 error" in run(capsys, "check", rules).out


def test_a_tab_in_the_indent_is_called_a_tab(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    (rules / "secrets.yml").write_text("title: a\n\tlevel: low\n")
    assert "╰ indent with blanks: YAML allows no tabs there" in run(capsys, "check", rules).out


def test_json_is_one_object_per_finding_and_nothing_else(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    (rules / "secrets.yml").write_text(RULES.replace("group-by", "groupby").replace("level: low", "level: lowest"))
    ran = run(capsys, "check", rules, "--json")
    findings = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 1
    assert [finding["line"] for finding in findings] == sorted(finding["line"] for finding in findings)
    assert len(findings) >= 2


def test_advice_is_no_problem(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    (rules / "secrets.yml").write_text(RULES.replace("falsepositives: [backup]\n", ""))
    ran = run(capsys, "check", rules)
    assert ran.code == 0
    assert "1 piece of advice" in ran.out
    assert "advice" not in run(capsys, "check", rules, "--quiet").out


def test_a_path_that_is_not_there_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "check", "nowhere")
    assert ran.code == 2
    assert "there is no file or folder nowhere" in ran.err


def test_a_folder_without_rules_is_wrong_use(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(capsys, "check", empty).code == 2


def test_placeholders_give_expand_its_values(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    (rules / "secrets.yml").write_text(
        RULES.split("---")[0].replace("verb: get}", "verb: get, user.username|expand: '%admins%'}")
    )
    assert run(capsys, "check", rules).code == 1
    assert run(capsys, "check", rules, "--placeholder", "admins=alice,bob").code == 0
    assert run(capsys, "check", rules, "--placeholder", "admins").code == 2
