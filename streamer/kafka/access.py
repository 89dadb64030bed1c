"""Which access each role of streamer needs on Kafka: the one table that ``doctor``, the messages and the pages share.

Reading or writing a topic includes describing it. An idempotent producer needs nothing beside Write (since Kafka 2.8).
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from streamer.kafka.topics import ALERTS, CHANGELOG, DEAD_LETTERS, DETECTIONS

Resource: TypeAlias = Literal["topic", "group", "transactional-id"]
ROLES: Final = ("detect", "correlate", "index")
SETUP: Final = "setup"
_ORDER: Final = ("Create", "Read", "Write", "Describe", "DescribeConfigs")


@dataclass(frozen=True, slots=True)
class Access:
    """One thing that must be allowed.

    Attributes:
        resource: what kind of thing.
        name: its full name, or the beginning of its name.
        operations: as Kafka calls them.
        prefixed: whether ``name`` is a beginning.
    """

    resource: Resource
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False

    def only(self, operations: tuple[str, ...]) -> Access:
        """The same, with fewer operations."""
        return replace(self, operations=operations)

    def command(self, principal: str) -> str:
        """The ``kafka-acls`` command that allows it, without the address of the cluster."""
        operations = " ".join(f"--operation {operation}" for operation in self.operations)
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        who = shlex.quote(principal)
        return f"kafka-acls --add --allow-principal {who} {operations} --{self.resource} {self.name}{pattern}"


def group_of(prefix: str, role: str) -> str:
    """The consumer group of a role."""
    return f"{prefix}{role}"


def doctor_id(prefix: str) -> str:
    """The transactional id that ``doctor`` tries; no service uses it."""
    return f"{prefix}doctor"


def transactions(prefix: str) -> Access:
    """What opening transactions needs, under any id that begins with the prefix."""
    return Access("transactional-id", prefix, ("Write",), prefixed=True)


def needed(role: str, prefix: str, raw_topics: Sequence[str]) -> tuple[Access, ...]:
    """What one role needs.

    Args:
        role: ``detect``, ``correlate``, ``index``, ``embedded`` (which delivers alerts) or ``setup``.
        prefix: of our own names.
        raw_topics: what is read.
    """
    # Whoever takes part looks at all topics when it starts.
    seen = Access("topic", prefix, ("Describe", "DescribeConfigs"), prefixed=True)
    letters = Access("topic", prefix + DEAD_LETTERS, ("Write",))
    reads = Access("group", group_of(prefix, role), ("Read",))
    raw = tuple(Access("topic", topic, ("Read",)) for topic in raw_topics)
    match role:
        case "detect":
            return (*raw, reads, Access("topic", prefix + DETECTIONS, ("Write",)), letters, seen)
        case "correlate":
            own = tuple(Access("topic", prefix + name, ("Read", "Write")) for name in (DETECTIONS, CHANGELOG))
            return (*own, reads, transactions(prefix), Access("topic", prefix + ALERTS, ("Write",)), letters, seen)
        case "index":
            return (Access("topic", prefix + ALERTS, ("Read",)), reads, letters, seen)
        case "embedded":
            return (*raw, transactions(prefix), Access("topic", prefix + ALERTS, ("Read", "Write")), letters, seen)
        case _:
            return (Access("topic", prefix, ("Create", "Describe", "DescribeConfigs"), prefixed=True),)


def needed_by_all(roles: Collection[str], prefix: str, raw_topics: Sequence[str]) -> tuple[Access, ...]:
    """What one identity needs that runs several roles; each resource once."""
    merged: dict[tuple[Resource, str, bool], Access] = {}
    for access in (each for role in roles for each in needed(role, prefix, raw_topics)):
        key = (access.resource, access.name, access.prefixed)
        known = merged[key].operations if key in merged else ()
        operations = tuple(sorted({*known, *access.operations}, key=_ORDER.index))
        merged[key] = Access(*key[:2], operations, prefixed=key[2])
    return tuple(merged.values())
