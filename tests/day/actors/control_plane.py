"""The control plane's own work: leases, probes, watches and lists, the garbage collector, kubelets' heartbeats."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator

from tests.day.cluster import NODES, pod_of
from tests.day.ink import SECOND, Caller, Day, Written, component, controller, kubelet, pod_caller
from tests.day.rhythm import Habit

PROBES = (
    'RBAC: allowed by ClusterRoleBinding "system:public-info-viewer" of ClusterRole "system:public-info-viewer" '
    'to Group "system:unauthenticated"'
)
_WATCHED = (
    "pods", "services", "secrets", "configmaps", "serviceaccounts", "namespaces", "nodes", "apps/replicasets",
    "apps/deployments", "batch/jobs", "batch/cronjobs", "rbac.authorization.k8s.io/clusterroles", "storage.k8s.io/csidrivers",
    "persistentvolumeclaims", "networking.k8s.io/ingresses", "policy/poddisruptionbudgets", "resourcequotas",
    "admissionregistration.k8s.io/mutatingwebhookconfigurations", "discovery.k8s.io/endpointslices",
)  # fmt: skip
_CONTROLLERS = (
    "generic-garbage-collector", "resourcequota-controller", "deployment-controller", "node-controller", "job-controller",
    "endpointslice-controller", "cronjob-controller", "horizontal-pod-autoscaler", "namespace-controller",
    "statefulset-controller", "daemon-set-controller", "service-account-controller", "pod-garbage-collector",
    "persistent-volume-binder", "ttl-after-finished-controller", "root-ca-cert-publisher", "certificate-controller",
)  # fmt: skip
_WATCH_ALL = ("generic-garbage-collector", "resourcequota-controller")
_OF_CONTROLLERS = (
    "pods",
    "nodes",
    "namespaces",
    "apps/replicasets",
    "services",
    "batch/jobs",
    "serviceaccounts",
    "configmaps",
)


def probes(day: Day, at: int) -> Iterator[Written]:
    """The load balancer and the kubelet ask whether the API server lives, without a name."""
    agents = (("kube-probe/1.33", "10.0.0.10"), ("GoogleHC/1.0", "10.0.9.4"), ("ELB-HealthChecker/2.0", "10.0.9.5"))
    agent, ip = day.draw.choice(agents)
    who = Caller("system:anonymous", ip, agent, ("system:unauthenticated",), reason=PROBES)
    path = day.draw.choice(("/livez", "/readyz", "/healthz", "/readyz?verbose", "/version", "/livez?exclude=etcd"))
    yield from day.api(at, who, "get", "", path=path)


def component_leases(day: Day, at: int) -> Iterator[Written]:
    """The scheduler and the controller manager renew their leases."""
    name = day.draw.choice(("kube-scheduler", "kube-controller-manager"))
    yield from day.api(at, component(f"system:{name}"), "get", "coordination.k8s.io/leases", "kube-system", name)
    yield from day.api(
        at + 5_000, component(f"system:{name}"), "update", "coordination.k8s.io/leases", "kube-system", name
    )


def watches(day: Day, at: int) -> Iterator[Written]:
    """A watch ends after some minutes and begins anew."""
    who = component(day.draw.choice(("system:apiserver", "system:kube-controller-manager", "system:kube-scheduler")))
    yield from day.api(at, who, day.draw.choice(("watch", "watch", "list")), day.draw.choice(_WATCHED))


def controllers(day: Day, at: int) -> Iterator[Written]:
    """Controllers read, renew their informers, and ask for the API's groups."""
    who = controller(day.draw.choice(_CONTROLLERS))
    kind = day.draw.randrange(4)
    if kind == 0:
        yield from day.api(
            at, who, "get", "", path=day.draw.choice(("/api", "/apis", "/apis/apps/v1", "/apis/kubeflow.org/v1"))
        )
    elif kind == 1:
        yield from day.api(at, who, "list", "metrics.k8s.io/pods" if "autoscaler" in who.user else "events", "default")
    else:
        short = who.user.rpartition(":")[2]
        yield from day.api(at, who, "watch", day.draw.choice(_WATCHED if short in _WATCH_ALL else _OF_CONTROLLERS))


def controller_tokens(day: Day, at: int) -> Iterator[Written]:
    """The controller manager requests tokens for its controllers."""
    name = day.draw.choice(_CONTROLLERS)
    note = {"authentication.kubernetes.io/issued-credential-id": f"JTI={day.fresh()}"}
    who = component("system:kube-controller-manager")
    yield from day.api(at, who, "create", "serviceaccounts/token", "kube-system", name, annotations=note)


