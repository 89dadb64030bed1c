"""The console script: what is next, versions, errors as sentences."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

import streamer
from streamer.cli import VERBS, Verbs, app
from streamer.errors import Place, RuleError, RuleSetError, ServerError
from tests.cli.verbs import ESCAPE, run


def a_verb_that(fails: Exception | type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def demo() -> None:
        raise fails

    monkeypatch.setitem(sys.modules, "streamer.cli.demo", SimpleNamespace(demo=demo, __spec__=object()))


def test_without_arguments_it_says_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys)
    assert ran.code == 0
    assert "streamer demo" in ran.out
    assert "streamer --help" in ran.out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version").out == f"streamer {streamer.__version__}\n"


def test_every_verb_is_listed_and_its_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    listed = run(capsys, "--help").out
    verbs = Verbs(name="streamer").list_commands(None)
    assert {"demo", "replay", "check"} <= set(verbs) <= set(VERBS)
    for verb in verbs:
        assert verb in listed
        ran = run(capsys, verb, "--help")
        assert ran.code == 0
        assert "Example" in ran.out, verb


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["check", "--nonsense"], ["replay"], ["replay", "--kind", "x", "f"]]
)
def test_wrong_use_is_one_sentence_and_exit_code_two(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    ran = run(capsys, *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("streamer: ")
    assert "--help" in ran.err
    assert "Traceback" not in ran.err


def test_a_misspelt_verb_is_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no verb `chek`\n  did you mean `check`?" in run(capsys, "chek").err


@pytest.mark.parametrize("verb", [[], *([verb] for verb in VERBS)], ids=str)
def test_help_shows_no_value_beside_a_flag(capsys: pytest.CaptureFixture[str], verb: list[str]) -> None:
    assert "bool" not in run(capsys, *verb, "--help").out


def test_wrong_values_are_told_in_our_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Value error" not in run(capsys, "replay", "f", "--fail-on", "loud").err


def test_an_error_for_a_person_is_its_message_and_hint(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_verb_that(ServerError("Kafka is away", hint="start it"), monkeypatch)
    ran = run(capsys, "demo")
    assert (ran.code, ran.err) == (2, "streamer: Kafka is away\n  start it\n")


def test_broken_rules_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    problem = RuleError("bad", Place("r.yml", 3, 4), "it is bad")
    a_verb_that(RuleSetError((problem,)), monkeypatch)
    assert "r.yml:3:4: error[bad] it is bad" in run(capsys, "demo").err


def test_what_must_not_happen_is_one_sentence_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_verb_that(ZeroDivisionError("division by zero"), monkeypatch)
    ran = run(capsys, "demo")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "--debug" in ran.err
    assert "Traceback" in run(capsys, "--debug", "demo").err
    assert "Traceback" in run(capsys, "demo", "--debug").err


def test_ctrl_c_ends_with_130_and_no_word(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    a_verb_that(KeyboardInterrupt, monkeypatch)
    ran = run(capsys, "demo")
    assert (ran.code, ran.out, ran.err) == (130, "", "")


def test_nothing_is_coloured_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert ESCAPE not in run(capsys).out + run(capsys, "check", "shipped").out


def test_the_app_is_there_for_completion() -> None:
    assert app is not None
