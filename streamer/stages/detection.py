"""Records in, addressed matches out: the half of the engine that remembers nothing which must outlive it.

A task that takes over a partition begins where its predecessor committed. What it says again is told apart downstream
by raw offset; how far time has come begins again from nothing, and downstream it never goes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from streamer.correlate import Counters, PartitionClock
from streamer.decode import Decoded, Decoder, Source
from streamer.detect import Detector, RuleFailure
from streamer.detect.health import SourceHealth, is_asked_for
from streamer.detect.intake import IntakeCounters, newest_stamp, tells, timed
from streamer.model import DeadLetter, Event, Match, Record
from streamer.ports import Partition
from streamer.sigma.rules import RuleSet
from streamer.stages.addressing import Addresser, Sent
from streamer.stages.wire import Beginning, SourcesTold, SourceTold, meaning_of, version_of

RULES_EVERY: Final = 16
"""Every how many tellings the meanings of the rules are told too."""

BEGINNINGS: Final = 1_000
"""First matches told at most; the latest, should there be more."""


@dataclass(slots=True)
class DetectOutput:
    """What one call gave, in the order of the records."""

    addressed: list[Sent] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    failures: list[RuleFailure] = field(default_factory=list)


@dataclass(slots=True)
class DetectCounters(IntakeCounters):
    """How much passed through, since the stage was made.

    Attributes:
        addressed: by correlation.
        correlation: matches without a key or a value, and keys left out, by correlation.
    """

    addressed: Counter[str] = field(default_factory=Counter)
    correlation: Counters = field(default_factory=Counters)


@dataclass(frozen=True, slots=True)
class _Carrier:
    """The record that events were read from, its partition's watermark as it stood before, and whether it was sent."""

    offset: int
    watermark_us: int | None
    was_sent: bool

    def is_behind(self, time_us: int) -> bool:
        """Whether everything of this time had been read already."""
        return self.watermark_us is not None and time_us < self.watermark_us


@dataclass(slots=True)
class _Reading:
    """One raw partition as far as it has been read.

    Attributes:
        sent_below: matches of records below it have been sent by a predecessor.
        is_whole: it is read from its beginning; ``None`` until the first record shows it.
        since_us: where the rules began to look, once that is known.
        health: where a rule asks for it.
    """

    source: Source
    decoder: Decoder
    clock: PartitionClock
    sent_below: int = 0
    is_whole: bool | None = None
    since_us: int | None = None
    first_us: int | None = None
    newest_us: int | None = None
    next_offset: int | None = None
    health: SourceHealth | None = None

    def note(self, record: Record, events: Sequence[Event]) -> None:
        """A record was read; its events have their times, and the clock stands as before it."""
        if self.is_whole is None:
            self.is_whole = record.position.offset == 0
        self.next_offset = record.position.offset + 1
        for event in events:
            time = event.time_us
            if self.newest_us is None or time > self.newest_us:
                self.newest_us = time
            reached = self.clock.watermark_us
            if (self.first_us is None or time < self.first_us) and (reached is None or time >= reached):
                self.first_us = time
        if self.next_offset <= self.sent_below:
            self.first_us = self.newest_us  # nobody here looks at what is older

    def watch(self, record: Record, decoded: Decoded, events: Sequence[Event]) -> list[Event]:
        """What is to be told of the source's health; the clock stands as behind the record."""
        return [] if self.health is None else self.health.read(record, decoded, events, self.clock.event_us)

    def told(self, partition: Partition) -> SourceTold:
        """How far it is, in words for others."""
        reached = (
            None if self.next_offset is not None and self.next_offset < self.sent_below else self.clock.watermark_us
        )
        if self.is_whole is False and self.since_us is None and reached is not None:
            # What stood before the first record read may be newer than it, by the allowed lateness at most.
            self.since_us = max(reached, self.first_us or reached) + self.source.lateness_us
        name, number = partition
        return SourceTold(name, number, reached, self.first_us, self.since_us, self.newest_us, self.next_offset)

    def under_other_rules(self) -> _Reading:
        """The same for rules that look only at what comes from now on."""
        if self.next_offset is None:
            return replace(self)
        return replace(self, is_whole=False, since_us=self.newest_us, first_us=None)


