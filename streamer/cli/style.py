"""How things look: colours on a terminal only, ``NO_COLOR`` honoured, width of the terminal or a hundred columns."""

from __future__ import annotations

import os
import sys
from typing import Final

from rich.console import Console
from rich.text import Text

PLAIN_WIDTH: Final = 100
"""Columns where nobody says how many there are: a pipe, a file."""
MAX_WIDTH: Final = 140
"""Lines longer than this are hard to read, however wide the terminal."""

LEVELS: Final = {
    "critical": "bold white on red",
    "high": "bold white on dark_orange3",
    "medium": "bold black on yellow",
    "low": "bold white on blue",
    "informational": "bold white on grey37",
}
SEVERITIES: Final = {"error": "bold red", "warning": "bold yellow", "advice": "bold cyan"}

DIM: Final = "grey58"
STRONG: Final = "bold"
NEW: Final = "bold magenta"
EXACT: Final = "green"
BY_TIME: Final = "yellow"


class _Console(Console):
    """A console that lets a closed pipe be handled in one place, by :func:`streamer.cli.main`."""

    def on_broken_pipe(self) -> None:
        """Say that nobody reads any more."""
        raise BrokenPipeError


def output() -> Console:
    """Standard output, for what was asked for."""
    return _console(stderr=False)


def messages() -> Console:
    """Standard error, for everything about the run: progress, summaries, complaints."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    console = _Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if console.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        console.width = min(console.width, MAX_WIDTH)
    else:
        console.width = PLAIN_WIDTH
    return console


def badge(level: str) -> Text:
    """The level as a badge; without colours plain capitals."""
    return Text(f" {level.upper()} ", style=LEVELS.get(level, STRONG))
