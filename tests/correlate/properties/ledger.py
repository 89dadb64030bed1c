"""Counts of what the property tests went through; printed at the end of the run."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from typing import Final

CASES_FROM: Final = "STREAMER_PROPERTY_CASES"
"""Environment variable: cases per lane for a long run."""

_LEDGER: defaultdict[str, Counter[str]] = defaultdict(Counter)


def cases_per_lane(normal: int) -> int:
    """How many cases a lane runs: the normal number, or what the environment asks for."""
    asked = os.environ.get(CASES_FROM)
    return int(asked) if asked else normal


def note(lane: str, **counts: int) -> None:
    """Add to what a lane has seen."""
    _LEDGER[lane].update(counts)


def counts() -> dict[str, dict[str, int]]:
    """Everything noted, by lane."""
    return {lane: dict(noted) for lane, noted in _LEDGER.items()}


def lines() -> list[str]:
    """A table: one line per lane."""
    if not _LEDGER:
        return []
    columns = ("cases", "events", "firings", "firing_cases")
    heads = ("cases", "events", "firings", "cases that fire")
    table = [f"{'lane':34}" + "".join(f"{head:>17}" for head in heads)]
    for lane, counts in _LEDGER.items():
        table.append(f"{lane:34}" + "".join(f"{counts[column]:>17,}" for column in columns))
    return table
