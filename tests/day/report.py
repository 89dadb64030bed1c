"""What alerted, as a person reads it."""

from __future__ import annotations

from collections import Counter

from streamer.authoring.cases_time import iso
from streamer.model import Alert
from tests.day.watching import LEVELS, Seen

MOST_IN_A_SLICE = 40
"""A rule that is told once in 24 hours is told as often in a slice as in a whole day: a tenth of a day has more than a
tenth of the alerts."""


def most_alerts(events: int) -> int:
    """How many alerts, all of them below high, a benign day of so many events may have."""
    return max(events * 5 // 10_000, MOST_IN_A_SLICE)


def by_level(seen: Seen) -> Counter[str]:
    """Alerts by level."""
    return Counter(seen.level(alert) for alert in seen.alerts)


def alerts_table(seen: Seen, events: int) -> str:
    """Rule, level, alerts, and how many that is in 10,000 events."""
    found = Counter((seen.level(alert), seen.name(alert)) for alert in seen.alerts)
    rows = sorted(found.items(), key=lambda row: (LEVELS.index(row[0][0]), -row[1], row[0][1]))
    lines = ["| level | rule | alerts | per 10,000 events |", "|---|---|---:|---:|"]
    lines += [f"| {level} | `{name}` | {count} | {count * 10_000 / events:.2f} |" for (level, name), count in rows]
    total = len(seen.alerts)
    lines.append(f"| | all | {total} | {total * 10_000 / events:.2f} |")
    return "\n".join(lines)


def evidence_of(seen: Seen, alert: Alert) -> str:
    """An alert in three lines: when, which rule and key, why, and its first evidence."""
    document = seen.document(alert)
    reason = document.get("event", {}).get("reason", "")
    shown = [str(item.get("summary", item))[:300] for item in document.get("streamer", {}).get("evidence", [])[:4]]
    key = dict(zip(alert.firing.key_names, alert.firing.key, strict=False))
    head = f"- {iso(alert.firing.time_us)} {seen.level(alert)} {seen.name(alert)} {key}"
    return "\n    ".join([head, reason[:300], *shown])
