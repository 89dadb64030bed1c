"""The exceptions of a site as written: one file, every mistake with its place and what to write instead.

What an entry covers is made of it in :mod:`streamer.sigma.allowing`.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from streamer.errors import Place
from streamer.sigma.correlation import Mention
from streamer.sigma.problems import Problems
from streamer.sigma.rules import DAY_US
from streamer.sigma.shape import check_keys
from streamer.sigma.yamltree import Entry, Node, read_documents

ATTRIBUTES: Final[tuple[str, ...]] = ("users", "service_accounts", "images", "namespaces", "addresses", "clusters")
KEYS: Final = ("name", "reason", "rules", *ATTRIBUTES, "until")
MAX_ENTRIES: Final = 200
MAX_VALUES: Final = 500
_MAX_NAME: Final = 100

_INSTEAD: Final = {
    "user": "write `users`, a list",
    "image": "write `images`, a list",
    "address": "write `addresses`, a list",
    "ip": "write `addresses`, a list",
    "ips": "write `addresses`",
    "expires": "write `until`",
    "description": "write `reason`",
}
_EPOCH: Final = dt.date(1970, 1, 1)
_TAG: Final = re.compile(r":[^/]*$")


@dataclass(frozen=True, slots=True)
class Exempt:
    """One entry of the file, checked by itself.

    Attributes:
        rules: names, ids and patterns of rules; empty: all detections.
        attributes: accepted texts by attribute; all attributes must hold, of each any text.
        until: its last day, UTC.
        until_place: where that stands.
    """

    name: str
    reason: str
    place: Place
    rules: tuple[Mention, ...]
    attributes: Mapping[str, tuple[str, ...]]
    until: dt.date | None = None
    until_place: Place | None = None

    @property
    def until_us(self) -> int | None:
        """Event time from which on it covers nothing."""
        return None if self.until is None else ((self.until - _EPOCH).days + 1) * DAY_US


def read_allow(path: str, text: str, problems: Problems) -> tuple[Exempt, ...]:
    """The entries without mistakes. Never raises; mistakes go into ``problems``. An empty file allows nothing."""
    documents = read_documents(path, text, problems, may_be_empty=True)
    if not documents:
        return ()
    if len(documents) > 1:
        problems.error("bad-allow", documents[1].place, "a second document", "put all entries under one `allow:`")
    root = documents[0]
    if root.entries is None:
        problems.error(
            "bad-allow", root.place, f"exceptions are a mapping, this is {root.kind()}", "begin with `allow:`"
        )
        return ()
    check_keys(root.entries, ("allow",), "a file of exceptions", problems)
    listed = root.entries.get("allow")
    if listed is None or listed.node.is_nothing():
        return ()
    if listed.node.items is None:
        message = f"`allow` must be a list, this is {listed.node.kind()}"
        problems.error("bad-allow", listed.node.place, message, "write `- name: ...`")
        return ()
    if len(listed.node.items) > MAX_ENTRIES:
        problems.error("bad-allow", listed.place, f"more than {MAX_ENTRIES} entries", "join some of them")
        return ()
    reader = _Reader(problems)
    return tuple(entry for node in listed.node.items if (entry := reader.entry(node)) is not None)


class _Reader:
    """Reads entries; their names must differ, for they are counted by name."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._names: dict[str, Place] = {}

    def _bad(self, place: Place, message: str, hint: str | None = None) -> None:
        self._problems.error("bad-allow", place, message, hint)

    def entry(self, node: Node) -> Exempt | None:
        before = self._problems.errors()
        if node.entries is None:
            self._bad(node.place, f"an entry must be a mapping, this is {node.kind()}", "write `- name: ...`")
            return None
        entries = node.entries
        check_keys(entries, KEYS, "an exception", self._problems, _INSTEAD)
        name = self._name(node, entries)
        reason = self._required(node, entries, "reason", "say why this is harmless")
        rules = self._texts(entries["rules"], "rules") if "rules" in entries else ()
        attributes = {key: self._attribute(entries[key], key) for key in ATTRIBUTES if key in entries}
        if not attributes:
            self._bad(
                node.place,
                "the entry says neither who nor where: it would switch the rules off",
                f"add one of {', '.join(ATTRIBUTES)}; to be without a rule, leave its file out of `rules:`",
            )
        until = self._until(entries["until"]) if "until" in entries else None
        if self._problems.errors() > before:
            return None
        until_place = entries["until"].node.place if "until" in entries else None
        return Exempt(name, reason, node.place, rules, attributes, until, until_place)

    def _required(self, node: Node, entries: Mapping[str, Entry], key: str, hint: str) -> str:
        entry = entries.get(key)
        if entry is None:
            self._bad(node.place, f"the entry has no {key}", f"add `{key}: ...`: {hint}")
            return ""
        if not isinstance(entry.node.scalar, str) or not entry.node.scalar.strip():
            self._bad(entry.node.place, f"`{key}` must be a text, this is {entry.node.kind()}", hint)
            return ""
        return entry.node.scalar.strip()

    def _name(self, node: Node, entries: Mapping[str, Entry]) -> str:
        name = self._required(node, entries, "name", "what is counted and shown goes by it")
        if not name:
            return ""
        place = entries["name"].node.place
        if len(name) > _MAX_NAME or not name.isprintable():
            self._bad(place, f"a name is one line of at most {_MAX_NAME} characters", "say more in `reason`")
        elif name in self._names:
            hint = f"the first is in line {self._names[name].line}"
            self._bad(place, f"`{name}` is the name of another entry", hint)
        self._names.setdefault(name, place)
        return name

    def _texts(self, entry: Entry, key: str) -> tuple[Mention, ...]:
        """The texts of a list; a single text is a list of one."""
        node = entry.node
        items = [node] if isinstance(node.scalar, str) else node.items
        if not items:
            self._bad(node.place, f"`{key}` must be a list, this is {node.kind()}", f"write `{key}: [...]`")
            return ()
        if len(items) > MAX_VALUES:
            self._bad(node.place, f"more than {MAX_VALUES} values", "use `*`, or several entries")
            return ()
        found = []
        for item in items:
            if isinstance(item.scalar, str) and item.scalar.strip():
                found.append(Mention(item.scalar.strip(), item.place))
            else:
                self._bad(item.place, f"`{key}` must hold texts, this is {item.kind()}", "quote it")
        return tuple(found)

    def _attribute(self, entry: Entry, key: str) -> tuple[str, ...]:
        found = []
        for mention in self._texts(entry, key):
            wrong = _WRONG[key](mention.text) if mention.text.strip("*/") else "it covers everything: leave the key out"
            if wrong is None:
                found.append(mention.text)
            else:
                what, _, hint = wrong.partition(": ")
                self._bad(mention.place, f"`{mention.text[:80]}`: {what}", hint or None)
        return tuple(found)

    def _until(self, entry: Entry) -> dt.date | None:
        day = entry.node.scalar
        if isinstance(day, dt.date) and not isinstance(day, dt.datetime):
            return day
        self._bad(entry.node.place, "`until` must be a day", "write yyyy-mm-dd; the entry holds to the end of it, UTC")
        return None


def _wrong_account(text: str) -> str | None:
    namespace, slash, name = text.partition("/")
    if text.startswith("system:serviceaccount:"):
        return "this is a user name: write namespace/name, or put it under `users`"
    fits = slash and namespace and name and "/" not in name
    return None if fits else "it does not name a service account: write namespace/name, `*` for any"


def _wrong_image(text: str) -> str | None:
    if "@" in text or _TAG.search(text):
        return "tag and digest are not looked at: name the repository alone"
    return "it does not name a repository: write registry/path" if "//" in text or " " in text else None


def _wrong_address(text: str) -> str | None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        said = "it has bits set behind its length" if "host bits" in str(error) else "it is no address or network"
        return f"{said}: write for example 198.51.100.0/24"
    return None


def _fine(text: str) -> str | None:
    del text
    return None


_WRONG: Final[Mapping[str, Callable[[str], str | None]]] = {
    "users": _fine,
    "service_accounts": _wrong_account,
    "images": _wrong_image,
    "namespaces": _fine,
    "addresses": _wrong_address,
    "clusters": _fine,
}
"""By attribute, what is wrong with a text and, behind a colon, what to write; ``None`` where nothing is."""
