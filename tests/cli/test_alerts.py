"""``streamer alerts show``: one alert in full, and what else was told of the same events."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.ecs import alert_document
from streamer.local.store import SqliteStore
from streamer.model import AUDIT, Alert
from streamer.ports import Step
from tests.cli.verbs import run
from tests.ecs.samples import CONTEXT, RULES, audit, chain_alert, event, firing, match

CHAIN = chain_alert().id


def lone(line: int, at_ms: int, number: int) -> Alert:
    happened = event(AUDIT, at_ms, audit("create", "pods", "bob"), line)
    return Alert(f"{number:032x}", firing("pod", {}, match("pod", happened)))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The chain, one alert on one of its events, and one on another event."""
    path = tmp_path / "alerts.db"
    opened = SqliteStore(path)
    alerts = (chain_alert(), lone(1320, 31_890, 0xABC), lone(7, 31_890, 0xDEF))
    documents = tuple(alert_document(alert, RULES, CONTEXT) for alert in alerts)
    opened.commit(Step(state={}, positions={}, documents=documents))
    opened.close()
    return path


def test_other_alerts_on_its_events_are_named_beside_an_alert(capsys: pytest.CaptureFixture[str], store: Path) -> None:
    shown = run(capsys, "alerts", "show", CHAIN[:8], "--store", store)
    assert shown.code == 0
    assert "also    on the same events: Pod\n" in shown.out
    assert "part of" not in shown.out


def test_an_alert_says_which_other_tells_the_whole_story(capsys: pytest.CaptureFixture[str], store: Path) -> None:
    shown = run(capsys, "alerts", "show", f"{0xABC:032x}", "--store", store).out
    assert f"part of  Pipeline run by a visitor without login started a miner ({CHAIN[:12]})" in shown
    assert "also" not in shown


def test_an_alert_on_other_events_stands_alone(capsys: pytest.CaptureFixture[str], store: Path) -> None:
    shown = run(capsys, "alerts", "show", f"{0xDEF:032x}", "--store", store).out
    assert "part of" not in shown
    assert "also" not in shown
