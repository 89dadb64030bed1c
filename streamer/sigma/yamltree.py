"""YAML text to a tree that knows the line and column of every key and value.

A rule file may be hostile or merely careless. So the tree is built from parser events without recursion, with limits
on size, depth and number of nodes; anchors, aliases, merge keys and explicit tags are refused (a document must say what
it says where it says it); a key that stands twice is an error, where YAML libraries keep the last one in silence.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

from streamer.errors import Place
from streamer.sigma.problems import Problems

MAX_CHARACTERS: Final = 1_000_000
MAX_DEPTH: Final = 32
MAX_NODES: Final = 50_000

Scalar: TypeAlias = str | int | float | bool | dt.date | None


@dataclass(slots=True)
class Node:
    """A scalar, a list or a mapping.

    Attributes:
        place: where it begins.
        scalar: the value of a scalar.
        items: the elements of a list, else ``None``.
        entries: the entries of a mapping by key, else ``None``. A key that stood twice has its first value.
        inline: a text written in one line, so that a position in it is a column.
        text_column: column of the first character of such a text.
        written: a scalar as it stands in the file, without quotes.
        flawed: of a document: something in it was refused while it was read.
    """

    place: Place
    scalar: Scalar = None
    items: list[Node] | None = None
    entries: dict[str, Entry] | None = None
    text_column: int = 0
    written: str = ""
    flawed: bool = False

    def plain(self) -> Any:
        """The bare value: dicts, lists and scalars."""
        if self.entries is not None:
            return {key: entry.node.plain() for key, entry in self.entries.items()}
        if self.items is not None:
            return [item.plain() for item in self.items]
        return self.scalar

    def kind(self) -> str:
        """What this is, for messages."""
        if self.entries is not None:
            return "a mapping"
        if self.items is not None:
            return "a list"
        if self.scalar is None:
            return "nothing"
        names = {bool: "a boolean", int: "a number", float: "a number", str: "a text"}
        return names.get(type(self.scalar), "a date")

    def at(self, offset: int) -> Place:
        """The place of a character of this text, or of the text where its characters have no column."""
        if not self.text_column:
            return self.place
        return Place(self.place.path, self.place.line, self.text_column + offset)

    def is_nothing(self) -> bool:
        """An empty value or document."""
        return self.entries is None and self.items is None and self.scalar is None


@dataclass(slots=True)
class Entry:
    """One entry of a mapping: where its key stands, and its value."""

    place: Place
    node: Node


class _Values(yaml.SafeLoader):
    """Used only to resolve and construct single scalars as Sigma tools do (YAML 1.1)."""

    def __init__(self) -> None:
        super().__init__("")


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come."""

    node: Node
    key: tuple[str | None, Place] | None = None


