"""Raw records as shippers write them: audit events and container lines, with every kind of stamp."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

START_S = 1_764_000_000
"""Event time at which the workload begins: in the past, so that no stamp of it is ahead of the broker's clock."""


@dataclass(frozen=True, slots=True)
class Raw:
    """One record on its way to a raw topic.

    Attributes:
        kind: ``audit`` or ``containers``, which says the topic.
        partition: of that topic.
        cluster: header by which the shipper names its cluster.
    """

    kind: str
    partition: int
    value: bytes
    cluster: str

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Kafka headers."""
        return [("cluster", self.cluster.encode())]


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody does.

    Attributes:
        verb, resource: of the request; verb ``line`` for a line of a container, whose text is ``resource``.
        user: who; for a line nobody.
        namespace, name: of the object or the pod.
        seconds: when, in seconds after :data:`START_S`.
        replicas: what a scaling asks for.
        stamps: whether the record tells its time.
    """

    verb: str
    resource: str
    user: str
    namespace: str
    seconds: float
    name: str = ""
    replicas: int | None = None
    stamps: bool = True
    cluster: str = "one"


def stamp(seconds: float) -> str:
    """RFC 3339 with microseconds."""
    return datetime.fromtimestamp(START_S + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def audit_values(number: int, act: Act) -> list[bytes]:
    """The records of one request: one, or both stages of one that runs long."""
    resource, _, subresource = act.resource.partition("/")
    path = f"/api/v1/namespaces/{act.namespace}/{resource}/{act.name or 'x'}"
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"{number:08x}-0000-4000-8000-000000000000",
        "stage": "ResponseComplete",
        "requestURI": f"{path}/{subresource}" if subresource else path,
        "verb": act.verb,
        "user": {"username": act.user, "groups": ["system:authenticated"]},
        "sourceIPs": ["203.0.113.7"],
        "objectRef": {
            "resource": resource,
            "namespace": act.namespace,
            "name": act.name or f"x-{number}",
            "apiVersion": "v1",
        },
        "responseStatus": {"code": 201 if act.verb == "create" else 200},
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }
    if subresource:
        event["objectRef"]["subresource"] = subresource
    if act.replicas is not None:
        event["level"] = "Request"
        event["requestObject"] = {"kind": "Scale", "apiVersion": "autoscaling/v1", "spec": {"replicas": act.replicas}}
    if act.stamps:
        event |= {"requestReceivedTimestamp": stamp(act.seconds), "stageTimestamp": stamp(act.seconds)}
    if subresource != "exec":
        return [orjson.dumps(event)]
    started = event | {"stage": "ResponseStarted"}
    ended = event | ({"stageTimestamp": stamp(act.seconds + 3)} if act.stamps else {})
    return [orjson.dumps(started), orjson.dumps(ended)]


def line_values(number: int, act: Act, *, pieces: int = 1) -> list[bytes]:
    """The records of one line; several where the container runtime split it."""
    text = f"{act.resource} {number}"
    size = -(-len(text) // pieces)
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    pod = act.name or f"{act.namespace}-{number % 3}"
    values = []
    for index, part in enumerate(parts):
        record: dict[str, Any] = {
            "log": part,
            "stream": "stdout",
            "logtag": "F" if index == len(parts) - 1 else "P",
            "kubernetes": {"namespace_name": act.namespace, "pod_name": pod, "container_name": "main"},
        }
        if act.stamps:
            record["time"] = stamp(act.seconds + index / 1000)
        values.append(orjson.dumps(record))
    return values


@dataclass(slots=True)
class Numbered:
    """Gives every act a number, so that no two records are one event by accident."""

    count: int = field(default=0)

    def values(self, act: Act, *, pieces: int = 1) -> list[bytes]:
        """The records of one act."""
        self.count += 1
        if act.verb == "line":
            return line_values(self.count, act, pieces=pieces)
        return audit_values(self.count, act)
