"""Keys and values by their definition: JSON scalars, lists that stand for each element, at most sixteen keys."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from streamer.sigma.rules import CorrelationRule

MAX_KEYS = 16
MAX_EXPORTED = 16

Token = tuple[str, Any]
"""A scalar that compares as SEMANTICS K1 says: its JSON type, and its exact value."""


@dataclass(frozen=True)
class Seen:
    """A match as the oracle knows it: the firing it may stand for is told apart by ``firing``."""

    rule: str
    identity: Any
    time: int
    cluster: str
    values: Mapping[str, tuple[Any, ...]] = field(hash=False, compare=False, default_factory=dict)
    order: bytes = b""
    marks: frozenset[str] = frozenset()

    @property
    def rank_in_time(self) -> tuple[int, bytes]:
        """What "latest" compares."""
        return (self.time, self.order)


def token(value: Any) -> Token:
    """The scalar as compared: ``1`` is ``1.0`` but neither ``"1"`` nor ``true``."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int | float):
        return ("number", Fraction(value))
    return ("string", value)


def number(value: Any) -> Fraction | None:
    """The exact value of a JSON number; nothing else is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Fraction(value)


def json_order(values: Sequence[Any]) -> bytes:
    """The bytes of the compact JSON array of a tuple, whole floats written as integers."""
    plain = [
        int(value) if isinstance(value, float) and not isinstance(value, bool) and value.is_integer() else value
        for value in values
    ]
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()


def tuples_of(match: Seen, names: Sequence[str], fields: Mapping[str, str]) -> list[tuple[Any, ...]]:
    """Every combination of one element per field, distinct; empty if one of the fields has no value."""
    lists = [tuple(match.values.get(fields[name], ())) for name in names]
    found: dict[tuple[Token, ...], tuple[Any, ...]] = {}
    for combination in itertools.product(*lists):
        found.setdefault(tuple(map(token, combination)), combination)
    return list(found.values())


def limited(combinations: Sequence[tuple[Any, ...]], last: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """At most sixteen: the tuple of last elements first, then in the order of their JSON text."""
    distinct = {tuple(map(token, one)): one for one in reversed(combinations)}
    del distinct[tuple(map(token, last))]
    return [last, *sorted(distinct.values(), key=json_order)][:MAX_KEYS]


def keys_of(match: Seen, rule: CorrelationRule) -> list[tuple[Token, ...]]:
    """The keys under which a match takes part in a rule."""
    fields = rule.fields_of[match.rule]
    combinations = tuples_of(match, rule.group_by, fields)
    if combinations:
        combinations = limited(combinations, tuple(match.values[fields[name]][-1] for name in rule.group_by))
    prefix: tuple[Token, ...] = () if rule.across_clusters else (token(match.cluster),)
    return [(*prefix, *map(token, combination)) for combination in combinations]


def plain(one: Token) -> Any:
    """The scalar behind a token."""
    kind, value = one
    if kind == "number":
        return int(value) if value.denominator == 1 else float(value)
    return value


def exported(rule: CorrelationRule, key: tuple[Token, ...], taking_part: Iterable[Seen]) -> dict[str, tuple[Any, ...]]:
    """The fields of a firing: its key fields, and per referenced rule the distinct values, latest in time first."""
    named = key if rule.across_clusters else key[1:]
    values: dict[str, tuple[Any, ...]] = {name: (plain(one),) for name, one in zip(rule.group_by, named, strict=True)}
    latest_first = sorted(set(taking_part), key=lambda match: match.rank_in_time, reverse=True)
    for referenced, names in rule.exported_fields.items():
        for name, source in names.items():
            found: dict[Token, Any] = {}
            for match in latest_first:
                if match.rule == referenced:
                    for value in match.values.get(source, ()):
                        found.setdefault(token(value), value)
            if found:
                values[name] = tuple(found.values())[:MAX_EXPORTED]
    return values
