"""The envelopes of clouds and collectors that are known, each one small module that opens its own kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from streamer.decode.envelope import Opened
from streamer.decode.envelope_aks import open_records
from streamer.decode.envelope_cloudwatch import open_log_events
from streamer.decode.envelope_gke import open_log_entry
from streamer.decode.envelope_otlp import open_resource_logs
from streamer.decode.envelope_packed import open_deliveries, open_pubsub

ENVELOPES: Final[tuple[Callable[[dict[str, Any]], Opened | None], ...]] = (
    open_deliveries,
    open_records,
    open_log_events,
    open_log_entry,
    open_resource_logs,
    open_pubsub,
)


def open_envelope(value: dict[str, Any]) -> Opened | None:
    """The entries of a cloud's or collector's envelope; ``None`` if the object is none."""
    for opens in ENVELOPES:
        opened = opens(value)
        if opened is not None:
            return opened
    return None
