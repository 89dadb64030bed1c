"""``streamer.evidence``: the events behind an alert, in the order of their time, within a bound on bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from streamer.ecs.members import Join, Member, Rules
from streamer.ecs.safe import timestamp
from streamer.model import Position

MAX_BYTES: Final = 65_536
"""Of the whole list as JSON. Beyond it the fields of the middle events go first, then the middle events themselves."""


def evidence_items(members: Sequence[Member], rules: Rules) -> list[dict[str, Any]]:
    """One item per event. The first and the last event keep their fields as long as they fit."""
    items = [_item(member, rules) for member in members]
    sizes = [len(orjson.dumps(item)) for item in items]
    for index in _from_the_middle(len(items)):
        if sum(sizes) <= MAX_BYTES:
            break
        items[index].pop("fields", None)
        sizes[index] = len(orjson.dumps(items[index]))
    while sum(sizes) > MAX_BYTES and len(items) > 2:
        middle = len(items) // 2
        del items[middle], sizes[middle]
    return items


def _from_the_middle(count: int) -> list[int]:
    """Positions, those farthest from both ends first."""
    return sorted(range(count), key=lambda index: (-min(index, count - 1 - index), index))


def _item(member: Member, rules: Rules) -> dict[str, Any]:
    match = member.match
    evidence = match.evidence
    rule = rules.get(match.rule)
    event: dict[str, Any] = {"id": match.identity.hex(), "time": timestamp(match.time_us)}
    if evidence is not None:
        event |= {"kind": evidence.kind, "outcome": evidence.outcome}
    item: dict[str, Any] = {
        "rule": {"id": (rule.meta.id if rule else None) or match.rule, "name": rule.meta.title if rule else match.rule},
        "event": event,
    }
    if evidence is not None and evidence.audit_id:
        item["audit_id"] = evidence.audit_id
    if match.position is not None:
        item["source"] = _source(match.position)
    if member.join is not None:
        item["join"] = _join(member.join, rules)
    if member.first_seen:
        item["first_seen"] = dict(member.first_seen)
    if evidence is not None:
        item["summary"] = evidence.summary
        item["fields"] = evidence.fields
    return item


def _source(position: Position) -> dict[str, Any]:
    if position.is_file:
        return {"file": position.source, "line": position.offset}
    return {"topic": position.source, "partition": position.partition, "offset": position.offset}


def _join(join: Join, rules: Rules) -> dict[str, Any]:
    rule = rules.get(join.rule)
    return {
        "rule": (rule.meta.title if rule else "") or join.rule,
        "exact": join.exact,
        "by": dict(join.by),
    }
