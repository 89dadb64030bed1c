"""Prints, at the end of the run, how much the property tests went through."""

from __future__ import annotations

import pytest

from tests.correlate.properties import ledger


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per lane."""
    lines = ledger.lines()
    if lines:
        terminalreporter.section("engine against oracle")
        for line in lines:
            terminalreporter.write_line(line)
