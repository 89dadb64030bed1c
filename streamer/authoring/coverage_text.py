"""The coverage in words: what stands in a row of the table, and the whole as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from streamer.authoring.coverage import Coverage, Covered

NO_RULE: Final = "no rule yet"


def told(item: Covered, most: int) -> str:
    """What the table says of a technique: its rules, the most severe first, or why there are none.

    Args:
        item: the technique.
        most: how many names stand there at most; the others are counted.
    """
    if not item.visible:
        return f"not visible: {item.cell.unseen}"
    if not item.rules:
        return NO_RULE
    names = ", ".join(rule.name for rule in item.rules[:most])
    more = len(item.rules) - most
    return f"{names} and {more} more" if more > 0 else names


def markdown(found: Coverage, most: int = 5) -> str:
    """A section of a page: the sentence, then a table per tactic."""
    return "\n".join([f"## {found.matrix.name}", "", f"{found.summary()}.", "", *_sections(found, most)])


def _sections(found: Coverage, most: int) -> Iterator[str]:
    for column, cells in found.columns():
        yield from _table(column.name, cells, most)
    if found.outside:
        yield from _table("Also told of, outside of this matrix", found.outside, most)


def _table(name: str, cells: tuple[Covered, ...], most: int) -> Iterator[str]:
    yield from (f"### {name}", "", "| id | technique | rules | level | firing cases | which |", "| --- " * 6 + "|")
    for item in cells:
        numbers = (str(len(item.rules)), item.level or "", str(item.cases)) if item.rules else ("", "", "")
        which = told(item, most) if item.rules else f"*{told(item, most)}*"
        yield f"| {item.cell.id} | {item.cell.name} | " + " | ".join((*numbers, which)) + " |"
    yield ""
