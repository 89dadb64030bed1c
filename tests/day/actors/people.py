"""People with kubectl, k9s, Lens, Headlamp, Rancher and scripts: what they read, change and break."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.day.cluster import ADMINS, APPS, NODES, OFFICE, PEOPLE, VPN, Person, app_pod, pod_of
from tests.day.ink import SECOND, Caller, Day, Written, controller, person, pod_caller
from tests.day.rhythm import Habit, moments
from tests.day.workloads import App, applied, removed

_DEVELOPERS = tuple(who for who in PEOPLE if who.team in APPS)
LENS = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) OpenLens/6.5.2 Chrome/114 Electron/25"
K9S = "k9s/v0.32.7 (linux/amd64) kubernetes/$Format"
VSCODE = "node-fetch"
PYTHON = "OpenAPI-Generator/31.0.0/python"
_LISTED = (
    "pods", "services", "apps/deployments", "apps/replicasets", "apps/statefulsets", "apps/daemonsets", "batch/jobs",
    "batch/cronjobs", "configmaps", "secrets", "events", "networking.k8s.io/ingresses", "persistentvolumeclaims",
    "serviceaccounts", "autoscaling/horizontalpodautoscalers", "endpoints", "resourcequotas", "limitranges",
    "rbac.authorization.k8s.io/rolebindings", "rbac.authorization.k8s.io/roles", "networking.k8s.io/networkpolicies",
)  # fmt: skip


def _developer(day: Day) -> Person:
    return day.draw.choice(_DEVELOPERS)


def _denied(
    day: Day, at: int, who: Caller, verb: str, resource: str, namespace: str = "", name: str = ""
) -> Iterator[Written]:
    yield from day.api(at, who, verb, resource, namespace, name, code=403, decision="forbid")


def discovery(day: Day, at: int) -> Iterator[Written]:
    """kubectl asks what the API server has before its first request of the hour."""
    who = person(_developer(day))
    for place, path in enumerate(
        ("/api?timeout=32s", "/apis?timeout=32s", "/version?timeout=32s", "/openapi/v3?timeout=32s")
    ):
        yield from day.api(at + place * 40_000, who, "get", "", path=path)


def looking(day: Day, at: int) -> Iterator[Written]:
    """get, describe, logs, top, events."""
    who = _developer(day)
    app = day.draw.choice(APPS[who.team])
    pod = app_pod(who.team, app)
    me = person(who)
    yield from day.api(at, me, "list", "pods", who.team)
    for place, (verb, resource, name) in enumerate(day.draw.sample((
        ("get", "apps/deployments", app), ("get", "pods", pod.name), ("list", "events", ""), ("get", "pods/log", pod.name),
        ("list", "metrics.k8s.io/pods", ""), ("list", "services", ""), ("get", "configmaps", f"{app}-config"),
        ("list", "apps/replicasets", ""), ("list", "networking.k8s.io/ingresses", ""), ("watch", "pods", ""),
        ("get", "nodes", "worker-01"), ("list", "nodes", ""), ("get", "apps/deployments/scale", app),
    ), 3)):  # fmt: skip
        namespace = "" if resource == "nodes" else who.team
        yield from day.api(at + (3 + place * 7) * SECOND, me, verb, resource, namespace, name)


def own_secret(day: Day, at: int) -> Iterator[Written]:
    """Somebody looks up the database password of their own application."""
    who = _developer(day)
    app = day.draw.choice(APPS[who.team])
    yield from day.api(at, person(who), "get", "secrets", who.team, f"{app}-db")


def not_found(day: Day, at: int) -> Iterator[Written]:
    """A typing error: 404. Or another team's namespace: 403."""
    who = _developer(day)
    me = person(who)
    if day.draw.randrange(2):
        yield from day.api(
            at, me, "get", day.draw.choice(("pods", "secrets", "apps/deployments")), who.team, "wbe", code=404
        )
    else:
        other = day.draw.choice([team for team in APPS if team != who.team])
        yield from _denied(
            day, at, me, day.draw.choice(("list", "get")), day.draw.choice(("pods", "secrets", "configmaps")), other
        )


