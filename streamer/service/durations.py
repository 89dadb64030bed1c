"""Lengths of time as people write them: ``10s``, ``5m``, ``1h``."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator

_UNITS_US: Final = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
_LONGEST_US: Final = 3650 * _UNITS_US["d"]


def parse_duration(value: object) -> int:
    """Microseconds of ``<n>`` with ms, s, m, h or d; ``0`` needs no unit.

    Raises:
        ValueError: anything else, with what to write instead.
    """
    if value in (0, "0") and value is not False:
        return 0
    found = re.fullmatch(r"(\d{1,9})(ms|s|m|h|d)", value.strip()) if isinstance(value, str) else None
    if not found:
        raise ValueError(f"{value!r} is no length of time; write for example 10s, 5m or 1h")
    length_us = int(found[1]) * _UNITS_US[found[2]]
    if length_us > _LONGEST_US:
        raise ValueError(f"{value!r} is longer than ten years")
    return length_us


def format_duration(length_us: int) -> str:
    """The shortest exact way to write it."""
    for unit, size_us in reversed(_UNITS_US.items()):
        if length_us and length_us % size_us == 0:
            return f"{length_us // size_us}{unit}"
    return "0"


DurationUs: TypeAlias = Annotated[int, BeforeValidator(parse_duration)]
"""A setting written as ``10s`` and held as microseconds."""

LENGTHS_OF_TIME: Final = frozenset({"lateness", "idle_after", "max_clock_lead", "drain", "session"})
"""Names of the settings of this type, for whoever shows their values."""
