"""Which keys a rule document may hold, what its descriptive keys must look like, and what they say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from streamer.errors import Place
from streamer.sigma.problems import Problems, nearest, one_of
from streamer.sigma.rules import LEVELS, Level
from streamer.sigma.yamltree import Entry, Node

DOCUMENT_KEYS: Final = (
    "title",
    "id",
    "name",
    "related",
    "status",
    "description",
    "references",
    "author",
    "date",
    "modified",
    "tags",
    "level",
    "logsource",
    "detection",
    "falsepositives",
    "fields",
    "license",
    "taxonomy",
    "scope",
    "correlation",
    "generate",
    "streamer",
    "simulation",
)
STATUSES: Final = ("stable", "test", "experimental", "deprecated", "unsupported")
DEFAULT_LEVEL: Final[Level] = "medium"
UUID_FORM: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,127}")
_TAG: Final = re.compile(r"[a-z0-9_-]+\.[A-Za-z0-9._-]+")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\d{4}/\d{1,2}/\d{1,2}")
_INSTEAD: Final = {
    "action": "YAML templates are not supported; write every rule out",
    "filter": "filters of Sigma are not supported; write exceptions of your site into a file and give it as `allow:`",
    "timeframe": "put the time into a correlation rule, as `timespan`",
    "group-by": "it belongs under `correlation:`",
    "timespan": "it belongs under `correlation:`",
    "suppress": "it belongs under `streamer:`",
}


@dataclass(frozen=True, slots=True)
class About:
    """The descriptive keys of one document, checked."""

    id: str | None
    name: str | None
    title: str
    level: Level
    status: str
    description: str
    author: str
    references: tuple[str, ...]
    tags: tuple[str, ...]
    falsepositives: tuple[str, ...]
    license: str
    version: str


def check_keys(
    entries: Mapping[str, Entry], known: Iterable[str], where: str, problems: Problems, instead: Mapping[str, str] = {}
) -> None:
    """Report every key that is not known, with the nearest known one."""
    allowed = tuple(known)
    for key, entry in entries.items():
        if key not in allowed:
            hint = instead.get(key) or nearest(key, allowed) or one_of(allowed)
            problems.error("unknown-key", entry.place, f"`{key[:80]}` is not a key of {where}", hint)


def read_about(root: Node, problems: Problems) -> About:
    """The descriptive keys of a document; what is wrong with them is reported and left empty."""
    entries = root.entries or {}
    check_keys(entries, DOCUMENT_KEYS, "a rule", problems, _INSTEAD)
    reader = _Reader(entries, problems)
    title = reader.text("title")
    if "title" not in entries:
        problems.error("missing-title", root.place, "the rule has no title", "add `title: ...` in one sentence")
    elif len(title) > 256:
        problems.error("bad-metadata", entries["title"].node.place, "the title is longer than 256 characters")
    for key in ("date", "modified"):
        reader.date(key)
    reader.texts("fields")
    reader.texts("scope")
    reader.text("taxonomy")
    return About(
        id=reader.identifier(),
        name=reader.name(),
        title=title,
        level=reader.level(),
        status=reader.choice("status", STATUSES),
        description=reader.text("description"),
        author=reader.text("author"),
        references=reader.texts("references"),
        tags=reader.tags(),
        falsepositives=reader.texts("falsepositives"),
        license=reader.text("license"),
        version=reader.version(),
    )


class _Reader:
    """One small function per kind of key."""

    def __init__(self, entries: Mapping[str, Entry], problems: Problems) -> None:
        self._entries = entries
        self._problems = problems

    def _bad(self, place: Place, message: str, hint: str | None = None) -> None:
        self._problems.error("bad-metadata", place, message, hint)

    def text(self, key: str) -> str:
        entry = self._entries.get(key)
        if entry is None:
            return ""
        if not isinstance(entry.node.scalar, str) or not entry.node.scalar.strip():
            self._bad(entry.node.place, f"`{key}` must be a text, this is {_shown(entry.node)}")
            return ""
        return entry.node.scalar

    def texts(self, key: str) -> tuple[str, ...]:
        entry = self._entries.get(key)
        if entry is None:
            return ()
        if entry.node.items is None:
            self._bad(entry.node.place, f"`{key}` must be a list, this is {_shown(entry.node)}", "write `- ...`")
            return ()
        found = []
        for item in entry.node.items:
            if isinstance(item.scalar, str) and item.scalar:
                found.append(item.scalar)
            else:
                self._bad(item.place, f"`{key}` must hold texts, this is {_shown(item)}")
        return tuple(found)

    def _checked(self, key: str, fits: Callable[[str], Any], hint: str) -> str | None:
        text = self.text(key)
        if not text:
            return None
        if fits(text):
            return text
        self._bad(self._entries[key].node.place, f"`{text[:60]}` cannot be the {key} of a rule", hint)
        return None

    def identifier(self) -> str | None:
        text = self._checked("id", UUID_FORM.fullmatch, "it is a random UUID")
        return None if text is None else str(UUID(text))

    def name(self) -> str | None:
        def fits(text: str) -> bool:
            return _NAME.fullmatch(text) is not None and text not in {"and", "or", "not"}

        return self._checked("name", fits, "a name is snake_case: a-z, 0-9 and _, beginning with a letter")

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        text = self.text(key)
        if text and text not in choices:
            hint = nearest(text, choices) or one_of(choices)
            self._bad(self._entries[key].node.place, f"`{text[:60]}` is not a {key}", hint)
            return ""
        return text

    def level(self) -> Level:
        text = self.choice("level", LEVELS)
        for level in LEVELS:
            if level == text:
                return level
        return DEFAULT_LEVEL

    def date(self, key: str) -> None:
        entry = self._entries.get(key)
        if entry is None or hasattr(entry.node.scalar, "isoformat"):
            return
        self._checked(key, _DATE.fullmatch, "write yyyy-mm-dd")

    def tags(self) -> tuple[str, ...]:
        tags = self.texts("tags")
        nodes = self._entries["tags"].node.items or [] if tags else []
        for node in nodes:
            if isinstance(node.scalar, str) and not _TAG.fullmatch(node.scalar):
                self._bad(node.place, f"`{node.scalar[:60]}` is not a tag", "write namespace.name: `attack.t1496`")
        return tags

    def version(self) -> str:
        entry = self._entries.get("modified") or self._entries.get("date")
        return str(entry.node.scalar) if entry is not None and entry.node.scalar is not None else ""


def _shown(node: Node) -> str:
    return "an empty text" if isinstance(node.scalar, str) else node.kind()
