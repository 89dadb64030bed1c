"""``streamer replay``."""

from __future__ import annotations

import gzip
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from streamer.ecs.schema import alert_schema
from tests.cli.verbs import ESCAPE, RULES, read, run, stdin_from, write

STREAMER = [sys.executable, "-m", "streamer"]


def test_alerts_are_told_as_incidents_with_the_lesser_ones_beside(
    capsys: pytest.CaptureFixture[str], rules: Path, log: Path
) -> None:
    ran = run(capsys, "replay", log.name, "--rules", rules, "--cluster", "prod-1")
    assert ran.code == 0
    assert ran.out.startswith(" HIGH  Three secrets read")
    assert "cluster prod-1" in ran.out.splitlines()[0]
    assert "alice from 203.0.113.9" in ran.out
    assert "on the same events: Secret read (3 times)" in ran.out
    assert ESCAPE not in ran.out + ran.err
    assert all(line == line.rstrip() for line in ran.out.splitlines())


def test_the_summary_counts_per_rule_on_standard_error(
    capsys: pytest.CaptureFixture[str], rules: Path, log: Path
) -> None:
    ran = run(capsys, "replay", log, "--rules", rules)
    rows = {
        " ".join(line.split()[1:-4]): line.split()[-4:] for line in ran.err.splitlines() if line[:4] in ("low ", "high")
    }
    assert rows["Secret read"][0] == "4"
    assert rows["Three secrets read"][1:3] == ["2", "1"]
    assert "4 records" in ran.err
    assert "looks like an audit log" in ran.err
    assert run(capsys, "replay", log, "--rules", rules, "--quiet").err == ""


def test_json_is_valid_alert_documents_and_nothing_else(
    capsys: pytest.CaptureFixture[str], rules: Path, log: Path
) -> None:
    ran = run(capsys, "replay", log, "--rules", rules, "--json")
    documents = [json.loads(line) for line in ran.out.splitlines()]
    assert sorted(document["message"] for document in documents) == ["Secret read"] * 4 + ["Three secrets read"]
    for document in documents:
        Draft202012Validator(alert_schema()).validate(document)
        assert document["streamer"]["engine"]["replayed"] is True


def test_firings_are_one_object_per_firing_of_a_correlation(
    capsys: pytest.CaptureFixture[str], rules: Path, log: Path
) -> None:
    ran = run(capsys, "replay", log, "--rules", rules, "--firings", "--cluster", "c1")
    firings = [json.loads(line) for line in ran.out.splitlines()]
    assert [(firing["name"], firing["key"], firing["time"]) for firing in firings] == [
        ("three_secrets", {"cluster": "c1", "user.username": "alice"}, "2026-01-01T00:00:02.000000Z"),
        ("three_secrets", {"cluster": "c1", "user.username": "alice"}, "2026-01-01T00:00:03.000000Z"),
    ]
    assert firings[0]["members"][0]["source"] == {"file": str(log), "line": 1}


def test_json_and_firings_together_are_wrong_use(capsys: pytest.CaptureFixture[str], rules: Path, log: Path) -> None:
    assert run(capsys, "replay", log, "--rules", rules, "--json", "--firings").code == 2


