"""What the roles count, for metrics; never part of any state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from streamer.correlate import Counters
from streamer.stages.detection import DetectCounters
from streamer.stages.outcome import CoreCounters


def add_counters(to: Any, more: Any) -> None:
    """Add all counters of one object to those of another of the same class."""
    for each in fields(to):
        before, value = getattr(to, each.name), getattr(more, each.name)
        if isinstance(before, Counter):
            before.update(value)
        elif isinstance(before, Counters):
            add_counters(before, value)
        else:
            setattr(to, each.name, before + value)


@dataclass(slots=True)
class CorrelateNumbers:
    """What this process correlated.

    Attributes:
        records: records of the detections that were taken in.
        firings, alerts: by rule key; counted when the step is settled.
        notices: by kind.
        set_aside: dead letters, by reason.
        transactions: committed.
        lost: incarnations thrown away, by ``fenced``, ``refused``, ``doubt`` and ``failed``.
        takeovers: finished ones.
        restore_s: seconds they took, together.
        restored: state entries they read, together.
        past: what cores counted that are no more.
    """

    records: int = 0
    firings: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    notices: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)
    transactions: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    takeovers: int = 0
    restore_s: float = 0.0
    restored: int = 0
    past: CoreCounters = field(default_factory=CoreCounters)


@dataclass(slots=True)
class Settled:
    """What a step in progress told; added to the numbers when nothing can take it back any more."""

    records: int = 0
    firings: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    notices: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)

    def move_to(self, numbers: CorrelateNumbers) -> None:
        """Add, and begin anew."""
        numbers.records += self.records
        numbers.firings += self.firings
        numbers.alerts += self.alerts
        numbers.notices += self.notices
        numbers.set_aside += self.set_aside
        self.records = 0
        for counter in (self.firings, self.alerts, self.notices, self.set_aside):
            counter.clear()


@dataclass(slots=True)
class DetectNumbers:
    """What this process detected and sent.

    Attributes:
        sent: matches, one per (rule, key), that the broker acknowledged.
        set_aside: records (and failures of rules) that became dead letters, by reason.
        restarts: how often sending or committing failed and reading went back.
        told: how often it told how far its partitions are.
        switches: how often it changed to other rules.
        rebuilt: records that were read again for new rules.
        past: what stages counted that are no more.
    """

    sent: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    told: int = 0
    switches: int = 0
    rebuilt: int = 0
    past: DetectCounters = field(default_factory=DetectCounters)
