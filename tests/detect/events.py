"""Events for tests of detection."""

from __future__ import annotations

from typing import Any

from streamer.model import AUDIT, Event, LogSource, Position


def event(
    fields: dict[str, Any],
    *,
    logsource: LogSource = AUDIT,
    offset: int = 1,
    stage_only: bool = False,
) -> Event:
    """An event that holds these fields and otherwise nothing of interest."""
    return Event(
        logsource=logsource,
        time_us=1_000_000 * offset,
        identity=offset.to_bytes(16, "big"),
        cluster="c1",
        fields=fields,
        position=Position("audit.ndjson", 0, offset, is_file=True),
        stage_only=stage_only,
    )
