"""Records as clusters and shippers write them, made small; shared by the tests of decoding."""

from __future__ import annotations

from typing import Any

import orjson

from streamer.decode import Decoded, DecodeLimits, Decoder, Source
from streamer.decode.gathering import Gathering
from streamer.model import Event, Position, Record

APPENDED_US = 1_767_225_700_000_000  # 2026-01-01T00:01:40Z
NOON = "2026-01-01T00:00:00.500000Z"
NOON_US = 1_767_225_600_500_000


def source(kind: str = "audit", **settings: Any) -> Source:
    limits = DecodeLimits(**settings.pop("limits", {}))
    return Source("topic", kind, limits=limits, **settings)  # type: ignore[arg-type]


def record(value: Any, offset: int = 0, **settings: Any) -> Record:
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    if settings.pop("file", False):
        return Record(data, Position(settings.pop("path", "f.log"), 0, offset + 1, True), **settings)
    position = Position("topic", settings.pop("partition", 0), offset, False)
    return Record(data, position, settings.pop("append_time_us", APPENDED_US), **settings)


class Strict(Decoder):
    """The decoder without its net: what raises is seen."""

    def decode(self, record: Record) -> Decoded:
        gathering = Gathering(record, self._source)
        if len(record.value) <= self._source.limits.record_bytes:
            self._decode(record, gathering)
            return gathering.result()
        return super().decode(record)


def decode(*values: Any, kind: str = "audit", **settings: Any) -> Decoded:
    """All values through one decoder; results joined."""
    about = {name: settings.pop(name) for name in ("file", "path", "append_time_us", "headers") if name in settings}
    decoder = Strict(source(kind, **settings))
    parts = [decoder.decode(record(value, offset, **dict(about))) for offset, value in enumerate(values)]
    return Decoded(
        tuple(event for part in parts for event in part.events),
        tuple(letter for part in parts for letter in part.dead_letters),
        sum(part.skipped for part in parts),
    )


def one(value: Any, kind: str = "audit", **settings: Any) -> Event:
    """The first event of one value, with no dead letters beside it."""
    decoded = decode(value, kind=kind, **settings)
    assert decoded.dead_letters == ()
    return decoded.events[0]


def audit(**fields: Any) -> dict[str, Any]:
    """A complete audit event: alice lists pods, unless told otherwise; a field given as None is left out."""
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": "6f1c2f9e-8a52-4a0e-9f5e-000000000001",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/lab/pods",
        "verb": "list",
        "user": {"username": "alice", "groups": ["system:authenticated"]},
        "sourceIPs": ["198.51.100.7"],
        "userAgent": "kubectl/v1.34.0",
        "objectRef": {"resource": "pods", "namespace": "lab", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.400000Z",
        "stageTimestamp": NOON,
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    } | fields
    return {name: value for name, value in event.items() if value is not None}


def write(resource: str, body: Any, verb: str = "create", **fields: Any) -> dict[str, Any]:
    """A successful write of one object."""
    ref = {"resource": resource, "namespace": "lab", "apiVersion": "v1", **fields.pop("ref", {})}
    return audit(verb=verb, objectRef=ref, requestObject=body, responseStatus={"code": 201}, **fields)


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod with these containers."""
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "p", "namespace": "lab"},
        "spec": {"containers": list(containers), **spec},
    }


def fluent_bit(log: str, **fields: Any) -> dict[str, Any]:
    """A record of Fluent Bit with the kubernetes filter."""
    return {
        "@timestamp": 1767225600.123456,
        "stream": "stdout",
        "log": log,
        "kubernetes": {
            "pod_name": "trainer-0",
            "namespace_name": "lab",
            "pod_id": "0a0a0a0a-0000-4000-8000-000000000001",
            "host": "node-1",
            "container_name": "main",
            "container_image": "tensorflow/tensorflow:latest",
            "docker_id": "ab12",
            "labels": {"workflows.argoproj.io/workflow": "seq-x1"},
        },
    } | fields


def gateway(log: str, **fields: Any) -> dict[str, Any]:
    """A line of Istio's ingress gateway as Fluent Bit ships it."""
    kubernetes = {
        "pod_name": "istio-ingressgateway-5d8f9c-abcde",
        "namespace_name": "istio-system",
        "pod_id": "0a0a0a0a-0000-4000-8000-00000000000f",
        "container_name": "istio-proxy",
    }
    return fluent_bit(log, kubernetes=kubernetes, **fields)
