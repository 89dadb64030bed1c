"""JSON from hostile hands: strict first, and what strictness refuses read a second time member by member.

A client may put bytes into a PATCH body that the API server logs and orjson refuses: lone surrogates, ``1e999``, a
thousand brackets. If that lost the record, it would be the cheapest way to hide. So a refused document is split by a
scanner that knows only strings and brackets, and every member is decoded on its own: the envelope survives, the body
becomes ``UNKNOWN``. Strings outside bodies are repaired as the API server itself does it (U+FFFD for what is no text).

Everything here is linear: the scanner is one regular expression without backtracking, and the bytes that may be
scanned again are budgeted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from streamer.model import UNKNOWN

BODIES: Final = frozenset({"requestObject", "responseObject"})
"""Members that are never looked into: decoded as a whole or unknown as a whole."""

_TEXTS: Final = frozenset({"log", "message", "textPayload"})
LISTS: Final = frozenset({"items", "records", "logEvents"})
"""Members that hold the events of an envelope."""
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\],:]', re.DOTALL)
_BOM: Final = b"\xef\xbb\xbf"
_TRUNCATED: Final = b"[Truncated...]"
_LEVELS: Final = 6
_MEMBERS: Final = 10_000
_DOCUMENTS: Final = 10_000
_RESCANS: Final = 3
_PATIENCE: Final = 2_000_000
"""Bytes of one text that are read the slow way; what was compressed can be far longer."""


class Cut(dict[str, Any]):
    """A JSON object whose end is missing: what it does not hold may have been cut off."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that are no JSON document. ``reason`` is a dead letter's."""

    raw: bytes
    reason: str = "not-json"


class _Budget:
    """Bytes that may still be scanned for one record."""

    __slots__ = ("left",)

    def __init__(self, size: int) -> None:
        self.left = size

    def spend(self, size: int) -> bool:
        """Whether ``size`` more bytes may be scanned; spends them."""
        self.left -= size
        return self.left >= 0


def read(data: bytes) -> list[Any]:
    """All JSON values in ``data`` (one document, NDJSON, or documents one after the other), never raises.

    Damaged documents come as far as they can be read: members that cannot be decoded are ``UNKNOWN``, an object whose
    end is missing is a :class:`Cut`. What is no document at all comes as :class:`Garbage`.
    """
    data = data.removeprefix(_BOM).strip(b" \t\r\n\x00")
    try:
        return [orjson.loads(data)]
    except orjson.JSONDecodeError:
        pass
    if not data:
        return []
    patience = _Budget(_PATIENCE)
    lines = data.split(b"\n") if b"\n" in data else []
    if len(lines) > 1 and _is_ndjson(lines):
        values = [value for line in lines[:_DOCUMENTS] for value in _read_line(line, patience)]
        rest = b"\n".join(lines[_DOCUMENTS:])
        return [*values, Garbage(rest, "trailing-bytes")] if rest.strip() else values
    return _patiently(data, patience)


def read_text(text: str) -> list[Any]:
    """:func:`read` for a document that was a string inside another."""
    try:
        return [orjson.loads(text)]
    except orjson.JSONDecodeError:
        return read(text.encode("utf-8", "replace"))


def first_members(data: bytes, names: frozenset[str]) -> dict[str, Any]:
    """Of the object that ``data`` is, the first member under each name. Strict readers keep the last."""
    found: dict[str, Any] = {}
    members, _, _ = _split(data, data.index(b"{"))
    for raw_key, raw, complete in members:
        key = _string(raw_key) if raw_key else None
        if key in names and key not in found:
            found[key] = _value(key, raw, complete, 0, _Budget(len(data)))
    return found


def text_of(data: bytes) -> str:
    """Bytes as text, whatever they are: a BOM removed, U+FFFD for what is not UTF-8."""
    return data.removeprefix(_BOM).decode("utf-8", "replace")


def _read_line(line: bytes, patience: _Budget) -> list[Any]:
    line = line.removeprefix(_BOM).strip(b" \t\r\x00")
    if not line:
        return []
    try:
        return [orjson.loads(line)]
    except orjson.JSONDecodeError:
        return _patiently(line, patience)