def shell(day: Day, at: int) -> Iterator[Written]:
    """exec into an own pod: a shell, a look at files, a database client; with old and new clients."""
    who = _developer(day)
    pod = app_pod(who.team, day.draw.choice(APPS[who.team]))
    command = day.draw.choice((
        ["bash"], ["sh"], ["/bin/sh", "-c", "TERM=xterm exec /bin/bash || exec /bin/sh"], ["ls", "-la", "/app"], ["env"],
        ["cat", "/etc/resolv.conf"], ["curl", "-sS", "http://localhost:8080/metrics"], ["psql", "-c", "select count(*) from orders"],
        ["python", "manage.py", "shell"], ["nslookup", "ledger.billing.svc"], ["tar", "cf", "-", "/tmp/heap.hprof"], ["date"],
        ["ps", "aux"], ["df", "-h"], ["jcmd", "1", "GC.heap_info"], ["redis-cli", "ping"], ["cat", "/proc/1/limits"], ["id"],
    ))  # fmt: skip
    verb = "create" if "v1.29" in who.agent else "get"
    yield from day.api(at, person(who), "get", "pods", who.team, pod.name)
    yield from day.api(at + 300_000, person(who), verb, "pods/exec", who.team, pod.name, command=command, code=101)


def forwarding(day: Day, at: int) -> Iterator[Written]:
    """port-forward to an own pod; attach to a job now and then."""
    who = _developer(day)
    pod = app_pod(who.team, day.draw.choice(APPS[who.team]))
    sub = day.draw.choice(("portforward", "portforward", "portforward", "attach"))
    verb = "create" if "v1.29" in who.agent else "get"
    yield from day.api(at, person(who), "get", "pods", who.team, pod.name)
    yield from day.api(at + 200_000, person(who), verb, f"pods/{sub}", who.team, pod.name, code=101)


def debugging(day: Day) -> Iterator[Written]:
    """kubectl debug: an ephemeral container in an own pod, with a known image."""
    for at in moments(day, "people", 8, 2):
        who = _developer(day)
        app = APPS[who.team][0]
        pod = app_pod(who.team, app)
        image = day.draw.choice(("docker.io/library/busybox:1.37", "docker.io/nicolaka/netshoot:v0.13"))
        ephemeral = {
            "name": f"debugger-{day.fresh()[:5]}",
            "image": image,
            "stdin": True,
            "tty": True,
            "targetContainerName": app,
        }
        body = {"spec": {"ephemeralContainers": [ephemeral]}}
        yield from day.api(at, person(who), "get", "pods", who.team, pod.name)
        answer = {"metadata": {"name": pod.name, "namespace": who.team, "uid": pod.uid},
                  "spec": {"containers": [{"name": app, "image": pod.image}], "ephemeralContainers": [ephemeral]}}  # fmt: skip
        yield from day.api(at + 400_000, person(who), "patch", "pods/ephemeralcontainers", who.team, pod.name, uid=pod.uid,
                           body=body, response=answer)  # fmt: skip
        verb = "create" if "v1.29" in who.agent else "get"
        yield from day.api(at + 3 * SECOND, person(who), verb, "pods/attach", who.team, pod.name, code=101)


def changes(day: Day, at: int) -> Iterator[Written]:
    """apply, scale, rollout restart, edit of a config map."""
    who = _developer(day)
    me = person(who)
    app = day.draw.choice(APPS[who.team])
    kind = day.draw.randrange(4)
    if kind == 0:
        known = App(who.team, app, app_pod(who.team, app).image, account=app_pod(who.team, app).account, replicas=2)
        yield from day.api(at, me, "get", "apps/deployments", who.team, app)
        yield from applied(day, at + SECOND, me, known, injected=who.team == "shop")
        for replica in range(2):
            old = app_pod(who.team, app, replica)
            yield from removed(day, at + (9 + replica) * SECOND, controller("replicaset-controller"), old)
    elif kind == 1:
        yield from day.api(
            at,
            me,
            "patch",
            "apps/deployments/scale",
            who.team,
            app,
            body={"spec": {"replicas": day.draw.randrange(1, 6)}},
        )
    elif kind == 2:
        note = {"kubectl.kubernetes.io/restartedAt": "2026-03-10T10:00:00Z"}
        body = {"spec": {"template": {"metadata": {"annotations": note}}}}
        yield from day.api(at, me, "patch", "apps/deployments", who.team, app, body=body, level="Request")
    else:
        yield from day.api(at, me, "get", "configmaps", who.team, f"{app}-config")
        yield from day.api(at + 40 * SECOND, me, "patch", "configmaps", who.team, f"{app}-config")


