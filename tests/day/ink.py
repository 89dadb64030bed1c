"""How actors write: requests to the API server, lines of containers, access lines; each with the time of writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from streamer.authoring.cases_audit import Request, split_resource
from streamer.authoring.cases_fields import made_uuid
from streamer.authoring.cases_lines import access_record, container_record
from tests.day.cluster import COMMITS, CONTROL_PLANE, KUBE_SYSTEM, NAME, VERSION, Person, Pod, node_ip

if TYPE_CHECKING:
    from _typeshed import SupportsLenAndGetItem

T = TypeVar("T")

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Kind = Literal["audit", "containers"]

_QUIET_VERBS = frozenset({"get", "list", "watch"})
_QUIET = frozenset({"leases", "tokenreviews", "subjectaccessreviews", "events"})
_BODY_NEVER = frozenset({"secrets", "configmaps", "tokenreviews", "token"})
_STREAMS = frozenset({"exec", "attach", "portforward"})


class Written(NamedTuple):
    """One record, and when it was written down."""

    at: int
    kind: Kind
    record: dict[str, Any]
    cluster: str


@dataclass(frozen=True)
class Caller:
    """Who asks the API server, as the server sees it."""

    user: str
    ip: str
    agent: str
    groups: tuple[str, ...] = ()
    pod: Pod | None = None
    credential: str = ""
    reason: str = ""
    extra: Mapping[str, list[str]] = field(default_factory=dict)


def person(who: Person, agent: str = "") -> Caller:
    """A person with a client of theirs."""
    role = "cluster-admin" if who.team == "platform" else "edit"
    group = who.groups[0]
    reason = f'RBAC: allowed by RoleBinding "{who.team}-edit/{who.team}" of ClusterRole "{role}" to Group "{group}"'
    if who.team == "platform":
        reason = f'RBAC: allowed by ClusterRoleBinding "platform-admins" of ClusterRole "{role}" to Group "{group}"'
    return Caller(who.name, who.ip, agent or who.agent, who.groups, credential=who.credential, reason=reason)


def pod_caller(pod: Pod, agent: str, role: str = "") -> Caller:
    """A pod with its service account."""
    role = role or pod.account
    subject = f'ServiceAccount "{pod.account}/{pod.namespace}"'
    reason = f'RBAC: allowed by ClusterRoleBinding "{role}" of ClusterRole "{role}" to {subject}'
    return Caller(pod.user, pod.ip, agent, pod=pod, reason=reason)


def controller(name: str, version: str = VERSION) -> Caller:
    """A controller of kube-controller-manager."""
    agent = f"kube-controller-manager/{version} (linux/amd64) kubernetes/{COMMITS[version]}"
    user = f"{KUBE_SYSTEM}{name}"
    reason = f'RBAC: allowed by ClusterRoleBinding "system:controller:{name}" of ClusterRole "system:controller:{name}"'
    reason += f' to ServiceAccount "{name}/kube-system"'
    return Caller(user, node_ip("cp-1"), f"{agent}/{user}", reason=reason)


def component(name: str, version: str = VERSION) -> Caller:
    """kube-scheduler, kube-controller-manager or the API server itself."""
    short = name.removeprefix("system:")
    agent = (
        f"{short if short != 'apiserver' else 'kube-apiserver'}/{version} (linux/amd64) kubernetes/{COMMITS[version]}"
    )
    return Caller(name, "::1" if name == "system:apiserver" else node_ip("cp-1"), agent)


def kubelet(node: str, version: str = VERSION) -> Caller:
    """The kubelet of a node."""
    agent = f"kubelet/{version} (linux/amd64) kubernetes/{COMMITS[version]}"
    return Caller(f"system:node:{node}", node_ip(node), agent)


class Covering(Random):
    """Chance that draws everything once before anything twice: a short day in which all that is usual happens."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self._left: dict[str, list[int]] = {}

    def choice(self, seq: SupportsLenAndGetItem[T]) -> T:
        """One of them."""
        key = f"{len(seq)}/{seq[0]!r:.120}/{seq[len(seq) - 1]!r:.120}"
        left = self._left.get(key) or self.sample(range(len(seq)), len(seq))
        self._left[key] = left[1:]
        return seq[left[0]]


