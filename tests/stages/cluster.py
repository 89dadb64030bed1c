"""A cluster in memory: raw partitions, detecting tasks, partitions of detections as logs, their owners and ledgers.

What may go wrong on a real one happens here at random: sends that break off, tasks that begin again from what was
committed, a predecessor that is not dead yet, owners that die between two commits, tellings that come twice or late,
partitions that lag. Nothing is lost that a broker would keep: a log only grows, and a ledger's commit is whole.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from streamer.decode import Source
from streamer.model import Alert, Firing, Record
from streamer.ports import Partition
from streamer.sigma.rules import RuleSet
from streamer.stages.addressing import Sent
from streamer.stages.detection import DetectStage
from streamer.stages.partition import PartitionCore
from streamer.stages.wire import RanksTold, RankTold, encode


@dataclass
class Troubles:
    """How often things go wrong, each a share of the turns.

    Attributes:
        broken: sends of a detecting task that break off half-way.
        restarts: detecting tasks that begin again.
        zombies: raw partitions that move while their former task goes on.
        deaths: owners of partitions of detections that die before a commit.
        quiet: batches after which a detecting task does not tell how far it is.
        repeats: tellings between correlating processes that are sent again later.
    """

    broken: float = 0.0
    restarts: float = 0.0
    zombies: float = 0.0
    deaths: float = 0.0
    quiet: float = 0.0
    repeats: float = 0.0


ROUGH = Troubles(broken=0.1, restarts=0.05, zombies=0.05, deaths=0.2, quiet=0.5, repeats=0.2)


@dataclass
class Owner:
    """One partition of detections: its log, its owner and what its ledger holds.

    Attributes:
        log: values, never changed.
        core: the owner's memory.
        position: next record to feed.
        stored: the changelog.
        stored_position: next record to feed after a takeover.
        waiting: what the records fed since the last commit said.
    """

    log: list[bytes]
    core: PartitionCore
    rules: RuleSet
    position: int = 0
    stored: dict[bytes, bytes] = field(default_factory=dict)
    stored_position: int = 0
    derived: list[Sent] = field(default_factory=list)
    firings: list[Firing] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    may_tell: RankTold | None = None


@dataclass
class Task:
    """One detecting task and the next record to read of each of its raw partitions."""

    stage: DetectStage
    reading: dict[Partition, int] = field(default_factory=dict)


class Cluster:
    """Everything together. A turn is one thing that happens; :meth:`finish` lets everything that can happen happen."""

    def __init__(
        self,
        rng: random.Random,
        rules: RuleSet,
        raw: Mapping[Partition, Sequence[Record]],
        *,
        source: Source | Mapping[str, Source],
        partitions: int,
        tasks: int = 1,
        troubles: Troubles | None = None,
    ) -> None:
        self.rng = rng
        self.raw = raw
        self.sources = source if isinstance(source, Mapping) else dict.fromkeys((name for name, _ in raw), source)
        self.count = partitions
        self.troubles = troubles or Troubles()
        self.rules = rules
        self.committed: dict[Partition, int] = dict.fromkeys(raw, 0)
        self.tasks = [Task(DetectStage(rules, partitions=partitions)) for _ in range(tasks)]
        for partition in raw:
            self._take(rng.choice(self.tasks), partition)
        self.owners = [Owner([], self._core(number, rules), rules) for number in range(partitions)]
        self.expects = dict(Counter(name for name, _ in raw))
        self.firings: list[Firing] = []
        self.alerts: list[Alert] = []
        self.happened: Counter[str] = Counter()
        self._said: list[bytes] = []

    def _core(self, number: int, rules: RuleSet) -> PartitionCore:
        return PartitionCore(rules, partition=number, partitions=self.count)

    # -- detecting --------------------------------------------------------------------------------------------------

    def _take(self, task: Task, partition: Partition) -> None:
        index = self.committed[partition]
        records = self.raw[partition]
        task.reading[partition] = index
        offset = records[index].position.offset if 0 < index < len(records) else index
        task.stage.take(partition, self.sources[partition[0]], offset)

    def read(self, task: Task, partition: Partition, most: int) -> None:
        """A task reads some records, sends what matches, tells how far it is and commits; or its sends break off."""
        records = self.raw[partition][task.reading[partition] : task.reading[partition] + most]
        output = task.stage.feed(records)
        assert not output.failures
        task.reading[partition] += len(records)
        if self._happens("broken", self.troubles.broken):
            self._send_some(output.addressed)
            self.restart(task)
            return
        self._send(output.addressed)
        if not self._happens("quiet", self.troubles.quiet):
            self.tell(task)
            self.commit(task)

    def tell(self, task: Task) -> None:
        """A task tells everybody how far it is."""
        self._broadcast(encode(task.stage.told(self.expects)))

    def commit(self, task: Task) -> None:
        """A task commits from where a successor must read; a group lets only owners commit."""
        for partition, index in task.reading.items():
            records = self.raw[partition]
            offset = records[index - 1].position.offset + 1 if index else 0
            safe = task.stage.safe_position(partition, offset)
            place = next((at for at, one in enumerate(records) if one.position.offset >= safe), len(records))
            self.committed[partition] = max(self.committed[partition], min(place, index))

    def restart(self, task: Task) -> None:
        """A task begins again from what is committed."""
        held = list(task.reading)
        if self.rng.random() < 0.5:
            task.stage = DetectStage(task.stage.rules, partitions=self.count)
        for partition in held:
            self._take(task, partition)

    def move(self, partition: Partition) -> None:
        """A raw partition goes to a task that may have it already; the former one knows nothing of it yet."""
        self._take(self.rng.choice(self.tasks), partition)

    def _send(self, sent: Iterable[Sent]) -> None:
        for number, addressed in sent:
            self.owners[number].log.append(encode(addressed))

    def _send_some(self, sent: Sequence[Sent]) -> None:
        """To every partition what comes first, as far as it came."""
        for number in range(self.count):
            of_one = [one for one in sent if one[0] == number]
            self._send(of_one[: self.rng.randint(0, len(of_one))])

    def _broadcast(self, value: bytes) -> None:
        for owner in self.owners:
            owner.log.append(value)

    # -- correlating ------------------------------------------------------------------------------------------------

    def step(self, owner: Owner, most: int) -> None:
        """An owner feeds some records and commits, or dies before it has."""
        for value in owner.log[owner.position : owner.position + most]:
            output = owner.core.feed(owner.position, value)
            owner.position += 1
            owner.derived += output.derived
            owner.firings += output.firings
            owner.alerts += output.alerts
        if self._happens("deaths", self.troubles.deaths):
            self.take_over(owner, owner.rules)
        elif owner.derived or owner.alerts or owner.core.has_changes() or self.rng.random() < 0.2:
            self.store(owner)
        if not (owner.derived or owner.alerts or owner.core.has_changes()):
            owner.may_tell = owner.core.ranks_told()

    def store(self, owner: Owner) -> None:
        """One transaction: state, position and everything said."""
        for key, value in owner.core.changes().items():
            if value is None:
                owner.stored.pop(key, None)
            else:
                owner.stored[key] = value
        owner.stored_position = owner.position
        self._send(owner.derived)
        self.firings += owner.firings
        self.alerts += owner.alerts
        owner.derived, owner.firings, owner.alerts = [], [], []

    def take_over(self, owner: Owner, rules: RuleSet) -> None:
        """Somebody goes on from what the ledger holds."""
        number = self.owners.index(owner)
        owner.core = self._core(number, rules)
        owner.core.restore(dict(owner.stored))
        owner.rules = rules
        owner.position = owner.stored_position
        owner.derived, owner.firings, owner.alerts = [], [], []

    def say(self) -> None:
        """The correlating processes tell everybody how far they are; sometimes what they told before comes again."""
        numbers = [number for number, owner in enumerate(self.owners) if owner.may_tell is not None]
        chosen = [number for number in numbers if self.rng.random() < 0.7]
        told = {number: one for number in chosen if (one := self.owners[number].may_tell) is not None}
        value = encode(RanksTold(told))
        self._broadcast(value)
        self._said.append(value)
        if self._happens("repeats", self.troubles.repeats):
            self._broadcast(self.rng.choice(self._said))

    # -- reloading --------------------------------------------------------------------------------------------------

    def reload_task(self, task: Task, rules: RuleSet) -> None:
        """A detecting task goes on with other rules."""
        task.stage = task.stage.replaced(rules)

    def reload_owner(self, owner: Owner, rules: RuleSet) -> None:
        """A correlating process goes on with other rules."""
        self.store(owner)
        owner.may_tell = None
        after = self._core(self.owners.index(owner), rules)
        after.restore(owner.core.snapshot())
        owner.core, owner.rules = after, rules

    # -- turns ------------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Something happens."""
        what = self.rng.random()
        if self._happens("restarts", self.troubles.restarts):
            self.restart(self.rng.choice(self.tasks))
        elif self._happens("zombies", self.troubles.zombies):
            self.move(self.rng.choice(list(self.raw)))
        elif what < 0.4:
            task = self.rng.choice(self.tasks)
            if task.reading:
                self.read(task, self.rng.choice(list(task.reading)), self.rng.choice((1, 1, 2, 5)))
        elif what < 0.9:
            self.step(self.rng.choice(self.owners), self.rng.choice((1, 2, 5, 20)))
        else:
            self.say()

    def finish(self, now_us: int) -> None:
        """Everything is read, every reader stands at the end of its log, and everybody tells it until all is said."""
        self.troubles = Troubles()
        self.until_read()
        for task in self.tasks:
            for partition in task.reading:
                task.stage.idle(partition, now_us)
            self.tell(task)
        self.settle()

    def until_read(self) -> None:
        """Every raw partition is read to its end by its latest task."""
        for task in self.tasks:
            for partition in task.reading:
                while task.reading[partition] < len(self.raw[partition]):
                    self.read(task, partition, 3)

    def settle(self, rounds: int = 8) -> None:
        """Nothing more is read; what stands in the logs is dealt with, and everybody tells how far they are."""
        for _ in range(rounds):
            while any(owner.position < len(owner.log) for owner in self.owners):
                for owner in self.owners:
                    self.step(owner, 10)
            for owner in self.owners:
                self.step(owner, 0)
            told = {number: owner.core.ranks_told() for number, owner in enumerate(self.owners)}
            self._broadcast(encode(RanksTold(told)))
        for owner in self.owners:
            self.step(owner, len(owner.log))
            self.store(owner)

    def _happens(self, what: str, share: float) -> bool:
        if self.rng.random() >= share:
            return False
        self.happened[what] += 1
        return True


def told_once(told: Sequence[Firing], of: Callable[[Firing], object]) -> list[object]:
    """What was told more than once."""
    return [one for one, times in Counter(map(of, told)).items() if times > 1]
