"""YAML of rule cases to values, with every problem at its line and column and what to write instead.

Short forms are checked here, key by key, and filled by the modules for audit events and lines; nothing is run yet.
Reading files is the caller's: ``open_text`` gives the text of a path that stands in the case file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamer.authoring import cases_time
from streamer.authoring.cases_events import Making, pieces_of
from streamer.authoring.cases_model import (
    DEFAULT_CLUSTER,
    DEFAULT_LATENESS_US,
    DEFAULT_START_US,
    Case,
    CaseFile,
    Expected,
    Piece,
)
from streamer.authoring.cases_shape import FORMS, check_event, check_keys, text_of
from streamer.errors import Place, RuleError
from streamer.model import Scalar
from streamer.sigma.problems import Problems
from streamer.sigma.rules import LEVELS
from streamer.sigma.yamltree import Entry, Node, read_documents

ROOT_KEYS: Final = ("rule", "start", "cluster", "lateness", "cases")
CASE_KEYS: Final = ("name", "files", "events", "expect", "absent")
EXPECT_KEYS: Final = ("at", "key", "level")

OpenText = Callable[[str], str]
"""The text of a file named in a case file, relative to the root of the project. Raises ``OSError``."""


@dataclass(frozen=True, slots=True)
class ReadCases:
    """A case file as far as it could be read, and what is wrong with it."""

    cases: CaseFile | None
    problems: tuple[RuleError, ...]


def read_cases(path: str, text: str, open_text: OpenText) -> ReadCases:
    """Read one case file. Never raises for what stands in it; problems are in the result.

    Args:
        path: how problems name the file.
        text: its YAML.
        open_text: reads files that events name with ``file:``.
    """
    problems = Problems()
    documents = read_documents(path, text, problems)
    if not documents:
        return ReadCases(None, problems.in_order())
    if len(documents) > 1:
        problems.error("bad-case", documents[1].place, "a case file holds one document", "write one file per rule")
    found = _Reader(path, problems, open_text).file(documents[0])
    return ReadCases(found if problems.errors() == 0 else None, problems.in_order())


class _Reader:
    """One function per kind of thing in a case file."""

    def __init__(self, path: str, problems: Problems, open_text: OpenText) -> None:
        self._path = path
        self._problems = problems
        self._open_text = open_text
        self._start_us = DEFAULT_START_US

    def _bad(self, place: Place, message: str, hint: str | None = None) -> None:
        self._problems.error("bad-case", place, message, hint)

    def file(self, root: Node) -> CaseFile | None:
        entries = root.entries
        if entries is None:
            self._bad(root.place, f"a case file is a mapping, this is {root.kind()}", "begin with `rule:`")
            return None
        check_keys(entries, ROOT_KEYS, "a case file", self._problems)
        self._start_us = self._start(entries.get("start"))
        lateness = self._length(entries.get("lateness"), DEFAULT_LATENESS_US)
        cluster = text_of(entries.get("cluster"), self._problems) or DEFAULT_CLUSTER
        rule = text_of(entries.get("rule"), self._problems)
        if "rule" not in entries:
            self._bad(root.place, "`rule` is missing", "write `rule: rules/kubernetes/area/name.yml`")
        cases = self._cases(entries.get("cases"), root.place)
        rule_path, _, rule_name = (rule or "").partition("#")
        place = entries["rule"].node.place if "rule" in entries else root.place
        return CaseFile(
            self._path, rule_path, rule_name or None, place, self._start_us, cluster, lateness, tuple(cases)
        )

    def _start(self, entry: Entry | None) -> int:
        if entry is None:
            return DEFAULT_START_US
        found = cases_time.read_stamp(entry.node.scalar)
        if found is None:
            hint = "write `2026-01-01T00:00:00Z`"
            self._bad(entry.node.place, f"`start` must be a date and time, this is {entry.node.kind()}", hint)
            return DEFAULT_START_US
        return found

    def _length(self, entry: Entry | None, default: int) -> int:
        if entry is None:
            return default
        found = cases_time.read_length(entry.node.scalar) if isinstance(entry.node.scalar, str) else None
        if found is None or found < 0:
            shown = f"`{entry.node.scalar!s:.40}`" if entry.node.scalar is not None else entry.node.kind()
            self._bad(entry.node.place, f"{shown} is not a length of time", cases_time.HINT)
            return default
        return found

    def _moment(self, entries: Mapping[str, Entry]) -> int | None:
        """``at`` as event time; ``None`` where it is missing or wrong (then reported)."""
        entry = entries.get("at")
        if entry is None:
            return None
        scalar = entry.node.scalar
        if isinstance(scalar, str):
            length = cases_time.read_length(scalar)
            if length is not None:
                return self._start_us + length
        stamp = cases_time.read_stamp(scalar)
        if stamp is None:
            shown = f"`{scalar!s:.40}`" if scalar is not None else entry.node.kind()
            self._bad(entry.node.place, f"{shown} is neither a length of time nor a stamp", cases_time.HINT)
        return stamp

    def _cases(self, entry: Entry | None, place: Place) -> list[Case]:
        if entry is None or not entry.node.items:
            self._bad(entry.node.place if entry else place, "there are no cases", "write `cases:` and a list")
            return []
        found: list[Case] = []
        names: dict[str, Place] = {}
        for node in entry.node.items:
            case = self._case(node)
            if case is None:
                continue
            if case.name in names:
                self._bad(node.place, f"there is a case of this name in line {names[case.name].line}", "rename one")
            names.setdefault(case.name, node.place)
            found.append(case)
        return found

    def _case(self, node: Node) -> Case | None:
        entries = node.entries
        if entries is None:
            self._bad(node.place, f"a case is a mapping, this is {node.kind()}", "begin with `- name:`")
            return None
        check_keys(entries, CASE_KEYS, "a case", self._problems)
        name = text_of(entries.get("name"), self._problems)
        if not name:
            self._bad(node.place, "the case has no name", "say in a sentence what it shows: `name: ...`")
            return None
        if "events" not in entries:
            self._bad(node.place, "the case has no events", "write `events:` and a list")
        if "expect" not in entries:
            hint = "list all firings of the rule, or write `expect: []`"
            self._bad(node.place, "the case does not say what to expect", hint)
        pieces = tuple(self._events(entries.get("events"), name))
        expect = tuple(self._expect(entries.get("expect")))
        return Case(name, node.place, pieces, expect, self._absent(entries), self._files(entries.get("files")))

    def _files(self, entry: Entry | None) -> bool:
        if entry is not None and not isinstance(entry.node.scalar, bool):
            self._bad(entry.node.place, f"`files` must be true or false, this is {entry.node.kind()}")
        return entry is not None and entry.node.scalar is True

    def _list(self, entry: Entry | None, what: str) -> list[Node]:
        if entry is None:
            return []
        if entry.node.items is None:
            self._bad(entry.node.place, f"`{what}` must be a list, this is {entry.node.kind()}", "write `- ...` lines")
            return []
        return entry.node.items

    def _events(self, entry: Entry | None, case: str) -> list[Piece]:
        found: list[Piece] = []
        for number, node in enumerate(self._list(entry, "events")):
            if node.entries is None:
                self._bad(
                    node.place, f"an event is a mapping, this is {node.kind()}", f"with one of {', '.join(FORMS)}"
                )
                continue
            before = self._problems.errors()
            form = check_event(node, self._problems)
            at_us = self._moment(node.entries)
            if at_us is None and form in {"audit", "log", "access"} and "at" not in node.entries:
                self._bad(node.place, "the event has no time", "write `at: 0s`")
            if form is None or self._problems.errors() > before:
                continue
            seed = (self._path, case, number)
            found += pieces_of(Making(form, node, at_us, self._start_us, seed), self._open_text, self._problems)
            every_us = self._length(node.entries.get("every"), 0)
            for again in range(1, self._times(node)):
                later_us = (self._start_us if at_us is None else at_us) + again * every_us
                making = Making(form, node, later_us, self._start_us, (*seed, again))
                found += pieces_of(making, self._open_text, self._problems)
        return found

    def _times(self, node: Node) -> int:
        entry = (node.entries or {}).get("times")
        return entry.node.scalar if entry is not None and isinstance(entry.node.scalar, int) else 1

    def _expect(self, entry: Entry | None) -> list[Expected]:
        found: list[Expected] = []
        for node in self._list(entry, "expect"):
            entries = node.entries
            if entries is None:
                self._bad(
                    node.place, f"an expectation is a mapping, this is {node.kind()}", "write `{at: 1s, key: {…}}`"
                )
                continue
            check_keys(entries, EXPECT_KEYS, "an expectation", self._problems)
            at_us = self._moment(entries)
            if "at" not in entries:
                self._bad(node.place, "the expectation has no time", "write `at:`, the time of the firing")
            level = text_of(entries.get("level"), self._problems)
            if level is not None and level not in LEVELS:
                self._bad(entries["level"].node.place, f"`{level}` is no level", f"one of {', '.join(LEVELS)}")
            if at_us is not None:
                found.append(Expected(at_us, self._key(entries.get("key")), level, node.place))
        return found

    def _key(self, entry: Entry | None) -> dict[str, Scalar]:
        if entry is None:
            return {}
        if entry.node.entries is None:
            self._bad(
                entry.node.place, f"`key` must be a mapping, this is {entry.node.kind()}", "write `{field: value}`"
            )
            return {}
        found: dict[str, Scalar] = {}
        for name, item in entry.node.entries.items():
            value: Any = item.node.scalar
            if isinstance(value, str | int | float | bool):
                found[name] = value
            else:
                self._bad(item.node.place, f"a key value is a text or number, this is {item.node.kind()}", "quote it")
        return found

    def _absent(self, entries: Mapping[str, Entry]) -> tuple[tuple[str, Place], ...]:
        found: list[tuple[str, Place]] = []
        for node in self._list(entries.get("absent"), "absent"):
            if isinstance(node.scalar, str):
                found.append((node.scalar, node.place))
            else:
                self._bad(node.place, f"`absent` holds names of rules, this is {node.kind()}", "quote it")
        return tuple(found)
