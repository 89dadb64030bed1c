"""Alerts that no index will take: to the dead-letter topic, with where they stood and why, before positions move."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from streamer.errors import ServerError
from streamer.kafka.dead_letter import message_of
from streamer.kafka.outlet import Outlet
from streamer.model import DeadLetter, Position
from streamer.ports import Message
from streamer.service.roles.backlog import Entry
from streamer.service.roles.trouble import Trouble

_log = structlog.get_logger("streamer.index")
NOT_INDEXED: Final = "not-indexed"
NO_ALERT: Final = "no-alert"
_AT_ONCE: Final = 20
"""Letters of half a megabyte each at most."""


@dataclass(slots=True)
class _Letter:
    entry: Entry
    letter: DeadLetter
    message: Message


class Burial:
    """The way of refused alerts out.

    Args:
        outlet: where messages go.
        topic: the dead-letter topic.
        alerts: the alerts topic, part of a letter's position.
        source: the CloudEvents source, for example ``/streamer/prod-1``.
        decided: called for each entry whose letter is written.

    Attributes:
        letters: how many are written, by reason.
    """

    def __init__(
        self, outlet: Outlet, *, topic: str, alerts: str, source: str, decided: Callable[[Entry], None]
    ) -> None:
        self.letters: Counter[str] = Counter()
        self.trouble = Trouble("writing dead letters", _log)
        self._outlet = outlet
        self._topic = topic
        self._alerts = alerts
        self._source = source
        self._decided = decided
        self._waiting: deque[_Letter] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._started = False

    def bury(self, entry: Entry, reason: str, detail: str) -> None:
        """Set an entry aside; it is decided when its letter is written."""
        position = Position(self._alerts, entry.lane.partition, entry.offset, is_file=False)
        letter = DeadLetter(reason, detail, position, entry.value, len(entry.value))
        _log.error("an alert is set aside as a dead letter", reason=reason, detail=detail, position=str(position))
        self._waiting.append(_Letter(entry, letter, self._message(letter)))
        self._empty.clear()
        self._more.set()

    async def run(self) -> None:
        """Write letters as they come, however long the server is away."""
        while True:
            self._forget_revoked()
            if not self._waiting:
                self._empty.set()
                self._more.clear()
                await self._more.wait()
            batch = [self._waiting[number] for number in range(min(_AT_ONCE, len(self._waiting)))]
            try:
                if not self._started:
                    await self._outlet.restart()
                    self._started = True
                await self._outlet.send_all([each.message for each in batch])
            except ServerError as error:
                self._started = False
                self._cut(batch, error)
                await asyncio.sleep(self.trouble.struck(error, time.monotonic()))
                continue
            self.trouble.over()
            for each in batch:
                self._waiting.popleft()
                self.letters[each.letter.reason] += 1
                self._decided(each.entry)

    async def written(self) -> None:
        """Wait until nothing waits any more."""
        await self._empty.wait()

    async def stop(self) -> None:
        """Let the outlet go."""
        await self._outlet.stop()

    def _forget_revoked(self) -> None:
        """Whoever has the partition now writes their letters."""
        if not all(each.entry.lane.alive for each in self._waiting):
            self._waiting = deque(each for each in self._waiting if each.entry.lane.alive)

    def _cut(self, batch: Sequence[_Letter], error: ServerError) -> None:
        """A topic may allow less than a letter of the usual size: then it goes without the original."""
        culprit = getattr(error, "culprit", None)
        for each in batch:
            if each.message is culprit or each.message == culprit:
                each.letter = replace(each.letter, value=b"")
                each.message = self._message(each.letter)

    def _message(self, letter: DeadLetter) -> Message:
        return message_of(letter, topic=self._topic, source=self._source, stage="index")
