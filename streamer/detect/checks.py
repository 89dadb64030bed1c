"""Whether one value passes one check. Everything here takes time linear in the value."""

from __future__ import annotations

import datetime as dt
import ipaddress
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from streamer.sigma.folding import fold, scalar_text
from streamer.sigma.predicates import (
    Affix,
    Check,
    Cidr,
    Compare,
    Comparison,
    Regex,
    Text,
    TimePart,
    Wild,
)
from streamer.sigma.regexes import compile_regex, found_in, regex_of_pattern

_COMPARE: Final[Mapping[Comparison | str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
}
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_STAMP: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,12})?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))?"
)
_CACHED: Final = 8_192


def passes(check: Check, value: Any) -> bool:
    """Whether a value that is neither null nor unknown passes; ``Null`` and ``Exists`` are not about values."""
    if isinstance(check, Text):
        return _is_text(check, value)
    if isinstance(check, Compare):
        number = _number(value)
        return number is not None and _COMPARE[check.op](number, check.number)
    if isinstance(check, TimePart):
        part = _time_part(check, value)
        return part is not None and _COMPARE[check.op](part, check.number)
    if not isinstance(value, (str, int, float)):
        return False
    if isinstance(check, Regex):
        return found_in(_regex(check.pattern, check.flags), scalar_text(value))
    if isinstance(check, Cidr):
        return isinstance(value, str) and _inside(check.network, value)
    raise TypeError(f"{type(check).__name__} is not a check of one value")


def relates(how: Affix, left: Any, right: Any, *, cased: bool) -> bool:
    """Whether two values, neither of them null or unknown, stand to each other so (``|fieldref``)."""
    if not isinstance(left, (str, int, float)) or not isinstance(right, (str, int, float)):
        return False
    text, other = scalar_text(left), scalar_text(right)
    if not cased:
        text, other = fold(text), fold(other)
    if how == "equals":
        return text == other
    if how == "startswith":
        return text.startswith(other)
    return text.endswith(other) if how == "endswith" else other in text


def texts_to_compare(values: Iterable[Any], *, cased: bool) -> frozenset[str]:
    """The texts of all scalars among values: two values relate as ``equals`` if they have the same text."""
    texts = (scalar_text(value) for value in values if isinstance(value, (str, int, float)))
    return frozenset(texts if cased else map(fold, texts))


def _is_text(check: Text, value: Any) -> bool:
    if check.parts == (Wild.ANY,):
        return True
    if not isinstance(value, (str, int, float)):
        return False
    text = scalar_text(value)
    return matches_pattern(check.parts, text if check.cased else _folded(text))


def matches_pattern(parts: tuple[str | Wild, ...], text: str) -> bool:
    """Whether the whole text fits the pattern. Both are folded already, or both are not."""
    if len(parts) == 1 and isinstance(parts[0], str):
        return text == parts[0]
    if len(parts) == 3 and parts[0] is Wild.ANY and parts[2] is Wild.ANY and isinstance(parts[1], str):
        return parts[1] in text
    if Wild.ONE in parts:
        return found_in(_pattern(parts), text)
    if Wild.ANY not in parts:
        return text == "".join(part for part in parts if isinstance(part, str))
    first, last = parts[0], parts[-1]
    begin, end = 0, len(text)
    literals = [part for part in parts if isinstance(part, str)]
    if isinstance(first, str):
        if not text.startswith(first):
            return False
        begin = len(first)
        literals.pop(0)
    if isinstance(last, str):
        end -= len(last)
        if end < begin or not text.endswith(last):
            return False
        literals.pop()
    for literal in literals:
        found = text.find(literal, begin, end)
        if found < 0:
            return False
        begin = found + len(literal)
    return True


@lru_cache(maxsize=64)
def _folded(text: str) -> str:
    """One value is compared with many patterns one after the other."""
    return fold(text)


@lru_cache(maxsize=_CACHED)
def _pattern(parts: tuple[str | Wild, ...]) -> Any:
    return compile_regex(regex_of_pattern(parts))


@lru_cache(maxsize=_CACHED)
def _regex(pattern: str, flags: str) -> Any:
    return compile_regex(pattern, flags)


@lru_cache(maxsize=_CACHED)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


@lru_cache(maxsize=_CACHED)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """One address is compared with many networks, and few clients make most requests."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _inside(network: str, text: str) -> bool:
    """An IPv4 address written as IPv6 (``::ffff:10.0.0.1``) is the IPv4 address."""
    address = _address(text)
    if address is None:
        return False
    within = _network(network)
    if within.version == 4 and isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address in within


def _number(value: Any) -> int | float | None:
    """A JSON number, or a text that is one. Booleans are not numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return None
    return int(value) if value.lstrip("-").isdecimal() else float(value)


def _time_part(check: TimePart, value: Any) -> int | None:
    """The part, in UTC, of an RFC 3339 time stamp; without an offset it is read as UTC."""
    found = _STAMP.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        year, month, day, hour, minute = map(int, found.group(1, 2, 3, 4, 5))
        stamp = dt.datetime(year, month, day, hour, minute, tzinfo=dt.UTC)
        if found[7]:
            offset = dt.timedelta(hours=int(found[8]), minutes=int(found[9]))
            stamp = stamp - offset if found[7] == "+" else stamp + offset
    except (ValueError, OverflowError):
        return None
    if check.unit == "week":
        return stamp.isocalendar().week
    part: int = getattr(stamp, check.unit)
    return part
