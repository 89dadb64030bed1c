"""Time stamps as shippers write them → integer microseconds, and the digits that identity needs.

Strings are RFC 3339 (any number of fraction digits); numbers are seconds, milliseconds, microseconds or nanoseconds
since the epoch, told apart by their size. Go's zero time stands for "no time".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,32}))?\d*+ ?(?:[Zz]|([+-])(\d\d):?(\d\d))?", re.ASCII
)
_LAST_SECOND: Final = 253_402_300_799
_UNITS: Final = ((100_000_000_000, 0), (100_000_000_000_000, 3), (100_000_000_000_000_000, 6))


class Stamp(NamedTuple):
    """A moment as written.

    Attributes:
        us: microseconds since the epoch, finer digits cut off.
        exact: seconds and all fraction digits, equal for equal moments however they were written.
        fine: written to the millisecond or finer, so that it can tell lines apart.
    """

    us: int
    exact: str
    fine: bool


def parse(value: Any) -> Stamp | None:
    """The stamp in a string or number; ``None`` where there is none."""
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _from_number(value, "")
    if isinstance(value, float):
        whole, _, fraction = repr(value).partition(".")
        if whole.isdecimal() and (not fraction or fraction.isdecimal()):
            return _from_number(int(whole), fraction)
    return None


def micros(value: Any) -> int | None:
    """Only the microseconds of :func:`parse`."""
    stamp = parse(value)
    return None if stamp is None else stamp.us


def from_nanoseconds(value: Any) -> Stamp | None:
    """A number of nanoseconds, or its decimal text."""
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    seconds, rest = divmod(value, 1_000_000_000)
    return _stamp(seconds, f"{rest:09d}")


def _parse_text(text: str) -> Stamp | None:
    if len(text) > 80:
        return None
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    day, clock, fraction, sign, hours, minutes = found.groups()
    seconds = _seconds(day, clock)
    if seconds is None:
        return None
    if sign is not None:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds += -offset if sign == "+" else offset
    return _stamp(seconds, fraction or "")


@lru_cache(maxsize=8192)
def _seconds(day: str, clock: str) -> int | None:
    try:
        return int(datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _from_number(whole: int, fraction: str) -> Stamp | None:
    digits = next((digits for bound, digits in _UNITS if whole < bound), 9)
    if not digits:
        return _stamp(whole, fraction)
    seconds, rest = divmod(whole, 10**digits)
    return _stamp(seconds, f"{rest:0{digits}d}{fraction}")


def _stamp(seconds: int, fraction: str) -> Stamp | None:
    if not 0 < seconds <= _LAST_SECOND:
        return None
    us = seconds * 1_000_000 + int(fraction[:6].ljust(6, "0"))
    return Stamp(us, f"{seconds}.{fraction.rstrip('0')}", len(fraction) >= 3)
