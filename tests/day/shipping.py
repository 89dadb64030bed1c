"""From what was written to what arrives: envelopes, some disorder, duplicates after a shipper's restart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from streamer.authoring.cases_fields import number
from tests.day import envelopes
from tests.day.ink import SECOND, Kind, Written

LATENESS_US = 10 * SECOND
_HELD_US = 4 * SECOND
_RESTARTS = 6
"""So often in a day one shipper starts anew and sends again what it has sent already."""

_AUDIT_ROUTES = ("raw", "raw", "raw", "event-list", "event-list", "fluent-bit")
_LINE_ROUTES = ("fluent-bit", "fluent-bit", "fluent-bit-cri", "fluentd", "vector", "filebeat", "otlp")


class Message(NamedTuple):
    """What a reader receives."""

    at: int
    kind: Kind
    value: bytes
    cluster: str


def shipped(written: Iterable[Written], seed: int) -> list[Message]:
    """The messages in the order of arrival: nothing comes later than within lateness."""
    draw = Random(f"{seed}/shipping")
    found = [_held(message, draw) for message in _packed(written)]
    found += _again(found, draw)
    return sorted(found, key=lambda message: message.at)


def _packed(written: Iterable[Written]) -> Iterator[Message]:
    """By route; envelopes that hold many are sent when full, or when a second has passed."""
    waiting: dict[tuple[str, str, str], list[Written]] = {}
    for one in written:
        route = _route(one)
        key = (one.kind, route, one.cluster)
        held = waiting.setdefault(key, [])
        size = (envelopes.AUDIT if one.kind == "audit" else envelopes.LINES)[route][1]
        if held and (len(held) >= size or one.at - held[0].at > SECOND):
            yield message_of(held, route)
            held.clear()
        held.append(one)
    for (_, route, _), held in waiting.items():
        if held:
            yield message_of(held, route)


def message_of(held: Sequence[Written], route: str) -> Message:
    """One message for records of one kind and cluster."""
    first = held[0]
    wraps = envelopes.AUDIT if first.kind == "audit" else envelopes.LINES
    records: list[dict[str, Any]] = [one.record for one in held]
    return Message(held[-1].at, first.kind, wraps[route][0](records, first.cluster), first.cluster)


def _route(one: Written) -> str:
    """Each API server and each node has its shipper."""
    if one.kind == "audit":
        if one.cluster.startswith("aks"):
            return "aks"
        return _AUDIT_ROUTES[number(len(_AUDIT_ROUTES), one.record["auditID"])]
    return _LINE_ROUTES[number(len(_LINE_ROUTES), one.record["kubernetes"]["host"])]


def _held(message: Message, draw: Random) -> Message:
    """One in five is held up for some seconds."""
    if draw.random() < 0.2:
        return message._replace(at=message.at + draw.randrange(_HELD_US))
    return message


def _again(messages: Sequence[Message], draw: Random) -> list[Message]:
    """After a restart a shipper sends the last records once more."""
    found: list[Message] = []
    for _ in range(_RESTARTS):
        place = draw.randrange(len(messages))
        kind = messages[place].kind
        found += [one._replace(at=one.at + 2 * SECOND) for one in messages[place : place + 40] if one.kind == kind]
    return found
