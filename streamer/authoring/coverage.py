"""Which techniques of a matrix the rules tell of, which they do not, and which no log can show.

A rule covers what its tags name, a sub-technique its technique, too. Only rules that alert count: a building block that
a correlation refers to says nothing to anybody by itself, and the correlation has tags of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamer.authoring.matrix import Cell, Column, Matrix
from streamer.ecs.attack import TECHNIQUES, attack_of
from streamer.sigma.rules import LEVELS, Level, RuleMeta, RuleSet

_NUMBERED: Final = re.compile(r"T\d{4}(?:\.\d{3})?|MS-TA\d{4}")
_ACTORS_AND_TOOLS: Final = re.compile(r"[gscmd]\d{4}|\d.*|car\..*")
"""Other things that Sigma tags in the space of ATT&CK name: groups, software, campaigns, mitigations."""


@dataclass(frozen=True, slots=True)
class Covering:
    """A rule that alerts and names a technique.

    Attributes:
        cases: how many of its rule cases must fire.
    """

    name: str
    title: str
    level: Level
    cases: int


@dataclass(frozen=True, slots=True)
class Covered:
    """One technique with the rules that tell of it, the most severe first."""

    cell: Cell
    rules: tuple[Covering, ...] = ()

    @property
    def visible(self) -> bool:
        """Whether the logs can show it; a rule that does it is the better witness than our table."""
        return self.cell.visible or bool(self.rules)

    @property
    def level(self) -> Level | None:
        """The highest level of its rules."""
        return self.rules[0].level if self.rules else None

    @property
    def cases(self) -> int:
        """How many rule cases prove that its rules fire."""
        return sum(rule.cases for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the rules cover of one matrix.

    Attributes:
        cells: by technique id.
        outside: techniques that rules name and the matrix does not hold, although its publisher knows them.
        unknown: words of tags that nobody knows, with the rules that say them.
    """

    matrix: Matrix
    cells: Mapping[str, Covered]
    outside: tuple[Covered, ...]
    unknown: Mapping[str, tuple[str, ...]]

    def columns(self) -> Iterator[tuple[Column, tuple[Covered, ...]]]:
        """The tactics in their order, each with its techniques."""
        for column in self.matrix.columns:
            yield column, tuple(self.cells[cell.id] for cell in column.cells)

    @property
    def covered(self) -> int:
        """Techniques with at least one rule."""
        return sum(bool(cell.rules) for cell in self.cells.values())

    @property
    def visible(self) -> int:
        """Techniques that the logs can show."""
        return sum(cell.visible for cell in self.cells.values())

    @property
    def unseen(self) -> int:
        """Techniques that the logs cannot show."""
        return len(self.cells) - self.visible

    def summary(self) -> str:
        """One sentence."""
        return (
            f"{self.matrix.name} v{self.matrix.version}: {self.covered} of {self.visible} visible techniques covered, "
            f"{self.unseen} not visible in these logs"
        )


def coverage(rules: RuleSet, matrix: Matrix, firing_cases: Mapping[str, int]) -> Coverage:
    """What rules cover of a matrix.

    Args:
        rules: all rules; those that do not alert are passed over.
        matrix: the matrix.
        firing_cases: by rule key, how many of the rule's cases expect it to fire.
    """
    named: dict[str, list[Covering]] = defaultdict(list)
    unknown: dict[str, list[str]] = defaultdict(list)
    for meta in _alerting(rules):
        rule = Covering(meta.name or meta.key, meta.title, meta.level, firing_cases.get(meta.key, 0))
        words = [word for word in map(str.lower, meta.tags) if word.startswith(f"{matrix.tag}.")]
        for word in dict.fromkeys(words):
            if not _known(word, matrix):
                unknown[word].append(rule.name)
        for identifier in _identifiers(words, matrix):
            named[identifier].append(rule)
    cells = {cell.id: Covered(cell, _by_severity(named.get(cell.id, ()))) for cell in matrix.cells()}
    return Coverage(
        matrix=matrix,
        cells=cells,
        outside=tuple(_outside(named, cells)),
        unknown={word: tuple(names) for word, names in sorted(unknown.items())},
    )


def _alerting(rules: RuleSet) -> list[RuleMeta]:
    detections = [rule.meta for rule in rules.detections if rule.alerts]
    return detections + [rule.meta for rule in rules.correlations if rule.alerts]


def _identifiers(words: Iterable[str], matrix: Matrix) -> list[str]:
    """The techniques that tags name, each once, techniques of sub-techniques included."""
    found: dict[str, None] = {}
    for word in words:
        identifier = matrix.current(word.removeprefix(f"{matrix.tag}.").upper())
        if _NUMBERED.fullmatch(identifier):
            found[identifier] = None
            found[identifier.partition(".")[0]] = None
    return list(found)


def _known(word: str, matrix: Matrix) -> bool:
    """Whether a tag means something: a technique, a tactic, or a thing of the same space that is neither."""
    name = word.removeprefix(f"{matrix.tag}.")
    identifier = matrix.current(name.upper())
    if any(identifier == cell.id for cell in matrix.cells()) or name in {column.id for column in matrix.columns}:
        return True
    if matrix.tag != "attack":
        return False
    return identifier in TECHNIQUES or bool(attack_of([word]).tactics) or bool(_ACTORS_AND_TOOLS.fullmatch(name))


def _outside(named: Mapping[str, list[Covering]], cells: Mapping[str, Covered]) -> Iterator[Covered]:
    for identifier in sorted(named):
        inside = identifier in cells or identifier.partition(".")[0] in cells
        if not inside and identifier in TECHNIQUES:
            yield Covered(Cell(identifier, TECHNIQUES[identifier]), _by_severity(named[identifier]))


def _by_severity(rules: Iterable[Covering]) -> tuple[Covering, ...]:
    return tuple(sorted(rules, key=lambda rule: (-LEVELS.index(rule.level), rule.name)))


def as_json(found: Coverage) -> dict[str, Any]:
    """The coverage of one matrix for programs."""
    return {
        "matrix": found.matrix.key,
        "name": found.matrix.name,
        "version": found.matrix.version,
        "covered": found.covered,
        "visible": found.visible,
        "not_visible": found.unseen,
        "tactics": [
            {"id": column.id, "name": column.name, "techniques": [_cell_json(cell) for cell in cells]}
            for column, cells in found.columns()
        ],
        "outside": [_cell_json(cell) for cell in found.outside],
        "unknown": {word: list(names) for word, names in found.unknown.items()},
    }


def _cell_json(item: Covered) -> dict[str, Any]:
    state = "covered" if item.rules else "no_rule" if item.visible else "not_visible"
    return {
        "id": item.cell.id,
        "name": item.cell.name,
        "state": state,
        "level": item.level,
        "firing_cases": item.cases,
        "rules": [
            {"name": rule.name, "title": rule.title, "level": rule.level, "firing_cases": rule.cases}
            for rule in item.rules
        ],
        "why": "" if item.visible else item.cell.unseen,
    }
