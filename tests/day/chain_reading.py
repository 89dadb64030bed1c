"""Chain scenarios from YAML: ``tests/day/chains/*.yml``, with an error that says where and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from streamer.authoring.cases_events import Making, pieces_of
from streamer.authoring.cases_shape import check_event, check_keys
from streamer.authoring.cases_time import HINT, read_length
from streamer.errors import Place
from streamer.sigma.problems import Problems, one_of
from streamer.sigma.yamltree import Entry, Node, read_documents
from tests.day.ink import Written

CHAINS = Path(__file__).resolve().parent / "chains"
SPEEDS = ("fast", "slow")
KEYS = ("chain", "number", "title", "alert", "level", "actor", "outcome", "step_names", "quiet", "steps")
STEP_KEYS = ("name", *SPEEDS, "events")
_LEVELS = ("low", "medium", "high", "critical")
_OUTCOMES = ("success", "failure", "denied", "error", "unknown")
_ACTOR = ("name", "ip", "actor.name", "user.name", "source.ip", "pod", "service_account")


class ChainError(Exception):
    """A scenario cannot be read; one line per problem."""


@dataclass(frozen=True)
class ChainStep:
    """Events that happen together.

    Attributes:
        starts: when it begins after the chain's start, by speed.
        events: (offset, event as it is written in the file, its place).
    """

    name: str
    starts: Mapping[str, int]
    events: Sequence[tuple[int, Node]]


@dataclass(frozen=True)
class Chain:
    """One scenario: what happens, and what must be told of it."""

    path: str
    name: str
    number: int
    title: str
    alert: str
    level: str
    actor: tuple[str, ...]
    outcome: str
    step_names: tuple[str, ...]
    quiet: tuple[str, ...]
    steps: tuple[ChainStep, ...]

    def length(self, speed: str) -> int:
        """How long it takes at a speed."""
        return max(step.starts[speed] + max((at for at, _ in step.events), default=0) for step in self.steps)

    def written(self, begin: int, speed: str, cluster: str) -> list[Written]:
        """All records of one telling.

        Raises:
            ChainError: an event sets a field that it does not have.
        """
        found: list[Written] = []
        problems = Problems()
        for number, step in enumerate(self.steps):
            for place, (offset, node) in enumerate(step.events):
                at = begin + step.starts[speed] + offset
                form = next(form for form in ("audit", "access", "log") if form in (node.entries or {}))
                seed = ("chain", cluster, number, place)
                found += [
                    Written(piece.arrives_us, piece.kind, orjson.loads(piece.value), cluster)
                    for piece in pieces_of(Making(form, node, at, begin, seed), _no_file, problems)
                ]
        _refuse(problems)
        return found


def read_chains(directory: Path = CHAINS) -> list[Chain]:
    """Every scenario, by number.

    Raises:
        ChainError: one of them cannot be read.
    """
    found = [read_chain(path) for path in sorted(directory.glob("*.yml"))]
    names = [chain.name for chain in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ChainError(f"{directory}: two scenarios have the name {', '.join(twice)}")
    return sorted(found, key=lambda chain: chain.number)


def read_chain(path: Path) -> Chain:
    """One scenario.

    Raises:
        ChainError: it cannot be read.
    """
    problems = Problems()
    shown = f"tests/day/chains/{path.name}"
    documents = read_documents(shown, path.read_text(encoding="utf-8"), problems)
    chain = _chain(documents[0], shown, problems) if len(documents) == 1 else None
    if len(documents) != 1:
        problems.error("bad-chain", Place(shown), "a scenario is one YAML document", "one file per chain")
    _refuse(problems)
    assert chain is not None
    return chain


def _refuse(problems: Problems) -> None:
    if problems.errors():
        lines = [
            f"{problem.place}: {problem.message}" + (f" ({problem.hint})" if problem.hint else "")
            for problem in problems.in_order()
        ]
        raise ChainError("\n".join(lines))


def _no_file(path: str) -> str:
    raise FileNotFoundError(path)


def _chain(root: Node, path: str, problems: Problems) -> Chain | None:
    entries = root.entries
    if entries is None:
        problems.error(
            "bad-chain", root.place, f"a scenario is a mapping, this is {root.kind()}", "begin with `chain:`"
        )
        return None
    check_keys(entries, KEYS, "a scenario", problems)
    for key in KEYS:
        if key not in entries and key != "quiet":
            problems.error("bad-chain", root.place, f"`{key}` is missing", f"write `{key}: …`")
    steps = tuple(_step(node, problems) for node in _items(entries.get("steps"), "steps", problems))
    number = entries["number"].node.scalar if "number" in entries else 0
    if not isinstance(number, int):
        problems.error(
            "bad-chain", entries["number"].node.place, "`number` is a whole number", "the number of the chain"
        )
        number = 0
    return Chain(
        path=path,
        name=_word(entries, "chain", problems),
        number=number,
        title=_word(entries, "title", problems),
        alert=_word(entries, "alert", problems),
        level=_word(entries, "level", problems, _LEVELS),
        actor=_actor(entries.get("actor"), problems),
        outcome=_word(entries, "outcome", problems, _OUTCOMES),
        step_names=_names(entries.get("step_names"), "step_names", problems),
        quiet=_names(entries.get("quiet"), "quiet", problems),
        steps=steps,
    )


def _word(entries: Mapping[str, Entry], key: str, problems: Problems, choices: Sequence[str] = ()) -> str:
    entry = entries.get(key)
    if entry is None:
        return ""
    found = entry.node.scalar
    if not isinstance(found, str) or (choices and found not in choices):
        hint = one_of(choices) if choices else "write a text"
        problems.error("bad-chain", entry.node.place, f"`{key}` cannot be {entry.node.kind()} `{found!s:.40}`", hint)
        return ""
    return found


def _items(entry: Entry | None, key: str, problems: Problems) -> list[Node]:
    if entry is None:
        return []
    if entry.node.items is None:
        problems.error(
            "bad-chain", entry.node.place, f"`{key}` is a list, this is {entry.node.kind()}", "write `- …` lines"
        )
        return []
    return entry.node.items


def _names(entry: Entry | None, key: str, problems: Problems) -> tuple[str, ...]:
    found: list[str] = []
    for node in _items(entry, key, problems):
        if isinstance(node.scalar, str):
            found.append(node.scalar)
        else:
            problems.error(
                "bad-chain", node.place, f"`{key}` holds names of rules, this is {node.kind()}", "write a name"
            )
    return tuple(found)


def _actor(entry: Entry | None, problems: Problems) -> tuple[str, ...]:
    if entry is None:
        return ()
    if entry.node.entries is None:
        problems.error(
            "bad-chain",
            entry.node.place,
            f"`actor` is a mapping, this is {entry.node.kind()}",
            "write `{name: mallory}`",
        )
        return ()
    check_keys(entry.node.entries, _ACTOR, "an actor", problems)
    return tuple(str(item.node.plain()) for item in entry.node.entries.values())


def _step(node: Node, problems: Problems) -> ChainStep:
    entries: Mapping[str, Entry] = node.entries or {}
    if node.entries is None:
        problems.error("bad-chain", node.place, f"a step is a mapping, this is {node.kind()}", "begin with `- name:`")
    check_keys(entries, STEP_KEYS, "a step", problems)
    starts = {speed: _length(entries.get(speed), speed, node.place, problems) for speed in SPEEDS}
    events: list[tuple[int, Node]] = []
    for event in _items(entries.get("events"), "events", problems):
        offset = _event(event, problems)
        if offset is not None:
            events.append((offset, event))
    if not events:
        problems.error("bad-chain", node.place, "the step has no events", "write `events:` and a list")
    return ChainStep(_word(entries, "name", problems), starts, events)


def _event(node: Node, problems: Problems) -> int | None:
    form = check_event(node, problems)
    if form in {"raw", "file"}:
        hint = "write it as `audit:`, `access:` or `log:`; the harness puts it into envelopes itself"
        problems.error("bad-chain", node.place, f"`{form}` cannot be moved to the chain's time of day", hint)
        return None
    if form is None:
        return None
    return _length((node.entries or {}).get("at"), "at", node.place, problems)


def _length(entry: Entry | None, key: str, place: Place, problems: Problems) -> int:
    found = read_length(entry.node.scalar) if entry is not None and isinstance(entry.node.scalar, str) else None
    if found is None or found < 0:
        problems.error("bad-chain", entry.node.place if entry else place, f"`{key}` is no length of time", HINT)
        return 0
    return found


def check_rule_names(chain: Chain, known: set[str]) -> list[str]:
    """What the scenario says of rules that do not exist."""
    named: dict[str, Any] = {"alert": (chain.alert,), "step_names": chain.step_names, "quiet": chain.quiet}
    return [
        f"{chain.path}: `{key}` names no rule: {name}"
        for key, names in named.items()
        for name in names
        if name not in known
    ]