def test_gzip_is_known_by_its_bytes_not_its_name(
    capsys: pytest.CaptureFixture[str], rules: Path, log: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "packed.log"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    plain = run(capsys, "replay", log, "--rules", rules, "--firings").out
    assert run(capsys, "replay", packed, "--rules", rules, "--firings").out == plain.replace(str(log), str(packed))


def test_a_damaged_gzip_is_read_as_far_as_it_goes_and_says_so(
    capsys: pytest.CaptureFixture[str], rules: Path, tmp_path: Path
) -> None:
    lines = b"".join(read(second, os.urandom(300).hex()) + b"\n" for second in range(59))
    packed = tmp_path / "audit.gz"
    packed.write_bytes(gzip.compress(lines)[:-4_000])
    ran = run(capsys, "replay", packed, "--rules", rules)
    assert ran.code == 2
    assert "is damaged after line" in ran.err
    assert "is damaged after line 0:" not in ran.err
    assert "is damaged after line" in run(capsys, "replay", packed, "--rules", rules, "--quiet").err


def test_an_empty_file_is_called_empty_and_nothing_is_guessed(
    capsys: pytest.CaptureFixture[str], rules: Path, tmp_path: Path
) -> None:
    ran = run(capsys, "replay", write(tmp_path / "nothing.log"), "--rules", rules)
    assert ran.code == 0
    assert "nothing.log is empty\n" in ran.err
    assert "looks like" not in ran.err


def test_one_is_counted_in_the_singular(capsys: pytest.CaptureFixture[str], rules: Path, tmp_path: Path) -> None:
    ran = run(capsys, "replay", write(tmp_path / "a.log", read(0, "a")), "--rules", rules)
    assert "\n1 record in " in ran.err


def test_standard_input_is_a_dash(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, rules: Path, log: Path
) -> None:
    with stdin_from(log, monkeypatch):
        ran = run(capsys, "replay", "-", "--rules", rules, "--json")
    assert len(ran.out.splitlines()) == 5
    assert "standard input looks like an audit log" in ran.err


def test_the_kind_can_be_set(capsys: pytest.CaptureFixture[str], rules: Path, log: Path) -> None:
    ran = run(capsys, "replay", log, "--rules", rules, "--kind", "containers", "--json")
    assert ran.out == ""
    assert "is taken as container logs" in ran.err


REQUESTS = """\
title: Refused at the door
name: refused
id: 00000000-0000-4000-8000-0000000000a9
description: A gateway refused a request.
logsource: {category: webserver}
detection:
    selection: {sc-status: 403}
    condition: selection
level: low
"""
REFUSED = b'203.0.113.7 - - [01/Jan/2026:00:00:01 +0000] "GET /pipeline/ HTTP/1.1" 403 12 "-" "curl/8.0"'


@pytest.mark.parametrize(
    ("patterns", "alerts"),
    [((), 0), (("*/*/*",), 1), (("*/*/authservice", "*/*/*"), 1), (("*/*/authservice",), 0)],
)
def test_whose_lines_are_requests_can_be_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, patterns: tuple[str, ...], alerts: int
) -> None:
    """Lines as ``kubectl logs`` prints them do not name their pod."""
    (tmp_path / "requests.yml").write_text(REQUESTS)
    lines = write(tmp_path / "gateway.log", REFUSED)
    options = [part for pattern in patterns for part in ("--access-logs", pattern)]
    ran = run(capsys, "replay", lines, "--rules", tmp_path / "requests.yml", "--kind", "containers", "--json", *options)
    assert (ran.code, len(ran.out.splitlines())) == (0, alerts)


@pytest.mark.parametrize("pattern", ["gateway", "a/b/c/d", "a//c", ""])
def test_a_pattern_that_names_no_containers_is_wrong_use(
    capsys: pytest.CaptureFixture[str], rules: Path, log: Path, pattern: str
) -> None:
    ran = run(capsys, "replay", log, "--rules", rules, f"--access-logs={pattern}")
    assert ran.code == 2
    assert "--access-logs" in ran.err


@pytest.mark.parametrize(("level", "code"), [("low", 1), ("high", 1), ("critical", 0)])
def test_fail_on_finds_its_level_or_a_higher_one(
    capsys: pytest.CaptureFixture[str], rules: Path, log: Path, level: str, code: int
) -> None:
    assert run(capsys, "replay", log, "--rules", rules, "--fail-on", level).code == code


def test_broken_rules_stop_it_with_the_check_output(capsys: pytest.CaptureFixture[str], rules: Path, log: Path) -> None:
    (rules / "secrets.yml").write_text(RULES.replace("group-by", "groupby"))
    ran = run(capsys, "replay", log, "--rules", rules)
    assert (ran.code, ran.out) == (2, "")
    assert "write `group-by`" in ran.err
    assert "Nothing was run" in ran.err


