"""Records of Fluent Bit, Fluentd, Vector, Filebeat or Elastic Agent, and Docker's own files → one :class:`Line`.

They differ only in names. The names are looked up in the order in which a container is least able to choose the
value: a shipper that lifts the keys of a JSON message to the top (Merge_Log) may let the container write ``message`` or
``time``, but not ``log`` or ``@timestamp``.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from streamer.decode.line import Line, cri_line, dig, kubernetes_of_path, text_at
from streamer.decode.stamps import Stamp, parse

_STAMPS: Final = ("@timestamp", "timestamp", "time", "date")
_CONTENTS: Final = ("log_processed", "json")
_DOCKER: Final = frozenset({"log", "stream", "time", "attrs"})
_OWN: Final = frozenset(
    {"kubernetes", "docker", "stream", "logtag", "_p", "tag", "container", "@metadata", "agent", *_STAMPS}
)
_NOT_FOUND: Final = object()


def is_shipped(record: dict[str, Any]) -> bool:
    """Whether this is a record that a log shipper wrote around a container's line."""
    if isinstance(record.get("kubernetes"), dict):
        return True
    text = record.get("log", record.get("message", _NOT_FOUND))
    if text is _NOT_FOUND:
        return False
    return (
        isinstance(record.get("stream"), str)
        or isinstance(record.get("docker"), dict)
        or isinstance(record.get("log"), str | dict)
        or "@timestamp" in record
        or "source_type" in record
    )


def is_docker_line(record: Any) -> bool:
    """Whether this is a line of a file that Docker itself wrote."""
    return isinstance(record, dict) and record.keys() <= _DOCKER and "log" in record and "time" in record


def shipped_line(record: dict[str, Any]) -> Line:
    """The container's line inside a shipper's record; a runtime's prefix that the shipper left is taken off."""
    kubernetes = kubernetes_of(record)
    cluster = _cluster(record)
    text, content = _message(record)
    stream = record.get("stream")
    if not isinstance(stream, str):
        stripped = cri_line(text, kubernetes, cluster) if content is None else None
        if stripped is not None:
            return stripped
        stream = ""
    partial = record.get("logtag", record.get("_p")) == "P"
    if not partial and not text.endswith("\n") and is_docker_line(record):
        partial = True  # Docker ends every line but a split one
    return Line(text.rstrip("\r\n"), stamp_of(record), stream, kubernetes, cluster, partial=partial, content=content)


def stamp_of(record: dict[str, Any]) -> Stamp | None:
    """When the line was written, as far as the shipper tells."""
    for name in _STAMPS:
        if name in record:
            stamp = parse(record[name])
            if stamp is not None:
                return stamp
    return None


def contents_of(record: dict[str, Any]) -> list[Any]:
    """The values in which a shipper may have put a record of another system: strings or objects."""
    audit = dig(record, "kubernetes", "audit")
    if isinstance(audit, dict):
        return [audit]
    for name in (*_CONTENTS, "log", "message"):
        value = record.get(name)
        if isinstance(value, str) and value:
            return [value]
        if isinstance(value, dict | list) and not _is_file_note(value):
            return [value]
    return []


def kubernetes_of(record: dict[str, Any]) -> dict[str, Any]:
    """Kubernetes metadata in the product's vocabulary, only what is known."""
    meta = record.get("kubernetes")
    meta = meta if isinstance(meta, dict) else {}
    path = record.get("file") or dig(record, "log", "file", "path") or record.get("filename")
    known = kubernetes_of_path(path)
    docker = text_at(record, "docker", "container_id")
    pod = meta.get("pod")
    pod_name = text_at(pod, "name") or text_at(meta, "pod_name") or text_at(known, "pod", "name")
    pod_uid = text_at(pod, "uid") or text_at(meta, "pod_id") or text_at(meta, "pod_uid") or text_at(known, "pod", "uid")
    container = {
        "name": text_at(meta, "container", "name")
        or text_at(meta, "container_name")
        or text_at(known, "container", "name"),
        "image": text_at(record, "container", "image", "name")
        or text_at(meta, "container", "image")
        or text_at(meta, "container_image"),
        "id": text_at(record, "container", "id")
        or text_at(meta, "container_id")
        or text_at(meta, "docker_id")
        or docker,
    }
    namespace = (
        text_at(meta, "namespace")
        or text_at(meta, "namespace_name")
        or text_at(meta, "pod_namespace")
        or text_at(known, "namespace")
    )
    node = text_at(meta, "node", "name") or text_at(meta, "host") or text_at(meta, "pod_node_name")
    labels = meta.get("labels", meta.get("pod_labels"))
    result: dict[str, Any] = {
        "namespace": namespace,
        "pod": _known({"name": pod_name, "uid": pod_uid}),
        "container": _known(container),
        "node": _known({"name": node}),
        "labels": {k: v for k, v in labels.items() if isinstance(v, str)} if isinstance(labels, dict) else None,
    }
    return _known(result)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _cluster(record: dict[str, Any]) -> str | None:
    """The cluster's name where an enriched record tells it (a bare record's keys may be the container's own)."""
    return (
        text_at(record, "orchestrator", "cluster", "name")
        or text_at(record, "kubernetes", "cluster", "name")
        or text_at(record, "kubernetes", "cluster_name")
        or text_at(record, "cluster_name")
        or text_at(record, "cluster")
    )


def _message(record: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The text, and the object where there is no text."""
    log, message = record.get("log"), record.get("message")
    for value in (log, message):
        if isinstance(value, str):
            return value, None
    for value in (log, message, record.get("log_processed")):
        if isinstance(value, dict) and not _is_file_note(value):
            return _dumped(value), value
    rest = {name: value for name, value in record.items() if name not in _OWN}
    return (_dumped(rest), rest) if rest else ("", None)


def _is_file_note(value: Any) -> bool:
    """Filebeat's ``log: {file: {path}, offset}``, which is about the file and not from it."""
    return isinstance(value, dict) and ("file" in value or "offset" in value) and len(value) <= 4


def _dumped(value: dict[str, Any]) -> str:
    try:
        return orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return ""
