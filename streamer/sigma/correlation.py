"""The ``correlation:`` of a rule as written: everything that can be judged without knowing the other rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, get_args

from streamer.errors import Place
from streamer.sigma.conditions import Condition, ConditionError, Name, names_in, parse_condition
from streamer.sigma.problems import Problems, nearest, one_of
from streamer.sigma.rules import CorrelationType
from streamer.sigma.shape import check_keys
from streamer.sigma.thresholds import Threshold, read_threshold
from streamer.sigma.timespans import HINT, read_timespan
from streamer.sigma.yamltree import Entry, Node

TYPES: Final = get_args(CorrelationType)
KEYS: Final = ("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")
MAX_RULES: Final = 64
MAX_GROUP_BY: Final = 16

_INSTEAD: Final = {
    "timeframe": "write `timespan`",
    "streamer": "`streamer:` belongs at the root of the document",
    "group_by": "write `group-by`",
    "groupby": "write `group-by`",
    "window": "write `timespan`; every window slides",
    "field": "it belongs under `condition:`",
}


@dataclass(frozen=True, slots=True)
class Mention:
    """A text that names a rule or a field, and where it stands."""

    text: str
    place: Place


@dataclass(slots=True)
class Written:
    """A correlation as its author wrote it, checked by itself.

    Attributes:
        rules: references by id or name, in order.
        aliases: alias to (place, mapping of rule reference to field).
        tree: a boolean condition over rule names.
        threshold: any other condition; ``None`` for temporal types that want all rules.
        at: place of a character of the boolean condition.
    """

    place: Place
    type: CorrelationType
    timespan_us: int
    rules: list[Mention] = field(default_factory=list)
    group_by: list[Mention] = field(default_factory=list)
    aliases: dict[str, tuple[Place, dict[str, tuple[Place, Mention]]]] = field(default_factory=dict)
    tree: Condition | None = None
    threshold: Threshold | None = None
    condition: Node | None = None
    generate: bool = False

    @property
    def temporal(self) -> bool:
        """Whether the rule is about which rules matched, not how many events did."""
        return self.type in {"temporal", "temporal_ordered"}


def read_correlation(root: Node, problems: Problems) -> Written | None:
    """Read ``correlation:`` and a root-level ``generate``; ``None`` after a problem that leaves nothing to judge."""
    entry = (root.entries or {})["correlation"]
    entries = entry.node.entries
    if entries is None:
        message = f"`correlation` must be a mapping, this is {entry.node.kind()}"
        problems.error("bad-correlation", entry.node.place, message)
        return None
    check_keys(entries, KEYS, "a correlation", problems, _INSTEAD)
    reader = _Reader(entry.place, entries, problems)
    kind = reader.type()
    timespan_us = reader.timespan()
    written = Written(entry.place, kind or "event_count", timespan_us or 1)
    written.rules = reader.mentions("rules", "rule", MAX_RULES)
    written.group_by = reader.group_by()
    written.aliases = reader.aliases()
    written.generate = reader.generate(root.entries or {})
    if kind is None:
        return None
    reader.condition(written)
    if not written.rules and "rules" not in entries:
        reader.rules_of_condition(written)
    return written


class _Reader:
    """One function per key."""

    def __init__(self, place: Place, entries: Mapping[str, Entry], problems: Problems) -> None:
        self._place = place
        self._entries = entries
        self._problems = problems

    def _bad(self, place: Place, message: str, hint: str | None = None) -> None:
        self._problems.error("bad-correlation", place, message, hint)

    def type(self) -> CorrelationType | None:
        entry = self._entries.get("type")
        if entry is None:
            self._problems.error("missing-type", self._place, "the correlation has no type", one_of(TYPES))
            return None
        kind: CorrelationType
        for kind in TYPES:
            if kind == entry.node.scalar:
                return kind
        shown = entry.node.scalar
        hint = (nearest(shown, TYPES) if isinstance(shown, str) else None) or one_of(TYPES)
        self._bad(entry.node.place, f"`{shown!s:.40}` is not a type of correlation", hint)
        return None

    def timespan(self) -> int | None:
        entry = self._entries.get("timespan")
        if entry is None:
            self._problems.error("missing-timespan", self._place, "the correlation has no timespan", HINT)
            return None
        return read_timespan(entry.node, "timespan", self._problems)

    def mentions(self, key: str, what: str, limit: int) -> list[Mention]:
        """A text or a list of different texts."""
        entry = self._entries.get(key)
        if entry is None:
            return []
        nodes = [entry.node] if entry.node.items is None else entry.node.items
        if len(nodes) > limit:
            self._bad(entry.node.place, f"`{key}` holds more than {limit}")
        found: list[Mention] = []
        for node in nodes[:limit]:
            if not isinstance(node.scalar, str) or not node.scalar:
                self._bad(node.place, f"`{key}` must hold texts, this is {node.kind()}", "quote it")
            elif any(node.scalar == mention.text for mention in found):
                message = f"{what} `{node.scalar[:60]}` stands twice"
                self._problems.error(f"duplicate-{what}", node.place, message, "name each once")
            else:
                found.append(Mention(node.scalar, node.place))
        if not nodes:
            self._problems.error(f"empty-{key}", entry.node.place, f"`{key}` is empty", f"name a {what}")
        return found

    def group_by(self) -> list[Mention]:
        found = self.mentions("group-by", "field", MAX_GROUP_BY)
        for mention in found:
            if mention.text == "cluster":
                hint = "leave it out; `streamer: {across_clusters: true}` takes it out of the key"
                self._bad(mention.place, "`cluster` is part of every key already", hint)
        return found

    def aliases(self) -> dict[str, tuple[Place, dict[str, tuple[Place, Mention]]]]:
        entry = self._entries.get("aliases")
        if entry is None:
            return {}
        if entry.node.entries is None:
            self._bad(entry.node.place, f"`aliases` must be a mapping, this is {entry.node.kind()}")
            return {}
        found: dict[str, tuple[Place, dict[str, tuple[Place, Mention]]]] = {}
        for alias, item in entry.node.entries.items():
            if item.node.entries is None:
                hint = "write `alias: {rule_name: field}`"
                self._bad(item.node.place, f"alias `{alias[:60]}` must map rules to fields", hint)
                continue
            fields: dict[str, tuple[Place, Mention]] = {}
            for rule, value in item.node.entries.items():
                if isinstance(value.node.scalar, str) and value.node.scalar:
                    fields[rule] = (value.place, Mention(value.node.scalar, value.node.place))
                else:
                    self._bad(value.node.place, f"a field name must stand here, this is {value.node.kind()}")
            found[alias] = (item.place, fields)
        return found

    def generate(self, root: Mapping[str, Entry]) -> bool:
        """Sigma's schema puts it at the root, its examples under ``correlation``; both are read."""
        said: list[bool] = []
        for entry in (root.get("generate"), self._entries.get("generate")):
            if entry is None:
                continue
            if isinstance(entry.node.scalar, bool):
                said.append(entry.node.scalar)
            else:
                self._bad(entry.node.place, f"`generate` must be true or false, this is {entry.node.kind()}")
        if len(set(said)) == 2:
            self._bad(self._entries["generate"].node.place, "`generate` at the root says the opposite")
        return any(said)

    def condition(self, written: Written) -> None:
        entry = self._entries.get("condition")
        if entry is None:
            if not written.temporal:
                hint = "for example `condition: {gte: 10}`"
                message = f"`{written.type}` needs a condition"
                self._problems.error("missing-condition", self._place, message, hint)
            return
        written.condition = entry.node
        if entry.node.entries is not None:
            written.threshold = read_threshold(entry.node, written.type, self._problems)
            return
        if not isinstance(entry.node.scalar, str):
            hint = "write `{gte: 10}`, or for temporal types rule names with and, or, not"
            message = f"a condition cannot be {entry.node.kind()}"
            self._problems.error("bad-condition", entry.node.place, message, hint)
            return
        if not written.temporal:
            message = f"`{written.type}` needs a threshold, not rule names"
            self._problems.error("bad-condition", entry.node.place, message, "write `{gte: 10}`")
            return
        try:
            written.tree = parse_condition(entry.node.scalar)
        except ConditionError as error:
            self._problems.error("bad-condition", entry.node.at(error.offset), str(error), error.hint)

    def rules_of_condition(self, written: Written) -> None:
        """Temporal types may leave ``rules`` out: then the condition names them, in order."""
        if written.tree is None or written.condition is None:
            if written.condition is None or not written.temporal or written.threshold is not None:
                message = "the correlation references no rules"
                self._problems.error("missing-rules", self._place, message, "add `rules:` with names or ids")
            return
        for leaf in names_in(written.tree):
            if isinstance(leaf, Name) and all(leaf.name != mention.text for mention in written.rules):
                written.rules.append(Mention(leaf.name, written.condition.at(leaf.offset)))
