"""Work on the cluster itself: a node drained by hand, the upgrade of a node pool, a new cluster set up with kubeadm."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.day.cluster import ADMINS, COMMITS, NEXT_VERSION, WORKERS, pod_of
from tests.day.ink import MINUTE, SECOND, Caller, Day, Written, component, controller, kubelet, person
from tests.day.rhythm import moments
from tests.day.workloads import App, applied, host_path

_RBAC = "rbac.authorization.k8s.io"


def drained(day: Day) -> Iterator[Written]:
    """kubectl drain: cordon, list, evictions (one refused by a budget), and back."""
    for place, at in enumerate(moments(day, "people", 4, 1)):
        who = person(ADMINS[1])
        node = WORKERS[place % 5]
        yield from day.api(at, who, "get", "nodes", "", node)
        yield from day.api(at + 100_000, who, "patch", "nodes", "", node, body={"spec": {"unschedulable": True}})
        yield from day.api(at + 200_000, who, "list", "pods", "")
        for number in range(8):
            victim = pod_of(
                ("shop", "billing")[number % 2],
                "web",
                "registry.example.com/shop/web:2.14.1",
                replica=30 + number,
                node=node,
            )
            code = 429 if number == 3 else 201
            body = {
                "metadata": {"name": victim.name, "namespace": victim.namespace},
                "kind": "Eviction",
                "apiVersion": "policy/v1",
            }
            yield from day.api(
                at + SECOND + number * 50_000,
                who,
                "create",
                "pods/eviction",
                victim.namespace,
                victim.name,
                uid=victim.uid,
                body=body,
                code=code,
            )
            yield from day.api(at + 2 * SECOND + number * 50_000, who, "get", "pods", victim.namespace, victim.name)
            yield from day.api(
                at + 9 * SECOND + number * 50_000,
                kubelet(node),
                "delete",
                "pods",
                victim.namespace,
                victim.name,
                uid=victim.uid,
            )
        yield from day.api(at + 20 * MINUTE, who, "patch", "nodes", "", node, body={"spec": {"unschedulable": None}})


def upgraded(day: Day) -> Iterator[Written]:
    """Half a node pool gets the next version: the kubelet comes back with another agent, static pods are mirrored anew."""
    if day.past:
        return
    for place, node in enumerate(WORKERS[: day.times(7, 2)]):
        at = day.clock(13.0) + place * 12 * MINUTE
        admin = person(ADMINS[0])
        yield from day.api(at, admin, "patch", "nodes", "", node, body={"spec": {"unschedulable": True}})
        newer = kubelet(node, NEXT_VERSION)
        yield from day.api(at + 3 * MINUTE, newer, "get", "nodes", "", node)
        yield from day.api(at + 3 * MINUTE + SECOND, newer, "patch", "nodes/status", "", node, level="Request",
                           body={"status": {"nodeInfo": {"kubeletVersion": NEXT_VERSION}}})  # fmt: skip
        for number in range(4):
            yield from day.api(
                at + 4 * MINUTE + number * 10 * SECOND,
                newer,
                "update",
                "coordination.k8s.io/leases",
                "kube-node-lease",
                node,
            )
        yield from day.api(at + 5 * MINUTE, admin, "patch", "nodes", "", node, body={"spec": {"unschedulable": None}})
    at = day.clock(12.5)
    for node in ("cp-1", "cp-2", "cp-3")[: day.times(3, 1)]:
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
            yield from _mirror_pod(day, at, node, name)
            at += 20 * SECOND
    yield from day.api(day.clock(12.4), _kubeadm(NEXT_VERSION), "update", "configmaps", "kube-system", "kubeadm-config")


def _mirror_pod(day: Day, at: int, node: str, name: str, version: str = NEXT_VERSION) -> Iterator[Written]:
    app = App("kube-system", name, f"registry.k8s.io/{name}:{version}", pod={"hostNetwork": True, "nodeName": node, "volumes": [
        host_path("ca-certs", "/etc/ssl/certs"), host_path("k8s-certs", "/etc/kubernetes/pki"), host_path("kubeconfig", f"/etc/kubernetes/{name}.conf")]})  # fmt: skip
    body = app.template()
    body["spec"].pop("serviceAccountName")
    body["metadata"] |= {
        "name": f"{name}-{node}",
        "annotations": {"kubernetes.io/config.source": "file", "kubernetes.io/config.mirror": "ab12"},
    }
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Node", "name": node, "uid": day.uuid("node", node), "controller": True}
    ]
    yield from day.api(at, kubelet(node, version), "create", "pods", "kube-system", body=body)
    yield from day.api(
        at + SECOND,
        kubelet(node, version),
        "patch",
        "pods/status",
        "kube-system",
        f"{name}-{node}",
        body={"status": {"phase": "Running"}},
        level="Request",
    )


def _kubeadm(version: str) -> Caller:
    return Caller(
        "kubernetes-admin",
        "10.0.0.10",
        f"kubeadm/{version} (linux/amd64) kubernetes/{COMMITS[version]}",
        ("kubeadm:cluster-admins", "system:authenticated"),
    )


def bootstrapped(day: Day) -> Iterator[Written]:
    """A laboratory cluster is set up with kubeadm in the morning: what every cluster does in its first minute."""
    if day.past:
        return
    lab = replace(day, cluster="lab-1")
    lab._seed = f"{day._seed}/lab"
    at = day.clock(9.05)
    yield from _first_roles(lab, at)
    yield from _first_accounts(lab, at + 20 * SECOND)
    yield from _kubeadm_phases(lab, at + 40 * SECOND)
    for place, node in enumerate(("cp-1", "cp-2")):
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"):
            yield from _mirror_pod(lab, at + (place * 120 + 30) * SECOND, node, name)
        yield from _joined(lab, at + (place * 120 + 60) * SECOND, node)
    yield from _network_installed(lab, at + 5 * MINUTE)


def _first_roles(day: Day, at: int) -> Iterator[Written]:
    """The API server's own post-start hook."""
    who = component("system:apiserver", NEXT_VERSION)
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}]
    system = [
        ("cluster-admin", everything), ("system:controller:generic-garbage-collector", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["delete", "get", "list", "patch", "update", "watch"]}]),
        ("system:controller:namespace-controller", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["delete", "deletecollection", "get", "list"]}]),
        ("system:controller:resourcequota-controller", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["list", "watch"]}]),
        ("admin", [{"apiGroups": [""], "resources": ["pods/exec", "pods/attach", "secrets", "services/proxy", "serviceaccounts"], "verbs": ["get", "list", "watch", "create", "impersonate"]}]),
        ("edit", [{"apiGroups": [""], "resources": ["pods/exec", "secrets"], "verbs": ["create", "get", "list", "watch"]}]),
        ("system:node", [{"apiGroups": [""], "resources": ["secrets", "configmaps", "serviceaccounts/token"], "verbs": ["get", "list", "watch", "create"]}]),
        ("system:kubelet-api-admin", [{"apiGroups": [""], "resources": ["nodes/proxy", "nodes/log"], "verbs": ["*"]}]),
        ("system:controller:clusterrole-aggregation-controller", [{"apiGroups": [_RBAC], "resources": ["clusterroles"], "verbs": ["escalate", "get", "list", "patch", "update", "watch"]}]),
        ("system:public-info-viewer", [{"nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version"], "verbs": ["get"]}]),
    ]  # fmt: skip
    for place, (name, rules) in enumerate(system):
        yield from day.api(at + place * 40_000, who, "get", f"{_RBAC}/clusterroles", "", name, code=404)
        body = {"metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}, "rules": rules}
        yield from day.api(at + place * 40_000 + 9_000, who, "create", f"{_RBAC}/clusterroles", body=body)
        subject = (
            {"kind": "Group", "apiGroup": _RBAC, "name": "system:masters"}
            if name == "cluster-admin"
            else {"kind": "Group", "apiGroup": _RBAC, "name": "system:unauthenticated"}
        )
        if name.startswith("system:controller:"):
            subject = {
                "kind": "ServiceAccount",
                "name": name.removeprefix("system:controller:"),
                "namespace": "kube-system",
            }
        bound_to = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name},
            "subjects": [subject],
        }
        if name in {"cluster-admin", "system:public-info-viewer"} or name.startswith("system:controller:"):
            yield from day.api(
                at + place * 40_000 + 20_000, who, "create", f"{_RBAC}/clusterrolebindings", body=bound_to
            )
    for name in ("kube-system", "kube-public", "kube-node-lease", "default"):
        yield from day.api(at, who, "create", "namespaces", body={"metadata": {"name": name}})