def may_i(day: Day, at: int) -> Iterator[Written]:
    """kubectl auth can-i, whoami."""
    who = person(_developer(day))
    spec = {
        "spec": {
            "resourceAttributes": {"namespace": "shop", "verb": "create", "resource": "deployments", "group": "apps"}
        }
    }
    resource = day.draw.choice(("authorization.k8s.io/selfsubjectaccessreviews", "authentication.k8s.io/selfsubjectreviews",
                                "authorization.k8s.io/selfsubjectrulesreviews"))  # fmt: skip
    yield from day.api(
        at, who, "create", resource, body=spec if "access" in resource else {"spec": {"namespace": "shop"}}
    )


def lens(day: Day, at: int) -> Iterator[Written]:
    """Lens and OpenLens ask first what they may, then list everything in a burst; a developer is refused half of it."""
    who = day.draw.choice((*_DEVELOPERS, *ADMINS))
    me = person(who, day.draw.choice((LENS, LENS, "kubernetes-client/javascript", VSCODE)))
    namespace = "" if who.team == "platform" else who.team
    for place in range(6):
        spec = {"namespace": namespace or "default", "verb": "list", "resource": _LISTED[place], "group": "*"}
        yield from day.api(at + place * 20_000, me, "create", "authorization.k8s.io/selfsubjectaccessreviews",
                           body={"spec": {"resourceAttributes": spec}})  # fmt: skip
    for place, resource in enumerate(_LISTED):
        yield from day.api(at + SECOND + place * 25_000, me, "list", resource, namespace)
    for place, resource in enumerate(("nodes", "namespaces", "apiextensions.k8s.io/customresourcedefinitions",
                                      "rbac.authorization.k8s.io/clusterroles", "persistentvolumes")):  # fmt: skip
        if namespace:
            yield from _denied(day, at + 2 * SECOND + place * 20_000, me, "list", resource)
        else:
            yield from day.api(at + 2 * SECOND + place * 20_000, me, "list", resource)


def k9s(day: Day, at: int) -> Iterator[Written]:
    """k9s: a rules review at start, then the same list every two seconds, and a log."""
    who = day.draw.choice((*_DEVELOPERS, *ADMINS))
    me = person(who, K9S)
    namespace = day.draw.choice(tuple(APPS)) if who.team == "platform" else who.team
    yield from day.api(at, me, "create", "authorization.k8s.io/selfsubjectaccessreviews",
                       body={"spec": {"resourceAttributes": {"verb": "list", "resource": "namespaces"}}})  # fmt: skip
    resource = day.draw.choice(("pods", "apps/deployments", "services", "secrets", "events"))
    for place in range(4):
        yield from day.api(at + (2 + 2 * place) * SECOND, me, "list", resource, namespace)
        yield from day.api(at + (2 + 2 * place) * SECOND + 90_000, me, "list", "metrics.k8s.io/pods", namespace)


