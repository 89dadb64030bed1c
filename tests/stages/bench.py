"""A few partitions of detections by hand: matches and tellings are written into the log, in the order of the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from streamer.correlate import CorrelateLimits, Counters
from streamer.model import Alert, Firing, Match, Notice, Position
from streamer.sigma.rules import RuleSet
from streamer.stages.addressing import Addresser
from streamer.stages.outcome import CoreOutput
from streamer.stages.partition import PartitionCore
from streamer.stages.wire import Addressed, RanksTold, RankTold, SourcesTold, SourceTold, Wire, encode, version_of
from streamer.stages.wire import meaning_of as meaning
from tests.correlate.making import SECOND, correlation, count, expression, rules

ABSENT = correlation("absent", "temporal", "a b", expression("a and not b"))
CHAIN = rules(
    correlation("pair", "temporal", "a b"),
    correlation("above", "temporal", "pair c", expression("pair and not c"), rank=2),
    correlation("top", "event_count", "above", count("lte", 5), rank=3, span=10),
)
LEARNS = correlation("learns", "value_count", "a", count("gte", 1, "v"), first_seen=True, learn=100, span=1_000)


def at(seconds: float) -> int:
    return round(seconds * SECOND)


class Bench:
    """Cores of one rule set; ``version`` and ``rules`` speak for the detecting task."""

    def __init__(self, rules: RuleSet, partitions: int = 1, limits: CorrelateLimits | None = None) -> None:
        self.rules = rules
        self.count = partitions
        self.limits = limits
        self.cores = [self.core(number, rules) for number in range(partitions)]
        self.firings: list[Firing] = []
        self.alerts: list[Alert] = []
        self.notices: list[Notice] = []
        self.derived: list[tuple[int, Addressed]] = []
        self.offset = 0

    def core(self, number: int, rules: RuleSet) -> PartitionCore:
        return PartitionCore(rules, partition=number, partitions=self.count, limits=self.limits)

    def write(self, record: Wire, *numbers: int) -> None:
        """Into the logs named; all without a name."""
        for number in numbers or range(self.count):
            self.add(self.cores[number].feed(self.offset, encode(record)))
        self.offset += 1

    def add(self, output: CoreOutput) -> None:
        self.firings += output.firings
        self.alerts += output.alerts
        self.notices += output.notices
        self.derived += output.derived

    def match(self, one: Match, rules: RuleSet | None = None, *, lane: str | None = None, offset: int = -1) -> None:
        """A match, from the next raw record on; to every partition it goes to."""
        rules = rules or self.rules
        self.offset += 1
        raw = self.offset if offset < 0 else offset
        placed = replace(one, position=Position("topic", 0, raw, is_file=False))
        name = version_of(rules) if lane is None else lane
        for number, addressed in Addresser(rules, self.count, Counters()).address(placed, name, raw):
            self.write(addressed, number)

    def sources(
        self,
        seconds: float | None,
        rules: RuleSet | None = None,
        *numbers: int,
        expects: Mapping[str, int] | None = None,
        beginnings: tuple[tuple[bytes, str, int], ...] = (),
        since: float | None = None,
        source: tuple[str, int] = ("topic", 0),
    ) -> None:
        """One raw partition is so far."""
        rules = rules or self.rules
        told = SourceTold(
            *source, None if seconds is None else at(seconds), 0, None if since is None else at(since), None, None
        )
        known = tuple(sorted({meaning(rule) for rule in rules.correlations}))
        self.write(
            SourcesTold(version_of(rules), (told,), expects or {"topic": 1}, beginnings, known),
            *numbers,
        )

    def ranks(self, *numbers: int) -> dict[int, RankTold]:
        """The partitions named (all without a name) tell everybody how far they are."""
        told = {number: self.cores[number].ranks_told() for number in numbers or range(self.count)}
        self.write(RanksTold(told))
        return told

    def deliver(self) -> None:
        """What was derived is written where it belongs."""
        waiting, self.derived = self.derived, []
        for number, addressed in waiting:
            self.write(addressed, number)

    def reload(self, number: int, rules: RuleSet) -> None:
        """A partition goes over to other rules."""
        after = self.core(number, rules)
        self.cores[number].changes()
        after.restore(self.cores[number].snapshot())
        self.cores[number] = after

    def told(self, *names: str) -> list[tuple[str, float]]:
        """(rule, seconds) of the firings of the rules named, of all without a name, and forget them."""
        found = [(one.rule, one.time_us / SECOND) for one in self.firings if not names or one.rule in names]
        self.firings = []
        return found


def entries(bench: Bench, stored: dict[bytes, bytes], number: int = 0) -> dict[bytes, bytes]:
    """What the ledger of a partition holds after what changed is added to it."""
    for key, value in bench.cores[number].changes().items():
        if value is None:
            stored.pop(key, None)
        else:
            stored[key] = value
    return stored
