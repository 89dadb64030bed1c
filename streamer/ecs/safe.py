"""Values on their way into a document: bounded, printable, without secrets, of the type the index expects."""

from __future__ import annotations

import ipaddress
import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from streamer.detect.redaction import clean, cut, redact
from streamer.model import Scalar

MAX_VALUE: Final = 512
"""Characters of a key value."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US: Final = 253_402_300_799_999_999
"""End of the year 9999."""
_LAST_NANOS_US: Final = 9_223_372_036_854_775
"""The last microsecond that Elasticsearch's ``date_nanos`` can hold, in April 2262."""
_FIRST_US: Final = -62_135_596_800_000_000
"""Beginning of the year 1."""

_PLAIN_NAME: Final = re.compile(
    r"system:[\w:.@-]+"  # users of Kubernetes
    r"|[\w.-]+(?::\d+)?(?:/[\w.-]+)+(?::[\w.-]+)?(?:@sha256:[0-9a-f]+)?"  # images
)


def scalar_of(text: str) -> Any:
    """The value of a key's canonical text. Keys may hold what strict JSON does not: lone surrogates, infinities."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(text)
    except ValueError:
        return text


def safe_value(value: Any) -> Scalar:
    """A key's value as it may be shown. Numbers stay numbers; what is neither becomes text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else float(value)
    text = clean(str(value)[: 8 * MAX_VALUE])
    return cut(text if _PLAIN_NAME.fullmatch(text) else redact(text), MAX_VALUE)


def timestamp(time_us: int) -> str:
    """ISO 8601 in UTC with microseconds; times outside the years 1 to 9999 become the nearest one inside."""
    moment = _EPOCH + timedelta(microseconds=min(max(time_us, _FIRST_US), _LAST_US))
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def indexable_us(time_us: int) -> int:
    """The nearest time that ``date_nanos`` can hold: an event stamped in the year 9999 must not lose its alert."""
    return min(max(time_us, 0), _LAST_NANOS_US)


def address(text: Any) -> str | None:
    """An IP address in canonical form, or ``None``: the index refuses a document for one wrong address."""
    if not isinstance(text, str):
        return None
    try:
        parsed = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.scope_id is not None:
        return None
    return str(parsed)


def whole(value: Any, *, bits: int = 63) -> int | None:
    """A whole number that fits, or ``None``."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**bits) <= value < 2**bits else None
