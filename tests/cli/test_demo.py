"""``streamer demo``: what a newcomer sees first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from streamer.ecs.schema import alert_schema
from tests.cli.verbs import ESCAPE, Ran, run


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Ran:
    return run(capsys, "demo")


def test_the_attack_is_one_critical_incident_with_its_chain(told: Ran) -> None:
    assert told.code == 0
    assert told.err == ""
    story, _, _ = told.out.partition("What else was seen")
    assert story.count(" CRITICAL ") == 1
    assert "203.0.113.7 POST /pipeline/apis/v1beta1/runs 200" in story
    assert "ml-pipeline created workflow sequential-pipeline-" in story
    assert "argo created pod sequential-pipeline-" in story
    assert "first seen: tensorflow/tensorflow" in " ".join(story.split())
    assert "privileged" in story
    assert "pod log" in story
    assert "links exact" in story


def test_the_readme_shows_what_is_printed_shortened_at_the_dots(told: Ran) -> None:
    printed = " ".join(told.out.split())
    sample = (Path(__file__).parents[2] / "README.md").read_text().partition("\n CRITICAL ")[2].partition("```")[0]
    pieces = [" ".join(piece.split()) for line in sample.splitlines() for piece in line.split("…")]
    assert len(pieces) > 15
    assert [piece for piece in pieces if piece not in printed] == []


def test_the_twins_are_said_to_be_quiet(told: Ran) -> None:
    assert "no alert of level high or above" in " ".join(told.out.split())


def test_it_says_what_to_do_next(told: Ran) -> None:
    assert "streamer replay" in told.out.partition("What next")[2]


def test_there_are_no_colours_without_a_terminal(told: Ran) -> None:
    assert ESCAPE not in told.out


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, run(capsys, "demo").out.splitlines())) <= columns


def test_json_is_the_documents_a_siem_gets(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "demo", "--json")
    assert ran.code == 0
    documents = [json.loads(line) for line in ran.out.splitlines()]
    for document in documents:
        Draft202012Validator(alert_schema()).validate(document)
    assert any(document["event"]["severity"] == 99 for document in documents)


def test_two_runs_tell_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """[G3] the same order gives the same alerts with the same ids."""
    first, second = (run(capsys, "demo", "--json").out.splitlines() for _ in range(2))
    ids = [[json.loads(line)["event"]["id"] for line in lines] for lines in (first, second)]
    assert ids[0] == ids[1]
