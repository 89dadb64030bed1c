"""One event of a case to the records that a source would deliver for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from streamer.authoring.cases_audit import Request
from streamer.authoring.cases_fields import CannotSetError, set_field
from streamer.authoring.cases_lines import access_record, container_record
from streamer.authoring.cases_model import Piece
from streamer.decode import Decoder, Source, guess_kind
from streamer.decode.source import SourceKind
from streamer.model import Position, Record
from streamer.sigma.problems import Problems
from streamer.sigma.yamltree import Node


@dataclass(frozen=True, slots=True)
class Making:
    """One event of a case, checked.

    Attributes:
        form: ``audit``, ``access``, ``log``, ``raw`` or ``file``.
        at_us: its ``at``; ``None`` is allowed for ``raw`` and ``file``, whose records have stamps of their own.
        start_us: what ``at: 0s`` means.
        seed: what made-up values depend on.
    """

    form: str
    node: Node
    at_us: int | None
    start_us: int
    seed: tuple[object, ...]


def pieces_of(making: Making, open_text: Callable[[str], str], problems: Problems) -> list[Piece]:
    """The records of one event; reports ``fields`` that cannot be set and files that cannot be read."""
    entries = making.node.entries or {}
    value = entries[making.form].node.plain()
    if making.form == "raw":
        data = value.encode() if isinstance(value, str) else orjson.dumps(value)
        return _stored([data], making)
    if making.form == "file":
        try:
            text = open_text(str(value))
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            place = entries["file"].node.place
            problems.error("unreadable", place, f"`{value}` cannot be read: {reason}", "paths begin at the root")
            return []
        return _stored([line.encode() for line in text.splitlines() if line.strip()], making)
    kind: SourceKind = "audit" if making.form == "audit" else "containers"
    found: list[Piece] = []
    for stamp, record in _filled(making, value):
        if not _set_fields(record, making, problems):
            return []
        found.append(Piece(kind, orjson.dumps(record), stamp, making.node.place, _cluster(making)))
    return found


def _filled(making: Making, form: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    at_us = making.at_us if making.at_us is not None else making.start_us
    if making.form == "audit":
        return Request(form, at_us, making.seed).events()
    if making.form == "access":
        return [access_record(form, at_us, making.seed)]
    return [(at_us, container_record(form, at_us))]


def _set_fields(record: dict[str, Any], making: Making, problems: Problems) -> bool:
    """``fields`` may stand in the event or in its form."""
    entries = making.node.entries or {}
    inner = entries[making.form].node.entries or {}
    for entry in (entries.get("fields"), inner.get("fields")):
        for path, item in ((entry.node.entries or {}) if entry else {}).items():
            try:
                set_field(record, path, item.node.plain())
            except CannotSetError as error:
                problems.error("bad-case", item.place, str(error), "name a field of the record")
                return False
    return True


def _stored(values: list[bytes], making: Making) -> list[Piece]:
    """Records as they are: each arrives at ``at``, or without it when its own stamp says."""
    entry = (making.node.entries or {}).get("kind")
    named = entry.node.scalar if entry else None
    kind: SourceKind = "audit" if named == "audit" else "containers" if named == "containers" else guess_kind(values)
    found: list[Piece] = []
    latest = making.start_us
    for number, value in enumerate(values):
        latest = making.at_us if making.at_us is not None else _stamp_of(value, kind, number) or latest
        found.append(Piece(kind, value, latest, making.node.place, _cluster(making)))
    return found


def _cluster(making: Making) -> str:
    entry = (making.node.entries or {}).get("cluster")
    return str(entry.node.scalar) if entry else ""


def _stamp_of(value: bytes, kind: SourceKind, number: int) -> int | None:
    decoder = Decoder(Source("case", kind))
    decoded = decoder.decode(Record(value, Position("case", 0, number + 1, is_file=True)))
    return max((event.time_us for event in decoded.events if event.has_stamp), default=None)
