"""Doors that do not open, and some that do: mistyped passwords, refused services, ports of nodes, odd names."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator

from tests.day.cluster import ADMINS, OFFICE, PEOPLE, Pod, pod_of
from tests.day.ink import HOUR, MINUTE, SECOND, Caller, Day, Written, controller, person
from tests.day.rhythm import moments
from tests.day.workloads import App, applied, removed

_NAMES = tuple(who.name.removeprefix("oidc:") for who in PEOPLE)


def mistyped(day: Day) -> Iterator[Written]:
    """After the weekend eight people behind the office's one address mistype their passwords within an hour, then get in."""
    for place, name in enumerate(_NAMES):
        at = day.clock(8) + place * 6 * MINUTE
        for turn in range(1 + place % 3):
            yield from day.access(
                at + turn * 9 * SECOND,
                "GET",
                "/grafana/",
                OFFICE[0],
                gateway="ingress-nginx",
                status=401,
                user=name,
                host="tools.example.com",
            )
        yield from day.access(
            at + 40 * SECOND,
            "GET",
            "/grafana/",
            OFFICE[0],
            gateway="ingress-nginx",
            status=200,
            user=name,
            host="tools.example.com",
        )
    dex = pod_of("auth", "dex", "ghcr.io/dexidp/dex:v2.41.1")
    for at in moments(day, "people", 20, 3):
        text = 'level=ERROR msg="failed to login user" err="invalid password" connector_id=local'
        yield from day.line(at, dex, f"time=2026-03-10T08:00:00Z {text}", stream="stderr")


def refused(day: Day) -> Iterator[Written]:
    """A pipeline whose role lacks a right, and a developer in the wrong namespace: no service, no ingress."""
    user = "system:serviceaccount:billing:github-deployer"
    pipeline = Caller(user, "192.0.2.163", "Helm/3.16.4", credential=f"JTI={day.uuid('legacy', 'billing')}")
    for at in moments(day, "people", 6, 1):
        yield from day.api(
            at, pipeline, "create", "networking.k8s.io/ingresses", "billing", "ledger", code=403, decision="forbid"
        )
    for at in moments(day, "people", 3, 1):
        yield from day.api(at, person(PEOPLE[0]), "patch", "services", "billing", "ledger", code=403, decision="forbid")


def ports_of_nodes(day: Day) -> Iterator[Written]:
    """An administrator renews the DNS cache of the nodes: a container with ports of the node, as it always had."""
    who = person(ADMINS[0])
    ports = [{"containerPort": 9253, "hostPort": 9253, "name": "metrics", "protocol": "TCP"}]
    app = App("kube-system", "node-local-dns", "registry.k8s.io/dns/k8s-dns-node-cache:1.25.0", "DaemonSet", "node-local-dns",
              container={"ports": ports, "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}, pod={"hostNetwork": True})  # fmt: skip
    yield from applied(day, day.clock(10.9), who, app, pods=2)


def names_like_miners(day: Day) -> Iterator[Written]:
    """Text is mined, processes are mined, and a gateway is called proxy-api: people delete their pods and jobs."""
    for at in moments(day, "people", 8, 3):
        who = person(day.draw.choice(PEOPLE[:6]))
        namespace, name, image = day.draw.choice((
            ("data", "text-miner", "registry.example.com/data/text-miner:3.1"),
            ("data", "process-miner", "registry.example.com/data/process-miner:1.4"),
            ("shop", "proxy-api", "registry.example.com/shop/proxy-api:2.0"),
        ))  # fmt: skip
        pod = pod_of(namespace, name, image)
        yield from removed(day, at, who, pod)
        yield from day.line(
            at - MINUTE, pod, "miner started: 8 threads, queue accepted 120 documents, speed 10s 1201 60s 1180 docs/s"
        )
        yield from day.api(at + SECOND, who, "delete", "batch/jobs", namespace, f"{name}-{day.fresh()[:5]}")
        yield from day.api(
            at + HOUR, controller("generic-garbage-collector"), "delete", "apps/replicasets", namespace, f"{name}-old"
        )


def token_by_request(day: Day) -> Iterator[Written]:
    """A program in the cluster that asked for its account's token itself: the token names no pod. News of the day."""
    if day.past:
        return
    pod = Pod("data", "spark-driver-0", "worker-06", "spark", "driver", "docker.io/apache/spark:3.5.4")
    who = Caller(pod.user, pod.ip, "okhttp/4.12.0", credential=f"JTI={day.uuid('spark')}")
    for place, resource in enumerate(("pods", "configmaps", "pods")):
        yield from day.api(day.clock(12.2) + place * MINUTE, who, "list", resource, "data")


STORIES = (mistyped, refused, ports_of_nodes, names_like_miners, token_by_request)
HABITS = ()
