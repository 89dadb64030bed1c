"""Lengths of time as people say them."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ((86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"))


def duration_text(length_us: int) -> str:
    """``52 s``, ``3 min 20 s``, ``2 d 4 h``: at most two units; under a second ``340 ms``, ``less than 1 ms``."""
    length_us = abs(length_us)
    if length_us < 1_000:
        return "less than 1 ms" if length_us else "0 s"
    if length_us < 1_000_000:
        return f"{length_us // 1_000} ms"
    parts: list[str] = []
    for size, unit in _UNITS:
        amount, length_us = divmod(length_us, size)
        if amount:
            parts.append(f"{amount} {unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)
