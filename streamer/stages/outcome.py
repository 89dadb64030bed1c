"""What a partition says, counts and shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamer.correlate import Counters
from streamer.model import Alert, Firing, Notice
from streamer.ports import Partition
from streamer.stages.addressing import Sent


@dataclass(slots=True)
class CoreOutput:
    """What one record of the log set off, in the order told.

    Attributes:
        derived: firings as matches for other correlations, with the partitions they go to.
    """

    alerts: list[Alert] = field(default_factory=list)
    firings: list[Firing] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    derived: list[Sent] = field(default_factory=list)


@dataclass(slots=True)
class CoreCounters:
    """What happened, since the core was made.

    Attributes:
        matches: taken in, by correlation.
        firings, alerts: by rule key.
        resent: matches that were sent before.
        shelved: matches put aside for rules that do not run here yet.
        unasked: matches for rules that do not run here any more, or that found no room aside.
        correlation: what the correlations count.
    """

    matches: Counter[str] = field(default_factory=Counter)
    firings: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    resent: int = 0
    shelved: int = 0
    unasked: int = 0
    correlation: Counters = field(default_factory=Counters)


@dataclass(frozen=True, slots=True)
class Heard:
    """How far time has come, for people.

    Attributes:
        sources: watermark of every raw partition heard of.
        ranks: the watermark by which each rank judges.
    """

    sources: Mapping[Partition, int | None]
    ranks: Mapping[int, int]
