"""Collecting every problem of every file, each with its place and, where there is one, what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from streamer.errors import Place, RuleError


class Problems:
    """Grows while files are read; errors and warnings in the order found."""

    def __init__(self) -> None:
        self._found: list[RuleError] = []

    def error(self, code: str, place: Place, message: str, hint: str | None = None) -> None:
        """Record what refuses the rule."""
        self._found.append(RuleError(code, place, message, hint=hint))

    def warning(self, code: str, place: Place, message: str, hint: str | None = None) -> None:
        """Record what is shown and does not refuse the rule."""
        self._found.append(RuleError(code, place, message, hint=hint, severity="warning"))

    def errors(self) -> int:
        """How many errors there are so far; a rise across a call means that what was read is broken."""
        return sum(problem.severity == "error" for problem in self._found)

    def in_order(self) -> tuple[RuleError, ...]:
        """All of them by place, those of one place in the order found."""
        return tuple(sorted(self._found, key=lambda problem: problem.place))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """``did you mean`` sentence with the known word most like this one, or ``None`` if none is near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(word.lower()[:100], list(by_lower), n=1, cutoff=0.6)
    return f"did you mean `{by_lower[close[0]]}`?" if close else None


def one_of(known: Iterable[str]) -> str:
    """``one of a, b, c``, for hints."""
    return "one of " + ", ".join(known)
