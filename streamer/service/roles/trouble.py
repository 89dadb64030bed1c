"""Something that is away: since when, why, when to try again, and whether it keeps the role from being ready."""

from __future__ import annotations

from typing import Any

from streamer.errors import ServerError, SettingsError
from streamer.service.patience import Backoff, Outage


class Trouble:
    """One server, or one index of it.

    Args:
        what: its name in the log and in ``/readyz``.
        log: where it is said, once when it goes and once when it is back.

    Attributes:
        again_s: not before this moment (monotonic clock) is it tried again.
        probing: a try is on its way.
    """

    def __init__(self, what: str, log: Any, *, backoff: Backoff | None = None) -> None:
        self.what = what
        self.again_s = 0.0
        self.probing = False
        self._outage = Outage(what, log)
        self._backoff = backoff or Backoff()
        self._error: ServerError | None = None

    @property
    def is_on(self) -> bool:
        """Whether it is away."""
        return self._outage.is_on

    def since_s(self, now_s: float) -> float:
        """For how many seconds it has been away."""
        since_s = self._outage.since_s
        return 0.0 if since_s is None else now_s - since_s

    def struck(self, error: ServerError | SettingsError, now_s: float) -> float:
        """It failed; returns the seconds to wait: full jitter, or long where only a person can mend it."""
        if isinstance(error, SettingsError):
            # It worked before: a file of a secret is being replaced.
            error = ServerError(error.message, hint=error.hint, retriable=False)
        self._error = error
        self._outage.gone(error)
        self.probing = False
        wait_s = self._backoff.after(error)
        self.again_s = now_s + wait_s
        return wait_s

    def progress(self) -> None:
        """Part of it worked: the next wait is short again."""
        self._backoff.reset()

    def over(self) -> None:
        """It worked."""
        self._outage.back()
        self._backoff.reset()
        self._error = None
        self.again_s = 0.0

    def why(self, now_s: float, after_s: float) -> str | None:
        """The sentence, once it has lasted for ``after_s`` seconds, or at once where waiting does not mend it."""
        since_s = self._outage.since_s
        if self._error is None or since_s is None:
            return None
        if self._error.retriable and now_s - since_s < after_s:
            return None
        hint = f" {self._error.hint}" if self._error.hint else ""
        return f"{self._error}.{hint}"
