"""The ``streamer:`` key at the root of a rule: what Sigma has no words for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from streamer.errors import Place
from streamer.model import Decided
from streamer.sigma.problems import Problems, nearest, one_of
from streamer.sigma.shape import check_keys
from streamer.sigma.timespans import read_timespan
from streamer.sigma.yamltree import Entry, Node

OF_DETECTIONS: Final = ("reach", "suppress")
OF_CORRELATIONS: Final = (
    "skew",
    "decide",
    "first_seen",
    "learn",
    "across_clusters",
    "reach",
    "suppress",
    "link",
)
MAX_BY: Final = 16

_SUPPRESS_KEYS: Final = ("for", "max", "by")


@dataclass(slots=True)
class Extensions:
    """What stands under ``streamer:``; ``None`` or ``False`` where nothing does.

    Attributes:
        places: where each key stands, for what can only be judged together with the rest of the rule.
    """

    skew_us: int | None = None
    decide: Decided | None = None
    first_seen: bool = False
    learn_us: int | None = None
    across_clusters: bool = False
    reach_us: int | None = None
    suppress_gap_us: int | None = None
    suppress_max_us: int | None = None
    suppress_by: tuple[tuple[str, Place], ...] | None = None
    suppress: bool = False
    link_exact: bool = False
    places: dict[str, Place] = field(default_factory=dict)


def read_extensions(root: Node, problems: Problems, *, correlation: bool) -> Extensions:
    """Read ``streamer:``. Reports what is not known or malformed; which rule may say what is judged later."""
    found = Extensions()
    entry = (root.entries or {}).get("streamer")
    if entry is None:
        return found
    entries = entry.node.entries
    if entries is None:
        problems.error("bad-extension", entry.node.place, f"`streamer` must be a mapping, this is {entry.node.kind()}")
        return found
    if correlation:
        check_keys(entries, OF_CORRELATIONS, "`streamer:`", problems)
    else:
        reason = "it is for correlation rules only"
        instead = {key: reason for key in OF_CORRELATIONS if key not in OF_DETECTIONS}
        check_keys(entries, OF_DETECTIONS, "`streamer:` of a detection rule", problems, instead)
    found.places = {key: item.place for key, item in entries.items()}
    reader = _Reader(entries, problems)
    found.skew_us = reader.span("skew")
    found.learn_us = reader.span("learn")
    found.reach_us = reader.span("reach")
    found.first_seen = reader.flag("first_seen")
    found.across_clusters = reader.flag("across_clusters")
    decide = reader.choice("decide", ("arrival", "watermark"))
    found.decide = "arrival" if decide == "arrival" else "watermark" if decide else None
    found.link_exact = reader.choice("link", ("exact",)) == "exact"
    reader.suppress(found)
    return found


class _Reader:
    """One small function per kind of value."""

    def __init__(self, entries: Mapping[str, Entry], problems: Problems) -> None:
        self._entries = entries
        self._problems = problems

    def _bad(self, place: Place, message: str, hint: str | None = None) -> None:
        self._problems.error("bad-extension", place, message, hint)

    def span(self, key: str) -> int | None:
        entry = self._entries.get(key)
        return None if entry is None else read_timespan(entry.node, key, self._problems)

    def flag(self, key: str) -> bool:
        entry = self._entries.get(key)
        if entry is None:
            return False
        if not isinstance(entry.node.scalar, bool):
            self._bad(entry.node.place, f"`{key}` must be true or false, this is {entry.node.kind()}")
            return False
        return entry.node.scalar

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        entry = self._entries.get(key)
        if entry is None:
            return ""
        text = entry.node.scalar
        if not isinstance(text, str) or text not in choices:
            shown = f"`{text!s:.40}`" if isinstance(text, str) else entry.node.kind()
            hint = (nearest(text, choices) if isinstance(text, str) else None) or one_of(choices)
            self._bad(entry.node.place, f"{shown} is not a value of `{key}`", hint)
            return ""
        return text

    def suppress(self, found: Extensions) -> None:
        entry = self._entries.get("suppress")
        if entry is None:
            return
        entries = entry.node.entries
        if not entries:
            hint = "write `suppress: {for: 1h}`"
            self._bad(entry.node.place, f"`suppress` must be a mapping, this is {entry.node.kind()}", hint)
            return
        check_keys(entries, _SUPPRESS_KEYS, "`suppress:`", self._problems)
        inner = _Reader(entries, self._problems)
        found.suppress = True
        found.suppress_gap_us = inner.span("for")
        found.suppress_max_us = inner.span("max")
        gap, longest = found.suppress_gap_us, found.suppress_max_us
        if gap is not None and longest is not None and longest < gap:
            self._bad(entries["max"].node.place, "`max` is shorter than `for`", "an episode lasts at least its gap")
        found.suppress_by = inner.fields("by")
        found.places |= {f"suppress.{key}": item.place for key, item in entries.items()}

    def fields(self, key: str) -> tuple[tuple[str, Place], ...] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        nodes = [entry.node] if entry.node.items is None else entry.node.items
        if len(nodes) > MAX_BY:
            self._bad(entry.node.place, f"`{key}` holds more than {MAX_BY}")
        names: list[tuple[str, Place]] = []
        for node in nodes[:MAX_BY]:
            if not isinstance(node.scalar, str) or not node.scalar:
                self._bad(node.place, f"`{key}` must hold field names, this is {node.kind()}")
            elif node.scalar in [name for name, _ in names]:
                self._bad(node.place, f"`{node.scalar[:60]}` stands twice")
            else:
                names.append((node.scalar, node.place))
        if not nodes:
            self._bad(entry.node.place, f"`{key}` names no field")
        return tuple(names)
