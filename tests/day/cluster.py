"""Facts about the made-up cluster that all actors share: nodes, pods, addresses and people."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from streamer.authoring.cases_fields import digest, made_suffix, made_uuid, number

NAME = "prod-1"
VERSION = "v1.33.5"
NEXT_VERSION = "v1.34.1"
COMMITS = {VERSION: "03d7a4c", NEXT_VERSION: "93248f9"}
KUBE_SYSTEM = "system:serviceaccount:kube-system:"

CONTROL_PLANE = ("cp-1", "cp-2", "cp-3")
WORKERS = tuple(f"worker-{place:02d}" for place in range(1, 15))
GPU_NODES = ("gpu-1", "gpu-2")
NODES = CONTROL_PLANE + WORKERS + GPU_NODES

VPN = "10.8.0."
OFFICE = ("203.0.113.20", "203.0.113.21")
"""The office leaves through two public addresses; who is on the VPN comes from a private one."""


def node_ip(node: str) -> str:
    """Address of a node."""
    return f"10.0.{0 if node in CONTROL_PLANE else 1}.{10 + NODES.index(node) if node in NODES else 90}"


@dataclass(frozen=True)
class Pod:
    """One pod: enough to write its lines and the requests that it makes."""

    namespace: str
    name: str
    node: str
    account: str
    container: str
    image: str
    host_network: bool = False
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def uid(self) -> str:
        """Its UID."""
        return made_uuid("day", "pod", self.namespace, self.name)

    @property
    def ip(self) -> str:
        """Its address; that of its node where it shares the node's network."""
        if self.host_network:
            return node_ip(self.node)
        return f"10.244.{NODES.index(self.node) if self.node in NODES else 30}.{2 + number(250, 'ip', self.uid)}"

    @property
    def user(self) -> str:
        """The user name of its service account."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"


@cache
def pod_of(
    namespace: str,
    workload: str,
    image: str,
    *,
    account: str = "",
    container: str = "",
    replica: int = 0,
    kind: str = "Deployment",
    host_network: bool = False,
    node: str = "",
) -> Pod:
    """The pod of a workload that runs all day, named as its controller names it."""
    if kind == "StatefulSet":
        name = f"{workload}-{replica}"
    elif kind == "DaemonSet":
        name = f"{workload}-{made_suffix(5, namespace, workload, node, replica)}"
    else:
        revision = digest("revision", namespace, workload)[:9]
        name = f"{workload}-{revision}-{made_suffix(5, namespace, workload, replica)}"
    chosen = node or WORKERS[number(len(WORKERS), "node", namespace, name)]
    labels = (("app.kubernetes.io/name", workload),)
    return Pod(namespace, name, chosen, account or workload, container or workload, image, host_network, labels)


@dataclass(frozen=True)
class Person:
    """Somebody who uses the cluster: name, groups, client and where they sit."""

    name: str
    groups: tuple[str, ...]
    team: str
    agent: str
    ip: str
    credential: str = field(default="")


_KUBECTL = "kubectl/{} ({}) kubernetes/{}"
_MAC = _KUBECTL.format("v1.33.2", "darwin/arm64", "a57b6f7")
_LINUX = _KUBECTL.format("v1.31.4", "linux/amd64", "a78aa47")
_WINDOWS = _KUBECTL.format("v1.29.1", "windows/amd64", "bc401b9")
_NEW = _KUBECTL.format("v1.34.1", "linux/amd64", "93248f9")


def _person(name: str, team: str, agent: str, ip: str, *groups: str) -> Person:
    credential = "JTI=" + made_uuid("oidc session", name)
    return Person(f"oidc:{name}@example.com", (*(f"oidc:{group}" for group in groups), "system:authenticated"), team,
                  agent, ip, credential)  # fmt: skip


PEOPLE = (
    _person("alice", "shop", _MAC, VPN + "21", "shop-developers", "everyone"),
    _person("bob", "shop", _LINUX, OFFICE[0], "shop-developers", "everyone"),
    _person("carla", "billing", _WINDOWS, OFFICE[1], "billing-developers", "everyone"),
    _person("dmitri", "billing", _MAC, VPN + "33", "billing-developers", "everyone"),
    _person("erin", "search", _NEW, VPN + "40", "search-developers", "everyone"),
    _person("farid", "search", _MAC, "192.0.2.77", "search-developers", "everyone"),
    _person("greta", "data", _LINUX, VPN + "51", "data-engineers", "everyone"),
    _person("hugo", "ml", _MAC, OFFICE[0], "ml-engineers", "everyone"),
)
ADMINS = (
    _person("ines", "platform", _NEW, VPN + "10", "platform-admins", "everyone"),
    _person("jonas", "platform", _MAC, OFFICE[0], "platform-admins", "everyone"),
)
APPS = {
    "shop": ("web", "cart", "checkout"),
    "billing": ("invoices", "ledger"),
    "search": ("indexer", "query"),
    "data": ("ingest", "airflow"),
}
"""Team namespaces and the deployments in them."""


def app_pod(namespace: str, app: str, replica: int = 0) -> Pod:
    """A pod of a team's application."""
    return pod_of(namespace, app, f"registry.example.com/{namespace}/{app}:2.14.{number(30, app)}",
                  account=app if namespace != "data" else "default", container=app, replica=replica)  # fmt: skip
