"""The reference of all settings as a page, made from the settings themselves so that it cannot be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from streamer.service.configuration import group_of
from streamer.service.durations import LENGTHS_OF_TIME, format_duration
from streamer.service.settings import Settings

_HEAD: Final = """\
# Configuration

One YAML file (`streamer run --config FILE`). A variable in the environment goes over it: `STREAMER_` and the key, with
groups joined by two underscores (`STREAMER_HTTP__PORT=9000`); lists and mappings are written as JSON there. An option
of the command line goes over both. Lengths of time are written `10s`, `5m`, `1h`. An unknown key is an error.
`streamer doctor --config FILE --settings` shows what is in force and where each value came from.

This page is made from the settings themselves: `python -m streamer.service.reference`.
"""


def reference() -> str:
    """The page, Markdown."""
    return "\n".join([_HEAD, *_group(Settings, "")])


def _group(model: type[BaseModel], prefix: str) -> Iterator[str]:
    plain = [(name, info) for name, info in model.model_fields.items() if _inner(info) is None]
    groups = [(name, info) for name, info in model.model_fields.items() if _inner(info) is not None]
    yield "| key | default | meaning |\n|---|---|---|"
    for name, info in plain:
        yield f"| `{prefix}{name}` | {_default(name, info)} | {_meaning(info)} |"
    for name, info in groups:
        inner = _inner(info)
        assert inner is not None
        repeated = get_origin(info.annotation) is tuple
        yield f"\n## `{prefix}{name}`{' (a list of these)' if repeated else ''}\n\n{_meaning(info)}\n"
        yield from _group(inner, "" if repeated else f"{prefix}{name}.")


def _inner(info: FieldInfo) -> type[BaseModel] | None:
    annotation = info.annotation
    return group_of(get_args(annotation)[0] if get_origin(annotation) is tuple else annotation)


def _default(name: str, info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value: Any = info.get_default(call_default_factory=True)
    if value is None or value in ({}, ()):
        return ""
    if name in LENGTHS_OF_TIME:
        return f"`{format_duration(value)}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(info: FieldInfo) -> str:
    return " ".join((info.description or "").replace("``", "`").split()).replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="\n")  # noqa: T201 (this is what it is for)
