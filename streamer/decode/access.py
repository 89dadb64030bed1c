"""What an access line says, whichever program printed it, and its form as an event of category webserver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streamer.decode.kubeflow import kubeflow_of
from streamer.decode.request import outcome_of_status
from streamer.decode.stamps import Stamp


@dataclass(frozen=True, slots=True)
class Access:
    """One request as a proxy or server tells it. ``None`` is what the format does not print.

    Attributes:
        method: HTTP method as printed.
        uri: path and query as printed.
        status: status code.
        peer: address of the connection, without port.
        forwarded: entries of ``x-forwarded-for``, first to last.
        user_agent: as the client claims.
        host: authority the client asked for.
        request_id: ``x-request-id``.
        user: user name an authenticating proxy vouches for.
        stamp: time printed in the line.
        referer: as the client claims.
        details: what only some formats print, under the names of :data:`DETAILS`.
        kubeflow: what the line itself says of Kubeflow, beside what the path names.
    """

    method: str | None = None
    uri: str | None = None
    status: int | None = None
    peer: str | None = None
    forwarded: tuple[str, ...] = ()
    user_agent: str | None = None
    host: str | None = None
    request_id: str | None = None
    user: str | None = None
    stamp: Stamp | None = None
    referer: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    kubeflow: Mapping[str, str] = field(default_factory=dict)


DETAILS: Final = (
    "response_flags",
    "response_details",
    "cs-bytes",
    "sc-bytes",
    "time-taken",
    "upstream",
    "route_name",
    "auth_status",
)
"""Fields that a format may add: Envoy's flags and details, bytes each way, milliseconds, ``upstream.host`` and
``upstream.cluster``, and what an authenticating proxy decided."""


def client_address(access: Access, trusted_proxies: int) -> str | None:
    """The peer, or the entry of ``x-forwarded-for`` that the trusted proxies in front leave."""
    chain = access.forwarded
    if trusted_proxies <= 0 or not chain:
        return access.peer or (chain[-1] if chain else None)
    if access.peer is not None and access.peer != chain[-1]:
        chain = (*chain, access.peer)
    return chain[max(len(chain) - 1 - trusted_proxies, 0)]


def webserver_fields(access: Access, trusted_proxies: int) -> dict[str, Any]:
    """Sigma's web-server vocabulary, and what a Kubeflow path names."""
    uri = _path_of(access.uri) if access.uri else None
    stem, _, query = uri.partition("?") if uri else ("", "", "")
    address = client_address(access, trusted_proxies)
    fields = {
        "c-ip": address,
        "cs-method": access.method,
        "cs-uri": uri,
        "cs-uri-stem": stem or None,
        "cs-uri-query": query or None,
        "sc-status": access.status,
        "cs-user-agent": access.user_agent,
        "cs-host": access.host,
        "cs-username": access.user,
        "x-request-id": access.request_id,
        "source": {"ip": address} if address else None,
        "outcome": outcome_of_status(access.status) if access.status is not None else "unknown",
        "cs-referer": access.referer,
        "kubeflow": {**((kubeflow_of(stem, query) if stem else None) or {}), **access.kubeflow} or None,
        **access.details,
    }
    return {name: value for name, value in fields.items() if value is not None}


def present(text: str | None) -> str | None:
    """``None`` for what access logs print where they have nothing."""
    return None if text in (None, "", "-", '"-"') else text


def host_of(address: str | None) -> str | None:
    """An address without its port; IPv6 without brackets."""
    if address is None or address in ("", "-"):
        return None
    if address[0] == "[":
        return address[1:].partition("]")[0] or None
    if address.count(":") == 1:
        return address.partition(":")[0] or None
    return address


def forwarded_of(header: str | None) -> tuple[str, ...]:
    """Entries of an ``x-forwarded-for`` header; the last 64 of them, the others are nobody's word."""
    if header is None:
        return ()
    found = (host_of(entry.strip()) for entry in header.split(",")[-64:])
    return tuple(entry for entry in found if entry)


def status_of(text: str) -> int | None:
    """A three-digit status."""
    return int(text) if len(text) == 3 and text.isascii() and text.isdecimal() else None


def number_of(text: str | None) -> int | None:
    """A decimal number of a sensible length."""
    return int(text) if text and len(text) < 16 and text.isascii() and text.isdecimal() else None


def _path_of(uri: str) -> str:
    """The path of an address in absolute form; everything else as it is."""
    scheme, found, rest = uri.partition("://")
    if found and scheme in ("http", "https"):
        return "/" + rest.partition("/")[2]
    return uri
