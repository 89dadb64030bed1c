"""How state is written: msgpack, the schema's version in front of every value.

Keys are msgpack arrays: what kind of entry, whose it is, which part. Values are ``[version, payload]``. A value with a
newer version than this code's is refused with a sentence; state is never started empty silently.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from streamer.errors import StateError
from streamer.model import Match

SCHEMA: Final = 1

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder()
_raw_decoder: Final = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])
_match_decoder: Final = msgspec.msgpack.Decoder(tuple[int, Match])
_json_match_decoder: Final = msgspec.json.Decoder(Match)


def encode(payload: Any) -> bytes:
    """A stored value."""
    return _encoder.encode((SCHEMA, payload))


def encode_match(match: Match) -> bytes:
    """A stored match. msgpack has no integers beyond 64 bits; a match that holds one is kept as JSON text."""
    try:
        return encode(match)
    except OverflowError:
        return encode(msgspec.json.encode(match))


MARK: Final = encode(None)
"""A stored value that says no more than that its key is there."""


def _checked(version: int) -> None:
    if version > SCHEMA:
        raise StateError(
            f"Stored correlation state has schema {version}; this version of streamer reads up to {SCHEMA}.",
            hint="Run the version that wrote it, or a newer one.",
        )


def decode(data: bytes) -> Any:
    """The payload of a stored value. Raises :class:`StateError` for a newer schema or damaged bytes."""
    try:
        version, raw = _raw_decoder.decode(data)
        _checked(version)
        return _decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise StateError(f"Stored correlation state is damaged: {error}.") from error


def decode_match(data: bytes) -> Match:
    """The match of a stored value. Raises :class:`StateError` for a newer schema or damaged bytes."""
    try:
        return _match_decoder.decode(data)[1]
    except msgspec.DecodeError:
        payload = decode(data)
    try:
        return _json_match_decoder.decode(payload)
    except (msgspec.DecodeError, TypeError) as error:
        raise StateError("Stored correlation state is damaged: a match cannot be read.") from error


def encode_key(*parts: Any) -> bytes:
    """The key of a stored entry."""
    return _encoder.encode(parts)


def decode_key(data: bytes) -> tuple[Any, ...]:
    """The parts of an entry's key. Raises :class:`StateError` for bytes that are none."""
    try:
        return tuple(cast("list[Any]", _decoder.decode(data)))
    except msgspec.DecodeError as error:
        raise StateError(f"The key of a stored correlation entry is damaged: {error}.") from error