@dataclass
class Day:
    """One day of one cluster, as actors see it.

    Attributes:
        begin: the first moment of it.
        draw: an actor's own source of chance.
        scale: how much of everything, 1.0 for 200,000 events.
        past: whether this is the day before, of which rules learn what is usual.
    """

    begin: int
    draw: Random
    scale: float
    past: bool = False
    cluster: str = NAME
    _count: int = 0
    _seed: str = ""

    def clock(self, hour: float) -> int:
        """The moment of this day at ``hour``."""
        return self.begin + int(hour * HOUR)

    def times(self, full: float, at_least: int = 1) -> int:
        """How often something happens in a day of this size."""
        return max(at_least, round(full * self.scale))

    def uuid(self, *parts: object) -> str:
        """A UUID."""
        return made_uuid("day", self.cluster, *parts)

    def fresh(self) -> str:
        """A UUID that nobody else has."""
        self._count += 1
        return made_uuid("fresh", self._seed, self.begin, self._count)

    def seeded(self, seed: str) -> Day:
        """The same day for one actor, whose chance depends on no other's."""
        other = Day(self.begin, Covering(seed) if self.past else Random(seed), self.scale, self.past, self.cluster)
        other._seed = seed
        return other

    def api(
        self, at: int, who: Caller, verb: str, resource: str, namespace: str = "", name: str = "", **form: Any
    ) -> Iterator[Written]:
        """One request: the events of all its stages."""
        self._count += 1
        group, plain, sub = split_resource(resource) if resource else ("", "", "")
        given = {"namespace": namespace, "name": name, "reason": who.reason} | form
        full: dict[str, Any] = {key: value for key, value in given.items() if value not in ("", None)}
        if not who.reason:
            full.pop("reason", None)
        full |= {"verb": verb, "user": who.user, "ip": who.ip, "agent": form.get("agent", who.agent)}
        if resource:
            full["resource"] = resource
        if who.groups:
            full["groups"] = list(who.groups)
        full |= _identity(who)
        if _BODY_NEVER & {plain, sub} and group in {"", "authentication.k8s.io"}:
            full["level"] = "Metadata"
            full.pop("body", None)
        long = verb == "watch" or sub in _STREAMS
        at += self.draw.randrange(1_000)
        took = self.draw.randrange(1_100, 9_000) if not long else self.draw.randrange(2_000, 30_000)
        quiet = (verb in _QUIET_VERBS and sub not in _STREAMS and not long) or plain in _QUIET or not resource
        for written, event in Request(full, at, (self._seed, self.begin, self._count), took).events():
            if quiet and event["stage"] == "RequestReceived":
                continue
            _own(event, who)
            yield Written(written, "audit", event, self.cluster)

    def line(
        self,
        at: int,
        pod: Pod,
        message: str,
        *,
        stream: str = "stdout",
        container: str = "",
        image: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Iterator[Written]:
        """One line of a container."""
        at += self.draw.randrange(1_000)
        form = {
            "namespace": pod.namespace,
            "pod": pod.name,
            "pod_uid": pod.uid,
            "container": container or pod.container,
            "image": image or pod.image,
            "message": message,
            "stream": stream,
            "node": pod.node,
            "labels": dict(labels or pod.labels),
        }
        yield Written(at, "containers", container_record(form, at), self.cluster)

    def access(self, at: int, method: str, path: str, client: str, **form: Any) -> Iterator[Written]:
        """One request through a gateway (``gateway=``, Istio's unless said)."""
        self._count += 1
        full = {"method": method, "path": path, "client": client, "duration_ms": self.draw.randrange(2, 400)} | form
        written, record = access_record(full, at, (self._seed, self.begin, self._count))
        yield Written(written, "containers", record, self.cluster)


def _identity(who: Caller) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if who.pod is not None:
        found |= {"pod": who.pod.name, "pod_uid": who.pod.uid}
        found["credential_id"] = "JTI=" + made_uuid("projected token", who.pod.uid)
    if who.credential:
        found["credential_id"] = who.credential
    if who.pod is None and who.user.startswith("system:serviceaccount:"):
        found["pod"] = ""
    return found


def _own(event: dict[str, Any], who: Caller) -> None:
    """What the short form cannot say: the node of a bound pod, further extra fields, credentials nobody has."""
    extra: dict[str, list[str]] = event["user"].get("extra", {})
    if who.pod is not None:
        extra["authentication.kubernetes.io/node-name"] = [who.pod.node]
    if who.credential == "none":
        extra.pop("authentication.kubernetes.io/credential-id", None)
        if not extra:
            event["user"].pop("extra", None)
    if who.extra:
        event["user"]["extra"] = extra | {key: list(value) for key, value in who.extra.items()}


def apiserver_node(draw: Random) -> str:
    """One of the control plane."""
    return draw.choice(CONTROL_PLANE)
