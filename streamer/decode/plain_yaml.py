"""YAML of a Kubernetes object inside a string, read without the parts of YAML that can hurt.

No anchors and aliases (a few lines of them stand for gigabytes), no tags, no deep nesting; plain scalars are what
Kubernetes takes them for. Whoever needs more than that is not understood, which the caller must treat as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

MAX_CHARS: Final = 65_536
"""A longer text is not read."""

_DEPTH: Final = 64
_NUMBER: Final = re.compile(r"[-+]?\d{1,15}(\.\d{1,15})?", re.ASCII)
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _RefusedError(ValueError):
    """Something that is not read here."""


def read_yaml(text: str) -> Any:
    """The first document of ``text`` as plain values.

    Raises:
        ValueError: it is too long, no YAML, or holds what is not read here.
    """
    if len(text) > MAX_CHARS:
        raise _RefusedError("too long")
    try:
        return _built(yaml.parse(text, Loader=_LOADER))
    except (yaml.YAMLError, RecursionError, UnicodeError) as error:
        raise _RefusedError("no YAML") from error


def _built(events: Iterator[Any]) -> Any:
    """Values from the parser's events, with a stack of our own."""
    root: list[Any] = []
    stack: list[list[Any]] = [root]
    for event in events:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _RefusedError("anchors and aliases are not read")
        if getattr(event, "tag", None) not in (None, "!"):
            raise _RefusedError("tags are not read")
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            if len(stack) > _DEPTH:
                raise _RefusedError("too deep")
            stack.append([])
        elif isinstance(event, yaml.MappingEndEvent):
            items = stack.pop()
            pairs = zip(items[::2], items[1::2], strict=True)
            stack[-1].append({_key(key): value for key, value in pairs})
        elif isinstance(event, yaml.SequenceEndEvent):
            items = stack.pop()
            stack[-1].append(items)
        elif isinstance(event, yaml.ScalarEvent):
            stack[-1].append(_scalar(event))
        elif isinstance(event, yaml.DocumentEndEvent):
            break
    return root[0] if root else None


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list):
        raise _RefusedError("a key is no text")
    return str(value).lower()


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style:
        return text
    if text in _WORDS:
        return _WORDS[text]
    number = _NUMBER.fullmatch(text)
    if number is None:
        return text
    return float(text) if number[1] else int(text)
