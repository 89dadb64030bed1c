"""Thresholds of counts, aggregates and ``gte m`` of temporal rules, and which of them can be met at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from streamer.sigma.problems import Problems, nearest
from streamer.sigma.rules import CorrelationType, Operator
from streamer.sigma.shape import check_keys
from streamer.sigma.yamltree import Entry, Node

OPERATORS: Final = get_args(Operator)
COUNTS: Final = frozenset({"event_count", "value_count"})
MAX_FIELDS: Final = 16

_KEYS: Final = (*OPERATORS, "field", "percentile")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A condition map, checked against its type; the fields are as written, aliases not resolved."""

    op: Operator
    number: int | float
    fields: tuple[str, ...]
    percentile: float | None
    node: Node


def read_threshold(node: Node, kind: CorrelationType, problems: Problems) -> Threshold | None:
    """Read ``{gte: 10, field: x}``; ``None`` after a problem."""
    entries = node.entries or {}
    before = problems.errors()
    check_keys(entries, _KEYS, "a condition", problems)
    fields = _fields(entries, kind, node, problems)
    percentile = _percentile(entries, kind, node, problems)
    found = _operator(entries, node, problems)
    if found is None:
        return None
    op, value = found
    number = value.scalar
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        shown = f"`{number!s:.40}`" if isinstance(number, str) else value.kind()
        problems.error("bad-condition", value.place, f"{shown} is not a threshold", "write a number")
        return None
    _possible(kind, op, value, problems)
    if problems.errors() > before:
        return None
    return Threshold(op, number, fields, percentile, node)


def _operator(entries: Mapping[str, Entry], node: Node, problems: Problems) -> tuple[Operator, Node] | None:
    operators: tuple[Operator, ...] = OPERATORS
    found = [(op, entries[op].node) for op in operators if op in entries]
    if len(found) == 1:
        return found[0]
    if not found:
        written = next((key for key in entries if key not in _KEYS), "")
        hint = nearest(written, OPERATORS) or "write one of gt, gte, lt, lte, eq, neq"
        problems.error("bad-condition", node.place, "the condition has no operator", hint)
    else:
        place = max(entries[op].place for op, _ in found)
        names = " and ".join(f"`{op}`" for op, _ in found)
        hint = "write two rules, one for each bound, and a third that joins them"
        problems.error("range-condition", place, f"{names} together are not supported", hint)
    return None


def _fields(entries: Mapping[str, Entry], kind: CorrelationType, node: Node, problems: Problems) -> tuple[str, ...]:
    entry = entries.get("field")
    wanted = kind.startswith("value_")
    if entry is None:
        if wanted:
            message = f"`{kind}` needs the field it looks at"
            problems.error("missing-field", node.place, message, "add `field: ...` to the condition")
        return ()
    if not wanted:
        problems.error("bad-condition", entry.place, f"`{kind}` looks at no field", "leave `field` out")
        return ()
    nodes = [entry.node] if entry.node.items is None else entry.node.items
    found: list[str] = []
    for item in nodes[:MAX_FIELDS]:
        if not isinstance(item.scalar, str) or not item.scalar:
            problems.error("bad-condition", item.place, f"a field name must stand here, this is {item.kind()}")
        elif item.scalar in found:
            problems.error("duplicate-field", item.place, f"field `{item.scalar[:60]}` stands twice")
        else:
            found.append(item.scalar)
    if not nodes or len(nodes) > (MAX_FIELDS if kind == "value_count" else 1):
        many = f"1 to {MAX_FIELDS} fields" if kind == "value_count" else "exactly one field"
        problems.error("bad-condition", entry.node.place, f"`{kind}` looks at {many}")
    return tuple(found)


def _percentile(entries: Mapping[str, Entry], kind: CorrelationType, node: Node, problems: Problems) -> float | None:
    entry = entries.get("percentile")
    if kind != "value_percentile":
        if entry is not None:
            problems.error("bad-condition", entry.place, f"`{kind}` has no percentile", "leave it out")
        return None
    if entry is None:
        message = "`value_percentile` needs to know which percentile"
        problems.error("missing-percentile", node.place, message, "add `percentile: 95` to the condition")
        return None
    number = entry.node.scalar
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= 100:
        problems.error("bad-condition", entry.node.place, "a percentile is a number from 0 to 100")
        return None
    return number


def _possible(kind: CorrelationType, op: Operator, value: Node, problems: Problems) -> None:
    """Refuse thresholds of counts that can never hold, or never fail to."""
    if kind not in COUNTS and kind not in {"temporal", "temporal_ordered"}:
        return
    number = value.scalar
    if not isinstance(number, int):
        problems.error("bad-condition", value.place, f"a count is compared with a whole number, not {number}")
        return
    if kind == "temporal_ordered":
        hint = "leave the condition out for all rules in order, or write rule names"
        problems.error("bad-condition", value.place, "`temporal_ordered` does not count rules", hint)
    elif kind == "temporal" and op not in {"gt", "gte"}:
        hint = "write `gte`, or rule names with `not`"
        problems.error("bad-condition", value.place, f"`temporal` cannot be judged with `{op}`", hint)
    elif number < 0:
        problems.error("impossible-condition", value.place, f"a count cannot be compared with {number}")
    elif (op, number) in {("gte", 0), ("neq", 0)}:
        problems.error("impossible-condition", value.place, f"`{op}: 0` always holds", "write `gte: 1`")
    elif (op, number) in {("lt", 0), ("lt", 1), ("lte", 0), ("eq", 0)}:
        hint = "use `not` in a temporal rule for what does not happen"
        message = f"`{op}: {number}` never holds: a key is known only by its first match"
        problems.error("impossible-condition", value.place, message, hint)
