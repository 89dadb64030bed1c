"""Records of Fluent Bit, Fluentd, Vector, Filebeat or Elastic Agent, and Docker's own files → one :class:`Line`.

They differ only in names. The names are looked up in the order in which a container is least able to choose the
value. A shipper that lifts the keys of a JSON message to the top (Merge_Log) lets the container write there too: where
a name stands twice the shipper's word, which comes first, counts; and what the message itself holds under the name of
a time, a cluster or a mark of an unfinished line is not taken from the top.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from streamer.decode.line import Line, cri_line, dig, kubernetes_of_path, text_at
from streamer.decode.salvage import first_members
from streamer.decode.stamps import Stamp, parse

_STAMPS: Final = ("@timestamp", "timestamp", "time", "date")
_CONTENTS: Final = ("log_processed", "json")
_DOCKER: Final = frozenset({"log", "stream", "time"})
_OWN: Final = frozenset(
    {"kubernetes", "docker", "stream", "logtag", "_p", "tag", "container", "@metadata", "agent", *_STAMPS}
)
_GUARDED: Final = (*_STAMPS, "logtag", "_p", "cluster", "cluster_name", "orchestrator")
"""Names that say where and when a line was written, and whether it is whole: never the container's to say."""

_REPEATED: Final = {name: f'"{name}"'.encode() for name in (*_GUARDED, "log", "message", "stream")}
_LABELS: Final = 1_000
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
    return isinstance(record, dict) and record.keys() - {"attrs"} == _DOCKER and isinstance(record["log"], str)


def shipped_line(record: dict[str, Any]) -> Line:
    """The container's line inside a shipper's record; a runtime's prefix that the shipper left is taken off."""
    text, content = _message(record)
    if content is None and text[:1] == "{":
        record = _without_own_words(record, text)
    kubernetes = kubernetes_of(record)
    cluster = _cluster(record)
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


def told_first(value: bytes, record: dict[str, Any]) -> dict[str, Any]:
    """The record with what its shipper wrote, where a name stands in it twice.

    A shipper that lifts the keys of a JSON message to the top writes its own keys first; JSON readers keep the last.
    """
    for name, quoted in _REPEATED.items():
        if name in record and value.count(quoted) > 1:
            return record | first_members(value, frozenset(_REPEATED))
    return record


def _without_own_words(record: dict[str, Any], text: str) -> dict[str, Any]:
    """The record without the guarded names that the line itself, a JSON object, holds with the same value."""
    names = [name for name in _GUARDED if name in record and (f'"{name}"' in text or "\\" in text)]
    if not names:
        return record
    try:
        own = orjson.loads(text)
    except orjson.JSONDecodeError:
        return record
    lifted = {name for name in names if name in own and _bare(own[name]) == _bare(record[name])}
    return {name: value for name, value in record.items() if name not in lifted}


def _bare(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def stamp_of(record: dict[str, Any]) -> Stamp | None:
    """When the line was written, as far as the shipper tells."""
    for name in _STAMPS:
        if name in record:
            stamp = parse(record[name])
            if stamp is not None:
                return stamp
    return None


def content_of(record: dict[str, Any]) -> Any:
    """What a shipper's record holds of another system: a string, an object or a list; ``None`` if it holds nothing."""
    audit = dig(record, "kubernetes", "audit")
    if isinstance(audit, dict):
        return _dotted(audit)
    for name in (*_CONTENTS, "log", "message"):
        value = record.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict | list) and not _is_file_note(value):
            return value
    return None


def _dotted(audit: dict[str, Any]) -> dict[str, Any]:
    """An audit event that Elastic's integration took apart: it writes underscores for the dots in names of keys."""
    found = dict(audit)
    for holder, name in ((found, "annotations"), (dig(found, "user"), "extra")):
        keys = dig(holder, name)
        if isinstance(keys, dict) and any("_k8s_io/" in key for key in keys):
            dotted = {key.replace("_k8s_io/", ".k8s.io/", 1): value for key, value in keys.items()}
            if holder is not found:
                found["user"] = {**holder, name: dotted}
            else:
                found[name] = dotted
    return found


