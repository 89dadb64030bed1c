"""Access lines of Envoy and Istio's gateways: the default text formats of every release, and the default JSON.

The text format does not escape what a client sent, so a quote in a path or header shifts what follows. A path holds no
blank, though, and what stands behind the client's headers holds no quote: the line is read from both ends towards them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from streamer.decode.access import Access, forwarded_of, host_of, present, status_of
from streamer.decode.line import text_at
from streamer.decode.stamps import parse

_LINE: Final = re.compile(r'\[(\d{4}-\d\d-\d\d[T ][^\]\s]{8,40})\] "(\S+) (\S*) [^\s"]+" (\d{3}|0) ')
_NUMBERS: Final = re.compile(r'(?<= )(?:(?:\d++|-) ){4}"')
_RIGHT: Final = re.compile(r'(.*)" "([^"]*)" "([^"]*)" "[^"]*"([^"]*)', re.DOTALL)
_PORT: Final = re.compile(r":\d{1,5}\Z")
_PEER: Final = 3


def parse_text(message: str) -> Access | None:
    """A line of a default text format, or ``None``.

    No quote in a path or header can make the line unreadable. What quotes leave in doubt is not told: where user agent
    and ``x-forwarded-for`` cannot be told apart, nothing was forwarded.
    """
    line = _LINE.match(message)
    if line is None:
        return None
    numbers = _NUMBERS.search(message, line.end())
    right = _RIGHT.fullmatch(message, numbers.end()) if numbers else None
    left, request_id, authority, tail = right.groups() if right else ("-", "-", "-", "")
    forwarded, _, agent = left.partition('" "')
    return Access(
        method=present(line[2]),
        uri=present(line[3]),
        status=int(line[4]),
        peer=_peer(tail.split()),
        forwarded=() if '" "' in agent else forwarded_of(present(forwarded)),
        user_agent=present(agent),
        host=present(authority),
        request_id=present(request_id),
        stamp=parse(line[1]),
    )


def _peer(tail: list[str]) -> str | None:
    """Downstream remote address: the fourth behind the headers in Istio's formats, absent in Envoy's own."""
    if len(tail) <= _PEER or not _PORT.search(tail[_PEER]):
        return None
    return host_of(tail[_PEER])


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
