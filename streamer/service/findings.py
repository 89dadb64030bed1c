"""What a check-up says: one thing looked at, one sentence, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        level: ``ok``; ``note``: streamer runs, and somebody should know; ``wrong``: it does not do its work like this.
        sentence: what was found.
        hint: what to do about it.
    """

    level: Literal["ok", "note", "wrong"]
    sentence: str
    hint: str | None = None

    @property
    def fine(self) -> bool:
        """Whether streamer can do its work."""
        return self.level != "wrong"


def ok(sentence: str) -> Finding:
    """All is well."""
    return Finding("ok", sentence)


def note(sentence: str, hint: str | None = None) -> Finding:
    """Something to know."""
    return Finding("note", sentence, hint)


def wrong(sentence: str, hint: str | None = None) -> Finding:
    """Something to mend."""
    return Finding("wrong", sentence, hint)
