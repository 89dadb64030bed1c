"""The cluster grows and shrinks: the horizontal autoscaler, the cluster autoscaler, nodes that join."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator

from tests.day.cluster import WORKERS, Pod, app_pod, node_ip, pod_of
from tests.day.ink import SECOND, Caller, Day, Written, component, controller, kubelet, pod_caller
from tests.day.rhythm import Habit, moments
from tests.day.workloads import App, removed, started


def autoscaling(day: Day, at: int) -> Iterator[Written]:
    """The horizontal autoscaler changes a number, the replica set follows."""
    namespace, app = day.draw.choice((("shop", "web"), ("shop", "cart"), ("search", "query")))
    who = controller("horizontal-pod-autoscaler")
    yield from day.api(at, who, "list", "metrics.k8s.io/pods", namespace)
    yield from day.api(
        at + 40_000,
        who,
        "update",
        "apps/deployments/scale",
        namespace,
        app,
        body={"spec": {"replicas": day.draw.randrange(2, 9)}},
    )
    known = app_pod(namespace, app)
    owner_name = known.name.rpartition("-")[0]
    owner = ("ReplicaSet", owner_name, day.uuid("ReplicaSet", namespace, owner_name))
    if day.draw.randrange(2):
        pod = Pod(
            namespace, f"{owner_name}-{day.fresh()[:5]}", day.draw.choice(WORKERS), known.account, app, known.image
        )
        deployed = App(namespace, app, known.image, account=known.account)
        yield from started(
            day, at + SECOND, controller("replicaset-controller"), pod, deployed, owner, injected=namespace == "shop"
        )
    else:
        yield from removed(day, at + SECOND, controller("replicaset-controller"), known)


def cluster_autoscaler(day: Day) -> Iterator[Written]:
    """In the evening a node is emptied and taken away; in the morning one joins: certificate, node, agents."""
    pod = pod_of("kube-system", "cluster-autoscaler", "registry.k8s.io/autoscaling/cluster-autoscaler:v1.32.0")
    who = pod_caller(pod, "cluster-autoscaler/v0.0.0 (linux/amd64) kubernetes/$Format", "cluster-autoscaler")
    for place, at in enumerate(moments(day, "traffic", 4, 1)):
        node = WORKERS[-1 - place % 3]
        yield from day.api(at, who, "get", "nodes", "", node)
        taint = {
            "spec": {
                "taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule", "value": "1"}],
                "unschedulable": True,
            }
        }
        yield from day.api(at + SECOND, who, "update", "nodes", "", node, body=taint)
        for number in range(4):
            victim = pod_of("shop", "web", "registry.example.com/shop/web:2.14.1", replica=20 + number, node=node)
            body = {
                "metadata": {"name": victim.name, "namespace": "shop"},
                "apiVersion": "policy/v1",
                "kind": "Eviction",
            }
            yield from day.api(
                at + (2 + number) * SECOND,
                who,
                "create",
                "pods/eviction",
                "shop",
                victim.name,
                uid=victim.uid,
                body=body,
            )
            yield from day.api(
                at + (6 + number) * SECOND, kubelet(node), "delete", "pods", "shop", victim.name, uid=victim.uid
            )
        yield from day.api(at + 90 * SECOND, who, "delete", "nodes", "", node)
        yield from day.api(
            at + 100 * SECOND,
            controller("pod-garbage-collector"),
            "delete",
            "pods",
            "kube-system",
            f"kube-proxy-{day.fresh()[:5]}",
        )


def nodes_join(day: Day) -> Iterator[Written]:
    """A kubelet asks for its certificate with a bootstrap token; the controller manager approves and signs."""
    for place, at in enumerate(moments(day, "traffic", 6, 2)):
        node = WORKERS[place % len(WORKERS)]
        token = Caller("system:bootstrap:abcdef", node_ip(node), "kubelet/v1.33.5 (linux/amd64) kubernetes/03d7a4c",
                       ("system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token", "system:authenticated"), credential="none")  # fmt: skip
        name = f"csr-{day.fresh()[:5]}"
        spec = {
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"],
            "request": "LS0t",
        }
        group = "certificates.k8s.io/certificatesigningrequests"
        yield from day.api(
            at, token, "create", group, body={"metadata": {"name": name}, "spec": {**spec, "username": token.user}}
        )
        approver = controller("certificate-controller")
        condition = {
            "status": {
                "conditions": [
                    {
                        "type": "Approved",
                        "reason": "AutoApproved",
                        "message": "Auto approving kubelet client certificate",
                    }
                ]
            }
        }
        yield from day.api(at + 60_000, approver, "update", f"{group}/approval", "", name, body=condition)
        yield from day.api(
            at + 90_000,
            component("system:kube-controller-manager"),
            "update",
            f"{group}/status",
            "",
            name,
            level="Metadata",
        )
        yield from day.api(
            at + 2 * SECOND,
            kubelet(node),
            "create",
            "nodes",
            body={"metadata": {"name": node, "labels": {"kubernetes.io/os": "linux"}}},
            code=409,
        )
        renewal = {
            "signerName": "kubernetes.io/kubelet-serving",
            "usages": ["digital signature", "server auth"],
            "request": "LS0t",
        }
        serving = f"csr-{day.fresh()[:5]}"
        yield from day.api(
            at + 4 * SECOND, kubelet(node), "create", group, body={"metadata": {"name": serving}, "spec": renewal}
        )
        helper = pod_of("kube-system", "kubelet-csr-approver", "ghcr.io/postfinance/kubelet-csr-approver:v1.2.4")
        yield from day.api(
            at + 5 * SECOND,
            pod_caller(helper, "kubelet-csr-approver/v1.2.4"),
            "update",
            f"{group}/approval",
            "",
            serving,
            body=condition,
        )


STORIES = (cluster_autoscaler, nodes_join)
HABITS = (Habit(0.8, "traffic", autoscaling),)
