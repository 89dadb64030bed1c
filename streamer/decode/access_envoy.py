"""Access lines of Envoy and Istio's gateways: the default text formats of every release, and the default JSON.

The text format does not escape what a client sent, so a quote in a path or header shifts what follows. A path holds no
blank, though, and what stands behind the client's headers holds no quote: the line is read from both ends towards them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from streamer.decode.access import Access, forwarded_of, host_of, number_of, present, status_of
from streamer.decode.line import text_at
from streamer.decode.stamps import parse

_LINE: Final = re.compile(r'\[(\d{4}-\d\d-\d\d[T ][^\]\s]{8,40})\] "(\S+) (\S*) [^\s"]+" (\d{3}|0) ')
_NUMBERS: Final = re.compile(r'(?<= )(\d++|-) (\d++|-) (\d++|-) (?:\d++|-) "')
_FLAGS: Final = re.compile(r"([A-Za-z0-9,_-]{1,100}) (?:([A-Za-z][A-Za-z0-9_{}~.,()-]{0,199}) )?")
_RIGHT: Final = re.compile(r'(.*)" "([^"]*)" "([^"]*)" "([^"]*)"([^"]*)', re.DOTALL)
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
    left, request_id, authority, upstream, tail = right.groups() if right else ("-", "-", "-", "-", "")
    forwarded, _, agent = left.partition('" "')
    places = tail.split()
    flags = _FLAGS.match(message, line.end())
    return Access(
        method=present(line[2]),
        uri=present(line[3]),
        status=int(line[4]),
        peer=_peer(places),
        forwarded=() if '" "' in agent else forwarded_of(present(forwarded)),
        user_agent=present(agent),
        host=present(authority),
        request_id=present(request_id),
        stamp=parse(line[1]),
        details=_details(
            flags.groups() if flags and numbers else (None, None),
            numbers.groups() if numbers else (None, None, None),
            (upstream, places[0] if len(places) > _PEER else None),
        ),
    )


def _details(
    flags: tuple[str | None, ...], numbers: tuple[str | None, ...], upstream: tuple[str | None, ...]
) -> dict[str, Any]:
    """What is printed beside the request: flags and details; bytes in, out and milliseconds; upstream."""
    towards = {name: text for name, text in zip(("host", "cluster"), map(present, upstream), strict=True) if text}
    received, sent, duration = map(number_of, numbers)
    found = {
        "response_flags": present(flags[0]),
        "response_details": present(flags[1]),
        "cs-bytes": received,
        "sc-bytes": sent,
        "time-taken": duration,
        "upstream": towards or None,
    }
    return {name: value for name, value in found.items() if value is not None}


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
        details=_details(
            (text_at(message, "response_flags"), text_at(message, "response_code_details")),
            tuple(_digits(message.get(name)) for name in ("bytes_received", "bytes_sent", "duration")),
            (text_at(message, "upstream_host"), text_at(message, "upstream_cluster")),
        ),
    )


def _digits(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 1 << 63 else None
    return value if isinstance(value, str) else None
