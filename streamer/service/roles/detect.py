"""The role that detects: raw topics in, matches out to the partitions that correlate them.

One turn, in this order:

1. Read a batch of the raw partitions that the group gives to this process.
2. Detect, and send what matched; what cannot be read, and what a rule failed on, goes to the dead-letter topic.
3. When every single message has been acknowledged, commit the positions: at least once. What is sent again after a
   crash is recognised by whoever correlates, because it names its raw record.
4. Tell every partition how far the raw partitions are. Everything that this covers has been acknowledged.

After any failure: a new producer, back to what was committed, and nothing remembered of what was read since.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from streamer.decode import Source
from streamer.errors import ServerError, StateError
from streamer.kafka.raw_group import RawGroupReader
from streamer.model import DeadLetter, Notice, Position, Record
from streamer.ports import Batch, Partition
from streamer.service.doors import now_us
from streamer.service.patience import Backoff, Outage
from streamer.service.quiet import Quiet
from streamer.service.roles.attempts import Suspects
from streamer.service.roles.composing import POISON
from streamer.service.roles.costs import RuleCosts
from streamer.service.roles.coverage import Reached
from streamer.service.roles.findings import Findings, Sender
from streamer.service.roles.numbers import DetectNumbers, add_counters
from streamer.service.roles.raw_partitions import RawPartitions, say_what_changed
from streamer.sigma.rules import RuleSet
from streamer.stages.detection import DetectCounters, DetectStage

_log = structlog.get_logger("streamer.detect")
TURN_S: Final = 0.25
TELL_EVERY_S: Final = 0.25
"""How often at most all partitions are told how far the raw ones are."""
TELL_AT_LEAST_S: Final = 1.0
_SINGLY: Final = 1_000
"""Records fed one at a time after one of a batch raised."""
_REJOIN_AFTER: Final = 10
"""Failures in a row after which the group is joined anew."""
_BREATH: Final = 25
"""Records looked at in a stretch before other tasks get a turn: some ten milliseconds."""
_SHOWN: Final = 100_000
_LONGEST_TURN_S: Final = 10.0
"""After a longer turn (a process that was frozen) nobody's silence means anything."""


