"""Access lines of oauth2-proxy, of servers that log key=value pairs, and of the Pipelines web interface."""

from __future__ import annotations

import re
from typing import Any, Final

from streamer.decode.access import Access, host_of, present, status_of
from streamer.decode.stamps import parse

_OAUTH2_PROXY: Final = re.compile(
    r"(\S{1,200}) - (?:(\S{1,100}) - )?(.{1,1000}?) \[(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d)\] (\S+) (\S+) (\S+) "
    r'"((?:[^"\\]|\\.)*+)" (\S+) "((?:[^"\\]|\\.)*+)" (\d{3}) ',
    re.ASCII,
)
_OAUTH2_PROXY_AUTH: Final = re.compile(
    r"(\S{1,200}) - (?:(\S{1,100}) - )?(.{1,1000}?) \[(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d)\] "
    r"\[(AuthSuccess|AuthFailure|AuthError)\] ",
    re.ASCII,
)
_GRPC: Final = {"OK": 200, "InvalidArgument": 400, "Unauthenticated": 401, "PermissionDenied": 403, "NotFound": 404}
_METHOD_URL: Final = re.compile(
    r"(?:\S{0,40} )?(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (/\S*|https?://\S*)\s*\Z", re.ASCII
)
_PAIR: Final = re.compile(r'(?:\A|(?<= ))([A-Za-z_][\w.-]{0,40})=(?:"((?:[^"\\]|\\.)*+)"|((?!")\S*))', re.ASCII)
_PAIRS: Final = 64


def parse_oauth2_proxy(message: str) -> Access | None:
    """A request line of oauth2-proxy, with and without request id."""
    found = _OAUTH2_PROXY.match(message)
    if found is None:
        return _login(message)
    return Access(
        method=found[9],
        uri=present(found[11]),
        status=status_of(found[14]),
        peer=host_of(found[1]),
        user_agent=present(found[13]),
        host=present(found[8]),
        request_id=present(found[2]),
        user=present(found[3]),
        stamp=parse(f"{found[4]}-{found[5]}-{found[6]}T{found[7]}"),
    )


def _login(message: str) -> Access | None:
    """Who logged in, or failed to."""
    found = _OAUTH2_PROXY_AUTH.match(message)
    if found is None:
        return None
    return Access(
        peer=host_of(found[1]),
        user=present(found[3]),
        request_id=present(found[2]),
        stamp=parse(f"{found[4]}-{found[5]}-{found[6]}T{found[7]}"),
        details={"auth_status": found[8]},
    )


def parse_method_url(message: str) -> Access | None:
    """``METHOD URL``, all that the Pipelines web interface prints of a request."""
    found = _METHOD_URL.match(message)
    return Access(method=found[1], uri=found[2]) if found else None


def parse_pairs(message: str) -> Access | None:
    """Key=value lines that tell a request: argo-server (method, path, status), authservice (ip, request)."""
    pairs: dict[str, str] = {}
    for found in _PAIR.finditer(message):
        pairs.setdefault(found[1], found[3] if found[2] is None else found[2])
        if len(pairs) >= _PAIRS:
            break
    return _of_pairs(pairs)


def parse_fields(content: dict[str, Any]) -> Access | None:
    """The same, of a server that logs its pairs as one JSON object."""
    pairs = {
        name: text if isinstance(text, str) else str(text)
        for name, text in list(content.items())[:_PAIRS]
        if isinstance(text, str) or type(text) is int
    }
    return _of_pairs(pairs)


def _of_pairs(pairs: dict[str, str]) -> Access | None:
    request = pairs.get("request") or pairs.get("path")
    if not request:
        return _of_grpc(pairs)
    method, space, rest = request.partition(" ")
    if space and method.isupper():
        request = rest.partition(" ")[0]
    else:
        method = pairs.get("method", "")
    if not request.startswith(("/", "http")):
        request = "/" + request
    return Access(
        method=present(method),
        uri=request,
        status=status_of(pairs.get("status", "")),
        peer=host_of(present(pairs.get("ip"))),
        user_agent=present(pairs.get("user_agent")),
        user=present(pairs.get("user")),
        stamp=parse(pairs.get("time")),
    )


def _of_grpc(pairs: dict[str, str]) -> Access | None:
    """A call that has ended, as servers of gRPC log it."""
    service, method = pairs.get("grpc.service"), pairs.get("grpc.method")
    if not service or not method:
        return None
    return Access(
        method="POST",
        uri=f"/{service}/{method}",
        status=_GRPC.get(pairs["grpc.code"], 500) if "grpc.code" in pairs else None,
        peer=host_of(present(pairs.get("peer.address"))),
        user=present(pairs.get("user")),
        stamp=parse(pairs.get("time")),
    )