def heartbeats(day: Day, at: int) -> Iterator[Written]:
    """A kubelet renews its lease."""
    node = day.draw.choice(NODES)
    yield from day.api(at, kubelet(node), "update", "coordination.k8s.io/leases", "kube-node-lease", node)


def node_status(day: Day, at: int) -> Iterator[Written]:
    """A kubelet tells the state of its node, and reads it."""
    node = day.draw.choice(NODES)
    yield from day.api(at, kubelet(node), "get", "nodes", "", node)
    body = {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}}
    yield from day.api(at + 20_000, kubelet(node), "patch", "nodes/status", "", node, body=body, level="Request")


def kubelet_reads(day: Day, at: int) -> Iterator[Written]:
    """A kubelet reads what its pods mount: every secret and config map by name."""
    node = day.draw.choice(NODES)
    namespace = day.draw.choice(("shop", "billing", "search", "data", "kubeflow", "cert-manager", "argocd"))
    kind, name = day.draw.choice((
        ("secrets", "regcred"), ("secrets", f"{namespace}-db"), ("configmaps", "kube-root-ca.crt"), ("secrets", "tls"),
        ("configmaps", f"{namespace}-config"), ("configmaps", "istio-ca-root-cert"),
    ))  # fmt: skip
    yield from day.api(at, kubelet(node), day.draw.choice(("get", "list", "watch")), kind, namespace, name)


def kubelet_tokens(day: Day, at: int) -> Iterator[Written]:
    """A kubelet requests the tokens of its pods, again before they expire."""
    node = day.draw.choice(NODES)
    namespace, account = day.draw.choice((
        ("kube-system", "coredns"), ("kube-system", "cilium"), ("shop", "web"), ("shop", "cart"), ("kubeflow", "ml-pipeline"),
        ("argocd", "argocd-application-controller"), ("monitoring", "prometheus"), ("velero", "velero"), ("data", "default"),
    ))  # fmt: skip
    note = {"authentication.kubernetes.io/issued-credential-id": f"JTI={day.fresh()}"}
    body = {"spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": 3607}}
    yield from day.api(
        at, kubelet(node), "create", "serviceaccounts/token", namespace, account, annotations=note, body=body
    )


def kubelet_reviews(day: Day, at: int) -> Iterator[Written]:
    """A kubelet asks who a scraper is, and whether it may."""
    node = day.draw.choice(NODES)
    yield from day.api(at, kubelet(node), "create", "authentication.k8s.io/tokenreviews")
    spec = {
        "user": "system:serviceaccount:monitoring:prometheus",
        "nonResourceAttributes": None,
        "resourceAttributes": {
            "verb": "get",
            "resource": "nodes",
            "subresource": "metrics",
            "name": node,
            "version": "v1",
        },
    }
    who = kubelet(node)
    yield from day.api(at + 3_000, who, "create", "authorization.k8s.io/subjectaccessreviews", body={"spec": spec})


def pod_status(day: Day, at: int) -> Iterator[Written]:
    """A kubelet tells the state of a pod."""
    node = day.draw.choice(NODES)
    namespace = day.draw.choice(("shop", "billing", "search", "data"))
    pod = pod_of(namespace, "worker", "registry.example.com/worker:1", node=node, replica=day.draw.randrange(9))
    yield from day.api(at, kubelet(node), "get", "pods", namespace, pod.name)
    body = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    yield from day.api(
        at + 9_000, kubelet(node), "patch", "pods/status", namespace, pod.name, uid=pod.uid, body=body, level="Request"
    )


def events_written(day: Day, at: int) -> Iterator[Written]:
    """Everybody writes events."""
    node = day.draw.choice(NODES)
    who = day.draw.choice((kubelet(node), component("system:kube-scheduler"), controller("replicaset-controller")))
    namespace = day.draw.choice(("shop", "billing", "kube-system", "data"))
    reason, message = day.draw.choice((
        ("Pulled", "Successfully pulled image in 1.2s"), ("BackOff", "Back-off restarting failed container"),
        ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"), ("Scheduled", "Successfully assigned"),
        ("FailedScheduling", "0/19 nodes are available: 2 Insufficient nvidia.com/gpu."), ("Killing", "Stopping container"),
    ))  # fmt: skip
    body = {"metadata": {"generateName": "", "name": f"web.{day.fresh()[:16]}"}, "reason": reason, "message": message}
    yield from day.api(
        at, who, day.draw.choice(("create", "patch")), "events", namespace, level="Request", body=body, response=None
    )


