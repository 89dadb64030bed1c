"""A deterministic corpus of audit events as an API server writes them: Go key order, no spaces, ``&<>`` escaped.

The mix follows a mid-size cluster: mostly reads and leases by system components, some writes, few people.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 1, tzinfo=UTC)
_NAMESPACES = [f"team-{number:02d}" for number in range(30)] + [
    "kubeflow",
    "kube-system",
    "default",
    "monitoring",
]
_NODES = [f"node-{number:03d}" for number in range(120)]
_RESOURCES = [
    "pods",
    "configmaps",
    "services",
    "endpoints",
    "namespaces",
    "persistentvolumeclaims",
    "serviceaccounts",
]
_GO_ESCAPES = str.maketrans({"&": "\\u0026", "<": "\\u003c", ">": "\\u003e"})


def lines(count: int, *, seed: int = 1) -> Iterator[bytes]:
    """``count`` audit lines in time order, 30 ms apart on average."""
    rng = random.Random(seed)
    when = START
    for number in range(count):
        when += timedelta(microseconds=rng.randrange(60_000))
        event = _pick(rng)(rng)
        yield _encode(_complete(event, rng, when, number))


def digest(corpus: list[bytes]) -> str:
    """Short hash that names a corpus in printed results."""
    running = hashlib.sha256()
    for line in corpus:
        running.update(line + b"\n")
    return running.hexdigest()[:12]


def _encode(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).translate(_GO_ESCAPES).encode()


def _complete(event: dict[str, Any], rng: random.Random, when: datetime, number: int) -> dict[str, Any]:
    done = when + timedelta(microseconds=rng.randrange(500, 30_000))
    whole = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse" if "requestObject" in event else "Metadata",
        "auditID": f"{rng.getrandbits(32):08x}-{number:04x}"[:13] + f"-4000-8000-{number:012x}",
        "stage": "ResponseComplete",
        "requestURI": event["uri"],
        "verb": event["verb"],
        "user": event["user"],
        "sourceIPs": [event["ip"]],
        "userAgent": event["agent"],
        "objectRef": event["ref"],
        "responseStatus": {"metadata": {}, "code": event.get("code", 200)},
    }
    for body in ("requestObject", "responseObject"):
        if body in event:
            whole[body] = event[body]
    whole |= {
        "requestReceivedTimestamp": f"{when:%Y-%m-%dT%H:%M:%S.%f}Z",
        "stageTimestamp": f"{done:%Y-%m-%dT%H:%M:%S.%f}Z",
        "annotations": {
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": 'RBAC: allowed by ClusterRoleBinding "{0}" of ClusterRole "{0}"'.format(
                event["by"]
            ),
        },
    }
    return whole


def _component(name: str, rng: random.Random) -> dict[str, Any]:
    pod = f"{name}-{rng.choice(_NODES)}"
    return {
        "username": f"system:serviceaccount:kube-system:{name}",
        "uid": f"{hash_of(name)}-0000-4000-8000-000000000001",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
        "extra": {
            "authentication.kubernetes.io/credential-id": [f"JTI={hash_of(pod)}-1111-4111-8111-111111111111"],
            "authentication.kubernetes.io/node-name": [rng.choice(_NODES)],
            "authentication.kubernetes.io/pod-name": [pod],
            "authentication.kubernetes.io/pod-uid": [f"{hash_of(pod)}-2222-4222-8222-222222222222"],
        },
    }


def hash_of(text: str) -> str:
    """Eight stable hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _node(rng: random.Random) -> tuple[str, dict[str, Any]]:
    node = rng.choice(_NODES)
    return node, {"username": f"system:node:{node}", "groups": ["system:nodes", "system:authenticated"]}


def _read(rng: random.Random) -> dict[str, Any]:
    namespace, resource = rng.choice(_NAMESPACES), rng.choice(_RESOURCES)
    verb = rng.choices(["get", "watch", "list"], [45, 35, 20])[0]
    name = f"{resource[:-1]}-{rng.randrange(10_000)}"
    query = {
        "get": f"/{name}",
        "list": "?limit=500&resourceVersion=0",
        "watch": f"?allowWatchBookmarks=true&resourceVersion={rng.randrange(9**9)}&watch=true",
    }[verb]
    ref = {"resource": resource, "namespace": namespace, "apiVersion": "v1"}
    if verb == "get":
        ref = {"resource": resource, "namespace": namespace, "name": name, "apiVersion": "v1"}
    component = rng.choice(
        ["coredns", "kube-proxy", "metrics-server", "cluster-autoscaler", "argocd-application-controller"]
    )
    return {
        "uri": f"/api/v1/namespaces/{namespace}/{resource}{query}",
        "verb": verb,
        "user": _component(component, rng),
        "ip": f"10.0.{rng.randrange(40)}.{rng.randrange(250)}",
        "agent": f"{component}/v1.33.1 (linux/amd64) kubernetes/8adc0f0",
        "ref": ref,
        "by": f"system:{component}",
    }


