"""Agents of every node: network, storage, logs, metrics, GPUs. Privileged, with the host's paths, and right so."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.day.cluster import ADMINS, CONTROL_PLANE, GPU_NODES, WORKERS, pod_of
from tests.day.ink import MINUTE, SECOND, Day, Written, controller, person, pod_caller
from tests.day.rhythm import Habit
from tests.day.workloads import App, applied, host_path, mounted, removed, started

_PRIVILEGED = {"privileged": True}


def _agent(namespace: str, name: str, image: str, account: str, container: dict[str, Any], pod: dict[str, Any]) -> App:
    return App(namespace, name, image, "DaemonSet", account, container=container, pod=pod)


CILIUM = _agent("kube-system", "cilium", "quay.io/cilium/cilium:v1.17.1", "cilium",
    {"command": ["cilium-agent"], "args": ["--config-dir=/tmp/cilium/config-map"],
     "securityContext": {"privileged": False, "capabilities": {"add": ["CHOWN", "KILL", "NET_ADMIN", "NET_RAW", "IPC_LOCK",
      "SYS_MODULE", "SYS_ADMIN", "SYS_RESOURCE", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"], "drop": ["ALL"]}},
     "volumeMounts": [mounted("bpf-maps", "/sys/fs/bpf"), mounted("cni-path", "/host/opt/cni/bin")]},
    {"hostNetwork": True, "volumes": [host_path("bpf-maps", "/sys/fs/bpf"), host_path("cni-path", "/opt/cni/bin"),
     host_path("cilium-run", "/var/run/cilium"), host_path("hostproc", "/proc"), host_path("lib-modules", "/lib/modules")]})  # fmt: skip
CALICO = _agent("calico-system", "calico-node", "docker.io/calico/node:v3.29.1", "calico-node",
    {"securityContext": _PRIVILEGED, "volumeMounts": [mounted("lib-modules", "/lib/modules", read_only=True)]},
    {"hostNetwork": True, "volumes": [host_path("lib-modules", "/lib/modules"), host_path("cni-bin-dir", "/opt/cni/bin"),
     host_path("cni-net-dir", "/etc/cni/net.d"), host_path("policysync", "/var/run/nodeagent")]})  # fmt: skip
KUBE_PROXY = _agent("kube-system", "kube-proxy", "registry.k8s.io/kube-proxy:v1.33.5", "kube-proxy",
    {"command": ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf"], "securityContext": _PRIVILEGED},
    {"hostNetwork": True, "volumes": [host_path("xtables-lock", "/run/xtables.lock", "FileOrCreate"),
     host_path("lib-modules", "/lib/modules")]})  # fmt: skip
EBS = App("kube-system", "ebs-csi-node", "public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:v1.40.0", "DaemonSet", "ebs-csi-node-sa",
    container={"securityContext": _PRIVILEGED, "volumeMounts": [mounted("kubelet-dir", "/var/lib/kubelet")]},
    pod={"volumes": [host_path("kubelet-dir", "/var/lib/kubelet", "Directory"), host_path("device-dir", "/dev", "Directory"),
     host_path("plugin-dir", "/var/lib/kubelet/plugins/ebs.csi.aws.com/", "DirectoryOrCreate")]},
    sidecars=({"name": "node-driver-registrar", "image": "registry.k8s.io/sig-storage/csi-node-driver-registrar:v2.13.0"},))  # fmt: skip
NODE_EXPORTER = _agent("monitoring", "node-exporter", "quay.io/prometheus/node-exporter:v1.8.2", "node-exporter",
    {"args": ["--path.rootfs=/host/root"], "volumeMounts": [mounted("root", "/host/root", read_only=True)],
     "securityContext": {"capabilities": {"add": ["SYS_TIME"], "drop": ["ALL"]}}},
    {"hostNetwork": True, "hostPID": True, "volumes": [host_path("root", "/"), host_path("sys", "/sys")],
     "securityContext": {"runAsNonRoot": True, "runAsUser": 65534}})  # fmt: skip
FLUENT_BIT = _agent("logging", "fluent-bit", "cr.fluentbit.io/fluent/fluent-bit:3.2.4", "fluent-bit",
    {"volumeMounts": [mounted("varlog", "/var/log"), mounted("containers", "/var/lib/docker/containers", read_only=True)]},
    {"volumes": [host_path("varlog", "/var/log"), host_path("containers", "/var/lib/docker/containers"),
     host_path("etcmachineid", "/etc/machine-id", "File")], "tolerations": [{"operator": "Exists"}]})  # fmt: skip
GPU_PLUGIN = _agent("gpu-operator", "nvidia-device-plugin-daemonset", "nvcr.io/nvidia/k8s-device-plugin:v0.17.0", "nvidia-device-plugin",
    {"securityContext": _PRIVILEGED, "command": ["bash", "-c"], "args": ["/bin/entrypoint.sh"]},
    {"volumes": [host_path("device-plugin", "/var/lib/kubelet/device-plugins"), host_path("host-root", "/"),
     host_path("cdi-root", "/var/run/cdi")], "runtimeClassName": "nvidia"})  # fmt: skip
GPU_DRIVER = _agent("gpu-operator", "nvidia-driver-daemonset", "nvcr.io/nvidia/driver:570.86.15-ubuntu22.04", "nvidia-driver",
    {"securityContext": _PRIVILEGED | {"seLinuxOptions": {"level": "s0"}}, "command": ["nvidia-driver"], "args": ["init"]},
    {"hostPID": True, "volumes": [host_path("run-nvidia", "/run/nvidia"), host_path("host-os-release", "/etc/os-release"),
     host_path("host-sys", "/sys"), host_path("nvidia-mps", "/run/nvidia/mps")]})  # fmt: skip
PROMTAIL = _agent("logging", "promtail", "docker.io/grafana/promtail:3.3.2", "promtail",
    {"volumeMounts": [mounted("pods", "/var/log/pods", read_only=True)]}, {"volumes": [host_path("pods", "/var/log/pods")]})  # fmt: skip
DATADOG = _agent("datadog", "datadog-agent", "gcr.io/datadoghq/agent:7.62.0", "datadog-agent",
    {"volumeMounts": [mounted("runtimesocketdir", "/host/var/run", read_only=True)],
     "securityContext": {"capabilities": {"add": ["SYS_ADMIN", "SYS_RESOURCE", "SYS_PTRACE", "NET_ADMIN", "BPF"]}}},
    {"hostPID": True, "volumes": [host_path("runtimesocketdir", "/run/containerd"), host_path("procdir", "/proc"),
     host_path("cgroups", "/sys/fs/cgroup"), host_path("dockersocket", "/var/run/docker.sock")]})  # fmt: skip
FALCO = _agent("falco", "falco", "docker.io/falcosecurity/falco:0.39.2", "falco",
    {"securityContext": _PRIVILEGED, "volumeMounts": [mounted("containerd", "/host/run/containerd/containerd.sock")]},
    {"volumes": [host_path("containerd", "/run/containerd/containerd.sock"), host_path("etc-fs", "/etc"),
     host_path("dev-fs", "/dev"), host_path("proc-fs", "/proc")]})  # fmt: skip
AGENTS = (CILIUM, CALICO, KUBE_PROXY, EBS, NODE_EXPORTER, FLUENT_BIT, PROMTAIL, DATADOG, FALCO)
_ALL_NODES = CONTROL_PLANE + WORKERS + GPU_NODES


def known_agents(day: Day) -> Iterator[Written]:
    """Pods of agents come and go with nodes: every kind of agent at least once."""
    if not day.past:
        return
    for place, agent in enumerate((*AGENTS, GPU_PLUGIN, GPU_DRIVER)):
        yield from _restarted(
            day, day.clock(0.5) + place * MINUTE, agent, WORKERS[place] if place < len(AGENTS) else "gpu-1"
        )


def _restarted(day: Day, at: int, agent: App, node: str) -> Iterator[Written]:
    """A pod of a DaemonSet is replaced on its node."""
    pod = pod_of(agent.namespace, agent.name, agent.image, account=agent.account, kind="DaemonSet", node=node,
                 replica=day.draw.randrange(10**6), host_network=bool(agent.pod.get("hostNetwork")))  # fmt: skip
    owner = ("DaemonSet", agent.name, day.uuid("DaemonSet", agent.namespace, agent.name))
    yield from started(day, at, controller("daemon-set-controller"), pod, agent, owner)


def agents_restarted(day: Day, at: int) -> Iterator[Written]:
    """A node came back: its agents start again."""
    node = day.draw.choice(_ALL_NODES)
    for place, agent in enumerate(day.draw.sample(AGENTS, 3)):
        yield from _restarted(day, at + place * 400_000, agent, node)


def gpu_agents_restarted(day: Day, at: int) -> Iterator[Written]:
    """Device plugin and driver after a reboot of a GPU node."""
    node = day.draw.choice(GPU_NODES)
    for place, agent in enumerate((GPU_DRIVER, GPU_PLUGIN)):
        yield from _restarted(day, at + place * SECOND, agent, node)


def rollouts(day: Day) -> Iterator[Written]:
    """An administrator renews the log shipper and the storage driver in the night: same images, new tags."""
    if day.past:
        return
    who = person(ADMINS[0])
    for hour, agent, tag in ((9.4, FLUENT_BIT, "3.2.5"), (11.1, EBS, "v1.41.0"), (14.2, CILIUM, "v1.17.2")):
        newer = App(agent.namespace, agent.name, agent.image.rpartition(":")[0] + ":" + tag, "DaemonSet", agent.account,
                    container=agent.container, pod=agent.pod, sidecars=agent.sidecars)  # fmt: skip
        at = day.clock(hour)
        for place in range(day.times(len(_ALL_NODES), 3)):
            old = pod_of(agent.namespace, agent.name, agent.image, account=agent.account, kind="DaemonSet",
                         node=_ALL_NODES[place % len(_ALL_NODES)])  # fmt: skip
            yield from removed(day, at + 5 * SECOND + place * 20 * SECOND, controller("daemon-set-controller"), old)
        yield from applied(day, at, who, newer, pods=day.times(len(_ALL_NODES), 3))


def csi_controller(day: Day, at: int) -> Iterator[Written]:
    """The storage driver's controller: attachments, nodes, volumes, its leases."""
    pod = pod_of("kube-system", "ebs-csi-controller", "public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:v1.40.0",
                 account="ebs-csi-controller-sa")  # fmt: skip
    who = pod_caller(pod, "csi-provisioner/v5.1.0 (linux/amd64) kubernetes/$Format", "ebs-external-provisioner-role")
    verb, resource = day.draw.choice((
        ("watch", "persistentvolumes"), ("watch", "persistentvolumeclaims"), ("list", "nodes"), ("get", "secrets"),
        ("list", "storage.k8s.io/volumeattachments"), ("list", "storage.k8s.io/csinodes"),
    ))  # fmt: skip
    named = {"namespace": "kube-system", "name": "aws-secret"} if resource == "secrets" else {}
    yield from day.api(at, who, verb, resource, **named)