class DetectStage:
    """Decodes and detects the records of some raw partitions, and addresses what matches.

    Args:
        rules: all rules that run together.
        partitions: number of partitions of detections.
        lane: name under which resends are told apart; the rule set's version without it.
        only: rules to send to, for a rebuild of their state; all without it.
    """

    def __init__(
        self, rules: RuleSet, *, partitions: int, lane: str | None = None, only: frozenset[str] | None = None
    ) -> None:
        self.rules = rules
        self.version = version_of(rules)
        self.lane = lane if lane is not None else self.version
        self.counters = DetectCounters()
        self._partitions = partitions
        self._detector = Detector(rules)
        self._asks_for_health = is_asked_for(rules)
        self._addresser = Addresser(rules, partitions, self.counters.correlation, only=only)
        self._readings: dict[Partition, _Reading] = {}
        self._learning = {rule.meta.key: rule for rule in rules.correlations if rule.learn_us and rule.rank == 1}
        self._meanings = tuple(sorted({meaning_of(rule) for rule in rules.correlations}))
        self._beginnings: dict[tuple[bytes, str], int] = {}
        self._tellings = 0

    # -- partitions -------------------------------------------------------------------------------------------------

    def take(
        self,
        partition: Partition,
        source: Source,
        offset: int | None = None,
        *,
        since_us: int | None = None,
        sent_below: int = 0,
    ) -> None:
        """Begin with a partition, or begin with it again: nothing of it is remembered.

        Args:
            partition: which.
            source: what it carries.
            offset: where reading begins, if that is known.
            since_us: where these rules began to look at it, if a predecessor with the same rules said so.
            sent_below: a predecessor has sent the matches of records below this offset; they are read once more for
                the lines that go on behind it, and nothing of them is sent.
        """
        clock = PartitionClock(source.lateness_us, is_file=False)
        is_whole = None if offset is None and not sent_below else not (offset or sent_below)
        reading = _Reading(source, Decoder(source), clock, sent_below, is_whole, since_us)
        self._readings[partition] = reading
        self._watch(partition, reading)
        self._tellings = 0

    def give_up(self, partition: Partition) -> None:
        """Forget a partition; one that is not held does no harm."""
        self._readings.pop(partition, None)

    def replaced(self, rules: RuleSet) -> DetectStage:
        """The stage that goes on with other rules from here; this one must not be used any more."""
        after = DetectStage(rules, partitions=self._partitions)
        same = after.version == self.version
        for partition, reading in self._readings.items():
            after._readings[partition] = reading if same else reading.under_other_rules()
            after._watch(partition, after._readings[partition])
        known = set(after._meanings)
        after._beginnings = {one: time for one, time in self._beginnings.items() if one[0] in known}
        return after

    def _watch(self, partition: Partition, reading: _Reading) -> None:
        """Begin or go on to look at the health of a partition, or cease to, as the rules ask."""
        if not self._asks_for_health:
            reading.health = None
        elif reading.health is None:
            reading.health = SourceHealth(reading.source, partition[1], self.counters, is_file=False)
        else:
            reading.health.counters = self.counters

    def covers_from(self, partition: Partition, since_us: int | None) -> None:
        """The rules have seen what is newer than this after all, because it was read again for them."""
        reading = self._readings[partition]
        reading.since_us = since_us
        reading.is_whole = since_us is None

    @property
    def clocks(self) -> Mapping[Partition, PartitionClock]:
        """How far the partitions are."""
        return {partition: reading.clock for partition, reading in self._readings.items()}

    def idle(self, partition: Partition, now_us: int) -> None:
        """The reader has stood at the end of ``partition`` for the source's ``idle_after_us``."""
        reading = self._readings[partition]
        reading.clock.idle(now_us, reading.source.idle_after_us)

    def safe_position(self, partition: Partition, next_offset: int) -> int:
        """The offset from which a successor finds the same events after ``next_offset``.

        It is smaller where a line that a container runtime has split is not finished yet.
        """
        since = self._readings[partition].decoder.unfinished_since()
        return next_offset if since is None else min(since, next_offset)

    # -- records ----------------------------------------------------------------------------------------------------

    def feed(self, records: Sequence[Record]) -> DetectOutput:
        """Take records, those of each partition in their order.

        Raises:
            KeyError: a record of a partition that was not taken.
        """
        output = DetectOutput()
        events: list[Event] = []
        carriers: list[_Carrier] = []
        for record in records:
            carrier = self._carrier(record)
            found = self._read(record, output)
            events += found
            carriers += [carrier] * len(found)
        pending = 0
        for match in self._detect(events, output):
            while not tells(match, events[pending]):
                pending += 1
            if not carriers[pending].was_sent:
                self._address(match, carriers[pending], output)
        return output

    def _carrier(self, record: Record) -> _Carrier:
        reading = self._readings[record.position.source, record.position.partition]
        offset = record.position.offset
        return _Carrier(offset, reading.clock.watermark_us, was_sent=offset < reading.sent_below)

    def told(self, expects: Mapping[str, int]) -> SourcesTold:
        """How far everything is that was fed so far; to be told once the matches have been received.

        Args:
            expects: number of partitions of each configured raw topic.
        """
        with_rules = self._tellings % RULES_EVERY == 0
        self._tellings += 1
        newest = sorted(self._beginnings.items(), key=lambda one: (-one[1], one[0]))[:BEGINNINGS]
        beginnings: list[Beginning] = [(meaning, cluster, time) for (meaning, cluster), time in newest]
        return SourcesTold(
            version=self.version,
            sources=tuple(reading.told(partition) for partition, reading in sorted(self._readings.items())),
            expects=dict(expects),
            beginnings=tuple(beginnings),
            rules=self._meanings if with_rules else (),
        )

    def _read(self, record: Record, output: DetectOutput) -> list[Event]:
        """Decode one record and let it move its partition's clock."""
        reading = self._readings[record.position.source, record.position.partition]
        decoded = reading.decoder.decode(record)
        self.counters.read(record)
        self.counters.decoded(decoded)
        output.dead_letters += decoded.dead_letters
        events = timed(decoded.events, reading.clock.event_us)
        reading.note(record, events)
        reading.clock.observe(newest_stamp(events), record.append_time_us)
        return events + reading.watch(record, decoded, events)

    def _detect(self, events: Sequence[Event], output: DetectOutput) -> tuple[Match, ...]:
        detected = self._detector.detect(events)
        self.counters.detected(detected)
        output.failures += detected.failures
        return detected.matches

    def _address(self, match: Match, carrier: _Carrier, output: DetectOutput) -> None:
        for sent in self._addresser.address(match, self.lane, carrier.offset):
            addressed = sent[1]
            self.counters.addressed[addressed.correlation] += 1
            learning = self._learning.get(addressed.correlation)
            if learning is not None and not carrier.is_behind(match.time_us + learning.reach_us):
                at = (addressed.meaning, match.cluster)
                self._beginnings[at] = min(match.time_us, self._beginnings.get(at, match.time_us))
            output.addressed.append(sent)
