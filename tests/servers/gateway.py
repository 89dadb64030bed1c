"""A small HTTP proxy in front of a server, which can do what proxies and networks do to a request."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

Mode = Literal["pass", "refuse", "unavailable", "page", "lose-answer", "freeze"]


class Gateway:
    """Forwards one request per connection.

    Attributes:
        mode: what happens to the next requests. ``refuse`` hangs up at once, ``unavailable`` answers 503 in the
            server's own manner, ``page`` answers 502 with a proxy's page, ``lose-answer`` forwards the request and
            hangs up instead of answering, ``freeze`` neither answers nor hangs up until the mode changes.
        chances: per mode, how likely it is for each request; the rest is :attr:`mode`.
        seen: how many requests met each mode.
    """

    def __init__(self, url: str, *, seed: int = 1) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.mode: Mode = "pass"
        self.chances: dict[Mode, float] = {}
        self.seen: Counter[Mode] = Counter()
        self.url = ""
        self.most_at_once = 0
        self._server = (host, int(port))
        self._dice = random.Random(seed)
        self._at_once = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            self._at_once -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mode = self._mode()
        self.seen[mode] += 1
        if mode == "refuse":
            return
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        while mode == "freeze" and self.mode == "freeze":  # noqa: ASYNC110 (a test sets the mode)
            await asyncio.sleep(0.05)
        if mode == "unavailable":
            product = "x-elastic-product: Elasticsearch\r\ncontent-type: application/json"
            await self._say(writer, "503 Service Unavailable", product, '{"error":{"type":"unavailable","reason":"r"}}')
        elif mode == "page":
            await self._say(writer, "502 Bad Gateway", "content-type: text/html", "<html>sorry</html>")
        elif mode != "freeze":
            answer = await self._forward(head, body)
            if mode != "lose-answer":
                writer.write(answer)
                await writer.drain()

    def _mode(self) -> Mode:
        roll = self._dice.random()
        for mode, chance in self.chances.items():
            if roll < chance:
                return mode
            roll -= chance
        return self.mode

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        head = re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head)[:-2] + b"connection: close\r\n\r\n"
        up, down = await asyncio.open_connection(*self._server)
        try:
            down.write(head + body)
            return await up.read()
        finally:
            down.close()

    @staticmethod
    async def _say(writer: asyncio.StreamWriter, status: str, header: str, body: str) -> None:
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{header}\r\n\r\n{body}".encode()
        )
        await writer.drain()


@asynccontextmanager
async def gateway_to(url: str) -> AsyncIterator[Gateway]:
    """A gateway in front of ``url``, listening at its own :attr:`Gateway.url`."""
    gateway = Gateway(url)
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    gateway.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield gateway
    finally:
        gateway.mode = "refuse"
        server.close()
