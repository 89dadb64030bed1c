"""The Elasticsearch templates of the alert indices, as plain values for whoever talks to the server.

Plain dated indices, not a data stream: Elasticsearch keeps ``_id`` unique within one index only, and a replayed alert
must meet its first copy there. ``dynamic: false``: what logs carry can never add a field to the mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streamer.ecs.fields import ALERT_FIELDS, Field

SCHEMA_VERSION: Final = "1"
INDEX_PREFIX: Final = "logs-streamer.alerts-"
INDEX_TEMPLATE: Final = "logs-streamer.alerts"
MAPPINGS: Final = "streamer-alerts@mappings"
SETTINGS: Final = "streamer-alerts@settings"
CUSTOM: Final = "streamer-alerts@custom"
"""The operator's own component template: applied last, never written by streamer."""

IGNORE_ABOVE: Final = 1_024
"""Longer values stay in the document and are not searchable; a term over 32 KB would refuse the whole document."""

_META: Final[Mapping[str, str]] = {"managed_by": "streamer", "schema_version": SCHEMA_VERSION}


def component_templates() -> dict[str, dict[str, Any]]:
    """Component templates by name, in the order they must be installed (before :func:`index_template`)."""
    return {
        MAPPINGS: {
            "template": {"mappings": {"dynamic": False, "date_detection": False, "properties": alert_properties()}},
            "version": 1,
            "_meta": dict(_META),
        },
        SETTINGS: {
            "template": {
                "settings": {
                    # since 9.0 indices called logs-*-* would otherwise be sorted and stored for logs, not for alerts
                    "index.mode": "standard",
                    "index.codec": "best_compression",
                    "index.mapping.total_fields.limit": 500,
                    "index.mapping.ignore_malformed": False,
                }
            },
            "version": 1,
            "_meta": dict(_META),
        },
    }


def index_template(*, ilm_policy: str | None = None) -> dict[str, Any]:
    """The index template named :data:`INDEX_TEMPLATE`.

    Args:
        ilm_policy: name of a life-cycle policy, where the server has index life-cycle management.
    """
    settings = {"index.lifecycle.name": ilm_policy} if ilm_policy else {}
    return {
        "index_patterns": [f"{INDEX_PREFIX}*"],
        "priority": 500,  # above the built-in template of logs-*-*, which would make a data stream
        "composed_of": [MAPPINGS, SETTINGS, CUSTOM],
        "ignore_missing_component_templates": [CUSTOM],
        "template": {"settings": settings},
        "version": 1,
        "_meta": dict(_META),
    }


def alert_properties() -> dict[str, Any]:
    """``properties`` of the mapping: one nested entry per field of :data:`streamer.ecs.fields.ALERT_FIELDS`."""
    properties: dict[str, Any] = {}
    for field in ALERT_FIELDS:
        *parents, leaf = field.name.split(".")
        level = properties
        for parent in parents:
            level = level.setdefault(parent, {"properties": {}})["properties"]
        level[leaf] = _mapping(field)
    return properties


def _mapping(field: Field) -> dict[str, Any]:
    if field.type == "kw":
        return {"type": "keyword", "ignore_above": IGNORE_ABOVE}
    if field.type == "flat":
        return {"type": "flattened", "ignore_above": IGNORE_ABOVE, "depth_limit": 10}
    if field.type == "off":
        return {"type": "object", "enabled": False}
    return {"type": field.type}
