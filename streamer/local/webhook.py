"""The audit webhook: an API server posts its events, and hears 200 only when what they did is stored.

A body is one record. It waits in a bounded queue until the service reads it, and its answer waits until the step that
holds it was committed (:meth:`WebhookReader.acknowledge`). A process that dies in between has not answered, so the API
server sends the same events again; events that were already taken in are recognised by their ids. There is nothing to
re-read: the position is only a counter that never goes back.

========================  ======  ==============================================================================
what is wrong             answer  and then
========================  ======  ==============================================================================
nothing                   200     stored. A body that holds no event is a dead letter, and stored as well
no or a wrong token       401
another method            405
body late                 408
body too large            413     said once per request: the API server drops the batch
compressed                415
queue full                429     ``Retry-After``; the API server tries again
store cannot be written   503     ``Retry-After``; the same
========================  ======  ==============================================================================
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from streamer.errors import SettingsError
from streamer.local.files import ReadLimits
from streamer.local.https import HttpsLimits, HttpsServer, ServerFiles
from streamer.model import Position, Record
from streamer.ports import Batch, Partition

_RETRY_AFTER_S: Final = b"2"
_RENEW_EVERY_S: Final = 10.0
_STOPPING: Final = 503
_EMPTY: Final = (b"content-length", b"0")


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """Bounds.

    Attributes:
        body: bytes of one request; an API server's largest batch has 10 MB by default.
        queued: bytes that wait to be read, requests whose body is arriving included.
        body_s: seconds in which a body must be there.
        answer_s: seconds after which a request whose step is not stored is told to come again; an API server gives
            a request up after 30.
        https: of the server.
    """

    body: int = 16_000_000
    queued: int = 64_000_000
    body_s: float = 20.0
    answer_s: float = 25.0
    https: HttpsLimits = field(default_factory=HttpsLimits)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A body, and who waits for its answer."""

    body: bytes
    arrived_us: int
    answered: asyncio.Future[int]
    offset: int = -1
    """Position, once it was read."""


