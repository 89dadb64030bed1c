"""Recorded logs through the engine: several files merged by their clocks, each file one partition.

Pure: lines come from iterators, time comes from the lines. Which file is read next is decided by the engine: the one
whose clock is furthest behind. So an audit log and a container log of the same hour run side by side, whatever their
sizes, and events meet as they would have met live.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from streamer.decode import Source
from streamer.engine import Engine, Output
from streamer.model import Alert, Firing, Match, Position, Record
from streamer.ports import Partition
from streamer.sigma.rules import RuleSet

BATCH: Final = 512
"""Lines taken from one file before the clocks are compared again."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded file.

    Attributes:
        source: what it is declared to carry; ``source.name`` names it in evidence.
        lines: numbered lines without their line ends, in file order.
        history: replayed so that rules know what is usual; what it raises is not told.
    """

    source: Source
    lines: Iterable[tuple[int, bytes]]
    history: bool = False

    @property
    def partition(self) -> Partition:
        """The file as the engine knows it."""
        return (self.source.name, 0)


class Replay:
    """Drives one engine over recordings; iterate it once.

    Args:
        rules: all rules that run together.
        recordings: their source names must differ.
        batch: lines per step; any number gives the same firings.

    Attributes:
        engine: for its counters, after or during the replay.
    """

    def __init__(self, rules: RuleSet, recordings: Sequence[Recording], *, batch: int = BATCH) -> None:
        self.engine = Engine(rules)
        self._recordings = {recording.partition: recording for recording in recordings}
        self._lines = {partition: iter(found.lines) for partition, found in self._recordings.items()}
        self._history = {partition[0] for partition, found in self._recordings.items() if found.history}
        self._batch = batch
        for partition, recording in self._recordings.items():
            self.engine.expect(partition, recording.source, is_file=True)

    def __iter__(self) -> Iterator[Output]:
        """What the engine tells, step by step, to the end of all recordings; without what history raised."""
        open_partitions = set(self._lines)
        while open_partitions:
            partition = self._next(open_partitions)
            records = self._take(partition)
            if records:
                yield self._told(self.engine.feed(records))
            else:
                open_partitions.discard(partition)
                yield self._told(self.engine.end(partition))

    def _next(self, open_partitions: set[Partition]) -> Partition:
        behind = self.engine.next_partition()
        return behind if behind in open_partitions else min(open_partitions)

    def _take(self, partition: Partition) -> list[Record]:
        name = partition[0]
        taken = islice(self._lines[partition], self._batch)
        return [Record(value, Position(name, 0, number, True)) for number, value in taken]

    def _told(self, output: Output) -> Output:
        self.engine.forget_changes()
        if self._history:
            output.alerts = [alert for alert in output.alerts if not self._is_history(alert)]
            output.firings = [firing for firing in output.firings if not self._happened_in_history(firing)]
        return output

    def _is_history(self, alert: Alert) -> bool:
        return self._happened_in_history(alert.firing)

    def _happened_in_history(self, firing: Firing) -> bool:
        """Whether the event that completed it stands in a history file."""
        last = completing_event(firing)
        return last is not None and last.position is not None and last.position.source in self._history


def completing_event(firing: Firing) -> Match | None:
    """The latest event behind a firing; of equal times, the one with the greatest identity."""
    best: Match | None = None
    waiting: list[Firing] = [firing]
    while waiting:
        for step in waiting.pop().steps:
            for match in step.members:
                if match.firing is not None:
                    waiting.append(match.firing)
                elif best is None or (match.time_us, match.identity) > (best.time_us, best.identity):
                    best = match
    return best
