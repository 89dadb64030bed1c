"""What goes on in any cluster: leases, probes, watches, token requests, controllers, people with kubectl."""

from __future__ import annotations

from typing import Any

from streamer.authoring.cases_time import iso
from tests.campaign.recorder import MINUTE, SECOND, Recorder

NODES = ("node-1", "node-2", "node-3")
SYSTEM = "system:serviceaccount:kube-system:"
PROBES = (
    'RBAC: allowed by ClusterRoleBinding "system:public-info-viewer" of ClusterRole "system:public-info-viewer" '
    'to Group "system:unauthenticated"'
)
KUBE_PROXY = "registry.k8s.io/kube-proxy:v1.34.1"


def pod_body(name: str, image: str, *, owner: tuple[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod as a controller sends it; ``owner`` is (kind, name)."""
    metadata: dict[str, Any] = {"name": name, "labels": {"app": name.partition("-")[0]}}
    if owner is not None:
        version = {"Job": "batch/v1", "Workflow": "argoproj.io/v1alpha1"}.get(owner[0], "apps/v1")
        metadata["ownerReferences"] = [
            {
                "apiVersion": version,
                "kind": owner[0],
                "name": owner[1],
                "uid": spec.pop("owner_uid", "7c1d2e3f-0000-4000-8000-00000000c0de"),
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    container = {"name": "main", "image": image, "resources": {}, "imagePullPolicy": "IfNotPresent"}
    container |= spec.pop("container", {})
    return {"metadata": metadata, "spec": {"containers": [container], "restartPolicy": "Always", **spec}}


def controller_pod(world: Recorder, at: int, namespace: str, name: str, image: str, **more: Any) -> None:
    """A pod by a kube-system controller, its binding and the kubelet's first status."""
    kind, owner = more.pop("owner", ("ReplicaSet", name.rpartition("-")[0]))
    account = {"ReplicaSet": "replicaset", "DaemonSet": "daemon-set", "Job": "job", "StatefulSet": "statefulset"}[kind]
    uid = world.uuid("pod", namespace, name)
    body = pod_body(name, image, owner=(kind, owner), owner_uid=world.uuid(kind, namespace, owner), **more)
    world.request(
        at,
        verb="create",
        resource="pods",
        namespace=namespace,
        user=f"{SYSTEM}{account}-controller",
        uid=uid,
        body=body,
    )
    bound(world, at + 20_000, namespace, name, uid)


def bound(world: Recorder, at: int, namespace: str, name: str, uid: str) -> None:
    """The scheduler's binding and the kubelet's status patch."""
    world.request(
        at,
        verb="create",
        resource="pods/binding",
        namespace=namespace,
        name=name,
        uid=uid,
        user="system:kube-scheduler",
    )
    node = NODES[world.drawn(len(NODES))]
    world.request(
        at + 1_200_000,
        verb="patch",
        resource="pods/status",
        namespace=namespace,
        name=name,
        uid=uid,
        user=f"system:node:{node}",
    )


def kube_proxy(world: Recorder, at: int, suffix: str) -> None:
    """A legitimate privileged pod: kube-proxy, by its daemon set's controller."""
    container = {
        "name": "kube-proxy",
        "securityContext": {"privileged": True},
        "command": ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf"],
    }
    controller_pod(
        world,
        at,
        "kube-system",
        f"kube-proxy-{suffix}",
        KUBE_PROXY,
        owner=("DaemonSet", "kube-proxy"),
        container=container,
        hostNetwork=True,
    )


def machinery(world: Recorder, begin: int, end: int, *, every: int = 45 * SECOND) -> None:
    """Leases, probes, watches, token requests and lists of controllers, a few per ``every``."""
    at = begin
    turn = 0
    while at < end:
        node = NODES[turn % len(NODES)]
        world.request(
            at,
            verb="update",
            resource="coordination.k8s.io/leases",
            namespace="kube-node-lease",
            name=node,
            uid=world.uuid("lease", node),
            user=f"system:node:{node}",
        )
        world.request(
            at + 1_300_000,
            verb="get",
            path=("/livez", "/readyz", "/healthz")[turn % 3],
            user="system:anonymous",
            ip="198.51.100.11",
            agent="kube-probe/1.34",
            reason=PROBES,
        )
        _turn(world, at + 2 * SECOND + world.drawn(20 * SECOND), turn)
        at += every
        turn += 1


def _turn(world: Recorder, at: int, turn: int) -> None:
    kind = turn % 8
    if kind in {0, 4}:
        account = ("coredns", "kube-proxy", "default", "centraldashboard")[turn // 4 % 4]
        namespace = "kubeflow" if account == "centraldashboard" else "kube-system"
        world.request(
            at,
            verb="create",
            resource="serviceaccounts/token",
            namespace=namespace,
            name=account,
            user=f"system:node:{NODES[turn % 3]}",
            annotations={"authentication.kubernetes.io/issued-credential-id": f"JTI={world.uuid('jti', turn)}"},
        )
    elif kind == 1:
        world.request(
            at, verb="watch", resource="configmaps", namespace="kube-system", user="system:kube-controller-manager"
        )
    elif kind == 2:
        world.request(
            at, verb="list", resource="discovery.k8s.io/endpointslices", user=f"{SYSTEM}endpointslice-controller"
        )
    elif kind == 3:
        world.request(at, verb="list", resource="namespaces", user="system:serviceaccount:kubeflow:centraldashboard")
        world.request(
            at + 90_000,
            verb="list",
            resource="events",
            namespace="kubeflow",
            user="system:serviceaccount:kubeflow:centraldashboard",
        )
    elif kind == 5:
        world.request(
            at,
            verb="update",
            resource="coordination.k8s.io/leases",
            namespace="kube-system",
            name="kube-scheduler",
            user="system:kube-scheduler",
        )
    elif kind == 6:
        world.request(at, verb="list", resource="pods", user="system:serviceaccount:monitoring:prometheus")
    else:
        world.request(
            at,
            verb="create",
            resource="authentication.k8s.io/tokenreviews",
            user="system:serviceaccount:monitoring:prometheus",
        )


def people(world: Recorder, begin: int, users: tuple[str, ...]) -> None:
    """People with kubectl: reads, a log, an exec, a release of the web shop."""
    at = begin
    for turn, user in enumerate(users * 3):
        world.request(at, verb="list", resource="pods", namespace="shop", user=user)
        world.request(at + 4 * SECOND, verb="get", resource="apps/deployments", namespace="shop", name="web", user=user)
        if turn == 1:
            world.request(
                at + 9 * SECOND,
                verb="get",
                resource="pods/log",
                namespace="shop",
                name="web-6d5f8c7b9-q7w2p",
                user=user,
            )
        if turn == 2:
            world.request(
                at + 9 * SECOND,
                verb="get",
                resource="pods/exec",
                namespace="shop",
                name="web-6d5f8c7b9-q7w2p",
                user=user,
                command=["ls", "/tmp"],
            )
        at += 4 * MINUTE + world.drawn(MINUTE)


def release(world: Recorder, at: int, user: str, tag: str) -> None:
    """A new tag of a known image: Deployment, ReplicaSet, two pods."""
    image = f"registry.example/shop/web:{tag}"
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}
    replica_set = f"web-{world.uuid('rs', tag)[:9]}"
    world.request(
        at,
        verb="patch",
        resource="apps/deployments",
        namespace="shop",
        name="web",
        user=user,
        level="Request",
        body={"spec": {"template": template}},
    )
    body = {
        "metadata": {
            "name": replica_set,
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": "web",
                    "uid": world.uuid("deployment", "web"),
                    "controller": True,
                }
            ],
        },
        "spec": {"replicas": 2, "template": template},
    }
    world.request(
        at + 60_000,
        verb="create",
        resource="apps/replicasets",
        namespace="shop",
        user=f"{SYSTEM}deployment-controller",
        body=body,
    )
    for place, end in enumerate(("bq8xz", "n2c5w")):
        controller_pod(
            world,
            at + 120_000 + place * SECOND,
            "shop",
            f"{replica_set}-{end}",
            image,
            owner=("ReplicaSet", replica_set),
        )


