"""Documents from their bodies: a topic carries what was told, and from it follows where it belongs in the index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson

from streamer.ecs.templates import INDEX_PREFIX
from streamer.errors import RecordError
from streamer.model import Document

SHORTENED: Final = "shortened"
"""The mark of an alert that lost evidence because a server would not take it whole."""
_STAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
_NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9_.]{0,99}")
_LONGEST_ID: Final = 512


def index_of(namespace: str, stamp: str) -> str:
    """The index of a document: its own event day decides, so that a copy told again meets the first one.

    Args:
        namespace: ``data_stream.namespace``.
        stamp: ``@timestamp``, ISO 8601 in UTC.
    """
    return f"{INDEX_PREFIX}{namespace}-{stamp[:10].replace('-', '.')}"


def document_of(value: bytes, *, key: bytes = b"", headers: tuple[tuple[str, bytes], ...] = ()) -> Document:
    """The document again, from its body as it stands on the alerts topic.

    Raises:
        RecordError: reason ``no-alert``; it is not JSON, or lacks what an alert must have.
    """
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise RecordError("no-alert", f"no JSON: {error}") from error
    if not isinstance(body, dict):
        raise RecordError("no-alert", "no JSON object")
    identity, stamp = _text(body, "event", "id"), _text(body, "@timestamp")
    namespace = _text(body, "data_stream", "namespace")
    if not identity or len(identity.encode()) > _LONGEST_ID:
        raise RecordError("no-alert", "event.id is missing, or too long to be one")
    if not _STAMP.match(stamp):
        raise RecordError("no-alert", "@timestamp is missing, or no ISO 8601 time")
    try:
        time_us = int(datetime.fromisoformat(stamp).timestamp() * 1_000_000)
    except (ValueError, OverflowError) as error:
        raise RecordError("no-alert", f"@timestamp {stamp[:40]} is no time") from error
    if not _NAMESPACE.fullmatch(namespace):
        raise RecordError("no-alert", "data_stream.namespace is missing, or no name")
    # A line end inside would cut a bulk request in two.
    compact = orjson.dumps(body) if b"\n" in value or b"\r" in value else value
    return Document(identity, index_of(namespace, stamp), key, compact, headers, time_us)


def shortened(document: Document) -> Document | None:
    """The same alert with half of its evidence, from the end, and marked so; ``None`` if there is none left to drop."""
    body = orjson.loads(document.body)
    told = body.get("streamer") if isinstance(body, dict) else None
    evidence = told.get("evidence") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(evidence, list) or not evidence:
        return None
    told["evidence"] = evidence[: len(evidence) // 2]
    told["marks"] = [*(mark for mark in told.get("marks", ()) if mark != SHORTENED), SHORTENED]
    return replace(document, body=orjson.dumps(body))


def _text(body: Mapping[str, Any], *path: str) -> str:
    value: Any = body
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
