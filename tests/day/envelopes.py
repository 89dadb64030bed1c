"""The same record as different shippers and clouds bring it; from one event or line to the bytes of a message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from streamer.authoring import cases_shippers as shippers

AuditWrap = Callable[[Sequence[dict[str, Any]], str], bytes]
LineWrap = Callable[[Sequence[dict[str, Any]], str], bytes]


def raw(events: Sequence[dict[str, Any]], cluster: str) -> bytes:
    """The event as the audit file holds it; it names no cluster."""
    del cluster
    return orjson.dumps(events[0])


def event_list(events: Sequence[dict[str, Any]], cluster: str) -> bytes:
    """What the webhook backend posts: many events, none with a kind of its own."""
    del cluster
    return orjson.dumps(shippers.event_list(*events))


def aks(events: Sequence[dict[str, Any]], cluster: str) -> bytes:
    """Azure's Event Hubs: many events, each a string; the cluster in capitals."""
    resource = (
        f"/SUBSCRIPTIONS/1/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/{cluster.upper()}"
    )
    return orjson.dumps(
        {
            "records": [
                {
                    "time": event["stageTimestamp"],
                    "category": "kube-audit",
                    "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",
                    "resourceId": resource,
                    "properties": {
                        "pod": "kube-apiserver-7f8c9d6b5-x2k4p",
                        "stream": "stdout",
                        "log": orjson.dumps(event).decode(),
                    },
                }
                for event in events
            ]
        }
    )


def in_fluent_bit(events: Sequence[dict[str, Any]], cluster: str) -> bytes:
    """The audit file read by Fluent Bit: the event is a string, the record tells the cluster."""
    event = events[0]
    return orjson.dumps(
        {
            "@timestamp": datetime.fromisoformat(event["stageTimestamp"]).timestamp(),
            "log": orjson.dumps(event).decode(),
            "cluster_name": cluster,
        }
    )


def fluent_bit(records: Sequence[dict[str, Any]], cluster: str) -> bytes:
    """As the records are made."""
    return orjson.dumps(records[0] | {"cluster_name": cluster})


def fluent_bit_cri(records: Sequence[dict[str, Any]], cluster: str) -> bytes:
    """Fluent Bit with its cri parser and a time in seconds."""
    record = records[0]
    kept = {key: value for key, value in record.items() if key not in {"log", "@timestamp"}}
    seconds = datetime.fromisoformat(record["@timestamp"]).timestamp()
    return orjson.dumps({"@timestamp": seconds, **kept, "message": _text(record), "cluster_name": cluster})


def fluentd(records: Sequence[dict[str, Any]], cluster: str) -> bytes:
    """Fluentd's kubernetes metadata filter."""
    return orjson.dumps(shippers.fluentd_line(records[0]) | {"cluster_name": cluster})


def vector(records: Sequence[dict[str, Any]], cluster: str) -> bytes:
    """Vector's kubernetes_logs source."""
    meta = records[0]["kubernetes"]
    where = f"{meta['namespace_name']}_{meta['pod_name']}_{meta.get('pod_id', '')}/{meta['container_name']}"
    file = f"/var/log/pods/{where}/0.log"
    return orjson.dumps({"file": file, **shippers.vector_line(records[0]), "cluster": cluster})


def filebeat(records: Sequence[dict[str, Any]], cluster: str) -> bytes:
    """Filebeat or Elastic Agent."""
    record = records[0]
    meta = record["kubernetes"]
    return orjson.dumps(
        {
            "@timestamp": record["@timestamp"],
            "message": _text(record),
            "stream": record["stream"],
            "kubernetes": {
                "namespace": meta["namespace_name"],
                "pod": {"name": meta["pod_name"], "uid": meta.get("pod_id")},
                "container": {"name": meta["container_name"]},
                "node": {"name": meta["host"]},
                "labels": {key.replace(".", "_"): value for key, value in meta["labels"].items()},
            },
            "container": {"id": meta["docker_id"], "image": {"name": meta["container_image"]}, "runtime": "containerd"},
            "orchestrator": {"cluster": {"name": cluster}},
            "agent": {"type": "filebeat", "version": "8.19.3"},
        }
    )


def otlp(records: Sequence[dict[str, Any]], cluster: str) -> bytes:
    """The OpenTelemetry Collector's otlp_json: many lines in one message."""
    return orjson.dumps(shippers.otlp_lines(*records, **{"k8s.cluster.name": cluster}))


def _text(record: dict[str, Any]) -> str:
    return str(record["log"]).removesuffix("\n")


AUDIT: Final[dict[str, tuple[AuditWrap, int]]] = {
    "raw": (raw, 1),
    "event-list": (event_list, 8),
    "aks": (aks, 5),
    "fluent-bit": (in_fluent_bit, 1),
}
"""Name of an audit envelope: how it is made, and how many events it may hold."""

LINES: Final[dict[str, tuple[LineWrap, int]]] = {
    "fluent-bit": (fluent_bit, 1),
    "fluent-bit-cri": (fluent_bit_cri, 1),
    "fluentd": (fluentd, 1),
    "vector": (vector, 1),
    "filebeat": (filebeat, 1),
    "otlp": (otlp, 6),
}
"""The same for lines of containers."""
