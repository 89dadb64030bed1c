"""Cron jobs, backups, migrations, temporary namespaces and their end."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator

from tests.day.cluster import APPS, PEOPLE, WORKERS, Pod, app_pod, pod_of
from tests.day.ink import HOUR, MINUTE, SECOND, Caller, Day, Written, controller, person, pod_caller
from tests.day.rhythm import Habit, moments
from tests.day.workloads import App, applied, bound, owned, removed, started

_JOBS = (
    ("shop", "sync-prices", "registry.example.com/shop/tools:1.9", ["/bin/sh", "-c", "curl -fsS https://prices.example.com/feed | base64 -d > /tmp/feed && /app/import /tmp/feed"]),
    ("billing", "export-ledger", "docker.io/library/postgres:17.2", ["bash", "-c", "pg_dump billing | gzip | base64 -w0 | curl -sT - https://backup.example.com/ledger"]),
    ("data", "rotate-logs", "docker.io/library/busybox:1.37", ["sh", "-c", "find /logs -mtime +7 -delete; rm -rf /logs/tmp"]),
    ("search", "reindex", "registry.example.com/search/indexer:2.14.3", ["python", "-c", "import base64,os;exec(base64.b64decode(os.environ['STEPS']))"]),
    ("shop", "check-certs", "docker.io/alpine/curl:8.11.1", ["sh", "-c", "wget -qO- https://shop.example.com/healthz && nc -z shop.example.com 443"]),
    ("kube-system", "etcd-backup", "registry.k8s.io/etcd:3.5.17-0", ["/bin/sh", "-c", "etcdctl snapshot save /backup/etcd-$(date +%F).db"]),
)  # fmt: skip
_SAID = (
    "downloading feed: 2.1 MB", "% Total    % Received % Xferd  Average Speed   Time    Time     Time  Current", "imported 8812 rows, accepted 8801, rejected 11",
    "100 2150k  100 2150k    0     0  1840k      0  0:00:01  0:00:01 --:--:-- 1841k", "Snapshot saved at /backup/etcd-2026-03-10.db", "done",
    "+ curl -fsS https://prices.example.com/feed", "+ base64 -d", "Connecting to shop.example.com (203.0.113.80:443)",
)  # fmt: skip


def cron_jobs(day: Day, at: int) -> Iterator[Written]:
    """The hour strikes: CronJob, Job, pod, a few lines, done, cleaned up."""
    namespace, name, image, command = day.draw.choice(_JOBS)
    who = controller("cronjob-controller")
    job = f"{name}-{29_000_000 + at // MINUTE % 900_000}"
    extra = {
        "hostNetwork": True,
        "volumes": [
            {"name": "backup", "hostPath": {"path": "/var/lib/etcd-backup"}},
            {"name": "pki", "hostPath": {"path": "/etc/kubernetes/pki/etcd"}},
        ],
    }
    app = App(namespace, job, image, "Job", container={"name": name, "command": command},
              pod={"restartPolicy": "Never", **(extra if namespace == "kube-system" else {})})  # fmt: skip
    body = app.body()
    body["metadata"]["ownerReferences"] = owned("CronJob", name, day.uuid("CronJob", namespace, name))
    uid = day.uuid("Job", namespace, job)
    yield from day.api(at, who, "create", "batch/jobs", namespace, body=body, uid=uid)
    yield from day.api(at + 40_000, who, "update", "batch/cronjobs/status", namespace, name, level="Metadata")
    pod = Pod(namespace, f"{job}-{day.fresh()[:5]}", day.draw.choice(WORKERS), "default", name, image)
    yield from started(day, at + 200_000, controller("job-controller"), pod, app, ("Job", job, uid))
    for place in range(3):
        yield from day.line(
            at + (4 + place) * SECOND, pod, day.draw.choice(_SAID), stream=day.draw.choice(("stdout", "stderr"))
        )
    yield from day.api(
        at + 20 * SECOND, controller("job-controller"), "update", "batch/jobs/status", namespace, job, level="Metadata"
    )
    yield from removed(day, at + HOUR // 2, controller("generic-garbage-collector"), pod)
    yield from day.api(
        at + HOUR // 2, controller("ttl-after-finished-controller"), "delete", "batch/jobs", namespace, job
    )


def previews(day: Day) -> Iterator[Written]:
    """A pipeline makes a namespace for a branch, deploys into it, and deletes it: the namespace's end takes everything along."""
    for at in moments(day, "people", 8, 1):
        namespace = f"preview-{day.fresh()[:4]}"
        who = Caller(
            "system:serviceaccount:ci:preview-deployer",
            "192.0.2.151",
            "kubectl/v1.32.1 (linux/amd64) kubernetes/e9c9be4",
            credential=f"JTI={day.uuid('previews')}",
        )
        yield from day.api(
            at, who, "create", "namespaces", body={"metadata": {"name": namespace, "labels": {"preview": "true"}}}
        )
        yield from day.api(
            at + 50_000,
            controller("service-account-controller"),
            "create",
            "serviceaccounts",
            namespace,
            body={"metadata": {"name": "default"}},
        )
        yield from day.api(
            at + 60_000,
            controller("root-ca-cert-publisher"),
            "create",
            "configmaps",
            namespace,
            body={"metadata": {"name": "kube-root-ca.crt"}},
        )
        app = App(namespace, "web", f"registry.example.com/shop/web:branch-{day.fresh()[:7]}", replicas=1)
        yield from applied(day, at + SECOND, who, app, verb="create")
        yield from day.api(
            at + 2 * SECOND,
            who,
            "create",
            "services",
            namespace,
            body={"metadata": {"name": "web"}, "spec": {"type": "ClusterIP", "ports": [{"port": 80}]}},
        )
        host = f"{namespace}.example.com"
        yield from day.api(
            at + 3 * SECOND,
            who,
            "create",
            "networking.k8s.io/ingresses",
            namespace,
            body={"metadata": {"name": "web"}, "spec": {"rules": [{"host": host}]}},
        )
        yield from ended(day, at + HOUR, who, namespace)


