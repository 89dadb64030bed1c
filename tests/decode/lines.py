"""Lines of one container, and the records that every shipper makes of each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from tests.decode.happenings import otlp_json, otlp_proto, packed
from tests.decode.test_access_envoy import TODAY

NAMESPACE, POD, UID, CONTAINER = "istio-system", "istio-ingressgateway-5d8f9c-abcde", "uid-gw", "istio-proxy"
STAMP, STAMP_NS = "2026-01-01T00:00:00.512345Z", 1_767_225_600_512_345_000
LINES = (
    TODAY,
    "\x1b[1;32m * \x1b[0m\x1b[1;37mPOOL #1      \x1b[0m pool.example:3333 algo rx/0",
    '{"level":"info","msg":"started","kubernetes":{"pod_name":"forged"},"@timestamp":"2020-01-01T00:00:00Z"}',
    'ä ✓ "quoted" \\ back',
)
"""An access line, colours, a JSON object that plays a shipper, text that needs escaping."""

LINE_LACKS = ("kubernetes.container.image", "kubernetes.container.id", "kubernetes.node", "kubernetes.labels")
"""What some of the shippers do not tell of a container."""

_FLAT = {"pod_name": POD, "namespace_name": NAMESPACE, "container_name": CONTAINER, "pod_id": UID, "host": "node-1"}
_VECTOR = {"pod_name": POD, "pod_namespace": NAMESPACE, "container_name": CONTAINER, "pod_uid": UID}
_OTEL = {
    "k8s.pod.name": POD,
    "k8s.namespace.name": NAMESPACE,
    "k8s.container.name": CONTAINER,
    "k8s.pod.uid": UID,
    "k8s.cluster.name": "C1",
}
_FILE = f"/var/log/pods/{NAMESPACE}_{POD}_{UID}/{CONTAINER}/0.log"
_OWN = {"log.iostream": "stdout", "log.file.path": _FILE, "logtag": "F"}


def cri(line: str) -> str:
    return f"2026-01-01T00:00:00.512345000Z stdout F {line}"


LINE_ENVELOPES: dict[str, Callable[[str], Any]] = {
    "Fluent Bit": lambda line: {
        "@timestamp": 1767225600.512345,
        "stream": "stdout",
        "log": line + "\n",
        "kubernetes": {**_FLAT, "container_image": "i", "docker_id": "ab12"},
    },
    "Fluent Bit, cri parser": lambda line: {
        "@timestamp": 1767225600.512345,
        "time": STAMP,
        "stream": "stdout",
        "_p": "F",
        "message": line,
        "kubernetes": _FLAT,
    },
    "Fluent Bit around a CRI line": lambda line: {
        "@timestamp": 1767225600.512345,
        "log": cri(line),
        "kubernetes": _FLAT,
    },
    "Fluentd": lambda line: {
        "log": line + "\n",
        "stream": "stdout",
        "time": STAMP,
        "docker": {"container_id": "ab12"},
        "kubernetes": {**_FLAT, "labels": {"app": "x"}},
    },
    "Vector": lambda line: {
        "file": _FILE,
        "kubernetes": {**_VECTOR, "pod_node_name": "h", "container_image": "i"},
        "message": line,
        "stream": "stdout",
        "timestamp": STAMP,
        "source_type": "kubernetes_logs",
    },
    "Filebeat": lambda line: {
        "@timestamp": STAMP,
        "@metadata": {"beat": "filebeat"},
        "message": line,
        "stream": "stdout",
        "log": {"file": {"path": f"/var/log/containers/{POD}_{NAMESPACE}_{CONTAINER}-ab12.log"}, "offset": 3673},
        "kubernetes": {"namespace": NAMESPACE, "pod": {"name": POD, "uid": UID}, "container": {"name": CONTAINER}},
        "container": {"id": "ab12", "image": {"name": "i"}},
    },
    "OTLP JSON": lambda line: otlp_json(line, _OTEL, _OWN, STAMP_NS),
    "OTLP JSON, file name only": lambda line: otlp_json(line, {}, _OWN, STAMP_NS),
    "OTLP protobuf": lambda line: otlp_proto(line, _OTEL, _OWN, STAMP_NS),
    "Fluent Bit by Firehose": lambda line: {
        "records": [{"data": packed(LINE_ENVELOPES["Fluent Bit"](line))}],
        "requestId": "r",
    },
    "Fluent Bit in CloudWatch": lambda line: {
        "messageType": "DATA_MESSAGE",
        "logGroup": "/aws/containerinsights/c1/application",
        "logStream": "s",
        "logEvents": [{"id": "1", "timestamp": 1, "message": orjson.dumps(LINE_ENVELOPES["Vector"](line)).decode()}],
    },
}
"""Every way in which the same line arrives. Google's entries hold no pod uid: their own tests tell."""
