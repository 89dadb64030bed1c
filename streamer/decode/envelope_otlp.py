"""OpenTelemetry's collector with the encoding ``otlp_json``: many log records, attributes as lists of pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from streamer.decode.envelope import Inner, Opened
from streamer.decode.line import dig, kubernetes_of_path, text_at
from streamer.decode.packed import Packed, unpack_text
from streamer.decode.stamps import Stamp, from_nanoseconds
from streamer.model import UNKNOWN

DEPTH: Final = 64
"""Nesting of values; what is deeper is unknown."""

_LABEL: Final = "k8s.pod.labels."


def open_resource_logs(value: dict[str, Any]) -> Opened | None:
    """All log records with a body. ``None`` for other envelopes."""
    resources = value.get("resourceLogs")
    if not isinstance(resources, list):
        return None
    entries: list[Inner] = []
    skipped = 0
    for resource in resources:
        about = _attributes(dig(resource, "resource", "attributes"))
        kubernetes = kubernetes_in(about)
        cluster = text_at(about, "k8s.cluster.name")
        for record in _log_records(resource):
            body = _any_value(record.get("body"), 0)
            entry = entry_of(body, _stamp(record), _attributes(record.get("attributes")), kubernetes, cluster)
            if entry is None:
                skipped += 1
            else:
                entries.append(entry)
    return Opened(tuple(entries), skipped)


def entry_of(
    body: Any, stamp: Stamp | None, own: dict[str, Any], kubernetes: dict[str, Any], cluster: str | None
) -> Inner | None:
    """One log record with its own attributes and its resource's; ``None`` where it has no body to look at."""
    if not isinstance(body, str | dict | list):
        return None
    return Inner(
        body,
        stamp,
        cluster,
        kubernetes or kubernetes_of_path(own.get("log.file.path")),
        text_at(own, "log.iostream") or "",
        partial=own.get("logtag") == "P",
    )


def _log_records(resource: Any) -> Iterator[dict[str, Any]]:
    for scope in _items(dig(resource, "scopeLogs")):
        yield from _items(scope.get("logRecords"))


def _stamp(record: dict[str, Any]) -> Stamp | None:
    return from_nanoseconds(record.get("timeUnixNano")) or from_nanoseconds(record.get("observedTimeUnixNano"))


def _attributes(pairs: Any) -> dict[str, Any]:
    return {key: _any_value(pair.get("value"), 0) for pair in _items(pairs) if isinstance(key := pair.get("key"), str)}


def _any_value(value: Any, depth: int) -> Any:
    """OTLP's AnyValue as a plain JSON value; ``None`` for what it has no value for."""
    if not isinstance(value, dict):
        return None
    if depth > DEPTH:
        return UNKNOWN
    if isinstance(fields := dig(value, "kvlistValue", "values"), list):
        return {
            key: _any_value(pair.get("value"), depth + 1)
            for pair in _items(fields)
            if isinstance(key := pair.get("key"), str)
        }
    if isinstance(elements := dig(value, "arrayValue", "values"), list):
        return [_any_value(element, depth + 1) for element in elements]
    if isinstance(packed := value.get("bytesValue"), str):
        return unpack_text(Packed(packed), len(packed)).data.decode("utf-8", "replace")
    number = value.get("intValue")
    if isinstance(number, str) and len(number) < 20 and number.removeprefix("-").isdecimal() and number.isascii():
        return int(number)
    for name in ("stringValue", "boolValue", "doubleValue", "intValue"):
        if isinstance(value.get(name), str | bool | float | int):
            return value[name]
    return None


def kubernetes_in(about: dict[str, Any]) -> dict[str, Any]:
    """Kubernetes metadata in a resource's attributes; only what is known."""
    known = {
        "pod": {"name": about.get("k8s.pod.name"), "uid": about.get("k8s.pod.uid")},
        "container": {
            "name": about.get("k8s.container.name"),
            "image": _image_of(about),
            "id": about.get("container.id"),
        },
        "node": {"name": about.get("k8s.node.name")},
        "labels": {name.removeprefix(_LABEL): text for name, text in about.items() if name.startswith(_LABEL)},
    }
    found: dict[str, Any] = {
        name: texts
        for name, values in known.items()
        if (texts := {key: text for key, text in values.items() if isinstance(text, str) and text})
    }
    namespace = text_at(about, "k8s.namespace.name")
    return {"namespace": namespace, **found} if namespace else found


def _image_of(about: dict[str, Any]) -> str | None:
    """The image as a pod spec writes it: the name and the tag are attributes of their own (one, or a list of them)."""
    name = text_at(about, "container.image.name")
    tags = about.get("container.image.tags")
    tag = text_at(about, "container.image.tag") or (tags[0] if isinstance(tags, list) and tags else None)
    if not name or not isinstance(tag, str) or "@" in name or ":" in name.rpartition("/")[2]:
        return name
    return f"{name}:{tag}"


def _items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
