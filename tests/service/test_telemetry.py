from __future__ import annotations

import json

import pytest
import structlog

from streamer.service.telemetry import configure_log


@pytest.fixture(autouse=True)
def _as_before():
    yield
    structlog.reset_defaults()


def test_a_line_of_the_log_is_json_that_begins_with_when_how_grave_and_what(capsys):
    configure_log("info")
    structlog.get_logger("streamer.service").warning("it went away", what="Kafka")
    line = capsys.readouterr().err
    assert list(json.loads(line)) == ["timestamp", "level", "event", "what"]
    assert line.count("\n") == 1
