"""A whole installation in memory: detecting tasks, partitions and their logs as lists, restarted at random."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from streamer.decode import Source
from streamer.model import Alert, Record
from streamer.ports import Partition
from streamer.sigma.rules import RuleSet
from streamer.stages import wire
from streamer.stages.detection import DetectStage
from streamer.stages.partition import PartitionCore
from streamer.stages.wire import RanksTold, RankTold


@dataclass
class Owner:
    """One partition of the detections: its core, and what is committed of it."""

    core: PartitionCore
    position: int = 0
    stored: dict[bytes, bytes] = field(default_factory=dict)
    committed: int = 0
    told: RankTold | None = None
    told_alerts: list[Alert] = field(default_factory=list)

    @property
    def alerts(self) -> list[str]:
        """Ids of what it told, in order."""
        return [alert.id for alert in self.told_alerts]


class Installation:
    """Feeds a raw log through, in an order and with restarts that a seed decides."""

    def __init__(
        self, rules: RuleSet, sources: Mapping[str, Source], log: Mapping[Partition, Sequence[Record]], partitions: int
    ) -> None:
        self.rules, self.sources, self.raw, self.partitions = rules, sources, log, partitions
        self.log: list[list[tuple[int, bytes]]] = [[] for _ in range(partitions)]
        self.owners = [Owner(self._core(number)) for number in range(partitions)]
        self.read = dict.fromkeys(log, 0)
        self.safe = dict.fromkeys(log, 0)
        self.expects = {name: sum(1 for each in log if each[0] == name) for name in sources}
        self.stages = [self._stage(partition) for partition in sorted(log)]

    def run(self, chance: random.Random, *, restarts: float) -> None:
        """Everything, to the end."""
        while any(self.read[partition] < len(records) for partition, records in self.raw.items()):
            self._detect(chance, restarts)
            for number in chance.sample(range(self.partitions), chance.randrange(self.partitions + 1)):
                self._correlate(number, chance, restarts)
        quiet = 0
        while quiet < 8:
            before = [len(entries) for entries in self.log]
            for number in range(self.partitions):
                self._correlate(number, chance, restarts / 4)
            moved = any(owner.position < len(self.log[n]) for n, owner in enumerate(self.owners))
            quiet = 0 if moved or before != [len(entries) for entries in self.log] else quiet + 1

    def _core(self, number: int) -> PartitionCore:
        return PartitionCore(self.rules, partition=number, partitions=self.partitions)

    def _stage(self, partition: Partition) -> tuple[Partition, DetectStage]:
        stage = DetectStage(self.rules, partitions=self.partitions)
        stage.take(partition, self.sources[partition[0]], self.read[partition])
        return partition, stage

    def _detect(self, chance: random.Random, restarts: float) -> None:
        at = chance.randrange(len(self.stages))
        partition, stage = self.stages[at]
        begin = self.read[partition]
        records = self.raw[partition][begin : begin + chance.randrange(1, 200)]
        output = stage.feed(records)
        for number, addressed in output.addressed:
            self._append(number, wire.encode(addressed))
        told = wire.encode(stage.told(self.expects))
        for number in range(self.partitions):
            self._append(number, told)
        self.read[partition] = begin + len(records)
        if chance.random() >= restarts:
            self.safe[partition] = stage.safe_position(partition, begin + len(records))
        if chance.random() < restarts:
            self.read[partition] = self.safe[partition]
            self.stages[at] = self._stage(partition)

    def _append(self, number: int, value: bytes) -> None:
        self.log[number].append((len(self.log[number]), value))

    def _correlate(self, number: int, chance: random.Random, restarts: float) -> None:
        owner = self.owners[number]
        step = self.log[number][owner.position : owner.position + chance.randrange(1, 300)]
        outputs = [owner.core.feed(offset, value) for offset, value in step]
        if chance.random() < restarts:
            owner.core = self._core(number)
            owner.core.restore(dict(owner.stored))
            owner.position = owner.committed
            return
        owner.position += len(step)
        for output in outputs:
            owner.told_alerts += output.alerts
            for to, addressed in output.derived:
                self._append(to, wire.encode(addressed))
        if owner.core.has_changes() or any(output.alerts or output.derived for output in outputs):
            for key, value in owner.core.changes().items():
                if value is None:
                    owner.stored.pop(key, None)
                else:
                    owner.stored[key] = value
            owner.committed = owner.position
        told = replace(owner.core.ranks_told(), rules=())  # they are told now and then, which is no news
        if told != owner.told:
            owner.told = told
            value = wire.encode(RanksTold({number: told}))
            for to in range(self.partitions):
                self._append(to, value)
