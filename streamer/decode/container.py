"""A container's line → the line as an event, and what it says as an access log where the container is known for one."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from streamer.decode.access import Access, webserver_fields
from streamer.decode.access_envoy import parse_json, parse_text
from streamer.decode.access_kubeflow import parse_backend
from streamer.decode.access_nginx import parse_line
from streamer.decode.access_other import parse_fields, parse_method_url, parse_oauth2_proxy, parse_pairs
from streamer.decode.gathering import Gathering
from streamer.decode.identity import derived_identity, digest, place_of
from streamer.decode.line import Line, text_at
from streamer.decode.salvage import too_deep
from streamer.decode.source import Source
from streamer.model import CONTAINER_LOG, WEBSERVER

_ANSI: Final = re.compile(
    r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]|\][^\x07\x1b]*+(?:\x07|\x1b\\)?|[PX^_][^\x1b]*+(?:\x1b\\)?|[ -/]*+[0-~])"
)
_METADATA: Final = ("namespace", "pod", "container", "node", "labels")
_LOG_DEPTH: Final = 64


class AccessContainers:
    """Which containers are read as access logs: patterns ``namespace/pod prefix/container``."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = [_compiled(pattern) for pattern in patterns]
        self._known: dict[tuple[str, str, str], bool] = {}

    def __contains__(self, names: tuple[str, str, str]) -> bool:
        found = self._known.get(names)
        if found is None:
            path = "/".join(names)
            found = any(pattern.fullmatch(path) for pattern in self._patterns)
            if len(self._known) >= 4096:
                self._known.clear()
            self._known[names] = found
        return found


def _compiled(pattern: str) -> re.Pattern[str]:
    parts = pattern.split("/")
    if len(parts) != 3:
        parts = [pattern, "*", "*"] if len(parts) == 1 else [*parts, "*", "*"][:3]
    namespace, pod, container = ("[^/]*".join(re.escape(piece) for piece in part.split("*")) for part in parts)
    return re.compile(f"{namespace}/{pod}[^/]*/{container}")


def add_line(line: Line, cluster: str, gathering: Gathering, access_containers: AccessContainers) -> None:
    """Add the line's events to ``gathering``: the line itself first."""
    raw_text = line.text
    message = _ANSI.sub("", raw_text) if "\x1b" in raw_text else raw_text
    kubernetes = line.kubernetes
    namespace = text_at(kubernetes, "namespace") or ""
    pod_name = text_at(kubernetes, "pod", "name") or ""
    container = text_at(kubernetes, "container", "name") or ""
    truncated = line.truncated or gathering.cut
    fields: dict[str, Any] = {"cluster": cluster, "message": message, "truncated": truncated}
    if line.stream:
        fields["stream"] = line.stream
    if kubernetes:
        fields["kubernetes"] = {name: kubernetes[name] for name in _METADATA if name in kubernetes}
    content = line.content if line.content is not None else _object_in(message)
    if content is not None and not too_deep(content, min(_LOG_DEPTH, gathering.source.limits.depth)):
        fields["log"] = content
    access = None
    if (namespace, pod_name, container) in access_containers:
        access = access_of(message, fields.get("log"))
    flags = ("truncated",) if truncated else ()
    stamp_us = line.stamp.us if line.stamp else None
    if stamp_us is None and access is not None and access.stamp is not None:
        stamp_us = access.stamp.us
    identity = _identity(line, cluster, gathering)
    when = gathering.when(stamp_us, flags)
    gathering.add(CONTAINER_LOG, when, identity, fields)
    if access is None or gathering.full:
        return
    if access.stamp is not None:
        when = gathering.when(access.stamp.us, flags)
    own = webserver_fields(access, gathering.source.trusted_proxies)
    gathering.add(WEBSERVER, when, derived_identity(identity, WEBSERVER.category, 0), {**fields, **own})


def access_of(message: str, content: Any = None) -> Access | None:
    """The request that a line tells of, in any of the known formats; ``None`` if it tells of none."""
    message = message.strip()
    if isinstance(content, dict):
        return parse_json(content) or parse_fields(content)
    if message[:1] == "[":
        return parse_text(message)
    return (
        parse_line(message)
        or parse_oauth2_proxy(message)
        or parse_method_url(message)
        or parse_backend(message)
        or parse_pairs(message)
    )


def _object_in(message: str) -> dict[str, Any] | None:
    text = message.strip()
    if text[:1] != "{" or text[-1:] != "}":
        return None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _identity(line: Line, cluster: str, gathering: Gathering) -> bytes:
    """Cluster, pod, container, stream, stamp and text; without a stamp that can tell lines apart, the position."""
    kubernetes = line.kubernetes
    uid = text_at(kubernetes, "pod", "uid")
    name = text_at(kubernetes, "pod", "name")
    stamp = line.stamp.exact if line.stamp and line.stamp.fine else None
    position = gathering.record.position
    ordinal = gathering.next_ordinal()
    place = None
    if stamp is None:
        place = place_of(position, ordinal)
    elif uid is None and name is None:
        place = position.source.encode("utf-8", "backslashreplace").decode()
    return digest(
        "line",
        cluster,
        uid,
        None if uid else text_at(kubernetes, "namespace"),
        None if uid else name,
        text_at(kubernetes, "container", "name"),
        line.stream,
        stamp,
        line.text,
        place,
    )


def declared(source: Source) -> AccessContainers:
    """The access-log containers that a source declares."""
    return AccessContainers(source.access_log_containers)
