"""Lengths of time as rules write them: ``<n>`` with s, m, h or d."""

from __future__ import annotations

import re
from typing import Final

from streamer.sigma.problems import Problems
from streamer.sigma.rules import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from streamer.sigma.yamltree import Node

MAX_US: Final = 3_650 * DAY_US
HINT: Final = "write a number and s, m, h or d: `5m`"

_UNITS: Final = {"s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US}
_SPAN: Final = re.compile(r"([0-9]{1,12})([smhd])")


def read_timespan(node: Node, key: str, problems: Problems) -> int | None:
    """Microseconds, more than 0 and at most :data:`MAX_US`; ``None`` after a problem."""
    found = _SPAN.fullmatch(node.scalar) if isinstance(node.scalar, str) else None
    if found is None:
        shown = f"`{node.scalar!s:.40}`" if node.items is None and node.entries is None else node.kind()
        problems.error("bad-timespan", node.place, f"{shown} is not a length of time for `{key}`", HINT)
        return None
    span = int(found[1]) * _UNITS[found[2]]
    if not 0 < span <= MAX_US:
        message = f"`{key}` must be more than 0 and at most {MAX_US // DAY_US}d"
        problems.error("bad-timespan", node.place, message, HINT)
        return None
    return span
