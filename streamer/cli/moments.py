"""``--since``: a length of time back from now, or a moment."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

from streamer.errors import SettingsError
from streamer.service.durations import parse_duration


def since_us(text: str | None) -> int | None:
    """Microseconds since the epoch, for ``1h`` or ``2026-11-24T10:00:00Z``. Raises ``SettingsError``."""
    if text is None:
        return None
    if re.fullmatch(r"\d+(ms|s|m|h|d)", text):
        return time.time_ns() // 1_000 - parse_duration(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"--since {text} is no time", hint="for example 1h, or 2026-11-24T10:00:00Z") from error
    return microseconds(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def microseconds(moment: datetime) -> int:
    """Since the epoch."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
