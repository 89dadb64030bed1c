"""Chains of controllers: from what somebody applied to replica sets, pods, bindings, status, events and deletion."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamer.authoring.cases_fields import digest, made_suffix
from tests.day.cluster import GPU_NODES, WORKERS, Pod
from tests.day.ink import SECOND, Caller, Day, Written, component, controller, kubelet

_VERSIONS = {
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "Workflow": "argoproj.io/v1alpha1",
    "Notebook": "kubeflow.org/v1",
}
_ACCOUNTS = {
    "ReplicaSet": "replicaset-controller",
    "DaemonSet": "daemon-set-controller",
    "StatefulSet": "statefulset-controller",
    "Job": "job-controller",
}


@dataclass(frozen=True)
class App:
    """What somebody deploys.

    Attributes:
        kind: Deployment, StatefulSet, DaemonSet, Job.
        pod: further keys of the pod's spec (``hostNetwork``, ``volumes``…).
        container: further keys of its container (``securityContext``, ``command``…).
        sidecars: further containers.
    """

    namespace: str
    name: str
    image: str
    kind: str = "Deployment"
    account: str = "default"
    replicas: int = 1
    container: Mapping[str, Any] = field(default_factory=dict)
    pod: Mapping[str, Any] = field(default_factory=dict)
    sidecars: Sequence[Mapping[str, Any]] = ()
    inits: Sequence[Mapping[str, Any]] = ()

    def labels(self) -> dict[str, str]:
        """Its pods' labels."""
        return {"app": self.name, "app.kubernetes.io/name": self.name}

    def template(self) -> dict[str, Any]:
        """The pod template."""
        main = {"name": self.name, "image": self.image, "resources": {"requests": {"cpu": "100m"}}} | dict(
            self.container
        )
        spec: dict[str, Any] = {"containers": [main, *map(dict, self.sidecars)], "serviceAccountName": self.account}
        if self.inits:
            spec["initContainers"] = [dict(init) for init in self.inits]
        return {"metadata": {"labels": self.labels()}, "spec": spec | dict(self.pod)}

    def body(self) -> dict[str, Any]:
        """The object as it is applied."""
        spec: dict[str, Any] = {"template": self.template()}
        if self.kind != "Job":
            spec["selector"] = {"matchLabels": self.labels()}
        if self.kind in {"Deployment", "StatefulSet"}:
            spec["replicas"] = self.replicas
        metadata = {"name": self.name, "namespace": self.namespace, "labels": self.labels()}
        return {"metadata": metadata, "spec": spec}

    @property
    def resource(self) -> str:
        """As kubectl names it."""
        return {"Job": "batch/jobs"}.get(self.kind, f"apps/{self.kind.lower()}s")


def owned(kind: str, name: str, uid: str) -> list[dict[str, Any]]:
    """The owner of an object."""
    version = _VERSIONS.get(kind, "apps/v1")
    return [
        {"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": True, "blockOwnerDeletion": True}
    ]


def applied(
    day: Day, at: int, who: Caller, app: App, *, verb: str = "patch", pods: int = 0, injected: bool = False
) -> Iterator[Written]:
    """Somebody applies it (``create``, ``update`` or ``patch``), and its controllers make what belongs to it."""
    uid = day.uuid(app.kind, app.namespace, app.name)
    body = app.body()
    answer = copy.deepcopy(body)
    answer["metadata"] |= {"uid": uid, "resourceVersion": "81244", "generation": 7}
    if verb == "create":
        yield from day.api(at, who, "create", app.resource, app.namespace, body=body, uid=uid)
    else:
        sent = body if verb == "update" else {"spec": {"template": app.template()}}
        yield from day.api(at, who, verb, app.resource, app.namespace, app.name, body=sent, response=answer)
    yield from rolled_out(day, at + 60_000, app, uid, pods or app.replicas, injected=injected)


def rolled_out(day: Day, at: int, app: App, uid: str, pods: int, *, injected: bool = False) -> Iterator[Written]:
    """The controllers' part."""
    kind, name, owner_uid = app.kind, app.name, uid
    if app.kind == "Deployment":
        revision = digest(app.image, app.container, at)[:9]
        name, kind = f"{app.name}-{revision}", "ReplicaSet"
        owner_uid = day.uuid(kind, app.namespace, name)
        body = {
            "metadata": {"name": name, "labels": app.labels(), "ownerReferences": owned("Deployment", app.name, uid)},
            "spec": {"replicas": pods, "template": app.template()},
        }
        who = controller("deployment-controller")
        yield from day.api(at, who, "create", "apps/replicasets", app.namespace, body=body, uid=owner_uid)
        yield from day.api(
            at + 30_000, who, "update", "apps/deployments/status", app.namespace, app.name, level="Metadata"
        )
    elif app.kind in {"StatefulSet", "DaemonSet"}:
        revision = f"{app.name}-{digest(app.image, at)[:10]}"
        who = controller(_ACCOUNTS[app.kind])
        body = {"metadata": {"name": revision, "ownerReferences": owned(app.kind, app.name, uid)}, "revision": 4}
        body["data"] = {"spec": {"template": app.template()}}
        yield from day.api(at, who, "create", "apps/controllerrevisions", app.namespace, body=body)
    for place in range(pods):
        pod_name = f"{name}-{place}" if kind == "StatefulSet" else f"{name}-{made_suffix(5, name, place, at)}"
        moment = at + 150_000 + place * 2 * SECOND
        node = _node_for(day, app)
        pod = Pod(app.namespace, pod_name, node, app.account, app.name, app.image)
        yield from started(
            day, moment, controller(_ACCOUNTS[kind]), pod, app, (kind, name, owner_uid), injected=injected
        )


