"""Operators that run all day: certificates, metrics, mesh, ingress, DNS, backups, policies, secrets, databases, scaling."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.day.cluster import NODES, pod_of
from tests.day.ink import MINUTE, SECOND, Caller, Day, Written, pod_caller
from tests.day.rhythm import Habit

_TEAMS = ("shop", "billing", "search", "data", "kubeflow")


def _any(day: Day, at: int, who: Caller, choices: Sequence[tuple[str, str, str, str]]) -> Iterator[Written]:
    verb, resource, namespace, name = day.draw.choice(choices)
    yield from day.api(at, who, verb, resource, namespace, name)


def cert_manager(day: Day, at: int) -> Iterator[Written]:
    """cert-manager: secrets of certificates, orders, leases; its CA injector patches webhooks."""
    pod = pod_of("cert-manager", "cert-manager", "quay.io/jetstack/cert-manager-controller:v1.16.2")
    who = pod_caller(
        pod,
        "cert-manager-certificates-issuing/v1.16.2 (linux/amd64) cert-manager/abc1234",
        "cert-manager-controller-certificates",
    )
    namespace = day.draw.choice(_TEAMS)
    yield from _any(day, at, who, (
        ("get", "secrets", namespace, "tls"), ("update", "secrets", namespace, "tls"), ("create", "secrets", namespace, "tls-next"),
        ("watch", "secrets", "", ""), ("list", "secrets", "", ""), ("update", "cert-manager.io/certificates", namespace, "tls"),
        ("create", "cert-manager.io/certificaterequests", namespace, "tls-1"), ("watch", "cert-manager.io/certificates", "", ""),
        ("delete", "secrets", namespace, "tls-next"), ("list", "certificates.k8s.io/certificatesigningrequests", "", ""),
    ))  # fmt: skip


def ca_injected(day: Day, at: int) -> Iterator[Written]:
    """The CA injector renews the bundle of webhooks that stand there already."""
    pod = pod_of("cert-manager", "cert-manager-cainjector", "quay.io/jetstack/cert-manager-cainjector:v1.16.2")
    who = pod_caller(
        pod, "cert-manager-cainjector/v1.16.2 (linux/amd64) cert-manager/abc1234", "cert-manager-cainjector"
    )
    resource, name, service = day.draw.choice((
        ("mutatingwebhookconfigurations", "cert-manager-webhook", "cert-manager-webhook"),
        ("validatingwebhookconfigurations", "katib.kubeflow.org", "katib-controller"),
        ("mutatingwebhookconfigurations", "inferenceservice.serving.kserve.io", "kserve-webhook-server-service"),
    ))  # fmt: skip
    hook = {
        "name": f"{name}.webhook", "clientConfig": {"service": {"name": service, "namespace": "cert-manager", "path": "/mutate"}, "caBundle": "LS0t"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["pods"]}],
    }  # fmt: skip
    body = {"metadata": {"name": name, "uid": day.uuid("webhook", name)}, "webhooks": [hook]}
    group = f"admissionregistration.k8s.io/{resource}"
    yield from day.api(at, who, "update", group, "", name, body=body, response=body)


def prometheus(day: Day, at: int) -> Iterator[Written]:
    """Prometheus and its operator: watches, metrics of nodes through the API server."""
    pod = pod_of("monitoring", "prometheus", "quay.io/prometheus/prometheus:v3.1.0", kind="StatefulSet")
    who = pod_caller(pod, "Prometheus/3.1.0")
    node = day.draw.choice(NODES)
    kind = day.draw.randrange(5)
    if kind == 0:
        yield from day.api(at, who, "get", "nodes/proxy", "", node, uri=f"/api/v1/nodes/{node}/proxy/metrics/cadvisor")
    elif kind == 1:
        yield from day.api(at, who, "get", "nodes/metrics", "", node, uri=f"/api/v1/nodes/{node}/proxy/metrics")
    elif kind == 2:
        yield from day.api(at, who, "get", "", path="/metrics")
    else:
        yield from day.api(
            at,
            who,
            day.draw.choice(("list", "watch")),
            day.draw.choice(("pods", "nodes", "services", "endpoints", "networking.k8s.io/ingresses")),
        )
    operator = pod_of("monitoring", "prometheus-operator", "quay.io/prometheus-operator/prometheus-operator:v0.79.2")
    again = pod_caller(operator, "PrometheusOperator/0.79.2")
    yield from day.api(
        at + SECOND,
        again,
        day.draw.choice(("list", "get", "update", "watch")),
        "secrets",
        "monitoring",
        "prometheus-k8s",
    )


def state_metrics(day: Day, at: int) -> Iterator[Written]:
    """kube-state-metrics lists every kind of thing cluster-wide, secrets and config maps too, some kinds at once."""
    pod = pod_of("monitoring", "kube-state-metrics", "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.14.0")
    who = pod_caller(pod, "v2.14.0")
    kinds = (
        "secrets", "configmaps", "pods", "nodes", "namespaces", "services", "batch/jobs", "apps/deployments", "endpoints",
        "persistentvolumes", "certificates.k8s.io/certificatesigningrequests", "resourcequotas",
    )  # fmt: skip
    start = day.draw.randrange(len(kinds))
    for place in range(4):
        yield from day.api(
            at + place * 30_000, who, day.draw.choice(("list", "watch")), kinds[(start + place) % len(kinds)]
        )


def metrics_server(day: Day, at: int) -> Iterator[Written]:
    """metrics-server reads nodes, pods and the kubelets' resource metrics."""
    pod = pod_of("kube-system", "metrics-server", "registry.k8s.io/metrics-server/metrics-server:v0.7.2")
    who = pod_caller(pod, "metrics-server/v0.7.2 (linux/amd64) kubernetes/abc1234", "system:metrics-server")
    node = day.draw.choice(NODES)
    yield from _any(day, at, who, (("watch", "nodes", "", ""), ("watch", "pods", "", ""), ("get", "nodes/metrics", "", node),
                                   ("get", "configmaps", "kube-system", "extension-apiserver-authentication")))  # fmt: skip
    spec = {
        "user": "oidc:alice@example.com",
        "groups": ["oidc:everyone"],
        "resourceAttributes": {"group": "metrics.k8s.io", "resource": "pods", "verb": "list", "namespace": "shop"},
    }
    yield from day.api(at + SECOND, who, "create", "authorization.k8s.io/subjectaccessreviews", body={"spec": spec})


