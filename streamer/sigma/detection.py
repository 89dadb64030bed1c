"""The ``detection:`` of a rule to one predicate, item by item, so that every message has the place of its item."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from streamer.model import LogSource
from streamer.sigma.audit_words import is_known
from streamer.sigma.conditions import (
    Condition,
    ConditionError,
    Inverse,
    Joined,
    Name,
    Some,
    names_in,
    parse_condition,
)
from streamer.sigma.folding import scalar_text
from streamer.sigma.foreign_words import other_names, read
from streamer.sigma.predicates import (
    AllOf,
    AnyOf,
    FieldTest,
    Negated,
    Null,
    Predicate,
    Text,
    fields_tested,
    leaves_of,
)
from streamer.sigma.problems import Problems, nearest
from streamer.sigma.pysigma import COMPARING, MODIFIERS, ItemError, read_item
from streamer.sigma.shape import check_keys
from streamer.sigma.yamltree import Entry, Node

RESOURCE: Final = "objectRef.resource"
SUBRESOURCE: Final = "objectRef.subresource"
MAX_TESTS: Final = 20_000
MAX_SELECTIONS: Final = 256

_NO_SUBRESOURCE: Final = AnyOf((FieldTest(SUBRESOURCE, Null()), FieldTest(SUBRESOURCE, Text(()))))
_SOURCE_KEYS: Final = ("category", "product", "service", "definition")
_MAX_MODIFIERS: Final = 8
_NO_SELECTION: Final = frozenset({"condition", "timeframe"})
_SELECTION: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(slots=True)
class DetectionReader:
    """Reads the parts of one detection document.

    Attributes:
        placeholders: texts for ``|expand``.
    """

    problems: Problems
    placeholders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _other_names: Mapping[str, str] = field(default_factory=dict)

    def logsource(self, root: Node) -> LogSource | None:
        """What the rule may look at, or ``None`` after a problem."""
        entry = (root.entries or {}).get("logsource")
        if entry is None:
            hint = "add `logsource: {product: kubernetes, service: audit}`"
            self.problems.error("missing-logsource", root.place, "the rule has no log source", hint)
            return None
        entries = entry.node.entries
        if entries is None:
            self._bad("bad-logsource", entry.node, f"`logsource` must be a mapping, this is {entry.node.kind()}")
            return None
        check_keys(entries, _SOURCE_KEYS, "a log source", self.problems)
        found: dict[str, str] = {}
        for key in _SOURCE_KEYS:
            if key not in entries:
                continue
            node = entries[key].node
            if isinstance(node.scalar, str) and node.scalar:
                found[key] = node.scalar
            else:
                self._bad("bad-logsource", node, f"`{key}` must be a text, this is {node.kind()}")
        found.pop("definition", None)
        if not found:
            if not entries.keys() & {"category", "product", "service"}:
                self._bad("bad-logsource", entry.node, "the log source names nothing", "name a product")
            return None
        logsource = LogSource(**found)
        if not is_known(logsource):
            message = "no event here has this log source, the rule will never match"
            hint = "product is `kubernetes`; service `audit`, or category `container_log` or `webserver`"
            self.problems.warning("unknown-logsource", entry.place, message, hint)
        return logsource

    def predicate(self, root: Node, logsource: LogSource | None) -> Predicate | None:
        """When the rule matches, or ``None`` after a problem."""
        entry = (root.entries or {}).get("detection")
        if entry is None:
            hint = "add `detection:` with a selection and a `condition`"
            self.problems.error("missing-detection", root.place, "the rule has no detection", hint)
            return None
        entries = entry.node.entries
        if entries is None:
            self._bad("bad-detection", entry.node, f"`detection` must be a mapping, this is {entry.node.kind()}")
            return None
        before = self.problems.errors()
        self._other_names = other_names(logsource)
        selections = self._selections(entries)
        conditions = self._conditions(entry, entries)
        if len(entries) > MAX_SELECTIONS:
            return None
        self._names(conditions, entries)
        if self.problems.errors() > before or not conditions:
            return None
        total = sum(_size(tree, selections) for tree, _ in conditions)
        if total > MAX_TESTS:
            self._bad("rule-too-large", entry.node, f"the condition asks for more than {MAX_TESTS} tests", "split it")
            return None
        trees = [_combine(tree, selections) for tree, _ in conditions]
        predicate = trees[0] if len(trees) == 1 else AnyOf(tuple(trees))
        return self._ours(predicate, logsource, entry)

    def _ours(self, predicate: Predicate, logsource: LogSource | None, entry: Entry) -> Predicate:
        """The predicate in our words; what had to be put into them is told."""
        predicate, remarks = read(predicate, logsource)
        for message, hint in remarks:
            self.problems.warning("read-as", entry.place, message, hint)
        return _itself(predicate) if _may_be_audit(logsource) else predicate

    def _bad(self, code: str, node: Node, message: str, hint: str | None = None) -> None:
        self.problems.error(code, node.place, message, hint)

    def _selections(self, entries: Mapping[str, Entry]) -> dict[str, Predicate]:
        found: dict[str, Predicate] = {}
        if len(entries) > MAX_SELECTIONS:
            place = next(iter(entries.values())).place
            self.problems.error("rule-too-large", place, f"more than {MAX_SELECTIONS} selections", "split the rule")
            return found
        for name, entry in entries.items():
            if name == "condition":
                continue
            if name == "timeframe":
                hint = "write a correlation rule with `timespan`"
                self.problems.error("unknown-key", entry.place, "`timeframe` is not part of a detection", hint)
                continue
            if not _SELECTION.fullmatch(name):
                hint = "letters, digits, _ and -"
                self.problems.error("bad-selection", entry.place, f"`{name[:60]}` cannot name a selection", hint)
                continue
            predicate = self._selection(entry.node)
            if predicate is not None:
                found[name] = predicate
        return found

    def _selection(self, node: Node) -> Predicate | None:
        """A mapping means all of it, a list any of it."""
        if node.entries is not None:
            items = [self._item(key, entry) for key, entry in node.entries.items()]
            return self._joined(node, items, every=True)
        if node.items is None:
            return self._keywords(node, [node])
        if all(item.items is None and item.entries is None for item in node.items):
            return self._keywords(node, node.items)
        return self._joined(node, [self._selection(item) for item in node.items], every=False)

    def _joined(self, node: Node, items: list[Predicate | None], *, every: bool) -> Predicate | None:
        good = tuple(item for item in items if item is not None)
        if not items:
            self._bad("empty-selection", node, "the selection is empty", "add a field, or remove the selection")
        if len(good) < len(items) or not good:
            return None
        if len(good) == 1:
            return good[0]
        return AllOf(good) if every else AnyOf(good)

    def _keywords(self, node: Node, values: Sequence[Node]) -> Predicate | None:
        if not values:
            self._bad("empty-selection", node, "the selection is empty", "add a value, or remove the selection")
            return None
        for value in values:
            if value.scalar is None:
                self._bad("bad-value", value, "a value without a field must be a text", "name the field")
                return None
        return self._read("", node, values)

    def _item(self, key: str, entry: Entry) -> Predicate | None:
        name, *modifiers = key.split("|")
        if not self._modifiers(modifiers, entry):
            return None
        if name in self._other_names:
            meant = self._other_names[name]
            message = f"no event has a field `{name}`, it is read as `{meant}`"
            self.problems.warning("other-name", entry.place, message, f"write `{meant}`")
            key = "|".join((meant, *modifiers))
        node = entry.node
        if node.entries is not None:
            self._bad("nested-field", node, f"`{key[:60]}` holds a mapping", "write the path with dots: `a.b: value`")
            return None
        if node.items is None:
            return self._read(key, node, [node])
        if not node.items:
            self._bad("empty-list", node, f"`{key[:60]}` has no values", "add one; `null` tests for a missing field")
            return None
        for item in node.items:
            if item.items is not None or item.entries is not None:
                self._bad("bad-value", item, f"a value cannot be {item.kind()}")
                return None
        seen: set[tuple[type, object]] = set()
        for item in node.items:
            if (type(item.scalar), item.scalar) in seen:
                self.problems.warning("duplicate-value", item.place, f"`{item.scalar!s:.60}` stands twice in this list")
            seen.add((type(item.scalar), item.scalar))
        return self._read(key, node, node.items)

    def _spelling(self, values: Sequence[Node], modifiers: Sequence[str]) -> None:
        """YAML reads `1.10` as 1.1 and `on` as true: as texts, which most values of logs are, they never match."""
        if not COMPARING.isdisjoint(modifiers):
            return
        for value in values:
            if isinstance(value.scalar, (bool, int, float)) and scalar_text(value.scalar) != value.written.lower():
                message = f"`{value.written[:60]}` is read as `{scalar_text(value.scalar)[:60]}`"
                self.problems.warning("spelling", value.place, message, "quote it if it is a text")

    def _modifiers(self, modifiers: Sequence[str], entry: Entry) -> bool:
        before = self.problems.errors()
        for number, modifier in enumerate(modifiers):
            if modifier not in MODIFIERS:
                hint = nearest(modifier, MODIFIERS) or "see the list of modifiers of the Sigma specification"
                self.problems.error("unknown-modifier", entry.place, f"`{modifier[:40]}` is not a modifier", hint)
            elif modifier in modifiers[:number]:
                self.problems.error("duplicate-modifier", entry.place, f"`{modifier}` stands twice", "once is enough")
        if "base64offset" in modifiers and "contains" not in modifiers:
            message = "without `contains` the whole value must be one of the three forms of `base64offset`"
            self.problems.warning("whole-value", entry.place, message, "write `base64offset|contains`")
        if len(modifiers) > _MAX_MODIFIERS:
            self.problems.error("bad-value", entry.place, f"more than {_MAX_MODIFIERS} modifiers on one field")
        return self.problems.errors() == before

    def _read(self, key: str, node: Node, values: Sequence[Node]) -> Predicate | None:
        """Let pySigma read it; if it cannot, find the value that is to blame."""
        try:
            predicate = read_item(key, [value.scalar for value in values], self.placeholders)
        except ItemError as error:
            first = error
        else:
            self._spelling(values, key.split("|"))
            return predicate
        for value in values:
            try:
                read_item(key, [value.scalar], self.placeholders)
            except ItemError as error:
                self._bad(error.code, value, str(error), error.hint)
                return None
        self._bad(first.code, node, str(first), first.hint)
        return None

    def _conditions(self, detection: Entry, entries: Mapping[str, Entry]) -> list[tuple[Condition, Node]]:
        entry = entries.get("condition")
        if entry is None:
            self.problems.error("missing-condition", detection.place, "the detection has no condition")
            return []
        nodes = [entry.node] if entry.node.items is None else entry.node.items
        found = []
        for node in nodes:
            if not isinstance(node.scalar, str):
                self._bad("bad-condition", node, f"a condition must be a text, this is {node.kind()}")
                continue
            try:
                found.append((parse_condition(node.scalar), node))
            except ConditionError as error:
                self.problems.error("bad-condition", node.at(error.offset), str(error), error.hint)
        if not nodes:
            self._bad("bad-condition", entry.node, "the condition is empty")
        return found

    def _names(self, conditions: list[tuple[Condition, Node]], entries: Mapping[str, Entry]) -> None:
        """Every name must be a selection, and every selection must be named."""
        names = [name for name in entries if name not in _NO_SELECTION and _SELECTION.fullmatch(name)]
        used: set[str] = set()
        for tree, node in conditions:
            for leaf in names_in(tree):
                matching = _selected(leaf, names)
                used.update(matching)
                if matching:
                    continue
                place = node.at(leaf.offset)
                if isinstance(leaf, Name):
                    hint = nearest(leaf.name, names) or f"the selections are {', '.join(names)}"
                    self.problems.error("unknown-selection", place, f"there is no selection `{leaf.name}`", hint)
                else:
                    message = f"no selection fits `{leaf.pattern}`"
                    self.problems.error("unknown-selection", place, message, f"the selections are {', '.join(names)}")
        if not conditions:
            return
        for name in names:
            if name not in used:
                place = entries[name].place
                hint = "name it in the condition, or remove it"
                self.problems.error("unused-selection", place, f"the condition does not use `{name}`", hint)


def _selected(leaf: Name | Some, names: Sequence[str]) -> list[str]:
    """The selections a leaf stands for. Patterns do not take names beginning with ``_`` unless they say so."""
    if isinstance(leaf, Name):
        return [name for name in names if name == leaf.name]
    pattern = "*" if leaf.pattern == "them" else leaf.pattern
    return [
        name
        for name in names
        if fnmatch.fnmatchcase(name, pattern) and (pattern.startswith("_") or not name.startswith("_"))
    ]


def _size(tree: Condition, selections: Mapping[str, Predicate]) -> int:
    """How many tests a condition stands for, each selection counted as often as it is named."""
    sizes = {name: sum(1 for _ in leaves_of(predicate)) for name, predicate in selections.items()}
    return sum(sizes[name] for leaf in names_in(tree) for name in _selected(leaf, list(sizes)))


def _combine(tree: Condition, selections: Mapping[str, Predicate]) -> Predicate:
    if isinstance(tree, Inverse):
        return Negated(_combine(tree.item, selections))
    if isinstance(tree, Joined):
        items = tuple(_combine(item, selections) for item in tree.items)
        return AllOf(items) if tree.every else AnyOf(items)
    items = tuple(selections[name] for name in _selected(tree, list(selections)))
    if len(items) == 1:
        return items[0]
    return AllOf(items) if isinstance(tree, Some) and tree.every else AnyOf(items)


def _may_be_audit(logsource: LogSource | None) -> bool:
    """Whether the rule may see audit events of Kubernetes, or the events made of their parts."""
    return logsource is not None and logsource.product in {"", "kubernetes"}


def _itself(predicate: Predicate) -> Predicate:
    """A resource means the resource itself, not a subresource of it, in rules that do not speak of subresources."""
    fields = fields_tested(predicate)
    if RESOURCE not in fields or SUBRESOURCE in fields:
        return predicate
    return _narrow(predicate)


def _narrow(predicate: Predicate) -> Predicate:
    if isinstance(predicate, (AllOf, AnyOf)):
        return type(predicate)(tuple(_narrow(item) for item in predicate.items))
    if isinstance(predicate, Negated):
        return Negated(_narrow(predicate.item))
    if isinstance(predicate, FieldTest) and predicate.field == RESOURCE:
        return AllOf((predicate, _NO_SUBRESOURCE))
    return predicate
