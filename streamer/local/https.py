"""A small HTTPS server for one kind of request: bounded connections, and nobody may take for ever to say what he wants.

The HTTP parser is uvicorn's. Its server is not used: it can neither bound the TLS handshake nor the time in which a
request must be there.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from streamer.errors import SettingsError

Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""

_HANDSHAKE_S: Final = 10.0
_KEEP_ALIVE_S: Final = 60
"""An API server keeps its connection between two batches."""


@dataclass(frozen=True, slots=True)
class HttpsLimits:
    """Bounds.

    Attributes:
        connections: at the same time; one more is hung up on.
        headers_s: seconds in which the head of a request must be there.
    """

    connections: int = 100
    headers_s: float = 10.0


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """What the server shows and whom it trusts, PEM files.

    Attributes:
        cert_file: certificate, with the chain behind it.
        key_file: its private key.
        client_ca_file: who signs the clients' certificates; ``None``: they need none.
    """

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises ``SettingsError`` for files that cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.cert_file, self.key_file)
            if self.client_ca_file is not None:
                context.load_verify_locations(self.client_ca_file)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ValueError) as error:
            files = ", ".join(str(file) for file in (self.cert_file, self.key_file, self.client_ca_file) if file)
            raise SettingsError(f"webhook: the certificate files {files} cannot be used: {error}") from error
        return context

    def changed(self) -> float:
        """When certificate and key were last written; 0 while they are being replaced."""
        try:
            return max(self.cert_file.stat().st_mtime, self.key_file.stat().st_mtime)
        except OSError:
            return 0.0


class HttpsServer:
    """Serves an application at ``host:port`` with TLS until stopped.

    Args:
        address: ``host:port``; port 0 takes a free one.
        app: answers the requests.
        files: renewed ones are taken up by :meth:`renew`.
        limits: bounds.
    """

    def __init__(self, address: str, app: Application, files: ServerFiles, limits: HttpsLimits = HttpsLimits()) -> None:
        self._address = address
        self._app = app
        self._files = files
        self._limits = limits
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None
        self._changed = 0.0

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen; raises ``SettingsError`` if the address cannot be had or a file cannot be used."""
        self._changed = self._files.changed()
        self._context = self._files.context()
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        config.load()

        def protocol() -> asyncio.Protocol:
            return _ImpatientProtocol(config, self._state, self._limits)

        host, _, port = self._address.rpartition(":")
        try:
            family = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0][0]
            listening = socket.create_server((host.strip("[]"), int(port)), family=family)
        except (OSError, OverflowError, ValueError) as error:
            raise SettingsError(f"webhook: cannot listen on {self._address}: {error}") from error
        self._server = await asyncio.get_running_loop().create_server(
            protocol, sock=listening, ssl=self._context, ssl_handshake_timeout=_HANDSHAKE_S
        )

    def renew(self) -> None:
        """Take up certificate and key if they were replaced; connections that are open keep theirs."""
        changed = self._files.changed()
        if self._context is None or changed in (0.0, self._changed):
            return
        # Half replaced, certificate and key do not fit: the old ones stay, and the next call tries again.
        with contextlib.suppress(OSError, ValueError):
            self._context.load_cert_chain(self._files.cert_file, self._files.key_file)
            self._changed = changed

    async def stop(self, within_s: float = 1.0) -> None:
        """Stop listening, let requests that run end, hang up; never raises."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=within_s)
        for connection in list(self._state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), within_s)


class _ImpatientProtocol(H11Protocol):
    """Hangs up on whoever opens a connection, or uses one again, and does not send the head of a request soon."""

    def __init__(self, config: uvicorn.Config, state: ServerState, limits: HttpsLimits) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As the parser wants it; one connection too many is hung up on."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.abort()
            return
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """As the parser wants it, then look whether the head is there."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._deadline is None and not self.transport.is_closing() and self.timeout_keep_alive_task is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """As the parser wants it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._limits.headers_s, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
