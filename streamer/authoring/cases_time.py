"""Lengths of time and stamps as case files write them, and back."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

HINT: Final = "write a number and a unit: `90ms`, `20s`, `5m`, `1h30m`, `2d`"

_UNITS: Final = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_PART: Final = re.compile(r"(\d+(?:\.\d{1,6})?)(us|ms|s|m|h|d)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_length(text: str) -> int | None:
    """Microseconds of ``1h30m``, ``90ms``, ``-5s``; ``None`` if it is no length of time."""
    sign = -1 if text.startswith("-") else 1
    rest = text.removeprefix("-").strip()
    if not rest:
        return None
    total = 0
    position = 0
    while position < len(rest):
        found = _PART.match(rest, position)
        if found is None:
            return None
        whole, _, fraction = found[1].partition(".")
        unit = _UNITS[found[2]]
        total += int(whole) * unit
        if fraction:
            total += int(fraction) * unit // 10 ** len(fraction)
        position = found.end()
    return sign * total


def read_stamp(value: object) -> int | None:
    """Microseconds since the epoch of an ISO 8601 stamp (text, or what YAML made of it); UTC without an offset."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
    else:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def iso(time_us: int) -> str:
    """``2026-01-01T00:00:00.000000Z``, as the API server stamps."""
    moment = _EPOCH + timedelta(microseconds=time_us)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond:06d}Z"


def whole_seconds(time_us: int) -> str:
    """``2026-01-01T00:00:00Z``, as ``creationTimestamp`` is written."""
    return iso(time_us)[:19] + "Z"


def moment_of(time_us: int) -> datetime:
    """The same as a datetime, for access logs that write months in letters."""
    return _EPOCH + timedelta(microseconds=time_us)


def shown(length_us: int) -> str:
    """A length as a case file would write it: ``1h30m``, ``1.5s``, ``90ms``."""
    if length_us < 0:
        return "-" + shown(-length_us)
    parts: list[str] = []
    for unit in ("d", "h", "m"):
        count, length_us = divmod(length_us, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    seconds, rest = divmod(length_us, 1_000_000)
    if rest and not seconds and rest % 1_000 == 0:
        parts.append(f"{rest // 1_000}ms")
    elif rest:
        parts.append(f"{seconds}.{f'{rest:06d}'.rstrip('0')}s")
    elif seconds or not parts:
        parts.append(f"{seconds}s")
    return "".join(parts)
