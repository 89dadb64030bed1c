"""Applications that talk to the API server themselves, by library and by hand: the hardest neighbours of a stolen token."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator

from tests.day.cluster import WORKERS, Pod, app_pod, pod_of
from tests.day.ink import SECOND, Day, Written, controller, pod_caller
from tests.day.rhythm import Habit, moments
from tests.day.workloads import App, started

_LEADERS = (
    ("shop", "cart", "okhttp/4.12.0"),
    ("billing", "ledger", "fabric8-kubernetes-client/6.13.4"),
    ("search", "indexer", "indexer/v0.0.0 (linux/amd64) kubernetes/$Format"),
    ("data", "airflow", "OpenAPI-Generator/31.0.0/python"),
)


def leader_election(day: Day, at: int) -> Iterator[Written]:
    """Replicas agree who leads: by a lease, or by a config map as of old."""
    namespace, app, agent = day.draw.choice(_LEADERS)
    who = pod_caller(app_pod(namespace, app, day.draw.randrange(2)), agent)
    resource = day.draw.choice(("coordination.k8s.io/leases", "coordination.k8s.io/leases", "configmaps"))
    yield from day.api(at, who, "get", resource, namespace, f"{app}-leader")
    code = day.draw.choice((200, 200, 200, 409))
    yield from day.api(at + 20_000, who, "update", resource, namespace, f"{app}-leader", code=code)


def own_configuration(day: Day, at: int) -> Iterator[Written]:
    """Spring and others read their configuration, their secret and their neighbours at start; some are refused and go on."""
    namespace, app, agent = day.draw.choice(_LEADERS)
    who = pod_caller(app_pod(namespace, app), agent)
    yield from day.api(at, who, "get", "configmaps", namespace, f"{app}-config")
    yield from day.api(at + 30_000, who, "list", day.draw.choice(("pods", "endpoints", "services")), namespace)
    if app == "ledger":
        yield from day.api(at + 60_000, who, "get", "secrets", namespace, f"{app}-db")
    if app == "cart":
        yield from day.api(at + 60_000, who, "list", "services", code=403, decision="forbid")


def kubectl_in_a_job(day: Day) -> Iterator[Written]:
    """A nightly job in the cluster runs kubectl: restarts a deployment, deletes old jobs, waits for a database."""
    for at in moments(day, "night", 40, 4):
        namespace, name = day.draw.choice(
            (("shop", "nightly-restart"), ("data", "clean-jobs"), ("billing", "wait-for-db"))
        )
        image = "docker.io/bitnami/kubectl:1.33.2"
        command = [
            "/bin/sh",
            "-c",
            "kubectl rollout restart deployment/web && kubectl delete jobs --field-selector status.successful=1",
        ]
        job = f"{name}-{day.fresh()[:8]}"
        app = App(
            namespace,
            job,
            image,
            "Job",
            name,
            container={"name": "kubectl", "command": command},
            pod={"restartPolicy": "Never"},
        )
        pod = Pod(namespace, f"{job}-{day.fresh()[:5]}", day.draw.choice(WORKERS), name, "kubectl", image)
        yield from started(day, at, controller("job-controller"), pod, app, ("Job", job, day.fresh()))
        who = pod_caller(pod, "kubectl/v1.33.2 (linux/amd64) kubernetes/a57b6f7")
        for place, path in enumerate(("/api?timeout=32s", "/apis?timeout=32s")):
            yield from day.api(at + 5 * SECOND + place * 20_000, who, "get", "", path=path)
        yield from day.api(at + 6 * SECOND, who, "list", "batch/jobs", namespace)
        yield from day.api(at + 7 * SECOND, who, "get", "apps/deployments", namespace, "web")
        body = {
            "spec": {
                "template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-03-10T02:00:00Z"}}}
            }
        }
        yield from day.api(
            at + 8 * SECOND, who, "patch", "apps/deployments", namespace, "web", body=body, level="Request"
        )
        yield from day.api(at + 9 * SECOND, who, "delete", "batch/jobs", namespace, f"old-{day.fresh()[:5]}")
        yield from day.line(at + 9 * SECOND, pod, "deployment.apps/web restarted")


def curl_in_a_pod(day: Day) -> Iterator[Written]:
    """An init container asks with curl and the mounted token whether a neighbour is ready. Ugly, and found everywhere."""
    for at in moments(day, "traffic", 30, 3):
        pod = app_pod("search", "query", day.draw.randrange(3))
        who = pod_caller(pod, "curl/8.11.1")
        yield from day.api(at, who, "get", "endpoints", "search", "indexer")
        yield from day.api(at + 5 * SECOND, who, "get", "pods", "search", pod.name)


def chat_bot(day: Day, at: int) -> Iterator[Written]:
    """A bot answers people in the chat: pods of a namespace, logs, and what it may."""
    pod = pod_of("platform", "botkube", "ghcr.io/kubeshop/botkube:v1.14.0")
    who = pod_caller(pod, "botkube/v1.14.0 (linux/amd64)", "botkube-clusterrole")
    yield from day.api(at, who, "create", "authorization.k8s.io/selfsubjectaccessreviews",
                       body={"spec": {"resourceAttributes": {"namespace": "shop", "verb": "list", "resource": "pods"}}})  # fmt: skip
    yield from day.api(at + 90_000, who, "list", "pods", day.draw.choice(("shop", "billing")))
    yield from day.api(at + SECOND, who, "get", "pods/log", "shop", app_pod("shop", "web").name)
    yield from day.api(at + 2 * SECOND, who, "watch", "events")


STORIES = (kubectl_in_a_job, curl_in_a_pod)
HABITS = (
    Habit(4, "machine", leader_election),
    Habit(0.6, "traffic", own_configuration),
    Habit(0.2, "people", chat_bot),
)