class WebhookReader:
    """A :class:`streamer.ports.Reader` over requests of API servers.

    Args:
        address: ``host:port``; it is also the name of the source.
        files: certificate, key, and who signs the clients' certificates.
        token_file: holds the token that a client must show; read again when it changes. ``None``: no token.
        reading: bounds of a batch.
        limits: bounds of the server.
    """

    def __init__(
        self,
        address: str,
        files: ServerFiles,
        *,
        token_file: Path | None = None,
        reading: ReadLimits | None = None,
        limits: WebhookLimits | None = None,
    ) -> None:
        self._partition: Partition = (address, 0)
        self._files = files
        self._token_file = token_file
        self._reading = reading or ReadLimits()
        self._limits = limits or WebhookLimits()
        self._server = HttpsServer(address, self._answer, files, self._limits.https)
        self._queue: deque[_Waiting] = deque()
        self._handed: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._held = 0
        self._offset = 0
        self._renewed_s = 0.0
        self._open = False
        self.answers: Counter[int] = Counter()
        """How often each status was answered."""
        self._gaps: list[str] = []

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    def take_gaps(self) -> tuple[str, ...]:
        """What was refused for good since the last call; one sentence each."""
        gaps, self._gaps = tuple(self._gaps), []
        return gaps

    def look(self) -> None:
        """Whether the files can be used, without listening; raises ``SettingsError``."""
        self._token()
        self._files.context()

    async def start(self, positions: Mapping[Partition, object]) -> None:
        """Listen. Raises ``SettingsError`` if the address or a file cannot be used."""
        self._token()
        stored = positions.get(self._partition)
        if isinstance(stored, dict):
            self._offset = max(self._offset, int(stored["offset"]))
        await self._server.start()
        self._open = True

    def partitions(self) -> frozenset[Partition]:
        """One."""
        return frozenset({self._partition})

    async def read(self, timeout_s: float) -> Batch:
        """The bodies that wait, in the order they arrived, or an empty batch after ``timeout_s``."""
        if time.monotonic() - self._renewed_s >= _RENEW_EVERY_S:
            self._renewed_s = time.monotonic()
            self._server.renew()
        if not self._queue:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), timeout_s)
            except TimeoutError:
                return Batch(at_end=self.partitions())
        records: list[Record] = []
        size = 0
        while self._queue and len(records) < self._reading.records:
            waiting = self._queue[0]
            if records and size + len(waiting.body) > self._reading.size:
                break
            self._queue.popleft()
            waiting.offset = self._offset
            self._offset += 1
            size += len(waiting.body)
            self._handed.append(waiting)
            name, number = self._partition
            position = Position(name, number, waiting.offset, is_file=False)
            records.append(Record(waiting.body, position, append_time_us=waiting.arrived_us))
        positions = {self._partition: {"offset": self._offset}} if records else {}
        return Batch(tuple(records), positions, at_end=frozenset() if self._queue else self.partitions())

    def acknowledge(self, positions: Mapping[Partition, object]) -> None:
        """A step was stored: everything before its position is answered with 200."""
        stored = positions.get(self._partition)
        if not isinstance(stored, dict):
            return
        while self._handed and self._handed[0].offset < int(stored["offset"]):
            waiting = self._handed.popleft()
            self._held -= len(waiting.body)
            if not waiting.answered.done():
                waiting.answered.set_result(200)

    async def stop(self) -> None:
        """Answer what is not stored with 503, and stop listening; never raises."""
        self._open = False
        for waiting in (*self._queue, *self._handed):
            self._held -= len(waiting.body)
            if not waiting.answered.done():
                waiting.answered.set_result(_STOPPING)
        self._queue.clear()
        self._handed.clear()
        await self._server.stop()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        status = await self._status(scope["method"], dict(scope["headers"]), receive)
        self.answers[status] += 1
        headers = [_EMPTY, (b"retry-after", _RETRY_AFTER_S)] if status in {429, 503} else [_EMPTY]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _status(self, method: str, headers: Mapping[bytes, bytes], receive: Any) -> int:
        if not self._may_enter(headers):
            return 401
        if method != "POST":
            return 405
        if headers.get(b"content-encoding", b"identity") != b"identity":
            return 415
        told = headers.get(b"content-length", b"0")
        length = int(told) if told.isdigit() else 0
        if length > self._limits.body:
            return self._too_large(length)
        if not self._open:
            return _STOPPING
        if self._held + length > self._limits.queued:
            return 429
        self._held += length
        try:
            async with asyncio.timeout(self._limits.body_s):
                body = await self._body(receive)
        except TimeoutError:
            return 408
        finally:
            self._held -= length
        if body is None:
            return self._too_large(self._limits.body + 1)
        return await self._until_stored(body)

    async def _body(self, receive: Any) -> bytes | None:
        """The whole body; ``None`` for one that is too large. A client that hangs up raises ``TimeoutError``."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise TimeoutError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._limits.body:
                return None
            if not message.get("more_body"):
                return b"".join(parts)

    def _too_large(self, size: int) -> int:
        self._gaps.append(
            f"a request to {self._partition[0]} has {size} bytes or more and at most {self._limits.body} are taken: "
            "its events are lost; lower --audit-webhook-batch-max-size of the API server"
        )
        return 413

    async def _until_stored(self, body: bytes) -> int:
        if self._held + len(body) > self._limits.queued:
            return 429
        waiting = _Waiting(body, time.time_ns() // 1_000, asyncio.get_running_loop().create_future())
        self._held += len(body)
        self._queue.append(waiting)
        self._arrived.set()
        try:
            async with asyncio.timeout(self._limits.answer_s):
                return await waiting.answered
        except TimeoutError:
            return 503
        finally:
            # Not read yet, and nobody waits for it any more: it comes again by itself.
            if waiting.offset < 0 and waiting in self._queue:
                self._queue.remove(waiting)
                self._held -= len(body)

    def _may_enter(self, headers: Mapping[bytes, bytes]) -> bool:
        if self._token_file is None:
            return True
        scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
        try:
            expected = self._token()
        except SettingsError:
            return False
        return scheme.lower() == b"bearer" and hmac.compare_digest(shown.strip(), expected)

    def _token(self) -> bytes:
        """The token as it is now. Raises ``SettingsError`` for a file that cannot be read or is empty."""
        if self._token_file is None:
            return b""
        try:
            token = self._token_file.read_bytes().strip()
        except OSError as error:
            raise SettingsError(f"webhook: token_file {self._token_file} cannot be read: {error.strerror}") from error
        if not token:
            raise SettingsError(f"webhook: token_file {self._token_file} is empty")
        return token