def cilium_work(day: Day, at: int) -> Iterator[Written]:
    """The network agent: endpoints, identities, its own node."""
    node = day.draw.choice(_ALL_NODES)
    pod = pod_of("kube-system", "cilium", CILIUM.image, kind="DaemonSet", host_network=True, node=node)
    who = pod_caller(pod, "cilium-agent/v1.17.1 (linux/amd64) kubernetes/$Format", "cilium")
    verb, resource, namespace, name = day.draw.choice((
        ("watch", "cilium.io/ciliumendpoints", "", ""), ("create", "cilium.io/ciliumendpoints", "shop", "web-x"),
        ("patch", "cilium.io/ciliumnodes", "", node), ("list", "cilium.io/ciliumidentities", "", ""),
        ("watch", "pods", "", ""), ("patch", "nodes/status", "", node), ("list", "networking.k8s.io/networkpolicies", "", ""),
        ("get", "secrets", "cilium-secrets", "hubble"), ("patch", "nodes", "", node),
    ))  # fmt: skip
    yield from day.api(at, who, verb, resource, namespace, name, level="Metadata")


_READERS = (
    (FLUENT_BIT, "Fluent-Bit"),
    (PROMTAIL, "promtail/3.3.2"),
    (DATADOG, "agent/v0.0.0 (linux/amd64) kubernetes/$Format"),
    (FALCO, "falco/0.39.2"),
    (NODE_EXPORTER, "Go-http-client/1.1"),
)
_READ = (
    ("get", "pods", "shop"),
    ("watch", "pods", ""),
    ("list", "namespaces", ""),
    ("list", "nodes", ""),
    ("watch", "apps/replicasets", ""),
)


