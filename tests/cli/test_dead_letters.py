"""``streamer dead-letters`` over a store: list, show, and through the rules."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from streamer.local.store import SqliteStore
from streamer.model import DeadLetter, Position
from streamer.ports import Step
from tests.cli.verbs import ESCAPE, RULES, read, run, write

AUDIT = "/var/log/audit.log"


def letter(line: int, value: bytes, reason: str = "not-json", *, size: int | None = None) -> DeadLetter:
    return DeadLetter(reason, "because", Position(AUDIT, 0, line, is_file=True), value, size or len(value))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "streamer.db"
    readable = [read(second, f"s{second}") for second in (1, 2, 3)]
    kept = [letter(line, value, "too-deep") for line, value in enumerate(readable, start=5)]
    broken = letter(1, b'{"kind": \x1b[31m')
    store = SqliteStore(path)
    store.commit(Step(state={}, positions={}, dead_letters=(broken, *kept)))
    store.commit(Step(state={}, positions={}, dead_letters=(broken, letter(9, b"xy", "too-large", size=5_000_000))))
    store.close()
    return path


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return write(tmp_path / "rules.yml", RULES.encode())


def test_equal_letters_stand_once_with_their_number(store, capsys):
    listed = run(capsys, "dead-letters", "--store", store)
    assert listed.code == 0
    lines = listed.out.splitlines()
    assert len(lines) == 5
    (twice,) = [line for line in lines if line.startswith(f"{AUDIT}:1 ")]
    assert "2 times" in twice
    assert ESCAPE not in listed.out


def test_filters_choose_and_json_holds_the_bytes(store, capsys):
    listed = run(capsys, "dead-letters", "--store", store, "--reason", "not-json", "--json")
    (told,) = map(json.loads, listed.out.splitlines())
    assert base64.b64decode(told["value"]) == b'{"kind": \x1b[31m'
    assert (told["count"], told["source"]) == (2, {"file": AUDIT, "line": 1})
    assert "no dead letters" in run(capsys, "dead-letters", "--store", store, "--since", "2099-01-01").out
    assert len(run(capsys, "dead-letters", "--store", store, "--limit", 1).out.splitlines()) == 1


def test_one_letter_is_shown_in_full_and_harmlessly(store, capsys):
    shown = run(capsys, "dead-letters", "show", f"{AUDIT}:1", "--store", store, "--limit", 1)
    assert shown.code == 0
    assert "not-json" in shown.out
    assert '{"kind": �[31m' in shown.out
    assert ESCAPE not in shown.out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("show",), "means nothing"),
        (("show", "nowhere:1"), "there is no dead letter nowhere:1"),
        (("replay",), "Nothing was chosen"),
        (("replay", "nowhere:1"), "there is no dead letter nowhere:1"),
        (("bury", "x"), "means nothing"),
    ],
)
def test_what_cannot_be_done_is_said(store, capsys, words, complaint):
    ran = run(capsys, "dead-letters", *words, "--store", store)
    assert ran.code == 2
    assert complaint in ran.err


def test_a_replay_from_a_store_runs_the_records_through_the_rules_and_says_that_the_service_does_not_see_them(
    store, rules, capsys
):
    before = store.read_bytes()
    ran = run(capsys, "dead-letters", "replay", "--reason", "too-deep", "--store", store, "--rules", rules, "--json")
    assert "the service does not see them" in ran.err
    told = [json.loads(line) for line in ran.out.splitlines()]
    (alert,) = [each for each in told if each["message"] == "Three secrets read"]
    assert [each["source"] for each in alert["streamer"]["evidence"]] == [
        {"file": AUDIT, "line": line} for line in (5, 6, 7)
    ]
    assert ran.code == 0
    assert store.read_bytes() == before


def test_a_dry_run_reads_no_rules_and_tells_no_alert(store, tmp_path, capsys):
    ran = run(capsys, "dead-letters", "replay", "--reason", "too-deep", "--store", store, "--dry-run")
    assert (ran.code, ran.out) == (0, "")
    assert "3 records through the rules" in ran.err


def test_records_that_still_cannot_be_read_and_those_not_kept_whole_are_counted(store, rules, capsys):
    ran = run(capsys, "dead-letters", "replay", "--since", "1h", "--store", store, "--rules", rules, "--kind", "audit")
    assert ran.code == 1
    assert "1 record cannot be read this time either" in ran.err
    assert "1 record cannot be replayed: the store does not hold all of their bytes" in ran.err