def _first_accounts(day: Day, at: int) -> Iterator[Written]:
    """The controller manager's service accounts, and tokens for each."""
    who = component("system:kube-controller-manager", NEXT_VERSION)
    for place, name in enumerate(
        (
            "deployment-controller",
            "replicaset-controller",
            "generic-garbage-collector",
            "node-controller",
            "job-controller",
            "certificate-controller",
        )
    ):
        yield from day.api(
            at + place * 30_000,
            who,
            "create",
            "serviceaccounts",
            "kube-system",
            body={"metadata": {"name": name, "namespace": "kube-system"}},
        )
        note = {"authentication.kubernetes.io/issued-credential-id": f"JTI={day.fresh()}"}
        yield from day.api(
            at + place * 30_000 + 9_000, who, "create", "serviceaccounts/token", "kube-system", name, annotations=note
        )


def _kubeadm_phases(day: Day, at: int) -> Iterator[Written]:
    """kubeadm init: with super-admin first, then as kubernetes-admin."""
    first = replace(
        _kubeadm(NEXT_VERSION), user="kubernetes-super-admin", groups=("system:masters", "system:authenticated")
    )
    body = {
        "metadata": {"name": "kubeadm:cluster-admins"}, "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "Group", "apiGroup": _RBAC, "name": "kubeadm:cluster-admins"}],
    }  # fmt: skip
    yield from day.api(
        at, _kubeadm(NEXT_VERSION), "create", f"{_RBAC}/clusterrolebindings", body=body, code=403, decision="forbid"
    )
    yield from day.api(at + SECOND, first, "create", f"{_RBAC}/clusterrolebindings", body=body)
    who = _kubeadm(NEXT_VERSION)
    for name in ("kubeadm-config", "kubelet-config", "cluster-info"):
        yield from day.api(
            at + 2 * SECOND,
            who,
            "create",
            "configmaps",
            "kube-public" if name == "cluster-info" else "kube-system",
            body={"metadata": {"name": name}},
        )
    yield from day.api(at + 3 * SECOND, who, "create", "secrets", "kube-system", "bootstrap-token-abcdef")
    yield from day.api(
        at + 3 * SECOND,
        who,
        "patch",
        "nodes",
        "",
        "cp-1",
        body={"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}},
    )
    bindings = (
        ("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", "system:bootstrappers:kubeadm:default-node-token"),
        ("kubeadm:node-autoapprove-bootstrap", "system:certificates.k8s.io:certificatesigningrequests:nodeclient", "system:bootstrappers:kubeadm:default-node-token"),
        ("kubeadm:node-autoapprove-certificate-rotation", "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "system:nodes"),
        ("kubeadm:get-nodes", "kubeadm:get-nodes", "system:bootstrappers:kubeadm:default-node-token"),
    )  # fmt: skip
    for place, (name, role, group) in enumerate(bindings):
        made = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "Group", "apiGroup": _RBAC, "name": group}],
        }
        yield from day.api(at + 4 * SECOND + place * 50_000, who, "create", f"{_RBAC}/clusterrolebindings", body=made)
    reader = {"metadata": {"name": "kubeadm:bootstrap-signer-clusterinfo"}, "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": "kubeadm:bootstrap-signer-clusterinfo"},
              "subjects": [{"kind": "User", "apiGroup": _RBAC, "name": "system:anonymous"}]}  # fmt: skip
    yield from day.api(at + 5 * SECOND, who, "create", f"{_RBAC}/rolebindings", "kube-public", body=reader)
    yield from day.api(
        at + 6 * SECOND, who, "create", "configmaps", "kube-system", body={"metadata": {"name": "coredns"}}
    )
    for account in ("coredns", "kube-proxy"):
        yield from day.api(
            at + 7 * SECOND,
            who,
            "create",
            "serviceaccounts",
            "kube-system",
            body={"metadata": {"name": account, "namespace": "kube-system"}},
        )
    proxier = {
        "metadata": {"name": "kubeadm:node-proxier"},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "system:node-proxier"},
        "subjects": [{"kind": "ServiceAccount", "name": "kube-proxy", "namespace": "kube-system"}],
    }
    yield from day.api(at + 8 * SECOND, who, "create", f"{_RBAC}/clusterrolebindings", body=proxier)
    dns = App("kube-system", "coredns", "registry.k8s.io/coredns/coredns:v1.12.1", account="coredns", replicas=2,
              container={"securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}, "readOnlyRootFilesystem": True}})  # fmt: skip
    yield from applied(day, at + 9 * SECOND, who, dns, verb="create")
    proxy = App("kube-system", "kube-proxy", f"registry.k8s.io/kube-proxy:{NEXT_VERSION}", "DaemonSet", "kube-proxy",
                container={"command": ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf"], "securityContext": {"privileged": True}},
                pod={"hostNetwork": True, "volumes": [host_path("xtables-lock", "/run/xtables.lock"), host_path("lib-modules", "/lib/modules")]})  # fmt: skip
    yield from applied(day, at + 10 * SECOND, who, proxy, verb="create", pods=2)


def _joined(day: Day, at: int, node: str) -> Iterator[Written]:
    """kubeadm join: cluster-info without a name, then with a bootstrap token."""
    nobody = Caller(
        "system:anonymous",
        "10.0.0.11",
        f"kubeadm/{NEXT_VERSION} (linux/amd64) kubernetes/93248f9",
        ("system:unauthenticated",),
    )
    yield from day.api(at, nobody, "get", "configmaps", "kube-public", "cluster-info")
    token = Caller("system:bootstrap:abcdef", "10.0.0.11", f"kubeadm/{NEXT_VERSION} (linux/amd64) kubernetes/93248f9",
                   ("system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token", "system:authenticated"), credential="none")  # fmt: skip
    yield from day.api(at + SECOND, token, "get", "configmaps", "kube-system", "kubeadm-config")
    yield from day.api(at + SECOND, token, "get", "nodes", "", node, code=404)
    group = "certificates.k8s.io/certificatesigningrequests"
    name = f"csr-{day.fresh()[:5]}"
    spec = {
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        "usages": ["digital signature", "client auth"],
        "request": "LS0t",
    }
    yield from day.api(
        at + 2 * SECOND,
        replace(token, agent=f"kubelet/{NEXT_VERSION} (linux/amd64) kubernetes/93248f9"),
        "create",
        group,
        body={"metadata": {"generateName": "csr-"}, "spec": spec},
    )
    condition = {"status": {"conditions": [{"type": "Approved", "reason": "AutoApproved"}]}}
    yield from day.api(
        at + 3 * SECOND,
        controller("certificate-controller", NEXT_VERSION),
        "update",
        f"{group}/approval",
        "",
        name,
        body=condition,
    )
    yield from day.api(
        at + 4 * SECOND, kubelet(node, NEXT_VERSION), "create", "nodes", body={"metadata": {"name": node}}
    )
    yield from day.api(
        at + 5 * SECOND, kubelet(node, NEXT_VERSION), "get", "configmaps", "kube-system", "kubelet-config"
    )


def _network_installed(day: Day, at: int) -> Iterator[Written]:
    """kubernetes-admin applies a network plugin with kubectl: role, binding, DaemonSet with the host's paths."""
    who = Caller(
        "kubernetes-admin",
        "10.0.0.10",
        "kubectl/v1.34.1 (linux/amd64) kubernetes/93248f9",
        ("kubeadm:cluster-admins", "system:authenticated"),
    )
    yield from day.api(
        at,
        who,
        "create",
        "namespaces",
        body={"metadata": {"name": "kube-flannel", "labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
    )
    yield from day.api(
        at + 50_000, who, "create", "serviceaccounts", "kube-flannel", body={"metadata": {"name": "flannel"}}
    )
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
    ]
    yield from day.api(
        at + 100_000, who, "create", f"{_RBAC}/clusterroles", body={"metadata": {"name": "flannel"}, "rules": rules}
    )
    made = {
        "metadata": {"name": "flannel"},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "flannel"},
        "subjects": [{"kind": "ServiceAccount", "name": "flannel", "namespace": "kube-flannel"}],
    }
    yield from day.api(at + 150_000, who, "create", f"{_RBAC}/clusterrolebindings", body=made)
    app = App("kube-flannel", "kube-flannel", "ghcr.io/flannel-io/flannel:v0.26.2", "DaemonSet", "flannel", pod={"hostNetwork": True, "priorityClassName": "system-node-critical",
              "volumes": [host_path("run", "/run/flannel"), host_path("cni-plugin", "/opt/cni/bin"), host_path("cni", "/etc/cni/net.d")]},
              container={"securityContext": {"privileged": False, "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}, "command": ["/opt/bin/flanneld"]})  # fmt: skip
    yield from applied(day, at + 200_000, who, app, verb="create", pods=2)


STORIES = (drained, upgraded, bootstrapped)
HABITS = ()
