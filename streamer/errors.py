"""Every error streamer raises on purpose, and who must act.

::

    StreamerError
    ├── RuleError            the rule's author: a rule file says something that cannot be evaluated exactly
    ├── RuleSetError         the rule's author: several RuleErrors, collected (``.problems``)
    ├── RecordError          the record's producer: bytes that hold no event (becomes a dead letter)
    ├── SettingsError        the operator: configuration that cannot work
    ├── StateError           the operator: stored state that cannot be continued (newer schema, cut log)
    └── ServerError          the operator: a server is away (``retriable``) or does not fit (not ``retriable``)
        └── LedgerLost       nobody: the owner of a partition throws away what it has in memory and takes over again

Anything else that escapes is a defect of ours. No traceback is ever shown to a user: the command line prints
``str(error)`` and, where there is one, ``error.hint``.
"""

from __future__ import annotations

from dataclasses import dataclass


class StreamerError(Exception):
    """Base of all errors that are meant for a person.

    Args:
        message: what was found and where, one sentence.
        hint: what to do or to write instead, one sentence; ``None`` where the message says it all.
    """

    retriable = False
    """Whether trying the same again later may succeed without anybody changing anything."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a text file. Lines and columns count from 1; 0 means "the file as a whole"."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """``path:line:column``, the form editors and terminals make clickable."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


class RuleError(StreamerError):
    """One problem of one rule file.

    Args:
        code: stable name of the check, kebab-case, for example ``unknown-key``.
        place: where it is.
        message: what was found and why it cannot stand.
        hint: what to write instead.
        severity: ``error`` refuses the rule; ``warning`` is shown and does not.
    """

    def __init__(
        self, code: str, place: Place, message: str, *, hint: str | None = None, severity: str = "error"
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.place = place
        self.severity = severity

    def __str__(self) -> str:
        """``path:line:column: severity[code] message``."""
        return f"{self.place}: {self.severity}[{self.code}] {self.message}"


class RuleSetError(StreamerError):
    """A rule set that must not be used: all problems found, not the first only."""

    def __init__(self, problems: tuple[RuleError, ...]) -> None:
        errors = sum(problem.severity == "error" for problem in problems)
        super().__init__(f"{errors} problem{'s' if errors != 1 else ''} in the rule files")
        self.problems = problems


class RecordError(StreamerError):
    """Bytes that hold no event. ``reason`` is a stable kebab-case word that metrics count by."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SettingsError(StreamerError):
    """Configuration that cannot work; the message names the key and where its value came from."""


class StateError(StreamerError):
    """Stored state that cannot be continued; streamer never starts empty silently."""


class ServerError(StreamerError):
    """A server that is away or does not fit."""

    def __init__(self, message: str, *, hint: str | None = None, retriable: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.retriable = retriable


class LedgerLost(ServerError):  # noqa: N818 - the word for what happened, as the protocol says it
    """The database of a partition cannot be gone on with: somebody else owns it, or an answer is in doubt.

    Args:
        message: what happened, one sentence.
        fenced: somebody else has taken the partition over.
        culprit: the message (:class:`streamer.ports.Message`) that was refused for what it is: too large, invalid.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, fenced: bool = False, culprit: object | None = None
    ) -> None:
        super().__init__(message, hint=hint, retriable=True)
        self.fenced = fenced
        self.culprit = culprit
