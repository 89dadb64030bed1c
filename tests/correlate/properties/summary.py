"""Prints, at the end of the run, how much the property tests went through, whichever worker ran them.

These are hooks of the whole run: ``tests/conftest.py`` has them, because whoever only hands out work loads no other.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.correlate.properties import ledger


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended: what it went through counts here."""
    for lane, counts in getattr(node, "workeroutput", {}).get("lanes", {}).items():
        ledger.note(lane, **counts)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands over what it went through."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["lanes"] = ledger.counts()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per lane."""
    lines = ledger.lines()
    if lines:
        terminalreporter.section("engine against oracle")
        for line in lines:
            terminalreporter.write_line(line)