def chatter(world: Recorder, begin: int, end: int, *, every: int = 20 * SECOND) -> None:
    """Lines of containers that have nothing to do with anything."""
    at = begin
    turn = 0
    while at < end:
        moment = at + world.drawn(9 * SECOND)
        kind = turn % 5
        if kind == 0:
            world.line(
                moment,
                "shop/web-6d5f8c7b9-q7w2p/web",
                f'{{"level":"info","path":"/cart","status":200,"took_ms":{4 + world.drawn(60)}}}',
                labels={"app": "web"},
            )
        elif kind == 1:
            world.line(
                moment,
                "kube-system/coredns-5d78c9869d-h4v8k/coredns",
                f"[INFO] 198.51.100.{130 + world.drawn(60)}:41{world.drawn(900):03d} - {world.drawn(60000)} "
                f'"A IN registry.example. udp 34 false 512" NOERROR qr,rd,ra 66 0.002{world.drawn(900):03d}s',
                labels={"k8s-app": "kube-dns"},
            )
        elif kind == 2:
            world.line(
                moment,
                "kubeflow/workflow-controller-7c8b5d9f6-2zq4m/workflow-controller",
                f'time="{iso(moment)}" level=info msg="Get leases 200"',
                stream="stderr",
                labels={"app": "workflow-controller"},
            )
        elif kind == 3:
            world.line(
                moment,
                "monitoring/prometheus-0/prometheus",
                f'time={iso(moment)} level=INFO source=head.go:627 msg="Head GC completed" component=tsdb',
                stream="stderr",
                labels={"app": "prometheus"},
            )
        else:
            world.line(
                moment,
                "shop/web-6d5f8c7b9-q7w2p/web",
                '{"level":"info","msg":"job accepted","queue":"mail","pool":"default"}',
                labels={"app": "web"},
            )
        at += every
        turn += 1
