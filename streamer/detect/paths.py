"""Finding the values at a dotted path in an event.

Field names of Kubernetes hold dots themselves (``authorization.k8s.io/decision``). So a path is a sequence of keys in
more than one way; the ways are tried with the longest key first, and the first that exists counts. A list on the way
means each of its elements. What was cut off on the way is unknown: neither present nor absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from streamer.model import UNKNOWN, Scalar, Unknown

MAX_EXTRACTED: Final = 1_024
"""Elements of one field that are handed to correlations; of longer lists the last one is among them."""


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at a path.

    Attributes:
        values: every value in order, lists taken apart; ``None`` for null and for elements of a list that lack the
            rest of the path; ``UNKNOWN`` for what was cut off.
        present: whether anything stands there, be it null or an empty list; ``UNKNOWN`` if all there may be was cut
            off. If ``False``, ``values`` is empty.
    """

    values: tuple[Any, ...] = ()
    present: bool | Unknown = False


_MISSING: Final = Found()


def find(fields: Mapping[str, Any], path: str) -> Found:
    """Everything at a path, for tests of its presence and of each value."""
    return _walk(fields, path)


def values_at(fields: Mapping[str, Any], path: str) -> tuple[Any, ...]:
    """Every value at a path in order, lists taken apart, without nulls. ``UNKNOWN`` stands for what was cut off."""
    return tuple(value for value in _walk(fields, path).values if value is not None)


def extract(fields: Mapping[str, Any], path: str) -> tuple[Scalar, ...]:
    """The JSON scalars at a path, for correlations.

    At most :data:`MAX_EXTRACTED`, the last one included; empty if the field is missing, null or unknown, in whole or
    in part.
    """
    values = values_at(fields, path)
    if any(value is UNKNOWN for value in values):
        return ()
    scalars = tuple(value for value in values if isinstance(value, (str, int, float)))
    if len(scalars) > MAX_EXTRACTED:
        return (*scalars[: MAX_EXTRACTED - 1], scalars[-1])
    return scalars


def _walk(value: Any, path: str) -> Found:
    """``path`` is what is left of the path; empty at its end."""
    if value is UNKNOWN:
        return Found((UNKNOWN,), present=UNKNOWN)
    if isinstance(value, (list, tuple)):
        return _each(value, path)
    if not path:
        return Found((value,), present=True)
    if type(value) is not dict and not isinstance(value, Mapping):
        return _MISSING
    if path in value:
        return _walk(value[path], "")
    for key, rest in _ways(path):
        if key in value:
            found = _walk(value[key], rest)
            if found.present is not False:
                return found
    return _MISSING


@lru_cache(maxsize=8_192)
def _ways(path: str) -> tuple[tuple[str, str], ...]:
    """The path as a first key and the rest, the longest key first; the path as one key is not among them."""
    dots = [place for place, character in enumerate(path) if character == "." and place > 0]
    return tuple((path[:dot], path[dot + 1 :]) for dot in reversed(dots))


def _each(elements: list[Any] | tuple[Any, ...], path: str) -> Found:
    """The elements' values one after the other; an element that lacks the rest of the path counts as null."""
    if not path and not elements:
        return Found((), present=True)
    values: list[Any] = []
    present: bool | Unknown = False
    for element in elements:
        found = _walk(element, path)
        if present is not True and found.present is not False:
            present = found.present
        values.extend((None,) if found.present is False else found.values)
    return _MISSING if present is False else Found(tuple(values), present)
