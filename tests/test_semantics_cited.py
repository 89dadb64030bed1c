"""Every numbered sentence of the semantics is cited by at least one test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "semantics.md"
NUMBER = re.compile(r"\[([TIDKWCAG]\d+)\]")
FAMILIES = {"T": 7, "I": 5, "D": 7, "K": 5, "W": 3, "C": 12, "A": 5, "G": 4}
"""How many sentences each family has; a page that loses one must not pass silently."""


def _numbers_of_the_page() -> set[str]:
    return set(NUMBER.findall(PAGE.read_text(encoding="utf-8")))


def _docstrings(path: Path) -> Iterator[str]:
    """Docstrings of the tests in a file, and of the classes and modules they stand in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield ast.get_docstring(node) or ""


def _cited() -> set[str]:
    found: set[str] = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for docstring in _docstrings(path):
            found.update(NUMBER.findall(docstring))
    return found


def test_the_page_numbers_every_sentence_it_promises() -> None:
    """The page and this test agree on which numbers there are."""
    if not PAGE.exists():
        pytest.fail(f"{PAGE.relative_to(ROOT)} is missing: it holds the numbered sentences that tests cite")
    expected = {f"{family}{number}" for family, count in FAMILIES.items() for number in range(1, count + 1)}
    assert _numbers_of_the_page() == expected


def test_every_numbered_sentence_is_cited_by_a_test() -> None:
    """A sentence that no test cites is a promise that nobody checks."""
    if not PAGE.exists():
        pytest.fail(f"{PAGE.relative_to(ROOT)} is missing: it holds the numbered sentences that tests cite")
    assert sorted(_numbers_of_the_page() - _cited()) == []
