"""Bulk requests side by side, and what is done with every answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from streamer.elastic import Bulk, Outcome, Verdict
from streamer.errors import ServerError, SettingsError
from streamer.service.patience import Backoff
from streamer.service.roles.backlog import Backlog, Entry
from streamer.service.roles.burial import NOT_INDEXED, Burial
from streamer.service.roles.trouble import Trouble

_log = structlog.get_logger("streamer.index")
_TURN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """Bounds of the role.

    Attributes:
        parallel: bulk requests in flight at once.
        documents: most alerts of one request.
        linger_s: how long an alert waits for others to share a request with.
        memory_bytes: read and not decided; beyond it reading pauses until half of it is left.
        commit_every_s: how often positions are stored.
        drain_s: how long a stopping role waits for what is in flight.
        unready_after_s: how long a server may be away before the role counts as not ready.
        slow_s: how long to wait after a refusal that only a person can mend.
    """

    parallel: int = 4
    documents: int = 500
    linger_s: float = 1.0
    memory_bytes: int = 64 * 1024 * 1024
    commit_every_s: float = 1.0
    drain_s: float = 10.0
    unready_after_s: float = 60.0
    slow_s: float = 30.0


class Shipping:
    """Takes alerts from the backlog, sends them, and decides them.

    Args:
        backlog: what was read.
        bulk: Elasticsearch.
        burial: where refused alerts go.
        options: bounds.

    Attributes:
        retries: alerts sent again.
        connected: Elasticsearch has answered once.
        server: whether it is away or busy.
        indices: those that take nothing now, by name.
        changed: to be set when something new waits.
    """

    def __init__(self, backlog: Backlog, bulk: Bulk, burial: Burial, options: IndexOptions) -> None:
        self.retries = 0
        self.connected = False
        self.server = Trouble("indexing", _log, backoff=Backoff(slow_s=options.slow_s))
        self.indices: dict[str, Trouble] = {}
        self.changed = asyncio.Event()
        self._backlog = backlog
        self._bulk = bulk
        self._burial = burial
        self._options = options
        self._in_flight: set[asyncio.Task[None]] = set()

    async def finish(self) -> None:
        """Wait for the requests in flight."""
        if self._in_flight:
            await asyncio.wait(self._in_flight)

    async def abandon(self) -> None:
        """Wait no longer."""
        for task in self._in_flight:
            task.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    async def run(self) -> None:
        """Send what the backlog holds, as it comes, until cancelled. Raises ``SettingsError`` at the start."""
        await self._connect()
        while True:
            self.changed.clear()
            self._collect()
            batch = self._next()
            if batch:
                self._in_flight.add(asyncio.create_task(self._send(batch)))
                continue
            try:
                async with asyncio.timeout(self._wait_s()):
                    await self.changed.wait()
            except TimeoutError:
                continue

    async def _connect(self) -> None:
        """Also with nothing to send: whether the server can be reached is part of being ready."""
        while True:
            try:
                await self._bulk.open()
            except ServerError as error:
                await asyncio.sleep(self.server.struck(error, time.monotonic()))
            else:
                self.server.over()
                self.connected = True
                return

    def _collect(self) -> None:
        """Look at requests that ended: what they raise is a defect, and must not pass in silence."""
        for task in [task for task in self._in_flight if task.done()]:
            self._in_flight.discard(task)
            task.result()

    def _slots(self) -> int:
        """While the server is away or busy, one request tries."""
        return 1 if self.server.is_on else self._options.parallel

    def _next(self) -> list[Entry]:
        now_s = time.monotonic()
        if len(self._in_flight) >= self._slots() or now_s < self.server.again_s:
            return []
        for index, trouble in list(self.indices.items()):
            if trouble.probing or now_s < trouble.again_s:
                continue
            if batch := self._backlog.probe(index):
                trouble.probing = True
                return batch
            self.indices.pop(index)
            self._backlog.unpark(index)
        if self._due_s(now_s) == 0.0:
            return self._backlog.take(documents=self._options.documents, most_bytes=self._bulk.most_bytes)
        return []

    def _due_s(self, now_s: float) -> float | None:
        linger_s, documents = self._options.linger_s, self._options.documents
        return self._backlog.due_s(now_s, linger_s, documents=documents, most_bytes=self._bulk.most_bytes)

    def _wait_s(self) -> float:
        """How long nothing can happen by itself."""
        if len(self._in_flight) >= self._slots():
            return _TURN_S
        now_s = time.monotonic()
        if now_s < self.server.again_s:
            return min(_TURN_S, self.server.again_s - now_s)
        waits = [trouble.again_s - now_s for trouble in self.indices.values() if not trouble.probing]
        due_s = self._due_s(now_s)
        return max(0.0, min([_TURN_S, *waits, *([] if due_s is None else [due_s])]))

    async def _send(self, batch: Sequence[Entry]) -> None:
        documents = [entry.document for entry in batch if entry.document is not None]
        assert len(documents) == len(batch)
        try:
            outcomes = await self._bulk.send(documents)
        except (ServerError, SettingsError) as error:
            self.server.struck(error, time.monotonic())
            self._again(batch)
        else:
            self._settle(batch, outcomes)
        finally:
            self.changed.set()

    def _settle(self, batch: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
        """Decide what is decided; the rest goes again, at once or when its index takes documents."""
        busy: list[Entry] = []
        held: dict[str, list[Entry]] = {}
        why: dict[str, ServerError] = {}
        for entry, outcome in zip(batch, outcomes, strict=True):
            assert entry.document is not None
            index = entry.document.index
            if outcome.error is None:
                self._index_works(index)
                if outcome.verdict is Verdict.REFUSED:
                    self._burial.bury(entry, NOT_INDEXED, outcome.told)
                else:
                    self._backlog.decide(entry)
            elif outcome.verdict is Verdict.BUSY:
                busy.append(entry)
                why[""] = outcome.error
            else:
                held.setdefault(index, []).append(entry)
                why[index] = outcome.error
        if not busy:
            self.server.over()
        else:
            if len(busy) < len(batch):
                self.server.progress()
            self.server.struck(why[""], time.monotonic())
            self._again(busy)
        for index, entries in held.items():
            self._hold(index, entries, why[index])

    def _again(self, entries: Sequence[Entry]) -> None:
        """They go again as soon as the server may be asked; those of a parked index are parked."""
        self.retries += len(entries)
        back: list[Entry] = []
        for entry in entries:
            index = entry.document.index if entry.document is not None else ""
            if index in self.indices:
                self.indices[index].probing = False
                self._backlog.park(index, [entry])
            else:
                back.append(entry)
        self._backlog.give_back(back)

    def _hold(self, index: str, entries: Sequence[Entry], error: ServerError) -> None:
        self.retries += len(entries)
        if index not in self.indices:
            backoff = Backoff(slow_s=self._options.slow_s)
            self.indices[index] = Trouble(f"indexing into {index}", _log, backoff=backoff)
        self.indices[index].struck(error, time.monotonic())
        self._backlog.park(index, entries)

    def _index_works(self, index: str) -> None:
        if (trouble := self.indices.pop(index, None)) is not None:
            trouble.over()
            self._backlog.unpark(index)
