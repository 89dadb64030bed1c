"""Packed content: base64 and gzip, as clouds put them around logs, unpacked within a budget.

A kilobyte of gzip can hold a megabyte of zeros, so nothing is ever unpacked beyond the room that a record has left.
What is cut off there, or damaged on the way, is still read as far as it goes.
"""

from __future__ import annotations

import zlib
from base64 import b64decode
from binascii import Error
from dataclasses import dataclass
from typing import Final, NamedTuple

GZIP: Final = b"\x1f\x8b"
GZIP_IN_BASE64: Final = b"H4sI"
_LAYERS: Final = 4
_MEMBERS: Final = 1_000
_WITH_GZIP_HEADER: Final = 31


@dataclass(frozen=True, slots=True)
class Packed:
    """Text of base64 inside an envelope, not unpacked yet."""

    text: str


class Unpacked(NamedTuple):
    """What came out.

    Attributes:
        data: the bytes, at most as many as there was room for.
        problem: a dead letter's reason where that is not all: ``too-large`` or ``damaged``.
    """

    data: bytes
    problem: str | None = None


def is_packed(data: bytes) -> bool:
    """Whether these bytes are gzip, or base64 of gzip."""
    return data[:2] == GZIP or data[:4] == GZIP_IN_BASE64


def unpack(data: bytes, room: int) -> Unpacked:
    """Bytes without the layers of gzip, and of base64 around gzip, that they come in."""
    problem: str | None = None
    for _ in range(_LAYERS):
        if data[:2] == GZIP:
            data, problem = _gunzip(data, room)
        elif data[:4] == GZIP_IN_BASE64 and (plain := _from_base64(data)) is not None:
            data = plain
        else:
            break
    return Unpacked(data, problem)


def unpack_text(packed: Packed, room: int) -> Unpacked:
    """What a text of base64 holds, taken out of gzip too; a text that is no base64 is what it is."""
    data = packed.text.encode("utf-8", "replace")
    plain = _from_base64(data)
    return unpack(data if plain is None else plain, room)


def _from_base64(data: bytes) -> bytes | None:
    try:
        return b64decode(data.strip(), validate=True)
    except (Error, ValueError):
        return None


def _gunzip(data: bytes, room: int) -> Unpacked:
    """All members of a gzip stream, one after the other."""
    parts: list[bytes] = []
    for _ in range(_MEMBERS):
        reader = zlib.decompressobj(_WITH_GZIP_HEADER)
        try:
            part = reader.decompress(data, max(room, 0) + 1)
        except zlib.error:
            return Unpacked(b"".join(parts), "damaged")
        parts.append(part[:room] if len(part) > room else part)
        if len(part) > room:
            return Unpacked(b"".join(parts), "too-large")
        room -= len(part)
        data = reader.unused_data
        if not reader.eof:
            return Unpacked(b"".join(parts), "damaged")
        if data[:2] != GZIP:
            return Unpacked(b"".join(parts))
    return Unpacked(b"".join(parts), "too-large")
