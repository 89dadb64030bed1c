from __future__ import annotations

import pytest

from streamer.sigma.rules import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tests.sigma.writing import THREE, correlation, correlation_of, refused


@pytest.mark.parametrize(
    ("text", "us"),
    [("1s", SECOND_US), ("90s", 90 * SECOND_US), ("5m", 5 * MINUTE_US), ("2h", 2 * HOUR_US), ("7d", 7 * DAY_US)],
)
def test_a_timespan_is_a_number_and_a_unit(text: str, us: int) -> None:
    assert correlation_of(f"type: temporal\nrules: [r_a, r_b]\ntimespan: {text}").timespan_us == us


@pytest.mark.parametrize(
    "text", ["0s", "-5m", "5", "'5'", "5M", "1w", "1y", "5 m", "1.5h", "m", "[5m]", "{}", "", "9999d"]
)
def test_anything_else_is_refused(text: str) -> None:
    mark = "▸" if text else "▸null"
    refused("bad-timespan", THREE + correlation(f"type: temporal\nrules: [r_a, r_b]\ntimespan: {mark}{text}"))


def test_a_correlation_needs_a_timespan() -> None:
    text = THREE + correlation("type: temporal\nrules: [r_a, r_b]").replace("correlation:", "▸correlation:")
    assert refused("missing-timespan", text).hint == "write a number and s, m, h or d: `5m`"


def test_timeframe_is_what_old_rules_call_it() -> None:
    body = "type: temporal\nrules: [r_a, r_b]\ntimespan: 5m\n▸timeframe: 5m"
    assert refused("unknown-key", THREE + correlation(body)).hint == "write `timespan`"
