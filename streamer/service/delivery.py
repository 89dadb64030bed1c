"""Brings what the store holds to where it goes, each sink at its own pace.

A sink that is away for hours holds up neither the reading nor the other sinks: what is told waits in the store. A
document is marked as delivered after the sink has it; a crash between the two delivers it again, under the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar, runtime_checkable

import structlog

from streamer.errors import ServerError, SettingsError
from streamer.service.patience import Backoff, Outage

_log = structlog.get_logger("streamer.delivery")
_Item = TypeVar("_Item")
_Id = TypeVar("_Id")
_Given_contra = TypeVar("_Given_contra", contravariant=True)
_Told_co = TypeVar("_Told_co", covariant=True)
BATCH: Final = 200
"""Documents given to a sink at once: about a megabyte."""


class Target(Protocol[_Given_contra, _Told_co]):
    """A sink for one sort of item; :class:`streamer.ports.Sink` is one for documents."""

    name: str

    async def start(self) -> None:
        """Connect and check."""
        ...

    async def deliver(self, items: Sequence[_Given_contra], /) -> Sequence[_Told_co]:
        """The ids that are done."""
        ...

    async def stop(self) -> None:
        """Close."""
        ...


@runtime_checkable
class SetsAside(Protocol):
    """A sink that counts as delivered what its server will never take, and says which and why."""

    set_aside: dict[str, str]


class Courier(Generic[_Item, _Id]):
    """The task of one sink.

    Args:
        sink: where to.
        waiting: the oldest items the sink does not have yet, at most so many.
        done: marks items as delivered.

    Attributes:
        outage: whether the sink is away.
        delivered: how many items it took.
    """

    def __init__(
        self,
        sink: Target[_Item, _Id],
        waiting: Callable[[int], Sequence[_Item]],
        done: Callable[[Sequence[_Id]], None],
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = sink.name
        self.outage = Outage(f"delivering to {sink.name}", _log)
        self.delivered = 0
        self.connected = False
        self._sink = sink
        self._waiting = waiting
        self._done = done
        self._backoff = backoff or Backoff()
        self._more = asyncio.Event()
        self._closing = asyncio.Event()

    def wake(self) -> None:
        """Something new may be waiting."""
        self._more.set()

    def close(self) -> None:
        """End when nothing is waiting any more."""
        self._closing.set()
        self._more.set()

    async def run(self) -> None:
        """Deliver until closed; retriable errors are retried without end."""
        try:
            while True:
                self._more.clear()
                try:
                    empty = await self._deliver_some()
                except (ServerError, SettingsError) as error:
                    await self._fail(error)
                    continue
                if empty and self._closing.is_set():
                    return  # the sink was not asked: whether it is back is not known
                self.outage.back()
                self._backoff.reset()
                if empty:
                    await self._more.wait()
        finally:
            await self._sink.stop()

    async def _fail(self, error: ServerError | SettingsError) -> None:
        if isinstance(error, SettingsError):
            if not self.connected:
                raise error
            # It worked before: a file of a secret is being replaced.
            error = ServerError(error.message, hint=error.hint, retriable=False)
        self.outage.gone(error)
        await self._pause(self._backoff.after(error))

    async def _deliver_some(self) -> bool:
        """One batch; returns whether nothing was waiting."""
        items = await asyncio.to_thread(self._waiting, BATCH)
        if not items and self._closing.is_set():
            return True
        if not self.connected:
            # Also with nothing to deliver: whether a sink can be reached is part of being ready.
            await self._sink.start()
            self.connected = True
        if not items:
            return True
        ids = await self._sink.deliver(items)
        if ids:
            await asyncio.to_thread(self._done, ids)
            self.delivered += len(ids)
        if isinstance(self._sink, SetsAside):
            while self._sink.set_aside:
                name, reason = self._sink.set_aside.popitem()
                _log.error("set aside for good; it stays in the store", sink=self.name, id=name, reason=reason)
        if len(ids) < len(items):
            raise ServerError(f"{self.name} took {len(ids)} of {len(items)} documents")
        return False

    async def _pause(self, seconds: float) -> None:
        """Wait; being closed makes one more attempt at once, for what is possible before the end."""
        if self._closing.is_set():
            await asyncio.sleep(seconds)
            return
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return
