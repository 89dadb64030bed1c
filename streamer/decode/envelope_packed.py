"""Envelopes around packed content: messages of Google's Pub/Sub, records of Amazon's Firehose, Kinesis and Lambda."""

from __future__ import annotations

from typing import Any

from streamer.decode.envelope import Inner, Opened
from streamer.decode.line import dig, text_at
from streamer.decode.packed import Packed
from streamer.decode.stamps import parse


def open_pubsub(value: dict[str, Any]) -> Opened | None:
    """A message as Pub/Sub pushes it, or as its Kafka connectors write it. ``None`` for other envelopes."""
    message = value.get("message")
    message = message if isinstance(message, dict) else value
    data = message.get("data", message.get("MessageData"))
    if not isinstance(data, str):
        return None
    if not any(name in message for name in ("attributes", "messageId", "message_id", "AttributesMap")):
        return None
    stamp = parse(message.get("publishTime", message.get("publish_time")))
    return Opened((Inner(Packed(data), stamp),) if data else (), 0 if data else 1)


def open_deliveries(value: dict[str, Any]) -> Opened | None:
    """Records of Firehose (``records``), Kinesis (``Records``) and Lambda (``awslogs``). ``None`` for others."""
    data = text_at(value, "awslogs", "data")
    if data is not None:
        return Opened((Inner(Packed(data)),))
    records = value.get("Records", value.get("records"))
    if not isinstance(records, list) or not records or _data_of(records[0]) is None:
        return None
    found = [Inner(Packed(data)) for record in records if (data := _data_of(record)) is not None]
    return Opened(tuple(found), len(records) - len(found))


def _data_of(record: Any) -> str | None:
    found = text_at(record, "kinesis", "data")
    return text_at(record, "data") if found is None and dig(record, "properties") is None else found