def istio(day: Day, at: int) -> Iterator[Written]:
    """istiod: watches secrets and pods, reviews tokens of proxies, keeps its webhook's bundle, writes config maps everywhere."""
    pod = pod_of("istio-system", "istiod", "docker.io/istio/pilot:1.24.2")
    who = pod_caller(pod, "pilot-discovery/1.24.2", "istiod-clusterrole-istio-system")
    kind = day.draw.randrange(12)
    if kind == 0:
        name = "istio-sidecar-injector"
        sent = {"webhooks": [{"name": "rev.namespace.sidecar-injector.istio.io", "clientConfig": {"caBundle": "LS0t"}}]}
        service = {"service": {"name": "istiod", "namespace": "istio-system", "path": "/inject"}, "caBundle": "LS0t"}
        rules = [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*"}
        ]
        answer = {
            "metadata": {"name": name},
            "webhooks": [{"name": "rev.namespace.sidecar-injector.istio.io", "clientConfig": service, "rules": rules}],
        }
        group = "admissionregistration.k8s.io/mutatingwebhookconfigurations"
        yield from day.api(at, who, "patch", group, "", name, body=sent, response=answer)
    elif kind < 3:
        yield from day.api(
            at, who, day.draw.choice(("create", "update")), "configmaps", day.draw.choice(_TEAMS), "istio-ca-root-cert"
        )
    elif kind < 8:
        yield from day.api(at, who, "create", "authentication.k8s.io/tokenreviews")
    else:
        yield from day.api(
            at,
            who,
            "watch",
            day.draw.choice(
                ("secrets", "pods", "services", "nodes", "namespaces", "networking.istio.io/virtualservices")
            ),
        )


def ingress_nginx(day: Day, at: int) -> Iterator[Written]:
    """The ingress controller: watches secrets, tells the addresses of ingresses, leads."""
    pod = pod_of(
        "ingress-nginx",
        "ingress-nginx-controller",
        "registry.k8s.io/ingress-nginx/controller:v1.13.3",
        account="ingress-nginx",
    )
    who = pod_caller(pod, "nginx-ingress-controller/v1.13.3 (linux/amd64) ingress-nginx/93851f0", "ingress-nginx")
    yield from _any(day, at, who, (
        ("watch", "secrets", "", ""), ("list", "secrets", "", ""), ("update", "networking.k8s.io/ingresses/status", "shop", "web"),
        ("update", "coordination.k8s.io/leases", "ingress-nginx", "ingress-nginx-leader"), ("watch", "networking.k8s.io/ingresses", "", ""),
    ))  # fmt: skip


