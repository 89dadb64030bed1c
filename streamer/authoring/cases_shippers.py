"""The same record as another shipper would deliver it, so that no rule depends on the one that its author had in mind.

Only what the short forms of cases write is wrapped anew; a record given as text stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from streamer.decode.source import SourceKind

Wrap = Callable[[dict[str, Any]], dict[str, Any]]


def shipped_otherwise(kind: SourceKind, value: bytes, choice: int) -> bytes:
    """The record's bytes in another envelope; ``choice`` picks which of those that its kind knows."""
    try:
        record = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    if not isinstance(record, dict) or not _IS_PLAIN[kind](record):
        return value
    wraps = _WRAPS[kind]
    return orjson.dumps(wraps[choice % len(wraps)](record))


def _is_event(record: Mapping[str, Any]) -> bool:
    return record.get("kind") == "Event" and "auditID" in record


def _is_line(record: Mapping[str, Any]) -> bool:
    return {"@timestamp", "stream", "logtag", "log", "kubernetes"} == record.keys()


def event_list(*events: dict[str, Any]) -> dict[str, Any]:
    """What the webhook backend posts: the items have no kind of their own."""
    items = [{name: value for name, value in event.items() if name not in ("kind", "apiVersion")} for event in events]
    return {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items}


def _fluent_bit_event(event: dict[str, Any]) -> dict[str, Any]:
    return {"@timestamp": _seconds(event["stageTimestamp"]), "log": orjson.dumps(event).decode() + "\n"}


def _vector_event(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "file": "/var/log/kubernetes/audit.log",
        "message": orjson.dumps(event).decode(),
        "source_type": "file",
        "timestamp": event["stageTimestamp"],
    }


def vector_line(record: dict[str, Any]) -> dict[str, Any]:
    """One line as Vector's ``kubernetes_logs`` source writes it."""
    about = record["kubernetes"]
    named = {
        "pod_name": about["pod_name"],
        "pod_namespace": about["namespace_name"],
        "pod_uid": about.get("pod_id"),
        "pod_node_name": about["host"],
        "pod_labels": about["labels"],
        "container_name": about["container_name"],
        "container_image": about["container_image"],
    }
    return {
        "kubernetes": {name: value for name, value in named.items() if value is not None},
        "message": _text(record),
        "stream": record["stream"],
        "timestamp": record["@timestamp"],
        "source_type": "kubernetes_logs",
    }


def fluentd_line(record: dict[str, Any]) -> dict[str, Any]:
    """One line as Fluentd's Kubernetes metadata filter writes it."""
    about = record["kubernetes"]
    return {
        "time": record["@timestamp"],
        "log": record["log"],
        "stream": record["stream"],
        "docker": {"container_id": about["docker_id"]},
        "kubernetes": {name: value for name, value in about.items() if name not in ("docker_id", "container_hash")},
    }


def otlp_lines(*records: dict[str, Any], **more: str) -> dict[str, Any]:
    """Lines as the OpenTelemetry Collector's ``otlp_json``, each in a resource of its own with ``more`` attributes."""
    return {"resourceLogs": [_otlp_resource(record, more) for record in records]}


def _otlp_resource(record: dict[str, Any], more: Mapping[str, str]) -> dict[str, Any]:
    about = record["kubernetes"]
    image, tag = _name_and_tag(about["container_image"])
    resource = {
        **more,
        "k8s.namespace.name": about["namespace_name"],
        "k8s.pod.name": about["pod_name"],
        "k8s.container.name": about["container_name"],
        "k8s.node.name": about["host"],
        "container.image.name": image,
        **({"k8s.pod.uid": about["pod_id"]} if "pod_id" in about else {}),
        **({"container.image.tag": tag} if tag else {}),
        **{f"k8s.pod.labels.{name}": value for name, value in about["labels"].items()},
    }
    line = {
        "timeUnixNano": str(_microseconds(record["@timestamp"]) * 1_000),
        "body": {"stringValue": _text(record)},
        "attributes": _attributes({"log.iostream": record["stream"]}),
    }
    return {"resource": {"attributes": _attributes(resource)}, "scopeLogs": [{"scope": {}, "logRecords": [line]}]}


def _name_and_tag(image: str) -> tuple[str, str]:
    """A tag stands after the last colon, unless that colon belongs to a registry's port or to a digest."""
    name, _, tag = image.rpartition(":")
    return (image, "") if not name or "/" in tag or "@" in name else (name, tag)


def _attributes(named: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": str(value)}} for name, value in named.items()]


def _text(record: Mapping[str, Any]) -> str:
    return str(record["log"]).removesuffix("\n")


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def _microseconds(stamp: str) -> int:
    return round(_seconds(stamp) * 1_000_000)


_IS_PLAIN: Final[Mapping[SourceKind, Callable[[Mapping[str, Any]], bool]]] = {
    "audit": _is_event,
    "containers": _is_line,
}
_WRAPS: Final[Mapping[SourceKind, tuple[Wrap, ...]]] = {
    "audit": (event_list, _fluent_bit_event, _vector_event),
    "containers": (vector_line, fluentd_line, otlp_lines),
}
