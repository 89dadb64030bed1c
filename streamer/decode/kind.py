"""What a recorded file holds, told by its first decodable records. For replay only: a live source declares it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streamer.decode.audit import is_audit, is_event_list
from streamer.decode.envelopes import open_envelope
from streamer.decode.line import cri_line, stamped_line
from streamer.decode.packed import Packed, unpack, unpack_text
from streamer.decode.salvage import Cut, Garbage, read_text, text_of
from streamer.decode.shippers import content_of
from streamer.decode.source import SourceKind

_ENOUGH = 20
_LARGEST = 2_000_000


def guess_kind(first_values: Iterable[bytes]) -> SourceKind:
    """``audit`` if at least half of the first records hold audit events, else ``containers``.

    What begins like JSON and is damaged says nothing.
    """
    audit = other = 0
    for value in first_values:
        if not value.strip() or len(value) > _LARGEST:
            continue
        values = _values(text_of(unpack(value, _LARGEST).data))
        if any(_holds_audit(found, 0) for found in values):
            audit += 1
        elif not values or not all(isinstance(found, Garbage | Cut) for found in values):
            other += 1
        if audit + other >= _ENOUGH:
            break
    return "audit" if audit and audit >= other else "containers"


def _values(text: str) -> list[Any]:
    text = text.strip()
    line = cri_line(text, {}) or stamped_line(text, {})
    if line is not None:
        text = line.text
    return read_text(text) if text[:1] in ("{", "[") else []


def _holds_audit(value: Any, depth: int) -> bool:
    if depth > 4:
        return False
    if isinstance(value, list):
        return any(_holds_audit(item, depth + 1) for item in value[:_ENOUGH])
    if isinstance(value, str):
        return any(_holds_audit(found, depth + 1) for found in _values(value))
    if not isinstance(value, dict):
        return False
    if is_audit(value) or is_event_list(value):
        return True
    opened = open_envelope(value)
    inner = [_plain(entry.value) for entry in opened.entries[:_ENOUGH]] if opened else [content_of(value)]
    return any(_holds_audit(found, depth + 1) for found in inner)


def _plain(value: Any) -> Any:
    return text_of(unpack_text(value, _LARGEST).data) if isinstance(value, Packed) else value
