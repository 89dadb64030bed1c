"""Collecting every problem of every file, each with its place and, where there is one, what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final, overload

from streamer.errors import Place, RuleError

_SHOWN: Final = 12


class Problems:
    """Grows while files are read; errors and warnings in the order found."""

    def __init__(self) -> None:
        self._found: list[RuleError] = []

    def error(self, code: str, place: Place, message: str, hint: str | None = None) -> None:
        """Record what refuses the rule."""
        self._found.append(RuleError(code, place, _printable(message), hint=_printable(hint)))

    def warning(self, code: str, place: Place, message: str, hint: str | None = None) -> None:
        """Record what is shown and does not refuse the rule."""
        problem = RuleError(code, place, _printable(message), hint=_printable(hint), severity="warning")
        self._found.append(problem)

    def errors(self) -> int:
        """How many errors there are so far; a rise across a call means that what was read is broken."""
        return sum(problem.severity == "error" for problem in self._found)

    def in_order(self) -> tuple[RuleError, ...]:
        """All of them by place, those of one place in the order found."""
        return tuple(sorted(self._found, key=lambda problem: problem.place))


@overload
def _printable(text: str) -> str: ...
@overload
def _printable(text: None) -> None: ...
def _printable(text: str | None) -> str | None:
    """Messages quote rule files, which may hold escape sequences; terminals must not see them."""
    if text is None or text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """``did you mean`` sentence with the known word most like this one, or ``None`` if none is near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(word.lower()[:100], list(by_lower), n=1, cutoff=0.6)
    return f"did you mean `{by_lower[close[0]]}`?" if close else None


def one_of(known: Iterable[str]) -> str:
    """``one of a, b, c``, for hints; nothing for lists too long to help."""
    words = tuple(known)
    return "one of " + ", ".join(words) if len(words) <= _SHOWN else "remove it"