def test_skip_broken_runs_with_what_is_left(capsys: pytest.CaptureFixture[str], rules: Path, log: Path) -> None:
    (rules / "secrets.yml").write_text(RULES.replace("group-by", "groupby"))
    ran = run(capsys, "replay", log, "--rules", rules, "--skip-broken", "--json")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 4
    assert "write `group-by`" in ran.err


def test_rules_add_up(capsys: pytest.CaptureFixture[str], rules: Path, log: Path) -> None:
    ran = run(capsys, "replay", log, "--rules", rules, "--rules", "shipped", "--json")
    assert ran.code == 0
    assert len(ran.out.splitlines()) >= 5


def test_what_cannot_be_read_is_counted_and_the_first_are_shown(
    capsys: pytest.CaptureFixture[str], rules: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.ndjson", read(0, "a"), *[b"{broken\x1b[31m"] * 5, read(1, "b"))
    ran = run(capsys, "replay", file, "--rules", rules, "--kind", "audit")
    assert "5 records could not be read" in ran.err
    assert ran.err.count("{broken") == 3
    assert f"{file}:2" in ran.err
    assert ESCAPE not in ran.err


@pytest.mark.parametrize("name", ["nowhere.log", "."])
def test_a_file_that_cannot_be_read_is_wrong_use(capsys: pytest.CaptureFixture[str], rules: Path, name: str) -> None:
    ran = run(capsys, "replay", name, "--rules", rules)
    assert ran.code == 2
    assert ran.err.startswith("streamer: ")


def test_history_teaches_and_its_alerts_are_not_shown(
    capsys: pytest.CaptureFixture[str], rules: Path, log: Path, tmp_path: Path
) -> None:
    later = write(tmp_path / "later.ndjson", read(600, "x"))
    ran = run(capsys, "replay", later, "--baseline", log, "--rules", rules, "--json")
    assert [json.loads(line)["event"]["start"] for line in ran.out.splitlines()] == ["2026-01-01T00:10:00.000000Z"]


def test_an_empty_file_gives_nothing(capsys: pytest.CaptureFixture[str], rules: Path, tmp_path: Path) -> None:
    ran = run(capsys, "replay", write(tmp_path / "empty"), "--rules", rules)
    assert (ran.code, ran.out) == (0, "")
    assert "None of 2 rules matched anything" in ran.err


@pytest.mark.parametrize("lateness", ["soon", "-1s", "10"])
def test_a_lateness_that_is_no_time_is_wrong_use(
    capsys: pytest.CaptureFixture[str], rules: Path, log: Path, lateness: str
) -> None:
    ran = run(capsys, "replay", log, "--rules", rules, f"--lateness={lateness}")
    assert ran.code == 2
    assert "--lateness" in ran.err


def test_a_closed_pipe_ends_it_quietly(rules: Path, tmp_path: Path) -> None:
    many = write(tmp_path / "many.ndjson", *(read(second % 3_000, f"s{second}") for second in range(6_000)))
    command = [*STREAMER, "replay", str(many), "--rules", str(rules), "--json", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.parametrize("form", [(), ("--json",), ("--firings",)], ids=str)
def test_a_pipe_that_stays_open_is_told_of_at_once(rules: Path, log: Path, form: tuple[str, ...]) -> None:
    command = [*STREAMER, "replay", "-", "--kind", "audit", "--rules", str(rules), "--quiet", *form]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(log.read_bytes())
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 5.0)[0], "nothing was told"
        process.stdin.close()
        assert b"secret" in process.stdout.read().lower()


def test_ctrl_c_tells_what_was_found_until_then(rules: Path, log: Path) -> None:
    command = [*STREAMER, "replay", "-", "--rules", str(rules), "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(log.read_bytes() * 60)
        process.stdin.flush()
        assert b"looks like" in process.stderr.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Stopped before the end." in err
    assert b"records in" in err
    assert b"Traceback" not in err


def test_a_full_disk_is_one_sentence(rules: Path, log: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [*STREAMER, "replay", str(log), "--rules", str(rules), "--json", "--quiet"]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 2
    assert ran.stderr == b"streamer: No space left on device\n"
