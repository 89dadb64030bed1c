"""What must come out: the pure engine over the raw log, whatever the processes went through.

The engine reads the records of all raw partitions merged by their time, in one process and one piece. From the same
records in any order within lateness the set of firings is the same; only for the odd keys it is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from streamer.correlate import CorrelateLimits
from streamer.decode import Source
from streamer.engine import Engine
from streamer.model import Alert, Firing, Match, Record
from streamer.ports import Partition
from streamer.sigma.rules import RuleSet
from tests.chaos.workload import ODD

Told = tuple[str, tuple[str, ...], int]
"""(rule, key, time): the identity of a firing."""
_AT_ONCE = 500


@dataclass(slots=True)
class Expected:
    """What the engine told of a raw log.

    Attributes:
        firings: every firing once, alerting or not.
        alerts: in the order told.
        watermark_us: how far it came.
        matches: how many detections there were.
        dead_letters: positions of what cannot be read.
    """

    firings: dict[Told, Firing] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    watermark_us: int | None = None
    matches: int = 0
    dead_letters: set[str] = field(default_factory=set)
    events: int = 0


def expected_of(
    rules: RuleSet,
    sources: Mapping[str, Source],
    log: Mapping[Partition, Sequence[Record]],
    limits: CorrelateLimits | None = None,
) -> Expected:
    """Run the engine over everything that stands in the raw topics."""
    engine = Engine(rules, limits=limits)
    found = Expected()
    for partition in sorted(log):
        engine.expect(partition, sources[partition[0]], is_file=False)
    left = {partition: 0 for partition, records in log.items() if records}
    while left:
        partition = min(left, key=lambda each: _reached(engine, each))
        at = left[partition]
        records = log[partition][at : at + _AT_ONCE]
        output = engine.feed(records)
        engine.forget_changes()
        found.firings |= {identity_of(firing): firing for firing in output.firings}
        found.alerts += output.alerts
        found.dead_letters |= {str(letter.position) for letter in output.dead_letters}
        if at + _AT_ONCE < len(log[partition]):
            left[partition] = at + _AT_ONCE
        else:
            del left[partition]
    found.watermark_us = engine.clocks.watermark()
    found.matches = sum(engine.counters.matches.values())
    found.events = sum(engine.counters.events.values())
    return found


def _reached(engine: Engine, partition: Partition) -> tuple[int, Partition]:
    reached_us = engine.clocks.reached(partition)
    return (-1 if reached_us is None else reached_us, partition)


def identity_of(firing: Firing) -> Told:
    """(rule, key, time)."""
    return (firing.rule, firing.key, firing.time_us)


def is_odd(firing: Firing) -> bool:
    """Whether anything of it rests on records whose time is strange, so that only the same order tells the same."""
    return any(ODD in part for part in firing.key) or any(
        _is_odd_match(match) for step in firing.steps for match in step.members
    )


def _is_odd_match(match: Match) -> bool:
    if match.firing is not None:
        return is_odd(match.firing)
    return ODD in repr(match.values) or ODD in repr(match.evidence)


def ordinary(firings: Iterable[Firing]) -> set[Told]:
    """Identities of the firings that every order of the same records tells."""
    return {identity_of(firing) for firing in firings if not is_odd(firing)}
