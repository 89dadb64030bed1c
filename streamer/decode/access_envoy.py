"""Access lines of Envoy and Istio's gateways: the default text formats of every release, and the default JSON.

The text format does not escape what a client sent, so a quote in a header shifts what follows. What the connection
itself tells (the peer's address) is therefore read from the right end, where Istio prints it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from streamer.decode.access import Access, forwarded_of, host_of, present, status_of
from streamer.decode.line import text_at
from streamer.decode.stamps import parse

_TOKEN: Final = re.compile(r'"([^"]*)"|(\S+)')
_START: Final = re.compile(r"\[(\d{4}-\d\d-\d\d[T ][^\]\s]{8,40})\] ")
_TAIL: Final = 6
_HEADERS: Final = 5


def parse_text(message: str) -> Access | None:
    """A line of a default text format, or ``None``."""
    start = _START.match(message)
    if start is None:
        return None
    tokens = [(found[1], found[2]) for found in _TOKEN.finditer(message, start.end())]
    if len(tokens) < 10 or tokens[0][0] is None or tokens[1][1] is None:
        return None
    method, _, rest = tokens[0][0].partition(" ")
    uri, _, _protocol = rest.rpartition(" ")
    status = status_of(tokens[1][1])
    stamp = parse(start[1])
    if status is None and tokens[1][1] != "0":
        return None
    headers = _headers(tokens)
    if headers is None:
        return None
    forwarded, agent, request_id, authority = headers
    return Access(
        method=present(method),
        uri=present(uri or rest),
        status=status if status is not None else 0,
        peer=_peer(tokens),
        forwarded=forwarded_of(present(forwarded)),
        user_agent=present(agent),
        host=present(authority),
        request_id=present(request_id),
        stamp=stamp,
    )


def _headers(tokens: list[tuple[str | None, str | None]]) -> tuple[str, str, str, str] | None:
    """The first run of quoted values long enough: x-forwarded-for, user agent, request id, authority, upstream."""
    run: list[str] = []
    for quoted, _ in tokens[2:]:
        if quoted is None:
            run = []
            continue
        run.append(quoted)
        if len(run) == _HEADERS:
            return run[0], run[1], run[2], run[3]
    return None


def _peer(tokens: list[tuple[str | None, str | None]]) -> str | None:
    """Downstream remote address: third from the right in Istio's format, absent in Envoy's own."""
    tail = tokens[-_TAIL:]
    if any(bare is None for _, bare in tail):
        return None
    address = tokens[-3][1]
    if address is None or not re.search(r":\d{1,5}\Z", address):
        return None
    return host_of(address)


def parse_json(message: dict[str, Any]) -> Access | None:
    """A line of Istio's default JSON format, or ``None``."""
    path = text_at(message, "path")
    method = text_at(message, "method")
    status = message.get("response_code", message.get("status"))
    if path is None or method is None or "start_time" not in message:
        return None
    if isinstance(status, str):
        status = status_of(status)
    return Access(
        method=present(method),
        uri=present(path),
        status=status if isinstance(status, int) and not isinstance(status, bool) else None,
        peer=host_of(text_at(message, "downstream_remote_address")),
        forwarded=forwarded_of(present(text_at(message, "x_forwarded_for"))),
        user_agent=present(text_at(message, "user_agent")),
        host=present(text_at(message, "authority")),
        request_id=present(text_at(message, "request_id")),
        stamp=parse(message["start_time"]),
    )