class DetectRole:
    """Detects on the raw partitions of one process.

    Args:
        reader: the group's consumer.
        sender: for everything that is sent.
        stage: with the rules to begin with.
        raw: the raw partitions.
        sources: by topic.
        numbers: counts.

    Attributes:
        outage: whether Kafka can be read and written.
        stage: what detects now.
        turned_s: when the loop last turned (monotonic clock).
        newest_us: per partition, the broker's stamp on the newest record that was read.
    """

    name = "detect"

    def __init__(
        self,
        reader: RawGroupReader,
        sender: Sender,
        stage: DetectStage,
        raw: RawPartitions,
        *,
        sources: Mapping[str, Source],
        numbers: DetectNumbers,
    ) -> None:
        self.outage = Outage("reading the raw topics", _log)
        self.stage = stage
        self.numbers = numbers
        self.turned_s = time.monotonic()
        self.newest_us: dict[Partition, int] = {}
        self.costs = RuleCosts(stage.rules)
        self._reader = reader
        self._sender = sender
        self._raw = raw
        self._sources = sources
        self._wanted: RuleSet | None = None
        self._quiet = Quiet(_LONGEST_TURN_S)
        self._suspects: Suspects[Position] = Suspects()
        self._notices: list[Notice] = []
        self._singly = 0
        self._failures = 0
        self._joined = self._started = False
        self._told_s = 0.0
        self._knows_topics = True
        self._backoff = Backoff()

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped. A turn commits what it sent, so nothing is left to do then. Raises ``StateError``."""
        try:
            while not stop.is_set():
                self.turned_s = time.monotonic()
                try:
                    await self._turn()
                except StateError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever it was: back to what was committed
                    await self._begin_anew(error)
        finally:
            self._raw.cancel()
            await self._reader.stop()
            await self._sender.stop()

    def reload(self, rules: RuleSet) -> None:
        """Go on with other rules from the next batch on."""
        self._wanted = rules

    def ready(self) -> Mapping[str, bool]:
        """Whether the group has given us partitions, and whether they can be read."""
        return {
            "raw partitions assigned": self._joined,
            "reading the raw topics": not self.outage.is_on,
            "every raw topic exists": self._knows_topics,
        }

    def note(self) -> str:
        """One line for people."""
        again = sum(held.rebuild is not None for held in self._raw.held.values())
        text = f"{len(self._raw.held)} raw partitions"
        return f"{text}, {again} of them read again for new rules" if again else text

    def counters(self) -> DetectCounters:
        """What was counted, whatever the rules were."""
        found = DetectCounters()
        add_counters(found, self.numbers.past)
        add_counters(found, self.stage.counters)
        return found

    def lags(self) -> Mapping[Partition, int]:
        """Records that have still to be read, by partition."""
        return {partition: self._reader.lag(partition) or 0 for partition in self._raw.held}

    async def _turn(self) -> None:
        if not self._started:
            await self._sender.restart()
            await self._reader.start(self._assigned, self._revoked)
            self._started = True
        self._raw.settle(self.stage)
        if self._wanted is not None:
            self._switch(self._wanted)
        before_us = now_us()
        batch = await self._reader.poll(TURN_S)
        for record in batch.records:
            if (held := self._raw.held.get(_partition(record))) is not None:
                held.is_fed = True
        await self._commit({})
        records = [record for record in batch.records if _partition(record) in self._raw.held]
        self._notices += self._gaps()
        if any(held.attempt is not None and held.attempt.left for held in self._raw.held.values()):
            for record in records:
                self.turned_s = time.monotonic()  # each may take a while
                await self._try(record)
        else:
            await self._send(records)
        self._listen(batch, records, before_us)
        await self._tell(at_once=bool(records))
        self._suspects.forget(self._is_passed)
        self.costs.batch(records, self._sources)
        self.outage.back()
        self._backoff.reset()
        self._failures = 0

    # -- partitions -------------------------------------------------------------------------------------------------

    def _assigned(self, partitions: frozenset[Partition]) -> None:
        """Called by the reader, within a poll."""
        self._joined = True
        for partition in set(self._raw.held) - partitions:
            self._give_up(partition)
        for partition in sorted(partitions):
            note, position = self._reader.note_of(partition), self._reader.position(partition)
            self._raw.take(partition, self.stage, note, position)
        _log.info("raw partitions assigned", partitions=[f"{topic}[{number}]" for topic, number in sorted(partitions)])

    def _revoked(self, partitions: frozenset[Partition]) -> None:
        for partition in partitions:
            self._give_up(partition)

    def _give_up(self, partition: Partition) -> None:
        self._raw.give_up(partition, self.stage)
        self._quiet.forget(partition)
        self.newest_us.pop(partition, None)

    def _switch(self, rules: RuleSet) -> None:
        self._wanted = None
        say_what_changed(self.stage.rules, rules)
        add_counters(self.numbers.past, self.stage.counters)
        self.stage = self.stage.replaced(rules)
        self.costs = RuleCosts(rules)
        self._raw.switch(self.stage)
        self.numbers.switches += 1
        self._told_s = 0.0

    # -- a turn -----------------------------------------------------------------------------------------------------

    async def _detect(self, records: Sequence[Record]) -> Findings:
        """Detect on a batch; after a failure record by record, until the one that failed has been found."""
        found = Findings()
        addressed = list(found.addressed)
        if not self._singly and all(self._why_not(record) is None for record in records):
            for begin in range(0, len(records), _BREATH):
                try:
                    some = _findings(self.stage, records[begin : begin + _BREATH])
                except Exception:
                    self._singly = _SINGLY
                    raise
                addressed += some.addressed
                found.letters += some.letters
                await asyncio.sleep(0)
            found.addressed = addressed
            return found
        for record in records:
            self._singly = max(0, self._singly - 1)
            if (reason := self._why_not(record)) is not None:
                found.letters.append((self._poison(record, reason), "detect"))
                continue
            try:
                one = _findings(self.stage, [record])
            except Exception as error:
                self._suspects.add(record.position, error)
                self._singly = _SINGLY
                raise
            addressed += one.addressed
            found.letters += one.letters
        found.addressed = addressed
        return found

    def _why_not(self, record: Record) -> str | None:
        """Why a record is not fed any more; ``None`` if it is."""
        if self._suspects.is_culprit(record.position):
            return self._suspects.reasons[record.position]
        attempt = self._raw.held[_partition(record)].attempt
        if attempt is not None and attempt.is_culprit and record.position.offset >= attempt.position:
            return "the process died each time it was fed"
        return None

    def _poison(self, record: Record, reason: str) -> DeadLetter:
        _log.error("a record is set aside", position=str(record.position), reason=reason)
        return DeadLetter(POISON, reason, record.position, record.value[:_SHOWN], len(record.value))

    def _gaps(self) -> list[Notice]:
        notices = [Notice("records-lost", None, now_us(), str(gap)) for gap in self._reader.take_gaps()]
        for notice in notices:
            _log.warning("records were lost before they were read", detail=notice.detail)
        return notices

    def _listen(self, batch: Batch, records: Sequence[Record], before_us: int) -> None:
        """Partitions that have been silent for long enough go on with the clock, as it was before the read."""
        heard = {_partition(record) for record in records}
        for record in records:
            if record.append_time_us is not None:
                self.newest_us[_partition(record)] = record.append_time_us
        turned_s = time.monotonic()
        at_end = batch.at_end & self._raw.held.keys()
        self._quiet.listen(at_end, heard, turned_s)
        for partition in sorted(at_end):
            quiet_for_s = self._quiet.quiet_for_s(partition, turned_s)
            if quiet_for_s is not None and quiet_for_s >= self._sources[partition[0]].idle_after_us / 1_000_000:
                self.stage.idle(partition, before_us)

    async def _try(self, record: Record) -> None:
        """One record by itself, because a process died hereabouts; no other is tried meanwhile."""
        async with self._raw.careful:
            held = self._raw.held.get(_partition(record))
            if held is not None and held.attempt is not None and not held.attempt.is_culprit:
                held.attempt = held.attempt.trying()
                await self._commit({})
            await self._send([record])

    async def _send(self, records: Sequence[Record]) -> None:
        """Detect, send, and commit when everything has been acknowledged."""
        records = [record for record in records if _partition(record) in self._raw.held]
        found = await self._detect(records)
        found.notices = tuple(self._notices)
        await self._sender.send(found)
        self._notices.clear()
        await self._commit({_partition(record): record.position.offset + 1 for record in records})

    async def _commit(self, positions: Mapping[Partition, int]) -> None:
        """Commit the positions behind what was sent, and notes that say something new."""
        wanted: dict[Partition, tuple[int, str, int]] = {}
        for partition, held in self._raw.held.items():
            if partition in positions:
                position = held.position = positions[partition]
                held.attempt = held.attempt.passed(position) if held.attempt is not None else None
                safe = self.stage.safe_position(partition, position)
                wanted[partition] = (safe, held.note, position if safe < position else 0)
            elif held.committed is not None:
                wanted[partition] = (held.committed[0], held.note, held.committed[2])
            elif held.position is not None:
                wanted[partition] = (held.position, held.note, 0)
        new = {key: value for key, value in wanted.items() if value != self._raw.held[key].committed}
        if not new:
            return
        notes = {key: self._reached(key, sent_below).added_to(note) for key, (_, note, sent_below) in new.items()}
        await self._reader.commit({partition: position for partition, (position, _, _) in new.items()}, notes)
        for partition, value in new.items():
            if partition in self._raw.held:
                self._raw.held[partition].committed = value

    def _reached(self, partition: Partition, sent_below: int) -> Reached:
        held, clock = self._raw.held[partition], self.stage.clocks[partition]
        return Reached(sent_below, clock.watermark_us if clock.watermark_us is not None else held.watermark_us)

    async def _tell(self, *, at_once: bool) -> None:
        since_s = time.monotonic() - self._told_s
        if not self._raw.held or since_s < (TELL_EVERY_S if at_once else TELL_AT_LEAST_S):
            return
        expects = self._reader.partition_counts()
        self._knows_topics = all(expects.values())
        if not self._knows_topics:
            return  # the client does not know its topics yet, or one is gone: what waits for it must wait
        self._told_s = time.monotonic()
        await self._sender.tell(self._raw.told(self.stage.told(expects)))

    def _is_passed(self, place: Position) -> bool:
        held = self._raw.held.get((place.source, place.partition))
        return held is None or (held.position is not None and place.offset < held.position)

    async def _begin_anew(self, error: Exception) -> None:
        """Back to what was committed, after waiting a little."""
        self.numbers.restarts += 1
        server_error = (
            error if isinstance(error, ServerError) else ServerError(f"{type(error).__name__}: {error}"[:500])
        )
        if server_error is not error:
            _log.error("detecting failed and goes back to what was committed", error=server_error.message)
        self.outage.gone(server_error)
        # Not longer than a few turns of the loop, which also has to see that it must stop.
        await asyncio.sleep(min(self._backoff.after(server_error), 2.0))
        if not self._started:
            return
        try:
            await self._sender.restart()
        except ServerError as away:
            self.outage.gone(away)
        self._failures += 1
        if self._failures % _REJOIN_AFTER == 0 or not server_error.retriable:
            self._started = False
            await self._reader.stop()
            self._revoked(frozenset(self._raw.held))
            return
        self._reader.rewind()
        self._raw.begin_anew(self.stage)
        for partition in self._raw.held:
            self._quiet.forget(partition)


def _partition(record: Record) -> Partition:
    return record.position.source, record.position.partition


def _findings(stage: DetectStage, records: Sequence[Record]) -> Findings:
    output = stage.feed(records)
    found = Findings(output.addressed, [(letter, "decode") for letter in output.dead_letters])
    found.failed(output.failures)
    return found
