"""The headers of an alert on its topic: CloudEvents 1.0, binary mode of the Kafka binding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

ALERT_TYPE: Final = "io.streamer.alert.v1"
SCHEMA_ID: Final = "urn:streamer:schema:alert:v1"
"""``$id`` of the JSON Schema of the value."""


def headers(flat: Mapping[str, Any]) -> tuple[tuple[str, bytes], ...]:
    """Headers for a flat document. ``streamer_severity`` lets a subscriber filter without parsing the value."""
    cluster = flat.get("orchestrator.cluster.name") or ""
    pairs = (
        ("ce_specversion", "1.0"),
        ("ce_id", flat["event.id"]),
        ("ce_type", ALERT_TYPE),
        ("ce_source", f"/streamer/{quote(str(cluster), safe='')}"),
        ("ce_subject", flat["rule.id"]),
        ("ce_time", flat["@timestamp"]),
        ("ce_dataschema", SCHEMA_ID),
        ("content-type", "application/json"),
        ("streamer_severity", str(flat["event.severity"])),
    )
    return tuple((name, str(value).encode()) for name, value in pairs)
