"""Points at which a process of the service kills itself, because it was told so: ``CHAOS_CRASH=POINT:COUNT``.

The ledger of a partition passes named points by itself. The others are laid around what the roles ask of their doors.
``CHAOS_DELAY=POINT:SECONDS`` waits at a point instead, for example to make every restore a long one.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
from collections.abc import Callable
from typing import Any, Final

from streamer.kafka.ledger import POINTS, KafkaLedger

DETECT_POINTS: Final = ("detect-before-send", "detect-after-send", "detect-before-commit", "detect-after-commit")
INDEX_POINTS: Final = ("index-before-bulk", "index-after-bulk", "index-before-commit", "index-after-commit")
ALL_POINTS: Final = (*POINTS, *DETECT_POINTS, *INDEX_POINTS)

_AROUND: Final = (
    ("streamer.service.roles.findings", "Sender", "send", "detect", "send"),
    ("streamer.kafka.raw_group", "RawGroupReader", "commit", "detect", "commit"),
    ("streamer.elastic", "Bulk", "send", "index", "bulk"),
    ("streamer.kafka.alerts_reader", "AlertsReader", "commit", "index", "commit"),
)
"""(module, class, method, role, what it does): points before and after every call that has something to do."""


class Crash:
    """Counts how often a point was passed, and kills the process at the chosen one.

    Args:
        crash: ``POINT:COUNT``; empty: never.
        delay: ``POINT:SECONDS``; empty: never.
    """

    def __init__(self, crash: str, delay: str = "") -> None:
        self._point, _, count = crash.partition(":")
        self._left = int(count or 1)
        self._slow, _, seconds = delay.partition(":")
        self._delay_s = float(seconds or 0)

    @classmethod
    def asked_for(cls) -> Crash:
        """What the environment says."""
        return cls(os.environ.get("CHAOS_CRASH", ""), os.environ.get("CHAOS_DELAY", ""))

    async def pass_point(self, point: str) -> None:
        """Called at every point."""
        if point == self._point:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        if point == self._slow:
            await asyncio.sleep(self._delay_s)

    def install(self) -> None:
        """Lay the points into this process."""
        _give_points(KafkaLedger, self.pass_point)
        for module, name, method, role, what in _AROUND:
            cls = getattr(importlib.import_module(module), name)
            setattr(
                cls, method, _surrounded(getattr(cls, method), self, f"{role}-before-{what}", f"{role}-after-{what}")
            )


def _give_points(ledger: Any, points: Callable[..., Any]) -> None:
    made = ledger.__init__

    def making(self: Any, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **(options | {"points": points}))

    ledger.__init__ = making


def _surrounded(method: Callable[..., Any], crash: Crash, before: str, after: str) -> Callable[..., Any]:
    async def surrounded(self: Any, work: Any, *arguments: Any, **options: Any) -> Any:
        if not getattr(work, "addressed", work):
            return await method(self, work, *arguments, **options)
        await crash.pass_point(before)
        result = await method(self, work, *arguments, **options)
        await crash.pass_point(after)
        return result

    return surrounded