def external_dns(day: Day, at: int) -> Iterator[Written]:
    """external-dns reads nodes, services and ingresses."""
    pod = pod_of("external-dns", "external-dns", "registry.k8s.io/external-dns/external-dns:v0.15.1")
    who = pod_caller(pod, "external-dns/v0.15.1")
    yield from day.api(
        at, who, "list", day.draw.choice(("services", "networking.k8s.io/ingresses", "nodes", "endpoints"))
    )


def vault(day: Day, at: int) -> Iterator[Written]:
    """Vault reviews the tokens that pods show it; its injector and external-secrets write."""
    pod = pod_of("vault", "vault", "docker.io/hashicorp/vault:1.18.3", kind="StatefulSet")
    yield from day.api(
        at,
        pod_caller(pod, "Go-http-client/2.0", "vault-server-binding"),
        "create",
        "authentication.k8s.io/tokenreviews",
    )
    secrets = pod_of(
        "external-secrets", "external-secrets", "oci.external-secrets.io/external-secrets/external-secrets:v0.12.1"
    )
    who = pod_caller(secrets, "external-secrets/v0.0.0 (linux/amd64) kubernetes/$Format", "external-secrets-controller")
    team = day.draw.choice(_TEAMS)
    yield from _any(day, at + SECOND, who, (("get", "secrets", team, f"{team}-db"), ("update", "secrets", team, f"{team}-db"),
        ("create", "serviceaccounts/token", team, "vault-auth"), ("watch", "secrets", "", ""), ("patch", "secrets", team, "regcred")))  # fmt: skip