def web_consoles(day: Day, at: int) -> Iterator[Written]:
    """Headlamp with the user's own token, and Rancher that impersonates its users."""
    if day.draw.randrange(2):
        me = _developer(day)
        who = person(me, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36")
        pod = pod_of("headlamp", "headlamp", "ghcr.io/headlamp-k8s/headlamp:v0.28.0")
        who = replace(who, ip=pod.ip)
        for place, resource in enumerate(("pods", "apps/deployments", "events", "secrets")):
            yield from day.api(at + place * 50_000, who, "list", resource, me.team)
    else:
        agent = pod_of(
            "cattle-system", "cattle-cluster-agent", "docker.io/rancher/rancher-agent:v2.10.1", account="cattle"
        )
        who = pod_caller(
            agent, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "cattle-admin-binding"
        )
        for place, resource in enumerate(("pods", "apps/deployments", "services", "batch/jobs", "configmaps")):
            yield from day.api(
                at + place * 60_000,
                who,
                day.draw.choice(("list", "watch")),
                resource,
                "shop",
                **{"as": f"u-{7 + day.draw.randrange(3)}x2kq"},
            )


def scripts(day: Day, at: int) -> Iterator[Written]:
    """A nightly report and a notebook on a laptop, in Python."""
    who = person(next(who for who in PEOPLE if who.team == "data"), PYTHON)
    for place in range(day.draw.randrange(1, 4)):
        yield from day.api(at + place * SECOND, who, "list", "pods", "data")
        yield from day.api(at + place * SECOND + 200_000, who, "list", "events", "data")


def administration(day: Day, at: int) -> Iterator[Written]:
    """Administrators read everywhere: nodes, roles, a secret of the platform, logs of the system."""
    who = person(day.draw.choice(ADMINS))
    for place, (verb, resource, namespace, name) in enumerate(day.draw.sample((
        ("list", "nodes", "", ""), ("get", "nodes", "", "worker-03"), ("list", "pods", "", ""), ("list", "events", "", ""),
        ("get", "pods/log", "kube-system", "coredns-5d78c9869d-h4v8k"), ("list", "rbac.authorization.k8s.io/rolebindings", "", ""),
        ("get", "configmaps", "kube-system", "kubeadm-config"), ("get", "secrets", "cert-manager", "acme-account-key"),
        ("list", "metrics.k8s.io/nodes", "", ""), ("list", "persistentvolumes", "", ""), ("list", "namespaces", "", ""),
        ("get", "configmaps", "kube-system", "coredns"), ("list", "certificates.k8s.io/certificatesigningrequests", "", ""),
        ("list", "admissionregistration.k8s.io/validatingwebhookconfigurations", "", ""), ("get", "nodes", "", "gpu-1"),
    ), 3)):  # fmt: skip
        yield from day.api(at + place * 5 * SECOND, who, verb, resource, namespace, name)


def system_shell(day: Day) -> Iterator[Written]:
    """An administrator looks into system pods: cilium status, etcdctl, the ceph toolbox."""
    looks = (
        ("kube-system", "cilium-x7k2p", ["cilium", "status", "--brief"]), ("rook-ceph", "rook-ceph-tools-0", ["ceph", "-s"]),
        ("kube-system", "etcd-cp-1", ["etcdctl", "endpoint", "status", "-w", "table"]), ("istio-system", "istiod-0", ["pilot-discovery", "version"]),
        ("data", "postgres-0", ["psql", "-U", "postgres", "-c", "select * from pg_stat_activity"]),
    )  # fmt: skip
    for at in moments(day, "people", 24, 3):
        who = person(day.draw.choice(ADMINS))
        namespace, pod, command = day.draw.choice(looks)
        yield from day.api(at, who, "get", "pods/exec", namespace, pod, command=command, code=101)


def two_places(day: Day, at: int) -> Iterator[Written]:
    """The same person on the VPN, then from the office's public address: no theft of a session."""
    who = _developer(day)
    for place, ip in enumerate((VPN + "77", OFFICE[day.draw.randrange(2)])):
        yield from day.api(at + place * 20 * SECOND, replace(person(who), ip=ip), "list", "pods", who.team)


def refused_logins(day: Day, at: int) -> Iterator[Written]:
    """An OIDC token has run out: 401 until kubectl renews it. The server knows no name."""
    who = Caller("", day.draw.choice((*OFFICE, VPN + "21")), PEOPLE[0].agent, (), credential="none")
    for written in day.api(at, who, "list", "pods", "shop", code=401):
        written.record["user"] = {}
        yield written
    yield from day.api(at + SECOND, person(PEOPLE[0]), "list", "pods", "shop")


def node_reading(day: Day, at: int) -> Iterator[Written]:
    """kubectl describe node."""
    who = person(day.draw.choice(ADMINS))
    node = day.draw.choice(NODES)
    yield from day.api(at, who, "get", "nodes", "", node)
    yield from day.api(at + 50_000, who, "list", "pods", "", fieldSelector=None)
    yield from day.api(at + 90_000, who, "get", "coordination.k8s.io/leases", "kube-node-lease", node)


STORIES = (debugging, system_shell)
HABITS = (
    Habit(0.6, "people", discovery),
    Habit(2.5, "people", looking),
    Habit(0.25, "people", own_secret),
    Habit(0.4, "people", not_found),
    Habit(0.35, "people", shell),
    Habit(0.3, "people", forwarding),
    Habit(0.35, "people", changes),
    Habit(0.15, "people", may_i),
    Habit(0.2, "people", lens),
    Habit(0.4, "people", k9s),
    Habit(0.3, "people", web_consoles),
    Habit(0.3, "night", scripts),
    Habit(0.7, "people", administration),
    Habit(0.15, "people", two_places),
    Habit(0.3, "people", refused_logins),
    Habit(0.2, "people", node_reading),
)