def ended(day: Day, at: int, who: Caller, namespace: str) -> Iterator[Written]:
    """The namespace's controller deletes every kind of thing, events and pods and secrets among them, as fast as it can."""
    yield from day.api(at, who, "delete", "namespaces", "", namespace)
    keeper = controller("namespace-controller")
    for place, resource in enumerate((
        "apps/deployments", "apps/replicasets", "apps/daemonsets", "apps/statefulsets", "batch/jobs", "batch/cronjobs", "events", "events.k8s.io/events",
        "secrets", "configmaps", "serviceaccounts", "services", "pods", "rbac.authorization.k8s.io/roles", "rbac.authorization.k8s.io/rolebindings",
        "networking.k8s.io/networkpolicies", "networking.k8s.io/ingresses", "resourcequotas", "limitranges", "endpoints", "persistentvolumeclaims",
        "coordination.k8s.io/leases", "discovery.k8s.io/endpointslices", "policy/poddisruptionbudgets", "kubeflow.org/notebooks",
    )):  # fmt: skip
        yield from day.api(at + (place + 5) * 30_000, keeper, "deletecollection", resource, namespace, level="Metadata")
        yield from day.api(at + (place + 5) * 30_000 + 9_000, keeper, "list", resource, namespace)
    yield from day.api(at + 6 * SECOND, keeper, "update", "namespaces/finalize", "", namespace, level="Metadata")


def by_hand(day: Day) -> Iterator[Written]:
    """A developer runs a cron job now, deletes a stuck pod, and all pods of a label."""
    for at in moments(day, "people", 20, 3):
        who = day.draw.choice([who for who in PEOPLE if who.team in APPS])
        me = person(who)
        app = APPS[who.team][0]
        pod = app_pod(who.team, app)
        job = App(
            who.team,
            f"manual-{day.fresh()[:5]}",
            pod.image,
            "Job",
            pod.account,
            container={"name": app, "command": ["python", "manage.py", "fixup"]},
            pod={"restartPolicy": "Never"},
        )
        yield from day.api(at, me, "get", "batch/cronjobs", who.team, "fixup")
        yield from day.api(at + SECOND, me, "create", "batch/jobs", who.team, body=job.body())
        made = Pod(who.team, f"{job.name}-{day.fresh()[:5]}", day.draw.choice(WORKERS), pod.account, app, pod.image)
        yield from started(
            day, at + 2 * SECOND, controller("job-controller"), made, job, ("Job", job.name, day.fresh())
        )
        yield from removed(day, at + 9 * MINUTE, me, pod)
        if day.draw.randrange(3) == 0:
            yield from day.api(
                at + 10 * MINUTE,
                me,
                "deletecollection",
                "pods",
                who.team,
                body={"kind": "DeleteOptions", "apiVersion": "v1"},
            )


def airflow(day: Day, at: int) -> Iterator[Written]:
    """Airflow's scheduler starts a pod for every task with its own account, reads its log, deletes it."""
    scheduler = pod_of("data", "airflow-scheduler", "docker.io/apache/airflow:2.10.4", account="airflow")
    who = pod_caller(scheduler, "OpenAPI-Generator/31.0.0/python", "airflow-pod-launcher-rolebinding")
    app = App(
        "data",
        "base",
        "docker.io/apache/airflow:2.10.4",
        account="airflow-worker",
        container={"args": ["airflow", "tasks", "run", "etl", "load"]},
    )
    made = Pod("data", f"etl-load-{day.fresh()[:8]}", day.draw.choice(WORKERS), "airflow-worker", "base", app.image)
    body = app.template()
    body["metadata"] |= {"name": made.name}
    yield from day.api(at, who, "create", "pods", "data", uid=made.uid, body=body)
    yield from bound(day, at + 20_000, made)
    yield from day.line(
        at + 5 * SECOND,
        made,
        "[2026-03-10T02:00:00.000+0000] {subprocess.py:63} INFO - Running command: ['bash', '-c', 'curl -s http://ingest.data.svc/run']",
    )
    yield from day.api(at + 30 * SECOND, who, "get", "pods/log", "data", made.name)
    yield from removed(day, at + 60 * SECOND, who, made)


STORIES = (previews, by_hand)
HABITS = (
    Habit(0.8, "machine", cron_jobs),
    Habit(0.5, "night", airflow),
)
