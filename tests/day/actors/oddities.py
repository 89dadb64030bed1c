"""Rare and right: a break-glass login, a debugged node, a virtual cluster, an agent with all rights, a slow etcd."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator

from tests.day.cluster import ADMINS, NODES, WORKERS, Pod, pod_of
from tests.day.ink import MINUTE, SECOND, Caller, Day, Written, component, controller, kubelet, person, pod_caller
from tests.day.rhythm import Habit, moments
from tests.day.workloads import App, applied, bound, host_path, removed

_RBAC = "rbac.authorization.k8s.io"


def break_glass(day: Day, at: int) -> Iterator[Written]:
    """An administrator on a control plane node, with the certificate that kubeadm left there."""
    who = Caller(
        "kubernetes-admin",
        "10.0.0.10",
        "kubectl/v1.33.5 (linux/amd64) kubernetes/03d7a4c",
        ("kubeadm:cluster-admins", "system:authenticated"),
    )
    for place, (verb, resource, namespace) in enumerate(
        (("list", "nodes", ""), ("list", "pods", "kube-system"), ("list", "events", "kube-system"))
    ):
        yield from day.api(at + place * 8 * SECOND, who, verb, resource, namespace)


def node_debugged(day: Day) -> Iterator[Written]:
    """kubectl debug node: a pod with everything of the node's, attached, deleted. Somebody should hear of it, once."""
    if day.past:
        return
    at, who, node = day.clock(16.1), person(ADMINS[0]), "worker-04"
    pod = Pod("default", f"node-debugger-{node}-x7k2p", node, "default", "debugger", "docker.io/library/busybox:1.37")
    container = {
        "name": "debugger",
        "image": pod.image,
        "stdin": True,
        "tty": True,
        "volumeMounts": [{"name": "host-root", "mountPath": "/host"}],
    }
    spec = {"nodeName": node, "hostNetwork": True, "hostPID": True, "hostIPC": True, "restartPolicy": "Never", "containers": [container],
            "volumes": [host_path("host-root", "/")], "tolerations": [{"operator": "Exists"}]}  # fmt: skip
    yield from day.api(at, who, "get", "nodes", "", node)
    yield from day.api(
        at + 200_000, who, "create", "pods", "default", uid=pod.uid, body={"metadata": {"name": pod.name}, "spec": spec}
    )
    yield from day.api(
        at + SECOND,
        kubelet(node),
        "patch",
        "pods/status",
        "default",
        pod.name,
        uid=pod.uid,
        body={"status": {"phase": "Running"}},
        level="Request",
    )
    yield from day.api(at + 3 * SECOND, who, "get", "pods/attach", "default", pod.name, code=101)
    yield from removed(day, at + 9 * MINUTE, who, pod)


def agent_with_all_rights(day: Day) -> Iterator[Written]:
    """The chart of GitLab's agent binds it to cluster-admin. Somebody should hear of it, once."""
    if day.past:
        return
    at, who, namespace = day.clock(11.7), person(ADMINS[1], "Helm/3.16.4"), "gitlab-agent"
    yield from day.api(at, who, "create", "namespaces", body={"metadata": {"name": namespace}})
    yield from day.api(at + SECOND, who, "create", "secrets", namespace, "sh.helm.release.v1.gitlab-agent.v1")
    yield from day.api(
        at + 2 * SECOND, who, "create", "serviceaccounts", namespace, body={"metadata": {"name": "gitlab-agent"}}
    )
    body = {
        "metadata": {"name": "gitlab-agent-cluster-admin"}, "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "gitlab-agent", "namespace": namespace}],
    }  # fmt: skip
    yield from day.api(at + 3 * SECOND, who, "create", f"{_RBAC}/clusterrolebindings", body=body)
    app = App(
        namespace,
        "gitlab-agent",
        "registry.gitlab.com/gitlab-org/cluster-integration/gitlab-agent/agentk:v17.7.0",
        account="gitlab-agent",
    )
    yield from applied(day, at + 4 * SECOND, who, app, verb="create")
    pod = pod_of(namespace, "gitlab-agent", app.image)
    me = pod_caller(pod, "gitlab-agent/v17.7.0 (linux/amd64)", "gitlab-agent-cluster-admin")
    for place, resource in enumerate(("configmaps", "coordination.k8s.io/leases", "pods")):
        yield from day.api(at + MINUTE + place * SECOND, me, "list", resource, namespace)


def virtual_clusters(day: Day) -> Iterator[Written]:
    """A vcluster in a team's namespace: pods named like parts of the system that are none, made by its own account."""
    pod = pod_of(
        "team-vc",
        "dev",
        "ghcr.io/loft-sh/vcluster-oss:0.21.1",
        account="vc-dev",
        kind="StatefulSet",
        container="syncer",
    )
    who = pod_caller(pod, "vcluster/v0.21.1 (linux/amd64) kubernetes/$Format", "vc-dev")
    for place, at in enumerate(moments(day, "people", 6, 2)):
        name, image = (
            ("coredns-5d78c9869d-x7k2p-x-kube-system-x-dev", "docker.io/coredns/coredns:1.11.3"),
            ("web-6d5f8c7b9-q7w2p-x-default-x-dev", "docker.io/library/nginx:1.27"),
        )[place % 2]
        made = Pod("team-vc", name, day.draw.choice(WORKERS), "vc-workload-dev", "main", image)
        body = {
            "metadata": {"name": name, "labels": {"vcluster.loft.sh/managed-by": "dev"}},
            "spec": {"containers": [{"name": "main", "image": image}], "serviceAccountName": "vc-workload-dev"},
        }
        yield from day.api(at, who, "create", "pods", "team-vc", uid=made.uid, body=body)
        yield from bound(day, at + 30_000, made)
        yield from day.api(at + SECOND, who, "create", "secrets", "team-vc", f"token-{day.fresh()[:5]}-x-default-x-dev")
        yield from day.api(
            at + 2 * SECOND,
            who,
            "create",
            "services",
            "team-vc",
            body={"metadata": {"name": f"kube-dns-x-kube-system-x-dev-{place}"}, "spec": {"type": "ClusterIP"}},
        )


def out_of_breath(day: Day) -> Iterator[Written]:
    """For some seconds etcd is slow: everybody is told 500, 504 or 429, and asks again."""
    at = day.clock(18.3)
    for place in range(day.times(60, 12)):
        who = day.draw.choice(
            (
                kubelet(day.draw.choice(NODES)),
                component("system:kube-scheduler"),
                controller("node-controller"),
                person(ADMINS[0]),
            )
        )
        resource = day.draw.choice(("pods", "nodes", "configmaps", "services"))
        yield from day.api(at + place * 300_000, who, "list", resource, code=day.draw.choice((500, 504, 429)))


STORIES = (node_debugged, agent_with_all_rights, virtual_clusters, out_of_breath)
HABITS = (Habit(0.08, "people", break_glass),)
