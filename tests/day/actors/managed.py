"""Clusters that a cloud runs: what the managers of EKS, AKS and GKE do in them, with rights that people never have."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.day.ink import SECOND, Caller, Day, Written
from tests.day.rhythm import Habit, moments
from tests.day.workloads import App, applied, host_path

_MASTERS = ("system:masters", "system:authenticated")
_RBAC = "rbac.authorization.k8s.io"


def _in(day: Day, cluster: str) -> Day:
    other = replace(day, cluster=cluster)
    other._seed = f"{day._seed}/{cluster}/{day._count}"
    day._count += 1
    return other


def eks(day: Day, at: int) -> Iterator[Written]:
    """EKS: add-on manager, node manager, certificate controller, the migrator of secrets, the authenticator."""
    there = _in(day, "eks-1")
    user, agent, verb, resource, namespace, name = day.draw.choice((
        ("eks:addon-manager", "Go-http-client/1.1", "get", "configmaps", "kube-system", "coredns"),
        ("eks:addon-manager", "Go-http-client/1.1", "patch", "apps/daemonsets", "kube-system", "aws-node"),
        ("eks:addon-manager", "Go-http-client/1.1", "patch", f"{_RBAC}/clusterroles", "", "aws-node"),
        ("eks:node-manager", "eks/v0.0.0 (linux/amd64)", "get", "nodes", "", "ip-10-0-1-20.ec2.internal"),
        ("eks:node-manager", "eks/v0.0.0 (linux/amd64)", "get", "configmaps", "kube-system", "aws-auth"),
        ("eks:k8s-metrics", "eks-k8s-metrics/v0.0.0", "list", "apps/deployments", "", ""),
        ("eks:kms-storage-migrator", "eks-kms/v0.0.0", "list", "secrets", "", ""),
        ("eks:authenticator", "aws-iam-authenticator/v0.6", "watch", "configmaps", "kube-system", "aws-auth"),
        ("eks:cloud-controller-manager", "aws-cloud-controller-manager/v1.32", "patch", "services/status", "shop", "web"),
        ("eks:vpc-resource-controller", "vpc-resource-controller/v1", "watch", "pods", "", ""),
        ("system:serviceaccount:kube-system:aws-node", "aws-node/v1.19", "list", "pods", "", ""),
        ("arn:aws:sts::111122223333:assumed-role/eks-admin/ines", "kubectl/v1.32.1 (darwin/arm64) kubernetes/e9c9be4", "list", "pods", "", ""),
    ))  # fmt: skip
    who = Caller(
        user,
        "10.0.255.12" if user.startswith("eks:") else "10.0.1.20",
        agent,
        _MASTERS if user.startswith("arn") else (),
    )
    yield from there.api(at, who, verb, resource, namespace, name, level="Metadata")


def aks(day: Day, at: int) -> Iterator[Written]:
    """AKS: the service itself, its problem detector, the policy add-on, Defender's own agents."""
    there = _in(day, "aks-1")
    user, agent, verb, resource, namespace, name = day.draw.choice((
        ("aksService", "Go-http-client/1.1", "list", "nodes", "", ""),
        ("aksService", "hcpService/v1", "get", "configmaps", "kube-system", "azure-ip-masq-agent-config"),
        ("hcpService", "adminbridge/v1", "list", "pods", "kube-system", ""),
        ("aksproblemdetector", "aks-problem-detector/v1", "list", "events", "", ""),
        ("system:serviceaccount:kube-system:azure-policy", "azure-policy/v1", "list", "namespaces", "", ""),
        ("system:serviceaccount:kube-system:microsoft-defender-publisher-sa", "defender/v1", "list", "pods", "", ""),
        ("system:serviceaccount:kube-system:csi-secrets-store-provider-azure", "secrets-store-csi/v1", "create", "serviceaccounts/token", "shop", "web"),
        ("system:serviceaccount:kube-system:konnectivity-agent", "konnectivity/v0.30", "get", "coordination.k8s.io/leases", "kube-system", "konnectivity"),
        ("masterclient", "kubectl/v1.31.2 (linux/amd64) kubernetes/5864a46", "list", "pods", "", ""),
    ))  # fmt: skip
    masters = not user.startswith("system:serviceaccount")
    yield from there.api(
        at,
        Caller(user, "10.1.0.4", agent, _MASTERS if masters else ()),
        verb,
        resource,
        namespace,
        name,
        level="Metadata",
    )


def gke(day: Day, at: int) -> Iterator[Written]:
    """GKE: add-on manager, metrics agents, the robot account of the project."""
    there = _in(day, "gke-1")
    user, agent, verb, resource, namespace, name = day.draw.choice((
        ("system:addon-manager", "kubectl/v1.32.1-gke (linux/amd64)", "patch", "apps/deployments", "kube-system", "kube-dns"),
        ("system:addon-manager", "kubectl/v1.32.1-gke (linux/amd64)", "patch", f"{_RBAC}/clusterroles", "", "gce:cloud-provider"),
        ("system:gke-common-webhooks", "gke-common-webhooks/v1", "get", "admissionregistration.k8s.io/mutatingwebhookconfigurations", "", "pod-ready.config.common-webhooks.networking.gke.io"),
        ("system:clustermetrics", "clustermetrics/v0", "list", "nodes", "", ""),
        ("service-123456@container-engine-robot.iam.gserviceaccount.com", "google-api-go-client/0.5", "get", "nodes", "", "gke-pool-1"),
        ("system:serviceaccount:gmp-system:collector", "gmp/v0.13", "list", "pods", "", ""),
        ("system:gcp-controller-manager", "gcp-controller-manager/v0", "update", "certificates.k8s.io/certificatesigningrequests/approval", "", "node-csr-1"),
    ))  # fmt: skip
    yield from there.api(
        at,
        Caller(user, "172.16.0.2", agent, ("system:authenticated",)),
        verb,
        resource,
        namespace,
        name,
        level="Metadata",
    )


def add_ons_renewed(day: Day) -> Iterator[Written]:
    """The cloud renews its own privileged parts without asking."""
    for at in moments(day, "night", 4, 1):
        there = _in(day, "eks-1")
        who = Caller("eks:addon-manager", "10.0.255.12", "Go-http-client/1.1", ("system:authenticated",))
        node = App("kube-system", "aws-node", "602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.19.2", "DaemonSet", "aws-node",
                   container={"securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}},
                   inits=({"name": "aws-vpc-cni-init", "image": "602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni-init:v1.19.2", "securityContext": {"privileged": True}},),
                   pod={"hostNetwork": True, "volumes": [host_path("cni-bin-dir", "/opt/cni/bin"), host_path("run-dir", "/var/run/aws-node")]})  # fmt: skip
        yield from applied(there, at, who, node, pods=2)
        yield from there.api(at + 5 * SECOND, who, "patch", "configmaps", "kube-system", "coredns")
        yield from there.api(
            at + 9 * SECOND, who, "patch", "apps/deployments", "kube-system", "coredns", level="Metadata"
        )


STORIES = (add_ons_renewed,)
HABITS = (
    Habit(1, "machine", eks),
    Habit(1, "machine", aks),
    Habit(1, "machine", gke),
)