@dataclass(slots=True)
class _Builder:
    """Turns the events of one file into documents."""

    path: str
    problems: Problems
    values: _Values = field(default_factory=_Values)
    stack: list[_Open] = field(default_factory=list)
    nodes: int = 0
    errors: int = 0

    def place(self, mark: Any) -> Place:
        return Place(self.path, mark.line + 1, mark.column + 1)

    def documents(self, text: str) -> Iterator[Node]:
        """One root per document that holds something."""
        for event in yaml.parse(text, Loader=yaml.CLoader):
            if isinstance(event, yaml.DocumentStartEvent):
                self.errors = self.problems.errors()
            node = self._node(event)
            if node is None:
                continue
            self.nodes += 1
            if self.nodes > MAX_NODES:
                raise _TooMuchError(node.place, f"more than {MAX_NODES} values in one file")
            if self.stack:
                self._attach(node)
            elif node.entries is None and node.items is None:
                if not node.is_nothing():
                    yield node
                continue
            else:
                yield node
            if node.entries is not None or node.items is not None:
                self.stack.append(_Open(node))
                if len(self.stack) > MAX_DEPTH:
                    raise _TooMuchError(node.place, f"nested deeper than {MAX_DEPTH} levels")

    def _node(self, event: Any) -> Node | None:
        """The node an event begins, or ``None`` for events that begin none."""
        if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            closed = self.stack.pop()
            if not self.stack:
                closed.node.flawed = self.problems.errors() > self.errors
            return None
        if isinstance(event, yaml.AliasEvent):
            place = self.place(event.start_mark)
            self.problems.error(
                "yaml-alias", place, f"alias *{event.anchor} is not allowed", "write the value out at this place"
            )
            return Node(place)
        if not isinstance(event, yaml.NodeEvent):
            return None
        place = self.place(event.start_mark)
        if event.anchor is not None:
            self.problems.error("yaml-anchor", place, f"anchor &{event.anchor} is not allowed", "leave it out")
        if isinstance(event, yaml.MappingStartEvent):
            self._no_tag(event, place)
            return Node(place, entries={})
        if isinstance(event, yaml.SequenceStartEvent):
            self._no_tag(event, place)
            return Node(place, items=[])
        return self._scalar(event, place)

    def _no_tag(self, event: Any, place: Place) -> None:
        if event.tag not in (None, "!"):
            self.problems.error("yaml-tag", place, f"tag {event.tag} is not allowed", "leave it out")

    def _scalar(self, event: Any, place: Place) -> Node:
        self._no_tag(event, place)
        tag = self.values.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
        quoted = event.style in ("'", '"')
        inline = event.style not in ("|", ">") and event.start_mark.line == event.end_mark.line
        column = place.column + quoted if inline and place.column else 0
        if tag == "tag:yaml.org,2002:merge" and not quoted:
            self.problems.error("yaml-merge", place, "merge keys are not allowed", "write the values out")
            return Node(place, scalar="<<", text_column=column)
        node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        try:
            value = self.values.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            self.problems.error(
                "yaml-value", place, f"`{event.value[:40]}` looks like a number or date and is none", "quote it"
            )
            value = event.value
        return Node(place, scalar=value, text_column=column, written=event.value)

    def _attach(self, node: Node) -> None:
        parent = self.stack[-1]
        if parent.node.items is not None:
            parent.node.items.append(node)
            return
        if parent.key is None:
            parent.key = (self._key(node), node.place)
            return
        (key, place), parent.key = parent.key, None
        entries = parent.node.entries
        if key is None or entries is None:
            return
        if key in entries:
            first = entries[key].place
            self.problems.error(
                "duplicate-key", place, f"`{key}` stands here a second time", f"the first is in line {first.line}"
            )
            return
        entries[key] = Entry(place, node)

    def _key(self, node: Node) -> str | None:
        if isinstance(node.scalar, str):
            return node.scalar
        self.problems.error("key-not-text", node.place, f"a key must be a text, this is {node.kind()}", "quote it")
        return None


class _TooMuchError(Exception):
    """A limit was reached; reading stops here."""

    def __init__(self, place: Place, what: str) -> None:
        super().__init__(what)
        self.place = place


def read_documents(path: str, text: str, problems: Problems, *, may_be_empty: bool = False) -> list[Node]:
    """The documents of one file, as far as it can be read. Never raises; what is wrong goes into ``problems``."""
    if len(text) > MAX_CHARACTERS:
        problems.error("file-too-large", Place(path), f"more than {MAX_CHARACTERS} characters", "split the file")
        return []
    builder = _Builder(path, problems)
    before = problems.errors()
    documents: list[Node] = []
    try:
        documents.extend(builder.documents(text))
    except _TooMuchError as error:
        problems.error("file-too-large", error.place, str(error), "split it")
        return []
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = builder.place(mark) if mark is not None else Place(path)
        problems.error("yaml-syntax", place, error.problem or error.context or "this is not YAML")
        return []
    except (yaml.YAMLError, UnicodeError) as error:
        problems.error("yaml-syntax", Place(path), f"this is not YAML: {str(error).splitlines()[0]}")
        return []
    if not documents and problems.errors() == before and not may_be_empty:
        problems.error("empty-file", Place(path), "there is no rule in this file", "write one or remove the file")
    return documents