def _patiently(data: bytes, patience: _Budget) -> list[Any]:
    """Damaged documents as far as there is patience left; of the rest it is only said that it is there."""
    most = max(patience.left, 0)
    patience.spend(len(data))
    if len(data) <= most:
        return list(_documents(data))
    return [*_documents(data[:most]), Garbage(data[most:], "too-large")]


def _is_ndjson(lines: list[bytes]) -> bool:
    """Whether any line is an object of its own; the lines of a pretty-printed document are not."""
    if len(lines[0].strip()) < 2:
        return False
    for line in lines[:_DOCUMENTS]:
        if line.lstrip()[:1] == b"{":
            try:
                if orjson.loads(line):
                    return True
            except orjson.JSONDecodeError:
                continue
    return False


def _documents(data: bytes) -> Iterator[Any]:
    cut_here = data.endswith(_TRUNCATED)
    data = data.removesuffix(_TRUNCATED)
    budget = _Budget(len(data) * _RESCANS)
    at = 0
    for _ in range(_DOCUMENTS):
        while data[at : at + 1] in (b" ", b"\t", b"\r", b"\n", b"\x00", b"\x1e"):
            at += 1
        if at >= len(data):
            return
        if data[at : at + 1] not in (b"{", b"["):
            break
        members, end, cut = _split(data, at)
        if data[at : at + 1] == b"{" and not _has_member(members):
            break
        yield _container(data[at : at + 1], members, cut or (cut_here and end >= len(data)), 0, budget)
        at = end
    yield Garbage(data[at:])


def _has_member(members: list[tuple[bytes | None, bytes, bool]]) -> bool:
    return any(key is not None for key, _, _ in members) or all(not value for _, value, _ in members)


def _split(data: bytes, start: int) -> tuple[list[tuple[bytes | None, bytes, bool]], int, bool]:
    """Members (key, value, complete) of the container at ``start``, where it ends, and whether its end is missing."""
    members: list[tuple[bytes | None, bytes, bool]] = []
    depth = 0
    key: bytes | None = None
    begin = start + 1
    for token in _TOKEN.finditer(data, start):
        what = data[token.start()]
        if what in b"{[":
            depth += 1
        elif what in b"}]":
            depth -= 1
            if depth == 0:
                members.append((key, data[begin : token.start()].strip(), True))
                return members, token.end(), False
        elif depth == 1 and what == 0x3A and key is None:
            key, begin = data[begin : token.start()].strip(), token.end()
        elif depth == 1 and what == 0x2C:
            members.append((key, data[begin : token.start()].strip(), True))
            key, begin = None, token.end()
            if len(members) >= _MEMBERS:
                return members, len(data), True
    members.append((key, data[begin:].strip(), False))
    return members, len(data), True


def _container(
    opener: bytes, members: list[tuple[bytes | None, bytes, bool]], cut: bool, level: int, budget: _Budget
) -> Any:
    if opener == b"[":
        values = [_value(None, value, complete, level, budget) for _, value, complete in members if value]
        return [value for value in values if value is not None] if cut else values
    result: dict[str, Any] = Cut() if cut else {}
    for raw_key, value, complete in members:
        key = _string(raw_key) if raw_key and raw_key[:1] == b'"' else None
        if key is not None:
            result[key] = _value(key, value, complete, level, budget)
    return result


def _value(key: str | None, raw: bytes, complete: bool, level: int, budget: _Budget) -> Any:
    if complete:
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass
    if key in BODIES:
        return UNKNOWN
    opener = raw[:1]
    if opener == b'"' and (complete or key in _TEXTS):
        return _string(raw)
    wanted = complete or key is None or key in LISTS
    if opener in (b"{", b"[") and wanted and level < _LEVELS and budget.spend(len(raw)):
        members, _, cut = _split(raw, 0)
        return _container(opener, members, cut, level + 1, budget)
    return UNKNOWN


def _string(raw: bytes) -> str:
    """A JSON string that may hold anything, its end missing included; what is no text becomes U+FFFD."""
    text = raw.decode("utf-8", "replace")
    for whole in (text, text + '"'):
        try:
            text = json.loads(whole, strict=False)
            break
        except ValueError:
            continue
    else:
        text = text[1:].removesuffix('"')
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def too_deep(value: Any, limit: int) -> bool:
    """Whether ``value`` nests deeper than ``limit`` containers. Level by level: the cost is one visit of each node."""
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