def agents_have_read(day: Day) -> Iterator[Written]:
    """The day before, every agent read everything that it ever reads."""
    if not day.past:
        return
    for place, agent in enumerate(_READERS):
        for number, read in enumerate(_READ):
            yield from _agent_read(day, day.clock(0.7 + place / 10 + number / 60), agent, read)


def agent_reads(day: Day, at: int) -> Iterator[Written]:
    """Log shippers and monitoring agents ask what pods and nodes there are."""
    yield from _agent_read(day, at, day.draw.choice(_READERS), day.draw.choice(_READ))


def _agent_read(day: Day, at: int, reader: tuple[App, str], read: tuple[str, str, str]) -> Iterator[Written]:
    agent, client = reader
    verb, resource, namespace = read
    pod = pod_of(
        agent.namespace,
        agent.name,
        agent.image,
        account=agent.account,
        kind="DaemonSet",
        node=day.draw.choice(_ALL_NODES),
    )
    name = "web-6d5f8c7b9-q7w2p" if verb == "get" else ""
    yield from day.api(at, pod_caller(pod, client), verb, resource, namespace, name)


def kubelet_metrics(day: Day, at: int) -> Iterator[Written]:
    """Agents that reach kubelets through the API server: statistics, metrics, never a command."""
    node = day.draw.choice(_ALL_NODES)
    pod = pod_of("datadog", "datadog-cluster-agent", "gcr.io/datadoghq/cluster-agent:7.62.0")
    who = pod_caller(pod, "datadog-cluster-agent/7.62.0")
    path = f"/api/v1/nodes/{node}/proxy/" + day.draw.choice(
        ("metrics", "metrics/cadvisor", "stats/summary", "healthz", "pods")
    )
    yield from day.api(at, who, "get", "nodes/proxy", "", node, uri=path)


STORIES = (known_agents, agents_have_read, rollouts)
HABITS = (
    Habit(0.25, "machine", agents_restarted),
    Habit(0.1, "machine", gpu_agents_restarted),
    Habit(1.5, "machine", csi_controller),
    Habit(4, "machine", cilium_work),
    Habit(3, "machine", agent_reads),
    Habit(1, "machine", kubelet_metrics),
)
