"""A TCP proxy in front of Kafka that can make the end of one transaction arrive much later than it was sent.

That is what a slow network or a paused switch does. The client gets no answer, loses the connection, connects again
and sends the same end a second time, which passes. When the next transaction of the same producer has begun and its
first records are written, the first bytes arrive after all: a broker that still takes them for current ends a
transaction of which half is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

PRODUCE: Final = 0
END_TXN: Final = 26


@dataclass(frozen=True, slots=True)
class Frame:
    """One request as it stands on the wire.

    Attributes:
        writer: its transactional id; empty for requests that are neither a Produce nor an EndTxn.
    """

    data: bytes
    api: int
    correlation: int
    writer: str


def frame_of(data: bytes) -> Frame:
    """Read as much of a request (its length first) as the proxy needs to know."""
    api, version, correlation, name = struct.unpack_from(">hhih", data, 4)
    at = 14 + max(0, name)
    writer = ""
    if (api == PRODUCE and 3 <= version < 9) or (api == END_TXN and version < 3):
        (length,) = struct.unpack_from(">h", data, at)
        writer = data[at + 2 : at + 2 + max(0, length)].decode()
    return Frame(data, api, correlation, writer)


@dataclass(slots=True)
class Delay:
    """One delayed end of a transaction and how far it has come; made by :meth:`KafkaProxy.delay`.

    Attributes:
        prefix: of the transactional ids it may befall.
        writer: whom it befell.
        retried: whether the client sent the same end again, by itself.
        released: whether the held bytes have reached the broker.
    """

    prefix: str
    writer: str = ""
    held: bytes = b""
    retried: bool = False
    released: bool = False
    _answer_to: tuple[int, int] | None = None
    _open: threading.Event = field(default_factory=threading.Event)
    _done: threading.Event = field(default_factory=threading.Event)

    def wait(self, timeout_s: float) -> bool:
        """Until the bytes have been released; the writer's transaction then stands still until :meth:`let_go`."""
        return self._done.wait(timeout_s)

    def let_go(self) -> None:
        """Let the writer's further requests pass."""
        self._open.set()


class KafkaProxy:
    """Listens on one port and talks to the broker on another, in a thread of its own."""

    def __init__(self, listen_port: int, broker_port: int) -> None:
        self._listen_port = listen_port
        self._broker_port = broker_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._delay: Delay | None = None
        self._links: set[_Link] = set()
        self._count = 0

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self._run(self._listen())

    @property
    def started(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    def stop(self) -> None:
        """Hang up and end."""
        self._run(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def delay(self, prefix: str) -> Delay:
        """Hold the next end of a transaction whose writer's name begins so."""
        self._delay = Delay(prefix)
        return self._delay

    def forget(self) -> None:
        """Be transparent again."""
        self._delay = None

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._listen_port)

    async def _hang_up(self) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self._links):
            link.close()
        await asyncio.sleep(0.1)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._broker_port)
        except OSError:
            writer.close()
            return
        self._count += 1
        link = _Link(self._count, (reader, writer), upstream, self._asked, self._answered)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _asked(self, link: _Link, frame: Frame) -> bool:
        """Whether the request may pass; may wait."""
        delay = self._delay
        if delay is None or not frame.writer.startswith(delay.prefix):
            return True
        if not delay.held:
            if frame.api != END_TXN:
                return True
            delay.writer, delay.held = frame.writer, frame.data
            await asyncio.sleep(0.2)
            link.close()
            return False
        if frame.writer != delay.writer:
            return True
        if frame.api == END_TXN and not delay.retried:
            delay.retried = True
        elif delay.retried and frame.api == PRODUCE and delay._answer_to is None:
            delay._answer_to = (link.number, frame.correlation)
        elif delay._answer_to is not None:
            await asyncio.to_thread(delay._open.wait, 60)
        return True

    async def _answered(self, link: _Link, correlation: int) -> None:
        delay = self._delay
        if delay is None or delay._answer_to != (link.number, correlation) or delay.released:
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self._broker_port)
        writer.write(delay.held)
        await writer.drain()
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(reader.read(4), 5)
        writer.close()
        delay.released = True
        delay._done.set()


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection of a client, and the one to the broker that belongs to it."""

    def __init__(
        self,
        number: int,
        client: _Stream,
        broker: _Stream,
        asked: Callable[[_Link, Frame], Awaitable[bool]],
        answered: Callable[[_Link, int], Awaitable[None]],
    ) -> None:
        self.number = number
        self._client, self._broker = client, broker
        self._ask, self._answer = asked, answered

    async def run(self) -> None:
        """Until either side hangs up."""
        ways = [asyncio.create_task(self._requests()), asyncio.create_task(self._answers())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self.close()

    def close(self) -> None:
        """Hang up on both sides."""
        for _, writer in (self._client, self._broker):
            writer.close()

    async def _requests(self) -> None:
        async for data in _frames(self._client[0]):
            if await self._ask(self, frame_of(data)):
                self._broker[1].write(data)
                await self._broker[1].drain()

    async def _answers(self) -> None:
        async for data in _frames(self._broker[0]):
            await self._answer(self, struct.unpack_from(">i", data, 4)[0])
            self._client[1].write(data)
            await self._client[1].drain()


async def _frames(reader: asyncio.StreamReader) -> Any:
    """Requests or answers, each with its length in front, until the other side hangs up."""
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        while True:
            head = await reader.readexactly(4)
            (length,) = struct.unpack(">i", head)
            yield head + await reader.readexactly(length)