def policies(day: Day, at: int) -> Iterator[Written]:
    """Kyverno and Gatekeeper: renew their webhooks' rules, write reports, ask who may."""
    pod = pod_of("kyverno", "kyverno-admission-controller", "ghcr.io/kyverno/kyverno:v1.13.2")
    who = pod_caller(pod, "kyverno/v0.0.0 (linux/amd64) kubernetes/$Format", "kyverno:admission-controller")
    kind = day.draw.randrange(6)
    if kind == 0:
        name = "kyverno-resource-mutating-webhook-cfg"
        config = {
            "service": {"name": "kyverno-svc", "namespace": "kyverno", "path": "/mutate/fail", "port": 443},
            "caBundle": "LS0t",
        }
        rules = [
            {
                "apiGroups": ["*"],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["*/*"],
                "scope": "*",
            }
        ]
        body = {
            "metadata": {"name": name},
            "webhooks": [{"name": "mutate.kyverno.svc-fail", "clientConfig": config, "rules": rules}],
        }
        group = "admissionregistration.k8s.io/mutatingwebhookconfigurations"
        yield from day.api(at, who, "update", group, "", name, body=body, response=body)
    elif kind == 1:
        gate = pod_of(
            "gatekeeper-system",
            "gatekeeper-controller-manager",
            "docker.io/openpolicyagent/gatekeeper:v3.18.1",
            account="gatekeeper-admin",
        )
        again = pod_caller(gate, "gatekeeper/v3.18.1", "gatekeeper-manager-rolebinding")
        name = "gatekeeper-validating-webhook-configuration"
        config = {
            "service": {"name": "gatekeeper-webhook-service", "namespace": "gatekeeper-system", "path": "/v1/admit"}
        }
        rules = [
            {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE", "DELETE"], "resources": ["*"]}
        ]
        body = {
            "metadata": {"name": name},
            "webhooks": [{"name": "validation.gatekeeper.sh", "clientConfig": config, "rules": rules}],
        }
        yield from day.api(
            at,
            again,
            "update",
            "admissionregistration.k8s.io/validatingwebhookconfigurations",
            "",
            name,
            body=body,
            response=body,
        )
    elif kind == 2:
        yield from day.api(at, who, "create", "authorization.k8s.io/subjectaccessreviews",
                           body={"spec": {"user": pod.user, "resourceAttributes": {"verb": "list", "resource": "secrets"}}})  # fmt: skip
    else:
        kinds = ("secrets", "configmaps", "kyverno.io/clusterpolicies", "namespaces", "roles", "pods")
        verb, resource = day.draw.choice([(verb, resource) for resource in kinds for verb in ("list", "watch")])
        yield from day.api(at, who, verb, resource)


def backups(day: Day) -> Iterator[Written]:
    """Velero at night: lists everything there is, secrets too, freezes file systems by exec, writes its own objects."""
    pod = pod_of("velero", "velero", "docker.io/velero/velero:v1.15.1")
    who = pod_caller(pod, "velero-server/v1.15.1 (linux/amd64) 1d4f1475975b5107ec35f4d19ff17f7d1fcb3edf", "velero")
    kinds = (
        "pods", "secrets", "configmaps", "persistentvolumeclaims", "persistentvolumes", "services", "serviceaccounts", "namespaces",
        "apps/deployments", "apps/statefulsets", "apps/daemonsets", "batch/jobs", "batch/cronjobs", "networking.k8s.io/ingresses",
        "rbac.authorization.k8s.io/clusterroles", "rbac.authorization.k8s.io/clusterrolebindings", "rbac.authorization.k8s.io/roles",
        "rbac.authorization.k8s.io/rolebindings", "apiextensions.k8s.io/customresourcedefinitions", "kubeflow.org/notebooks",
    )  # fmt: skip
    for hour in (2.0, 14.0):
        at = day.clock(hour)
        for team in (*_TEAMS, ""):
            for kind in kinds if team == "" else kinds[:6]:
                at += 150_000
                yield from day.api(at, who, "list", kind, team)
        for place, (action, flag) in enumerate((("freeze", "--freeze"), ("thaw", "--unfreeze"))):
            command = (
                ["/sbin/fsfreeze", flag, "/var/lib/postgresql/data"]
                if hour < 3
                else ["/bin/sh", "-c", f"psql -c 'checkpoint' # {action}"]
            )
            yield from day.api(
                at + (place + 1) * 20 * SECOND,
                who,
                "create",
                "pods/exec",
                "data",
                "postgres-0",
                command=command,
                code=101,
            )
        yield from day.api(
            at + MINUTE, who, "patch", "velero.io/backups", "velero", f"daily-{int(hour)}", level="Metadata"
        )
        yield from day.line(
            at + MINUTE,
            pod,
            'time="2026-03-10T02:01:00Z" level=info msg="Backed up 412 items out of an estimated total of 412"',
        )


def databases(day: Day, at: int) -> Iterator[Written]:
    """Operators that exec: CloudNativePG, Rook, Percona into pods of their own databases; RabbitMQ writes secrets."""
    namespace, workload, image, target, command = day.draw.choice((
        ("cnpg-system", "cnpg-controller-manager", "ghcr.io/cloudnative-pg/cloudnative-pg:1.25.0", "data/orders-1", ["pg_isready", "-U", "postgres"]),
        ("rook-ceph", "rook-ceph-operator", "docker.io/rook/ceph:v1.16.1", "rook-ceph/rook-ceph-mon-a-0", ["ceph", "status", "--format", "json"]),
        ("psmdb", "percona-server-mongodb-operator", "docker.io/percona/percona-server-mongodb-operator:1.18.0", "data/mongo-rs0-0",
         ["sh", "-c", "mongosh --eval 'db.isMaster()'"]),
        ("rabbitmq-system", "rabbitmq-cluster-operator", "docker.io/rabbitmqoperator/cluster-operator:2.12.0", "shop/mq-server-0",
         ["sh", "-c", "rabbitmqctl eval 'rabbit_prometheus:status().'"]),
    ))  # fmt: skip
    pod = pod_of(namespace, workload, image)
    who = pod_caller(pod, f"{workload}/v0.0.0 (linux/amd64) kubernetes/$Format")
    where, name = target.split("/")
    yield from day.api(at, who, "create", "pods/exec", where, name, command=command, code=101)
    yield from day.api(
        at + 2 * SECOND, who, day.draw.choice(("get", "list", "watch")), "secrets", where, f"{name}-credentials"
    )


STORIES = (backups,)
HABITS = (
    Habit(2, "machine", cert_manager),
    Habit(0.3, "machine", ca_injected),
    Habit(4, "machine", prometheus),
    Habit(2, "machine", state_metrics),
    Habit(2, "machine", metrics_server),
    Habit(3, "machine", istio),
    Habit(2, "machine", ingress_nginx),
    Habit(1, "machine", external_dns),
    Habit(2, "machine", vault),
    Habit(2, "machine", policies),
    Habit(0.8, "machine", databases),
)
