"""OpenTelemetry's collector with its default encoding ``otlp_proto``, read through the classes that it publishes.

Attributes and bodies are the same as in ``otlp_json``; this module only turns messages into plain values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from streamer.decode.envelope import Inner, Opened
from streamer.decode.envelope_otlp import DEPTH, entry_of, kubernetes_in
from streamer.decode.line import text_at
from streamer.decode.stamps import from_nanoseconds
from streamer.model import UNKNOWN

_RESOURCE_LOGS: Final = 0x0A
_MOST: Final = 100_000
"""Messages that are looked at in one record: an empty one takes two bytes."""

_LONGEST_LENGTH: Final = 5


def looks_like_logs(data: bytes) -> bool:
    """Whether the bytes are a row of protobuf fields number 1 to their very end, as exported logs are.

    The first byte is also a line feed: text that begins with one passes only if its characters happen to be lengths.
    """
    at = 0
    while at < len(data):
        if data[at] != _RESOURCE_LOGS:
            return False
        size, at = _length(data, at + 1)
        if size < 0:
            return False
        at += size
    return at == len(data) and at > 0


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A varint and where it ends; -1 for none."""
    size = 0
    for index, byte in enumerate(data[at : at + _LONGEST_LENGTH]):
        size |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return size, at + index + 1
    return -1, at


def open_protobuf(data: bytes) -> Opened | None:
    """All log records with a body. ``None`` for bytes that are no exported logs."""
    if not looks_like_logs(data):
        return None
    request = ExportLogsServiceRequest()
    try:
        request.ParseFromString(data)
    except DecodeError:
        return None
    found = [_entry(record, of) for record, of in _records(request)]
    entries = tuple(entry for entry in found if entry is not None)
    if not found:  # text that happens to pass for protobuf holds fields that nobody knows, and no record
        return None
    return Opened(entries, len(found) - len(entries), cut=_size(request) > _MOST)


def _records(request: ExportLogsServiceRequest) -> Iterator[tuple[LogRecord, tuple[dict[str, Any], str | None]]]:
    """Every record with its resource's attributes, as far as anybody looks."""
    left = _MOST
    for resource in request.resource_logs:
        left -= 1
        if left < 0:
            return
        if not resource.scope_logs:
            continue
        about = _attributes(resource.resource.attributes)
        of = kubernetes_in(about), text_at(about, "k8s.cluster.name")
        for scope in resource.scope_logs:
            left -= 1
            for record in scope.log_records:
                left -= 1
                if left < 0:
                    return
                yield record, of


def _size(request: ExportLogsServiceRequest) -> int:
    """How many messages there are to look at, counted no further than matters."""
    size = len(request.resource_logs)
    if size > _MOST:
        return size
    for resource in request.resource_logs:
        size += len(resource.scope_logs)
        if size > _MOST:
            break
        size += sum(len(scope.log_records) for scope in resource.scope_logs)
    return size


def _entry(record: LogRecord, of: tuple[dict[str, Any], str | None]) -> Inner | None:
    stamp = from_nanoseconds(record.time_unix_nano) or from_nanoseconds(record.observed_time_unix_nano)
    return entry_of(_plain(record.body, 0), stamp, _attributes(record.attributes), *of)


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _plain(pair.value, 0) for pair in pairs}


def _plain(value: AnyValue, depth: int) -> Any:
    which = value.WhichOneof("value")
    if which is None:
        return None
    if depth > DEPTH:
        return UNKNOWN
    if which == "kvlist_value":
        return {pair.key: _plain(pair.value, depth + 1) for pair in value.kvlist_value.values}
    if which == "array_value":
        return [_plain(element, depth + 1) for element in value.array_value.values]
    found = getattr(value, which)
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else found
