"""A door in front of Elasticsearch that can refuse what comes: 429 and 503, as a busy or half-started cluster does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from tests.servers.process import free_ports

_BODIES = {
    429: b'{"error":{"type":"es_rejected_execution_exception","reason":"rejected execution"},"status":429}',
    503: b"<html><body>503 Service Unavailable</body></html>",
}
_KINDS = {429: b"application/json", 503: b"text/html"}


class ElasticDoor:
    """Listens at :attr:`url`, passes requests on or answers them itself."""

    def __init__(self, port: int) -> None:
        (self._own,) = free_ports(1)
        self._port = port
        self.url = f"http://127.0.0.1:{self._own}"
        self.refuse_with: int | None = None
        """Status to answer every request with; ``None`` passes them on."""
        self.refused: Counter[int] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self._run(self._listen())

    def stop(self) -> None:
        """End."""
        assert self._server is not None
        self._loop.call_soon_threadsafe(self._server.close)
        self._run(asyncio.sleep(0.1))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._own)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            broker = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        back = asyncio.create_task(_pipe(broker[0], writer))
        try:
            while request := await _request(reader):
                status = self.refuse_with
                if status is None:
                    broker[1].write(request)
                    await broker[1].drain()
                else:
                    self.refused[status] += 1
                    writer.write(_answer(status))
                    await writer.drain()
        except OSError:
            pass
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            broker[1].close()
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """One request with its body; empty at the end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
        return head + await reader.readexactly(length)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        return b""


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _answer(status: int) -> bytes:
    body = _BODIES[status]
    head = b"HTTP/1.1 %d Refused\r\ncontent-type: %s\r\nx-elastic-product: Elasticsearch\r\ncontent-length: %d\r\n\r\n"
    return head % (status, _KINDS[status], len(body)) + body
