"""Made-up values that stay the same from run to run, and setting a field by its dotted path."""

from __future__ import annotations

import hashlib
from typing import Any, Final

_OPEN_KEYS: Final = frozenset({"annotations", "labels", "extra", "matchLabels", "nodeSelector", "data"})
"""Mappings whose keys usually hold dots: below them the rest of a path is one key."""

_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
"""The letters of which Kubernetes makes the ends of generated names."""


def made_uuid(*parts: object) -> str:
    """A UUID (version 4 in form) that depends on nothing but ``parts``."""
    digits = digest(*parts)[:32]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"


def made_suffix(length: int, *parts: object) -> str:
    """The end of a generated name, as ``x7k2p``."""
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in hashlib.sha256(_text(parts)).digest()[:length])


def digest(*parts: object) -> str:
    """64 hex digits that depend on nothing but ``parts``."""
    return hashlib.sha256(_text(parts)).hexdigest()


def number(limit: int, *parts: object) -> int:
    """A number from 0 up to below ``limit``, as if drawn."""
    return int.from_bytes(hashlib.sha256(_text(parts)).digest()[:8], "big") % limit if limit > 0 else 0


def _text(parts: tuple[object, ...]) -> bytes:
    return "\x00".join(str(part) for part in parts).encode()


class CannotSetError(Exception):
    """The path leads through something that is no mapping."""


def set_field(record: dict[str, Any], path: str, value: Any) -> None:
    """Set ``path`` in ``record``, making mappings on the way.

    Of several ways to read the path as keys, one that exists is taken, longest key first; below ``annotations``,
    ``labels`` and the like the rest is one key; otherwise dots separate. A number steps into a list.

    Raises:
        CannotSetError: the path leads through a scalar or beyond a list.
    """
    words = path.split(".")
    here: Any = record
    parent = ""
    while words:
        if isinstance(here, list):
            if not words[0].isdigit() or int(words[0]) >= len(here):
                raise CannotSetError(f"`{words[0]}` is no element of the list on the path `{path}`")
            key: Any = int(words[0])
            length = 1
        elif isinstance(here, dict):
            length = _key_length(here, words, parent)
            key = ".".join(words[:length])
        else:
            raise CannotSetError(f"the path `{path}` leads through a value that holds no fields")
        words = words[length:]
        if not words:
            here[key] = value
            return
        if isinstance(here, dict) and here.get(key) is None:
            here[key] = {}
        here, parent = here[key], str(key)


def _key_length(here: dict[str, Any], words: list[str], parent: str) -> int:
    for length in range(len(words), 0, -1):
        if ".".join(words[:length]) in here:
            return length
    return len(words) if parent in _OPEN_KEYS else 1