def endpoint_slices(day: Day, at: int) -> Iterator[Written]:
    """Endpoints follow pods that become ready."""
    namespace = day.draw.choice(("shop", "billing", "search"))
    yield from day.api(
        at,
        controller("endpointslice-controller"),
        "update",
        "discovery.k8s.io/endpointslices",
        namespace,
        "web-x7k2p",
        level="Metadata",
    )


def collected(day: Day, at: int) -> Iterator[Written]:
    """The garbage collector deletes what has no owner any more: replica sets, pods, endpoint slices, old jobs' pods."""
    who = controller("generic-garbage-collector")
    namespace = day.draw.choice(("shop", "billing", "search", "data", "kubeflow"))
    resource = day.draw.choice(("apps/replicasets", "pods", "discovery.k8s.io/endpointslices", "configmaps"))
    name = f"gone-{day.fresh()[:9]}"
    yield from day.api(at, who, "get", resource, namespace, name)
    yield from day.api(
        at + 4_000, who, "delete", resource, namespace, name, body={"kind": "DeleteOptions", "apiVersion": "v1"}
    )


def apiserver_itself(day: Day, at: int) -> Iterator[Written]:
    """The API server reads its own lease, service and slices."""
    who = component("system:apiserver")
    yield from day.api(at, who, "update", "coordination.k8s.io/leases", "kube-system", "apiserver-f6ws3gfpkfjzwnqnfk4o")
    yield from day.api(at + SECOND, who, "get", "discovery.k8s.io/endpointslices", "default", "kubernetes")


def coredns(day: Day, at: int) -> Iterator[Written]:
    """CoreDNS watches services."""
    pod = pod_of("kube-system", "coredns", "registry.k8s.io/coredns/coredns:v1.12.0")
    who = pod_caller(pod, "CoreDNS/1.12.0 git_commit:51e11f1 (linux/amd64/go1.23.3)", "system:coredns")
    resource = day.draw.choice(("services", "namespaces", "discovery.k8s.io/endpointslices"))
    yield from day.api(at, who, "watch", resource)


def kube_proxy(day: Day, at: int) -> Iterator[Written]:
    """kube-proxy watches services on every node."""
    node = day.draw.choice(NODES)
    pod = pod_of(
        "kube-system",
        "kube-proxy",
        "registry.k8s.io/kube-proxy:v1.33.5",
        kind="DaemonSet",
        host_network=True,
        node=node,
    )
    who = pod_caller(pod, "kube-proxy/v1.33.5 (linux/amd64) kubernetes/03d7a4c", "kubeadm:node-proxier")
    yield from day.api(at, who, "watch", day.draw.choice(("services", "discovery.k8s.io/endpointslices", "nodes")))


def watches_opened(day: Day) -> Iterator[Written]:
    """The day before, everybody who watches everything began to."""
    if not day.past:
        return
    whole = [component(f"system:{name}") for name in ("apiserver", "kube-controller-manager", "kube-scheduler")]
    for turn, who in enumerate([*whole, *map(controller, _WATCH_ALL)]):
        for place, resource in enumerate(_WATCHED):
            for verb in ("list", "watch"):
                yield from day.api(day.clock(0.3 + turn / 20) + place * 400_000, who, verb, resource)


def scheduler_at_start(day: Day) -> Iterator[Written]:
    """A scheduler that comes up before the roles do is refused everything for a second."""
    who = component("system:kube-scheduler")
    for place, resource in enumerate(
        ("pods", "nodes", "services", "persistentvolumes", "namespaces", "storage.k8s.io/storageclasses")
    ):
        yield from day.api(day.clock(3.1) + place * 8_000, who, "list", resource, code=403, decision="forbid")


STORIES = (watches_opened, scheduler_at_start)
HABITS = (
    Habit(9, "machine", probes),
    Habit(8, "machine", component_leases),
    Habit(9, "machine", watches),
    Habit(8, "machine", controllers),
    Habit(1.5, "machine", controller_tokens),
    Habit(12, "machine", heartbeats),
    Habit(5, "machine", node_status),
    Habit(5, "machine", kubelet_reads),
    Habit(3, "machine", kubelet_tokens),
    Habit(1.5, "machine", kubelet_reviews),
    Habit(4, "machine", pod_status),
    Habit(3, "traffic", events_written),
    Habit(2, "traffic", endpoint_slices),
    Habit(1, "traffic", collected),
    Habit(2, "machine", apiserver_itself),
    Habit(2, "machine", coredns),
    Habit(3, "machine", kube_proxy),
)
