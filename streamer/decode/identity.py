"""What makes two tellings the same event: 16 bytes of BLAKE2b over an unambiguous encoding.

The parts are encoded as one JSON array, so that no choice of bytes in one part can look like another split of the
same text. A part that is no scalar counts as absent; an absent part that identity rests on is replaced by the
source position, so that what cannot be told apart is never folded.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import orjson

from streamer.model import Position


def digest(*parts: str | float | bool | None) -> bytes:
    """16 bytes; equal only for equal parts."""
    return blake2b(orjson.dumps(parts), digest_size=16).digest()


def audit_identity(cluster: str, raw: dict[str, Any], position: Position, ordinal: int) -> bytes:
    """The request (not its stage) that an audit event tells of.

    Args:
        cluster: canonical cluster name.
        raw: the audit event.
        position: what stands in, with ``ordinal``, where the audit id or the time of receipt is missing.
        ordinal: number of the item within its record.
    """
    user = raw.get("user")
    received = _scalar(raw.get("requestReceivedTimestamp"))
    audit_id = _scalar(raw.get("auditID"))
    return digest(
        "audit",
        cluster,
        audit_id,
        received,
        _scalar(raw.get("verb")),
        _scalar(raw.get("requestURI")),
        _scalar(user.get("username")) if isinstance(user, dict) else None,
        None if audit_id and received else place_of(position, ordinal),
    )


def derived_identity(parent: bytes, category: str, element: str | int) -> bytes:
    """A part of an event: its parent, what kind of part, and which one."""
    return digest(parent.hex(), category, element)


def place_of(position: Position, ordinal: int) -> str:
    """A source position as text; ``ordinal`` counts the items of one record."""
    # A path may hold bytes that are no text; they must hash like any other.
    return f"{position}#{ordinal}".encode("utf-8", "backslashreplace").decode()


def _scalar(value: Any) -> str | float | bool | None:
    if type(value) is str:
        return value
    return value if isinstance(value, str | int | float | bool) else None
