"""Waiting for servers that are away: ever longer, at random, without end, and saying so once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from streamer.errors import ServerError

_T = TypeVar("_T")


@dataclass(slots=True)
class Backoff:
    """Waits between attempts: full jitter below a bound that doubles.

    Attributes:
        first_s: bound of the first wait.
        longest_s: bound of all later ones.
        slow_s: wait after an error that only a person can repair.
    """

    first_s: float = 0.1
    longest_s: float = 15.0
    slow_s: float = 30.0
    attempt: int = 0

    def after(self, error: ServerError) -> float:
        """Seconds to wait after one more failure."""
        if not error.retriable:
            return self.slow_s
        bound = min(self.longest_s, self.first_s * 2 ** min(self.attempt, 20))
        self.attempt += 1
        # Never quite zero: a server that refuses at once must not be asked in a tight loop.
        return random.uniform(bound / 10, bound)  # noqa: S311 (no secret; many clients must not come back together)

    def reset(self) -> None:
        """It worked."""
        self.attempt = 0


@dataclass(slots=True)
class Outage:
    """Whether something is away, since when, and whether that was said.

    Attributes:
        what: its name in the log.
        log: where it is said: one line when it goes away (or the reason changes), one when it is back.
    """

    what: str
    log: Any
    since_s: float | None = None
    said: str = ""

    def gone(self, error: ServerError) -> None:
        """It failed."""
        if self.since_s is None:
            self.since_s = time.monotonic()
        reason = "away" if error.retriable else str(error)
        if self.said != reason:
            self.said = reason
            self.log.warning(
                "not available; trying again until it is", what=self.what, error=str(error), hint=error.hint
            )

    def back(self) -> None:
        """It worked."""
        if self.since_s is not None:
            away_s = round(time.monotonic() - self.since_s, 1)
            self.log.info("available again", what=self.what, away_s=away_s)
            self.since_s = None
            self.said = ""

    @property
    def is_on(self) -> bool:
        """Whether it is away now."""
        return self.since_s is not None


async def until_it_works(work: Callable[[], Awaitable[_T]], outage: Outage) -> _T:
    """Try again until a server answers; every other error is the caller's."""
    backoff = Backoff()
    while True:
        try:
            result = await work()
        except ServerError as error:
            outage.gone(error)
            await asyncio.sleep(backoff.after(error))
        else:
            outage.back()
            return result


async def until_set(event: asyncio.Event) -> None:
    """Wait for an event, as a task beside others."""
    await event.wait()


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended; what they raised is not looked at.

    A task that is cancelled at the very moment when what it waits for arrives may overhear it; then it is told again.
    """
    open_ = {task for task in tasks if not task.done()}
    while open_:
        for task in open_:
            task.cancel()
        _, open_ = await asyncio.wait(open_, timeout=1.0)
    for task in tasks:
        if not task.cancelled():
            task.exception()
