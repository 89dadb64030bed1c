"""Who did it, and where from: one identity and one address out of all the events behind an alert.

The actor is who authenticated. But clusters are full of identities that carry out what others asked for: a controller
creates the pods of a daemon set that somebody wrote. So what such an event says about itself is followed to the event
that asked for it, as far as the evidence shows that; the identities in between are named beside the actor.

An address says where from only if somebody came from there. Workloads speak from inside the cluster: their addresses
are those of pods and nodes, and never the attacker's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streamer.detect.sentences import look

Flat = dict[str, Any]
"""ECS field name to value."""

USER: Final = ("user.id", "user.name", "user.domain", "user.group.name")
EFFECTIVE: Final = ("user.effective.id", "user.effective.name")
ADDRESS: Final = ("source.ip", "source.address", "client.ip", "user_agent.original")
ATTRIBUTED: Final = ("streamer.actor.name", "streamer.actor.kind", *USER, *EFFECTIVE, *ADDRESS)
"""Fields that :func:`attributed` decides over all events together."""
MAX_THROUGH: Final = 16

_PEOPLE: Final = frozenset({"user", "anonymous"})
_CONTROL_PLANE: Final = (
    "system:kube-controller-manager",
    "system:kube-scheduler",
    "system:serviceaccount:kube-system:",
)
_INSIDE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event behind an alert: what it may show, and that in ECS names."""

    fields: Mapping[str, Any]
    flat: Flat

    @property
    def name(self) -> str | None:
        """Who authenticated."""
        name = self.flat.get("streamer.actor.name")
        return name if isinstance(name, str) else None

    @property
    def is_person(self) -> bool:
        """Somebody who is no workload, as far as anybody can tell."""
        return self.flat.get("streamer.actor.kind", "user") in _PEOPLE


def is_inside(text: Any) -> bool:
    """Whether an address is one of those that clusters give to their own: private, shared, loopback, link-local."""
    try:
        address = ipaddress.ip_address(str(text))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return any(address in network for network in _INSIDE)


def attributed(events: Sequence[Event]) -> Flat:
    """:data:`ATTRIBUTED` and ``streamer.actor.through``, for events in the order of their time; only what is known."""
    asked = _asked(events)
    if asked is None:
        return _where(events, None)
    actor = events[asked]
    ours = [event for event in events if event.name == actor.name]
    as_other = next((event for event in ours if "user.effective.name" in event.flat), actor)
    later = [event for event in events[asked:] if not event.is_person and not _is_placement(event)]
    through = {event.name: None for event in later if event.name != actor.name}
    flat = {name: actor.flat.get(name) for name in ("streamer.actor.name", "streamer.actor.kind", *USER)}
    flat |= {name: as_other.flat.get(name) for name in EFFECTIVE}
    flat["streamer.actor.through"] = [name for name in through if name][:MAX_THROUGH]
    flat |= _where(events, actor)
    return {name: value for name, value in flat.items() if value not in (None, [])}


def _asked(events: Sequence[Event]) -> int | None:
    """The event whose actor it was: who asked for what the last event did, else the first who did it of itself."""
    audited = [index for index, event in enumerate(events) if event.name]
    if not audited:
        return None
    last, seen = audited[-1], {audited[-1]}
    while (creator := _creator(events, last)) is not None and creator not in seen:
        seen.add(creator)
        last = creator
    if len(seen) > 1 and not _carries_out(events[last]):
        return last
    return next((index for index in audited if not _carries_out(events[index])), audited[0])


def _carries_out(event: Event) -> bool:
    """Whether an event only does what somebody else asked for.

    Names alone do not tell: whoever holds the token of a controller has its name. So it must also be what such an
    identity is there for: to write what another object owns, to place a pod, to fetch tokens for the pods of its node.
    """
    name, fields = event.name or "", event.fields
    resource, subresource = look(fields, "objectRef.resource"), look(fields, "objectRef.subresource")
    if look(fields, "impersonatedUser.username") is not None:
        return False
    if name.startswith("system:node:"):
        return (resource, subresource) == ("serviceaccounts", "token") and is_inside(event.flat.get("source.ip"))
    if not name.startswith(_CONTROL_PLANE):
        return False
    return look(fields, "workload.owner.kind") is not None or _is_placement(event)


def _is_placement(event: Event) -> bool:
    """Whether a pod is given its node here."""
    resource, subresource = look(event.fields, "objectRef.resource"), look(event.fields, "objectRef.subresource")
    return (resource, subresource) == ("pods", "binding")


def _creator(events: Sequence[Event], index: int) -> int | None:
    """The event in which the owner of what this one wrote was written, if that is among them."""
    event = events[index]
    kind, name = look(event.fields, "workload.owner.kind"), look(event.fields, "workload.owner.name")
    uid = look(event.fields, "workload.owner.uid")
    if not _carries_out(event) or not kind:
        return None
    for other in range(index - 1, -1, -1):
        fields = events[other].fields
        if not events[other].name or look(fields, "workload.kind") != kind:
            continue
        theirs = look(fields, "workload.uid") or look(fields, "objectRef.uid")
        same_place = look(fields, "objectRef.namespace") == look(event.fields, "objectRef.namespace")
        named = (look(fields, "workload.name") or look(fields, "objectRef.name")) == name and same_place
        if theirs == uid if theirs and uid else named:
            return other
    return None


def _where(events: Sequence[Event], actor: Event | None) -> Flat:
    """Address and user agent of the event that tells best where the actor came from.

    A person's own. Behind a workload stands the client of a gateway's line, if there is one: in some clusters pods
    reach the API server by the public address of their node. Without a client, its own address, if it is from outside.
    """
    pods = {ip for event in events if (ip := event.flat.get("kubernetes.pod.ip"))}

    def tells(event: Event) -> bool:
        address = event.flat.get("source.address")
        if address is None:
            return False
        if event.name is None or event.is_person:  # a line of a gateway names the client
            return True
        return not is_inside(address) and event.flat.get("source.ip") not in pods

    found = [event for event in events if tells(event)]
    telling = _completing_first(found, events)
    own = [event for event in telling if actor is not None and event.name == actor.name]
    clients = [event for event in (telling if actor is None else found) if event.name is None]
    clients.sort(key=lambda event: is_inside(event.flat["source.address"]))  # public ones first, else as they were
    ordered = [*own, *clients, *telling] if actor is not None and actor.is_person else [*clients, *own, *telling]
    best = next(iter(ordered), None)
    agent = best or actor
    flat = {name: best.flat.get(name) for name in ADDRESS[:3]} if best else {}
    return flat | ({"user_agent.original": agent.flat.get("user_agent.original")} if agent else {})


def _completing_first(found: list[Event], events: Sequence[Event]) -> list[Event]:
    """The completing event before the others, which stay in the order of their time."""
    return [*(event for event in found if event is events[-1]), *(event for event in found if event is not events[-1])]
