"""Amazon CloudWatch subscriptions (EKS), already unpacked: ``logGroup``, ``logStream`` and ``logEvents``."""

from __future__ import annotations

from typing import Any, Final

from streamer.decode.envelope import Inner, Opened
from streamer.decode.line import dig, text_at
from streamer.decode.stamps import parse

_AUDIT_STREAM: Final = "kube-apiserver-audit"
_GROUP: Final = "/aws/eks/"


def open_log_events(value: dict[str, Any]) -> Opened | None:
    """The log events; control messages and other control-plane streams are skipped. ``None`` for other envelopes."""
    events = value.get("logEvents")
    if not isinstance(events, list) or "messageType" not in value:
        return None
    stream = text_at(value, "logStream") or ""
    group = text_at(value, "logGroup") or ""
    control_plane = group.startswith(_GROUP) and group.endswith("/cluster")
    if value["messageType"] != "DATA_MESSAGE" or (control_plane and not stream.startswith(_AUDIT_STREAM)):
        return Opened((), max(len(events), 1))
    cluster = group[len(_GROUP) :].partition("/")[0] if group.startswith(_GROUP) else None
    entries = [
        Inner(message, parse(dig(event, "timestamp")), cluster or None)
        for event in events
        if isinstance(message := dig(event, "message"), str | dict)
    ]
    return Opened(tuple(entries), len(events) - len(entries))
