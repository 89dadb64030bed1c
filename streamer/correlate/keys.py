"""Which keys a match has, and when two JSON scalars are the same.

Python thinks ``True == 1`` and ``"1" != 1`` but ``1 == 1.0``; a key must agree with the last two and not with the
first. Comparing canonical JSON texts gives exactly that, and a key made of texts is hashable, printable and the same
on every machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Final, TypeAlias

from streamer.model import Key, Match, Scalar
from streamer.sigma.rules import CorrelationRule

MAX_KEYS: Final = 16
"""Keys one match may take part in (SEMANTICS K3)."""

Tuple: TypeAlias = tuple[str, ...]
"""Canonical texts of one value of a ``value_count`` over one or several fields."""


def canonical(value: Scalar) -> str:
    """The JSON text two scalars share exactly when they are the same: ``1`` and ``1.0`` do, ``1`` and ``"1"`` not."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def cluster_text(match: Match) -> str:
    """The cluster as a key part."""
    return canonical(match.cluster)


def _distinct(values: Iterable[Scalar]) -> list[str]:
    return list(dict.fromkeys(map(canonical, values)))


def _in_text_order(columns: list[list[str]]) -> list[list[str]]:
    """Each column sorted so that the product of all runs in the order of the tuples' JSON array texts.

    A number's text may begin another's (``1``, ``12``); which comes first depends on the character that follows it in
    the array, so that character takes part in the comparison.
    """
    last = len(columns) - 1
    return [
        sorted(column, key=lambda text, end=("]" if at == last else ","): _utf8(text + end))  # type: ignore[misc]
        for at, column in enumerate(columns)
    ]


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def tuples_of(
    values: Mapping[str, tuple[Scalar, ...]], fields: Sequence[str], most: int = MAX_KEYS
) -> tuple[list[Tuple], int]:
    """The tuples that lists stand for, at most ``most``, and how many were left out.

    The tuple of last elements comes first, then the others in the order of their JSON text. No tuple at all if a
    field is missing.
    """
    columns: list[list[str]] = []
    for name in fields:
        column = _distinct(values.get(name, ()))
        if not column:
            return [], 0
        columns.append(column)
    if all(len(column) == 1 for column in columns):
        return [tuple(column[0] for column in columns)], 0
    newest = tuple(canonical(values[name][-1]) for name in fields)
    total = 1
    for column in columns:
        total *= len(column)
    others: Iterator[Tuple] = (one for one in product(*_in_text_order(columns)) if one != newest)
    found = [newest, *islice(others, most - 1)]
    return found, total - len(found)


def keys_of(match: Match, rule: CorrelationRule) -> tuple[list[Key], int]:
    """The keys under which a match takes part in a correlation, and how many were left out over the limit.

    An empty list means that a group-by field is missing, null or unknown (SEMANTICS K2).
    """
    names = rule.fields_of.get(match.rule, {})
    found, overflow = tuples_of(match.values, [names.get(name, name) for name in rule.group_by])
    if rule.across_clusters:
        return found, overflow
    cluster = cluster_text(match)
    return [(cluster, *key) for key in found], overflow


def key_names(rule: CorrelationRule) -> tuple[str, ...]:
    """The names of the parts of a correlation's keys."""
    return rule.group_by if rule.across_clusters else ("cluster", *rule.group_by)
