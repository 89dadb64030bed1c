"""A small world of audit events and container lines with rules that decide in every way, for runs of the service."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

RULES = """
title: Pod created
id: 10000000-0000-4000-8000-000000000001
name: pod_created
logsource: {product: kubernetes, service: audit}
detection:
  it: {verb: create, objectRef.resource: pods}
  condition: it
level: low
---
title: Secret read
id: 10000000-0000-4000-8000-000000000002
name: secret_read
logsource: {product: kubernetes, service: audit}
detection:
  it: {verb: get, objectRef.resource: secrets}
  condition: it
level: medium
---
title: Node deleted
id: 10000000-0000-4000-8000-000000000003
name: node_deleted
logsource: {product: kubernetes, service: audit}
detection:
  it: {verb: delete, objectRef.resource: nodes}
  condition: it
level: high
---
title: Miner line
id: 10000000-0000-4000-8000-000000000004
name: miner_line
logsource: {product: kubernetes, category: container_log}
detection:
  it: {message|contains: stratum}
  condition: it
level: low
---
title: Many pods by one user
id: 10000000-0000-4000-8000-000000000005
name: many_pods
correlation:
  type: event_count
  rules: [pod_created]
  group-by: [user.username]
  timespan: 1m
  condition: {gte: 4}
level: medium
---
title: Secrets read in many namespaces
id: 10000000-0000-4000-8000-000000000006
name: many_namespaces
correlation:
  type: value_count
  rules: [secret_read]
  group-by: [user.username]
  timespan: 2m
  condition: {gte: 3, field: objectRef.namespace}
level: high
---
title: Secret read and no pod before
id: 10000000-0000-4000-8000-000000000007
name: secret_without_pod
correlation:
  type: temporal_ordered
  rules: [pod_created, secret_read]
  group-by: [user.username]
  timespan: 30s
  condition: not pod_created and secret_read
level: low
---
title: First secret in a namespace
id: 10000000-0000-4000-8000-000000000008
name: new_namespace
correlation:
  type: value_count
  rules: [secret_read]
  group-by: [user.username]
  timespan: 1d
  condition: {gte: 1, field: objectRef.namespace}
streamer: {first_seen: true}
level: informational
---
title: Pod of a user mines
id: 10000000-0000-4000-8000-000000000009
name: pod_mines
correlation:
  type: temporal_ordered
  rules: [many_pods, miner_line]
  aliases:
    namespace: {many_pods: pod_created.objectRef.namespace, miner_line: kubernetes.namespace}
  group-by: [namespace]
  timespan: 2m
level: critical
"""

START_S = 1_764_000_000


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(START_S + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def audit_line(number: int, seconds: float, *, verb: str, resource: str, user: str, namespace: str) -> str:
    event = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"{number:08d}-0000-4000-8000-000000000000",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/{namespace}/{resource}",
        "verb": verb,
        "user": {"username": user, "groups": ["system:authenticated"]},
        "sourceIPs": ["203.0.113.7"],
        "objectRef": {"resource": resource, "namespace": namespace, "name": f"x-{number}", "apiVersion": "v1"},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": stamp(seconds),
        "stageTimestamp": stamp(seconds),
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }
    return json.dumps(event)


def container_line(number: int, seconds: float, *, namespace: str, text: str) -> str:
    return json.dumps(
        {
            "log": f"{text} {number}\n",
            "stream": "stdout",
            "time": stamp(seconds),
            "kubernetes": {
                "namespace_name": namespace,
                "pod_name": f"pod-{number % 5}",
                "pod_id": f"00000000-0000-4000-8000-{number % 5:012d}",
                "container_name": "main",
            },
        }
    )


def audit_lines(count: int, seed: int = 1) -> list[str]:
    """``count`` lines over about as many seconds: out of order within 5 s, with duplicates and broken lines."""
    chance = random.Random(seed)
    lines: list[str] = []
    for number in range(count):
        seconds = number - chance.random() * 5
        verb, resource = chance.choice([("create", "pods"), ("get", "secrets"), ("get", "secrets"), ("list", "pods")])
        if chance.random() < 0.02:
            verb, resource = "delete", "nodes"
        user, namespace = f"user-{chance.randrange(4)}", f"ns-{chance.randrange(6)}"
        lines.append(audit_line(number, seconds, verb=verb, resource=resource, user=user, namespace=namespace))
        if chance.random() < 0.05:
            lines.append(chance.choice(lines[-10:]))
        if chance.random() < 0.01:
            lines.append('{"kind": "Event", "broken')
    return lines


def container_lines(count: int, seed: int = 2) -> list[str]:
    """Lines of containers over the same time."""
    chance = random.Random(seed)
    return [
        container_line(
            number,
            number - chance.random() * 5,
            namespace=f"ns-{chance.randrange(6)}",
            text="stratum+tcp pool" if chance.random() < 0.1 else "all is well",
        )
        for number in range(count)
    ]


def write_world(folder: Path, count: int) -> tuple[Path, Path, Path]:
    """Files of audit events, of container lines, and of rules."""
    audit, containers, rules = folder / "audit.log", folder / "containers.log", folder / "rules.yml"
    audit.write_text("".join(line + "\n" for line in audit_lines(count)))
    containers.write_text("".join(line + "\n" for line in container_lines(count)))
    rules.write_text(RULES)
    return audit, containers, rules