def _node_for(day: Day, app: App) -> str:
    wants_gpu = "nvidia.com/gpu" in str(app.container)
    return day.draw.choice(GPU_NODES if wants_gpu else WORKERS)


def started(
    day: Day,
    at: int,
    who: Caller,
    pod: Pod,
    app: App,
    owner: tuple[str, str, str],
    *,
    injected: bool = False,
    labels: Mapping[str, str] | None = None,
) -> Iterator[Written]:
    """A pod is made, bound and started; ``injected`` adds a sidecar that the request did not hold."""
    body = app.template()
    kind, name, uid = owner
    body["metadata"] = {"labels": {**app.labels(), **(labels or {})}, "ownerReferences": owned(kind, name, uid)}
    if kind in {"StatefulSet", "Workflow"}:
        body["metadata"]["name"] = pod.name
    else:
        body["metadata"]["generateName"] = f"{name}-"
    if app.kind == "DaemonSet":
        terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [pod.node]}]}]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        body["spec"]["affinity"] = {"nodeAffinity": required}
    answer = copy.deepcopy(body)
    answer["metadata"] |= {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid, "resourceVersion": "88120"}
    if injected:
        answer["spec"]["initContainers"] = [*answer["spec"].get("initContainers", []), ISTIO_INIT]
        answer["spec"]["containers"].append(ISTIO_PROXY)
    yield from day.api(at, who, "create", "pods", pod.namespace, uid=pod.uid, body=body, response=answer)
    yield from bound(day, at + 20_000, pod)


def bound(day: Day, at: int, pod: Pod) -> Iterator[Written]:
    """Binding, the kubelet's status, events."""
    body = {
        "kind": "Binding",
        "metadata": {"name": pod.name, "uid": pod.uid},
        "target": {"kind": "Node", "name": pod.node},
    }
    scheduler = component("system:kube-scheduler")
    yield from day.api(
        at, scheduler, "create", "pods/binding", pod.namespace, pod.name, uid=pod.uid, body=body, level="Request"
    )
    who = kubelet(pod.node)
    yield from day.api(at + 30_000, who, "get", "pods", pod.namespace, pod.name)
    note = {"authentication.kubernetes.io/issued-credential-id": f"JTI={day.fresh()}"}
    yield from day.api(
        at + 60_000, who, "create", "serviceaccounts/token", pod.namespace, pod.account, annotations=note
    )
    status = {"status": {"phase": "Running", "podIP": pod.ip}}
    for delay in (400_000, 3 * SECOND):
        yield from day.api(
            at + delay, who, "patch", "pods/status", pod.namespace, pod.name, uid=pod.uid, body=status, level="Request"
        )


def removed(day: Day, at: int, who: Caller, pod: Pod) -> Iterator[Written]:
    """A pod is deleted: by whoever decided so, then by the kubelet when it has stopped."""
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": pod.uid}}
    yield from day.api(at, who, "delete", "pods", pod.namespace, pod.name, uid=pod.uid, body=options)
    final = options | {"gracePeriodSeconds": 0}
    yield from day.api(
        at + 4 * SECOND, kubelet(pod.node), "delete", "pods", pod.namespace, pod.name, uid=pod.uid, body=final
    )


ISTIO_INIT: dict[str, Any] = {
    "name": "istio-init",
    "image": "docker.io/istio/proxyv2:1.24.2",
    "args": ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT"],
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
        "privileged": False,
        "runAsUser": 0,
    },
}
ISTIO_PROXY: dict[str, Any] = {
    "name": "istio-proxy",
    "image": "docker.io/istio/proxyv2:1.24.2",
    "args": ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local", "--proxyLogLevel=warning"],
    "ports": [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}],
    "securityContext": {"runAsUser": 1337, "readOnlyRootFilesystem": True},
}


def host_path(name: str, path: str, kind: str = "") -> dict[str, Any]:
    """A volume of the node."""
    return {"name": name, "hostPath": {"path": path, "type": kind}}


def mounted(name: str, path: str, *, read_only: bool = False) -> dict[str, Any]:
    """Where a container finds it."""
    return {"name": name, "mountPath": path} | ({"readOnly": True} if read_only else {})
