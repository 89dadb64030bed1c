"""Azure (AKS diagnostic settings, by Event Hubs): ``{"records": [...]}``, the event as text in ``properties.log``."""

from __future__ import annotations

from typing import Any, Final

from streamer.decode.envelope import Inner, Opened
from streamer.decode.line import dig, text_at
from streamer.decode.stamps import parse

_AUDIT: Final = frozenset({"kube-audit", "kube-audit-admin"})


def open_records(value: dict[str, Any]) -> Opened | None:
    """The audit entries; entries of other categories (klog text) are skipped. ``None`` if this is no such envelope."""
    records = value.get("records")
    if not isinstance(records, list):
        if not (isinstance(value.get("category"), str) and isinstance(dig(value, "properties", "log"), str | dict)):
            return None
        records = [value]
    entries: list[Inner] = []
    skipped = 0
    for record in records:
        category = text_at(record, "category")
        log = dig(record, "properties", "log")
        if log is None or (category is not None and category not in _AUDIT):
            skipped += 1
            continue
        cluster = text_at(record, "resourceId")
        name = cluster.rstrip("/").rpartition("/")[2] if cluster else None
        stamp = parse(dig(record, "time"))
        entries.append(Inner(log, stamp, name or None, stream=text_at(record, "properties", "stream") or ""))
    return Opened(tuple(entries), skipped)