def kubernetes_of(record: dict[str, Any]) -> dict[str, Any]:
    """Kubernetes metadata in the product's vocabulary, only what is known."""
    meta = record.get("kubernetes")
    meta = meta if isinstance(meta, dict) else {}
    nested = isinstance(meta.get("pod"), dict) or isinstance(meta.get("container"), dict)
    found = _from_nested(record, meta) if nested else _from_flat(record, meta)
    if "pod" not in found or "namespace" not in found:
        path = record.get("file") or dig(record, "log", "file", "path") or record.get("filename")
        for name, value in kubernetes_of_path(path).items():
            found[name] = value | found.get(name, {}) if isinstance(value, dict) else found.get(name, value)
    labels = meta.get("labels", meta.get("pod_labels"))
    if isinstance(labels, dict) and labels:
        found["labels"] = _labels(labels)
    return found


def _from_flat(record: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
    """Fluent Bit, Fluentd (``pod_name``, ``pod_id``, ``host``) and Vector (``pod_namespace``, ``pod_uid``)."""
    get = meta.get
    docker = record.get("docker")
    found: dict[str, Any] = {}
    _put(found, "namespace", get("namespace_name") or get("pod_namespace") or get("namespace"))
    _put_all(found, "pod", (("name", get("pod_name")), ("uid", get("pod_id") or get("pod_uid"))))
    identifier = get("docker_id") or get("container_id") or (dig(docker, "container_id") if docker else None)
    image = get("container_image")
    _put_all(found, "container", (("name", get("container_name")), ("image", image), ("id", identifier)))
    _put_all(found, "node", (("name", get("host") or get("pod_node_name")),))
    return found


def _from_nested(record: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
    """Filebeat and Elastic Agent (``pod.name``, ``node.name``; the container's image and id stand at the top)."""
    pod, inner, outer = meta.get("pod"), meta.get("container"), record.get("container")
    found: dict[str, Any] = {}
    _put(found, "namespace", meta.get("namespace"))
    _put_all(found, "pod", (("name", dig(pod, "name")), ("uid", dig(pod, "uid"))))
    image = dig(outer, "image", "name") or dig(inner, "image")
    _put_all(found, "container", (("name", dig(inner, "name")), ("image", image), ("id", dig(outer, "id"))))
    _put_all(found, "node", (("name", dig(meta, "node", "name")),))
    return found


def _put(target: dict[str, Any], name: str, value: Any) -> None:
    if value and isinstance(value, str):
        target[name] = value


def _put_all(target: dict[str, Any], name: str, values: tuple[tuple[str, Any], ...]) -> None:
    known = {key: value for key, value in values if value and isinstance(value, str)}
    if known:
        target[name] = known


def _labels(labels: dict[str, Any]) -> dict[str, str]:
    """Labels under their own names: some shippers write underscores for the dots, which no prefix of a label holds."""
    found: dict[str, str] = {}
    for name, text in list(labels.items())[:_LABELS]:
        if isinstance(text, str):
            prefix, slash, rest = name.partition("/")
            found[f"{prefix.replace('_', '.')}/{rest}" if slash else name] = text
    return found


def _cluster(record: dict[str, Any]) -> str | None:
    """The cluster's name where an enriched record tells it (a bare record's keys may be the container's own)."""
    if "orchestrator" in record:
        found = text_at(record, "orchestrator", "cluster", "name")
        if found:
            return found
    meta = record.get("kubernetes")
    if isinstance(meta, dict) and ("cluster" in meta or "cluster_name" in meta):
        found = text_at(meta, "cluster", "name") or text_at(meta, "cluster_name")
        if found:
            return found
    return text_at(record, "cluster_name") or text_at(record, "cluster")


def _message(record: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The text, and the object where there is no text."""
    log, message = record.get("log"), record.get("message")
    for value in (log, message):
        if isinstance(value, str) and value:
            return value, None
    for value in (log, message, record.get("log_processed")):
        if isinstance(value, dict) and not _is_file_note(value):
            return dumped(value), value
    if isinstance(log, str) or isinstance(message, str):
        return "", None
    rest = {name: value for name, value in record.items() if name not in _OWN}
    return (dumped(rest), rest) if rest else ("", None)


def _is_file_note(value: Any) -> bool:
    """Filebeat's ``log: {file: {path}, offset}``, which is about the file and not from it."""
    return isinstance(value, dict) and ("file" in value or "offset" in value) and len(value) <= 4


def dumped(value: dict[str, Any]) -> str:
    """An object as the text it may have been; empty for what nests too deep to be written."""
    try:
        return orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return ""
