"""The whole story without I/O. Start reading here.

Bytes come in at one end, alerts leave at the other::

    Record ──decode──► Event ──detect──► Match ──correlate──► Firing ──► Alert

One :class:`Engine` runs rule tests, replay, the embedded mode and the service. It reads no clock: the time at which
something happened is in the records, and "now" is an argument where it is needed at all. State leaves and comes back
only through :meth:`Engine.changes`, :meth:`Engine.snapshot` and :meth:`Engine.restore`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamer.correlate import Clocks, CorrelateLimits, Correlator, Counters, RestoreReport, Told
from streamer.decode import Decoded, Decoder, Source
from streamer.detect import Detector, RuleFailure
from streamer.detect.intake import IntakeCounters, newest_stamp, tells, timed
from streamer.detect.watching import Watching
from streamer.model import Alert, DeadLetter, Event, Firing, Match, Notice, Record
from streamer.ports import Partition
from streamer.sigma.rules import RuleSet

_CLOCKS = b"clocks"
_DECODER = b"decoder\x00"
_CORRELATOR = b"c\x00"


@dataclass(slots=True)
class Output:
    """What one call of the engine told, in the order told."""

    alerts: list[Alert] = field(default_factory=list)
    firings: list[Firing] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    failures: list[RuleFailure] = field(default_factory=list)

    def add(self, told: Told) -> None:
        """Append what the correlator told."""
        self.alerts += told.alerts
        self.firings += told.firings
        self.notices += told.notices

    def join(self, more: Output) -> None:
        """Append what a later call told."""
        self.alerts += more.alerts
        self.firings += more.firings
        self.notices += more.notices
        self.dead_letters += more.dead_letters
        self.failures += more.failures


@dataclass(slots=True)
class EngineCounters(IntakeCounters):
    """How much passed through, since the engine was made.

    Attributes:
        firings, alerts: by rule key.
    """

    firings: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """The events of one record, and the watermark as it stood when the record arrived."""

    events: tuple[Event, ...]
    watermark_us: int | None


class Engine:
    """Records in, alerts out.

    Args:
        rules: all rules that run together.
        limits: bounds on correlation state.
        start_us: where the stream begins, for the ``cold_start`` mark; ``None`` takes the first event time seen.
        counters: of an engine that this one replaces, to go on counting; likewise ``correlated``.
    """

    def __init__(
        self,
        rules: RuleSet,
        *,
        limits: CorrelateLimits | None = None,
        start_us: int | None = None,
        counters: EngineCounters | None = None,
        correlated: Counters | None = None,
    ) -> None:
        self.rules = rules
        self.counters = counters if counters is not None else EngineCounters()
        self._limits = limits or CorrelateLimits()
        self._start_us = start_us
        self._detector = Detector(rules)
        self.correlator = Correlator(rules, self._limits, start_us=start_us, counters=correlated)
        self.clocks = Clocks()
        self._watching = Watching(rules, self.counters)
        self._sources: dict[Partition, Source] = {}
        self._decoders: dict[Partition, Decoder] = {}
        self._stored_decoders: dict[Partition, bytes] = {}
        self._touched: set[Partition] = set()
        self._written: dict[Partition, bytes] = {}
        self._unstored: dict[bytes, bytes | None] = {}

    def expect(self, partition: Partition, source: Source, *, is_file: bool) -> None:
        """Declare a partition. It holds the watermark until it is heard of, idle or ended. Repeating does no harm."""
        if partition in self._sources:
            return
        self._sources[partition] = source
        decoder = Decoder(source)
        stored = self._stored_decoders.pop(partition, None)
        if stored is not None:
            decoder.restore(stored)
            self._written[partition] = stored
        self._decoders[partition] = decoder
        self._watching.expect(partition, source, is_file=is_file)
        self.clocks.expect(partition, lateness_us=source.lateness_us, is_file=is_file)

    def feed(self, records: Sequence[Record]) -> Output:
        """Take records in their order of arrival.

        Every match meets the watermark as it stood when its record arrived, so the same order of records gives the
        same result however they are cut into batches.

        Raises:
            KeyError: a record of a partition that was not expected.
        """
        output = Output()
        arrivals: list[_Arrival] = []
        events: list[Event] = []
        for record in records:
            arrival = self._read(record, output)
            arrivals.append(arrival)
            events += arrival.events
        matches = self._detect(events, output)
        self._correlate(arrivals, matches, output)
        return output

    def idle(self, partition: Partition, now_us: int) -> Output:
        """The reader of ``partition`` has stood at the end of the log for the source's ``idle_after_us``."""
        source = self._sources[partition]
        self.clocks.idle(partition, now_us, source.idle_after_us)
        return self._advanced(Output())

    def end(self, partition: Partition) -> Output:
        """``partition`` yields nothing any more. When all have ended, everything open is decided."""
        output = Output()
        decoded = self._decoders[partition].flush()
        self._touched.add(partition)
        self._take(decoded, output)
        for match in self._detect([*decoded.events, *self._watching.end(partition)], output):
            self._tell(self.correlator.feed(match), output)
        self.clocks.end(partition)
        if self.clocks.all_ended():
            self._tell(self.correlator.finish(self.clocks.newest()), output)
            return output
        return self._advanced(output)

    def next_partition(self) -> Partition | None:
        """The partition that holds the watermark back: the one to read next when several files are merged."""
        return self.clocks.slowest()

    def changes(self) -> dict[bytes, bytes | None]:
        """State entries changed since the last call; ``None`` deletes one."""
        entries, self._unstored = self._unstored, {}
        entries |= {_CORRELATOR + key: value for key, value in self.correlator.changes().items()}
        for partition in sorted(self._touched):
            unfinished = self._decoders[partition].snapshot()
            if unfinished != self._written.get(partition, b""):
                entries[_decoder_key(partition)] = unfinished or None
                self._written[partition] = unfinished
        entries |= self._watching.changes(self._touched)
        self._touched.clear()
        entries[_CLOCKS] = self.clocks.snapshot()
        return entries

    def forget_changes(self) -> None:
        """Let go of what :meth:`changes` would tell. Callers that store nothing call it now and then: it is memory."""
        self.correlator.forget_changes()
        self._touched.clear()
        self._unstored = {}

    def snapshot(self) -> dict[bytes, bytes]:
        """The whole state as entries."""
        entries = {_CORRELATOR + key: value for key, value in self.correlator.snapshot().items()}
        for partition, decoder in self._decoders.items():
            unfinished = decoder.snapshot()
            if unfinished:
                entries[_decoder_key(partition)] = unfinished
        entries |= {_decoder_key(partition): stored for partition, stored in self._stored_decoders.items()}
        entries |= self._watching.snapshot()
        entries[_CLOCKS] = self.clocks.snapshot()
        return entries

    def restore(self, entries: Mapping[bytes, bytes]) -> RestoreReport:
        """Take over stored state, before the first record. State of rules whose meaning changed is dropped.

        Raises:
            StateError: entries of a newer schema, or entries that cannot be read.
        """
        if _CLOCKS in entries:
            self.clocks.restore(entries[_CLOCKS])
        for key, value in entries.items():
            if key.startswith(_DECODER):
                number, _, name = key[len(_DECODER) :].partition(b"\x00")
                partition = (name.decode(), int(number))
                if partition in self._decoders:
                    self._decoders[partition].restore(value)
                    self._written[partition] = value
                else:
                    self._stored_decoders[partition] = value
        self._watching.restore(entries)
        inner = {key[len(_CORRELATOR) :]: value for key, value in entries.items() if key.startswith(_CORRELATOR)}
        return self.correlator.restore(inner, anew_us=self.clocks.newest())

    def emptied(self, rules: RuleSet | None = None) -> Engine:
        """An engine to be used instead of this one that knows nothing yet, with the same rules or others."""
        return Engine(
            self.rules if rules is None else rules,
            limits=self._limits,
            start_us=self._start_us,
            counters=self.counters,
            correlated=self.correlator.counters,
        )

    def reload(self, rules: RuleSet) -> tuple[Engine, RestoreReport]:
        """An engine that goes on from here with other rules, to be used instead of this one, between two batches.

        Rules of unchanged meaning keep their state. Others begin anew with what comes from now on; a firing of theirs
        that looks back beyond the newest event heard of is marked ``cold_start``. Readers' partitions, clocks and
        counters are the same objects as before.
        """
        other = self.emptied(rules)
        other.clocks = self.clocks
        other._sources, other._decoders = self._sources, self._decoders  # noqa: SLF001 (one of us)
        other._stored_decoders, other._written = self._stored_decoders, self._written  # noqa: SLF001
        other._touched = self._touched  # noqa: SLF001
        other._watching = self._watching.under(rules)  # noqa: SLF001
        report = other.correlator.restore(self.correlator.snapshot(), anew_us=self.clocks.newest())
        # Last, for it cannot be taken back: if anything above fails, this engine goes on.
        unstored = {_CORRELATOR + key: value for key, value in self.correlator.changes().items()}
        other._unstored = self._unstored | unstored  # noqa: SLF001
        return other, report

    def _take(self, decoded: Decoded, output: Output) -> None:
        self.counters.decoded(decoded)
        output.dead_letters += decoded.dead_letters

    def _detect(self, events: Sequence[Event], output: Output) -> tuple[Match, ...]:
        detected = self._detector.detect(events)
        self.counters.detected(detected)
        output.failures += detected.failures
        return detected.matches

    def _read(self, record: Record, output: Output) -> _Arrival:
        """Decode one record and let it move its partition's clock."""
        partition = (record.position.source, record.position.partition)
        decoded = self._decoders[partition].decode(record)
        self._touched.add(partition)
        self.counters.read(record)
        self._take(decoded, output)
        before_us = self.clocks.watermark()
        events = timed(decoded.events, self.clocks.reached(partition))
        self.clocks.observe(partition, newest_stamp(events), record.append_time_us)
        health = self._watching.known.get(partition)
        if health is not None:
            events += health.read(record, decoded, events, self.clocks.reached(partition))
        return _Arrival(tuple(events), before_us)

    def _correlate(self, arrivals: Sequence[_Arrival], matches: Sequence[Match], output: Output) -> None:
        """Interleave matches with the watermark as it moved, record by record."""
        pending = 0
        deadline = self.correlator.next_deadline()
        for arrival in arrivals:
            before_us = arrival.watermark_us
            if before_us is not None and deadline is not None and before_us >= deadline:
                self._bring_to(before_us, output)
                deadline = self.correlator.next_deadline()
            if pending == len(matches):
                continue
            for event in arrival.events:
                while pending < len(matches) and tells(matches[pending], event):
                    self._bring_to(before_us, output)
                    self._tell(self.correlator.feed(matches[pending]), output)
                    pending += 1
                    deadline = self.correlator.next_deadline()
        self._bring_to(self.clocks.watermark(), output)

    def _bring_to(self, watermark_us: int | None, output: Output) -> None:
        if watermark_us is not None:
            self._tell(self.correlator.advance(watermark_us), output)

    def _advanced(self, output: Output) -> Output:
        self._bring_to(self.clocks.watermark(), output)
        return output

    def _tell(self, told: Told, output: Output) -> None:
        for firing in told.firings:
            self.counters.firings[firing.rule] += 1
        for alert in told.alerts:
            self.counters.alerts[alert.firing.rule] += 1
        output.add(told)


def _decoder_key(partition: Partition) -> bytes:
    name, number = partition
    return _DECODER + str(number).encode() + b"\x00" + name.encode()
