"""What the two matrices are made of: columns of techniques, each visible in the logs or with the reason why not.

``matrix_attack`` and ``matrix_kubernetes`` hold the tables. A technique in several columns is one technique:
a rule that covers it covers it everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """One technique of a matrix.

    Attributes:
        id: as the matrix writes it, in capitals.
        name: as the matrix writes it.
        unseen: why neither audit log nor container logs show it; empty where they can.
    """

    id: str
    name: str
    unseen: str = ""

    @property
    def visible(self) -> bool:
        """Whether a rule over these logs can exist at all."""
        return not self.unseen


@dataclass(frozen=True, slots=True)
class Column:
    """One tactic with its techniques, in the order of the matrix."""

    id: str
    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A knowledge base of techniques.

    Attributes:
        key: how the command line calls it.
        name: how people call it.
        version: of the tables, as its publisher counts.
        tag: what Sigma tags that speak of it begin with, up to the dot.
        columns: its tactics.
        successors: ids that earlier versions used, by what stands for them now.
    """

    key: str
    name: str
    version: str
    tag: str
    columns: tuple[Column, ...]
    successors: Mapping[str, str]

    def cells(self) -> Iterator[Cell]:
        """Every technique once, in the order of its first column."""
        seen: set[str] = set()
        for column in self.columns:
            for cell in column.cells:
                if cell.id not in seen:
                    seen.add(cell.id)
                    yield cell

    def current(self, identifier: str) -> str:
        """The id under which this version knows a technique."""
        return self.successors.get(identifier, identifier)


def columns_of(text: str, tactics: Mapping[str, str], cells: Mapping[str, Cell]) -> tuple[Column, ...]:
    """Columns from lines ``TACTIC: ID ID ...``. Raises ``KeyError`` for a word that no table has."""
    rows = (line.partition(":") for line in text.strip().splitlines())
    return tuple(
        Column(tactic, tactics[tactic], tuple(cells[identifier] for identifier in identifiers.split()))
        for tactic, _, identifiers in rows
    )
