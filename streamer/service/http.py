"""Three addresses for machines: ``/livez`` (the loop turns), ``/readyz`` (its servers are there), ``/metrics``."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streamer.errors import SettingsError

Checks = Callable[[], Mapping[str, bool]]
STUCK_S: Final = 60.0
"""A loop that has not turned for this long is not live."""


def application(
    live: Checks, ready: Checks, registry: CollectorRegistry, notes: Mapping[str, Callable[[], str]] = {}
) -> Starlette:
    """The pages; each check has a name, and all must hold. ``/readyz`` shows the notes, too, which decide nothing."""

    # Answered on the loop's own thread: it is what "live" is about, and the counters change nowhere else.
    def page(checks: Checks, notes: Mapping[str, Callable[[], str]] = {}) -> Callable[[Request], Awaitable[Response]]:
        async def answer(_request: Request) -> Response:
            found = checks()
            said = {name: note() for name, note in notes.items()}
            return JSONResponse({**found, **said}, status_code=200 if all(found.values()) else 503)

        return answer

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[Route("/livez", page(live)), Route("/readyz", page(ready, notes)), Route("/metrics", metrics)],
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ``SettingsError`` if the address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"http: cannot listen on {host}:{port}: {_reason(error)}",
            hint="set http.port to a free one (0 takes any), or http.enabled to false",
        ) from error


def _reason(error: OSError | OverflowError) -> str:
    """The system's own words; Python's repeat the address."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error.strerror) if isinstance(error, OSError) else str(error)


class _Server(uvicorn.Server):
    """Leaves signals to the service: one of them must end the whole, in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves an application on a socket until stopped."""

    def __init__(self, app: Starlette, listening: socket.socket) -> None:
        self._socket = listening
        self._server = _Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        )

    async def run(self) -> None:
        """Serve; returns after ``stop``."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """End soon."""
        self._server.should_exit = True