def _lease(rng: random.Random) -> dict[str, Any]:
    node, user = _node(rng)
    lease = {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {
            "name": node,
            "namespace": "kube-node-lease",
            "resourceVersion": str(rng.randrange(9**9)),
        },
        "spec": {
            "holderIdentity": node,
            "leaseDurationSeconds": 40,
            "renewTime": "2026-01-01T00:00:00.000000Z",
        },
    }
    return {
        "uri": f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}?timeout=10s",
        "verb": "update",
        "user": user,
        "ip": f"10.1.{rng.randrange(4)}.{rng.randrange(250)}",
        "agent": "kubelet/v1.33.1 (linux/amd64) kubernetes/8adc0f0",
        "ref": {
            "resource": "leases",
            "namespace": "kube-node-lease",
            "name": node,
            "apiGroup": "coordination.k8s.io",
            "apiVersion": "v1",
        },
        "requestObject": lease,
        "responseObject": lease,
        "by": "system:node",
    }


def _pod(rng: random.Random) -> dict[str, Any]:
    namespace = rng.choice(_NAMESPACES[:30])
    name = f"web-{rng.randrange(16**6):06x}"
    spec = _web_pod(namespace, name, rng)
    made = {
        **spec,
        "metadata": {**spec["metadata"], "name": name, "uid": f"{hash_of(name)}-4444-4444-8444-444444444444"},
    }
    return {
        "uri": f"/api/v1/namespaces/{namespace}/pods",
        "verb": "create",
        "user": {
            "username": "system:serviceaccount:kube-system:replicaset-controller",
            "groups": ["system:serviceaccounts", "system:authenticated"],
        },
        "ip": "10.1.0.2",
        "agent": "kube-controller-manager/v1.33.1 (linux/amd64) kubernetes/8adc0f0/replicaset-controller",
        "ref": {"resource": "pods", "namespace": namespace, "apiVersion": "v1"},
        "code": 201,
        "requestObject": spec,
        "responseObject": made,
        "by": "system:controller:replicaset-controller",
    }


def _web_pod(namespace: str, name: str, rng: random.Random) -> dict[str, Any]:
    """The pod of a web server as its ReplicaSet asks for it."""
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "generateName": "web-",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "web", "pod-template-hash": f"{rng.randrange(16**8):08x}"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": "web-5d9c",
                    "uid": f"{hash_of(name)}-3333-4333-8333-333333333333",
                    "controller": True,
                }
            ],
        },
        "spec": {
            "containers": [
                {
                    "name": "web",
                    "image": f"registry.example/{namespace}/web:{rng.randrange(400)}",
                    "args": ["--listen=:8080", "--log-level=info"],
                    "env": [{"name": "MODE", "value": "production"}],
                    "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": False, "runAsUser": 1000},
                }
            ],
            "serviceAccountName": "web",
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


def _person(rng: random.Random) -> dict[str, Any]:
    namespace = rng.choice(_NAMESPACES[:30])
    user = f"user-{rng.randrange(60)}@corp.example"
    return {
        "uri": f"/api/v1/namespaces/{namespace}/pods?limit=500",
        "verb": "list",
        "user": {"username": user, "groups": ["developers", "system:authenticated"]},
        "ip": f"198.51.100.{rng.randrange(250)}",
        "agent": "kubectl/v1.33.1 (darwin/arm64) kubernetes/8adc0f0",
        "ref": {"resource": "pods", "namespace": namespace, "apiVersion": "v1"},
        "by": "developers",
    }


def _attack(rng: random.Random) -> dict[str, Any]:
    """A privileged pod by a person: what the shipped rules must find."""
    event = _pod(rng)
    event["user"] = {"username": "mallory@corp.example", "groups": ["developers", "system:authenticated"]}
    event["agent"] = "kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0"
    event["ip"] = "203.0.113.66"
    event["by"] = "developers"
    for body in ("requestObject", "responseObject"):
        spec = json.loads(json.dumps(event[body]))
        spec["metadata"].pop("ownerReferences")
        spec["spec"]["containers"][0]["securityContext"] = {"privileged": True}
        event[body] = spec
    return event


def _pick(rng: random.Random) -> Callable[[random.Random], dict[str, Any]]:
    makers = [_read, _lease, _pod, _person, _attack]
    return rng.choices(makers, [74, 20, 3.5, 2.4, 0.1])[0]
