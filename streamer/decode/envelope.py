"""What an envelope of a cloud or collector hands on. One small module per envelope; ``envelopes`` lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamer.decode.stamps import Stamp


@dataclass(frozen=True, slots=True)
class Inner:
    """One entry of an envelope.

    Attributes:
        value: what was inside: a string, an object or a list.
        stamp: when the envelope says it was written.
        cluster: cluster as the envelope names it.
        kubernetes: metadata of the container that wrote it, where the envelope knows it.
        stream: ``stdout``, ``stderr`` or empty.
        partial: more of the same line follows.
    """

    value: Any
    stamp: Stamp | None = None
    cluster: str | None = None
    kubernetes: dict[str, Any] | None = None
    stream: str = ""
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened envelope.

    Attributes:
        entries: what is of interest.
        skipped: how many it held that are not.
        cut: there were more than anybody looked at.
    """

    entries: tuple[Inner, ...] = ()
    skipped: int = 0
    cut: bool = False
