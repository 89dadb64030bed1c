"""Correlation as one value with five verbs: feed, advance, next_deadline, snapshot/changes, restore.

Matches go in, firings and alerts come out; time moves only when told to. The parts (routing and keys, the state of one
key, ranks, episodes) know nothing of each other's insides; this module puts them together for one process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streamer.correlate import codec
from streamer.correlate.alerting import AlertingDetection
from streamer.correlate.cascade import Cascade
from streamer.correlate.episodes import Alerters
from streamer.correlate.limits import BEGINNING, FOREVER, CorrelateLimits, Counters
from streamer.correlate.store import RestoreReport, Store
from streamer.correlate.told import Told
from streamer.model import Match
from streamer.sigma.rules import RuleSet

_TIME: Final = codec.encode_key("time")
"""The entry of the watermark, of the start of the stream and of its latest time."""


class Correlator:
    """The correlations of a rule set over one stream of matches.

    Args:
        rules: what runs.
        limits: how much may be remembered.
        start_us: event time from which on the stream is known; without it the earliest match counts as its start.
        counters: where it is counted what happened; others than new ones go on counting.
    """

    def __init__(
        self,
        rules: RuleSet,
        limits: CorrelateLimits | None = None,
        *,
        start_us: int | None = None,
        counters: Counters | None = None,
    ) -> None:
        limits = limits if limits is not None else CorrelateLimits()
        self.counters = counters if counters is not None else Counters()
        self._cascade = Cascade(rules.correlations, limits, self.counters)
        self._start_is_given = start_us is not None
        self._cascade.starts_us = start_us
        self._watermark = BEGINNING
        self._alerters = Alerters(rules, limits, self.counters)
        self._detections = {
            detection.meta.key: AlertingDetection(
                detection, self.counters, limits, self._alerters.by_rule[detection.meta.key]
            )
            for detection in rules.detections
            if detection.alerts
        }
        self._store = Store(rules, self._cascade.hosts, self._detections, self._alerters)
        self._clock_changed = True

    def feed(self, match: Match) -> Told:
        """Take a match of a detection in; returns everything it sets off, lower ranks first."""
        told = Told()
        self._note_time(match)
        detection = self._detections.get(match.rule)
        if detection is not None:
            told.firings += detection.feed(match, self._watermark)
            told.seen += [()] * len(told.firings)
        self._cascade.feed(match, told)
        return self._alerted(told)

    def _note_time(self, match: Match) -> None:
        cascade = self._cascade
        cascade.last_us = max(cascade.last_us, match.time_us)
        if not self._start_is_given and (cascade.starts_us is None or match.time_us < cascade.starts_us):
            cascade.starts_us = match.time_us
        self._clock_changed = True

    def advance(self, watermark_us: int) -> Told:
        """Nothing older than this will come in time any more: judge what ends before it. Going back does nothing."""
        told = Told()
        if watermark_us <= self._watermark:
            return told
        self._watermark = watermark_us
        self._clock_changed = True
        self._alerters.advance(watermark_us, told)
        self._cascade.advance(watermark_us, told)
        self._alerted(told)
        if watermark_us < FOREVER:
            for detection in self._detections.values():
                detection.expire(watermark_us)
            self._alerters.expire(watermark_us)
        else:
            self._alerters.finish(told)
        return told

    def finish(self, last_us: int | None = None) -> Told:
        """All input has ended: decide everything, rank by rank.

        Args:
            last_us: time of the last event of the stream, if the caller saw more than matches; a firing that rests on
                an absence reaching beyond it is marked ``cut``.
        """
        cascade = self._cascade
        if last_us is not None:
            cascade.last_us = last_us
        elif BEGINNING < self._watermark < FOREVER:
            cascade.last_us = max(cascade.last_us, self._watermark)
        return self.advance(FOREVER)

    def next_deadline(self) -> int | None:
        """The smallest watermark at which :meth:`advance` may decide something; ``None`` if nothing is open.

        Never too late; too early where matches that came since have moved the end of a ``not`` window.
        """
        return self._cascade.next_deadline()

    def _alerted(self, told: Told) -> Told:
        self._alerters.tell(told)
        return told

    def entries(self) -> int:
        """How many entries count for the limit of all rules."""
        return self._cascade.room.used

    # -- state ------------------------------------------------------------------------------------------------------

    def changes(self) -> dict[bytes, bytes | None]:
        """Entries that changed since the last call; ``None`` stands for one that is gone."""
        changed = self._store.changes()
        if self._clock_changed:
            changed[_TIME] = self._clock()
        self._clock_changed = False
        return changed

    def forget_changes(self) -> None:
        """Let go of what :meth:`changes` would tell; for callers that store nothing."""
        self._store.forget_changes()
        self._clock_changed = False

    def snapshot(self) -> dict[bytes, bytes]:
        """All entries."""
        return self._store.snapshot() | {_TIME: self._clock()}

    def _clock(self) -> bytes:
        cascade = self._cascade
        return codec.encode([self._watermark, cascade.starts_us, cascade.last_us, cascade.anew_us])

    def restore(self, entries: Mapping[bytes, bytes], *, anew_us: int | None = None) -> RestoreReport:
        """Put state back into a correlator that has seen nothing yet.

        State of rules whose meaning changed, or that are not loaded any more, is dropped; the next :meth:`changes`
        deletes its entries.

        Args:
            entries: from a snapshot, or changes put together.
            anew_us: the newest event time heard of so far: rules that are not gone on with know nothing up to it.
                Without it the latest match counts.

        Raises:
            StateError: the entries were written by a newer version, or are damaged.
        """
        others = dict(entries)
        clock = others.pop(_TIME, None)
        if clock is not None:
            self._load_clock(*codec.decode(clock))
        report = self._store.restore(others, lambda _: self._watermark)
        if clock is not None:
            since_us = anew_us if anew_us is not None else self._cascade.last_us
            self._cascade.begin_anew({*report.dropped, *report.new}, since_us)
            self._clock_changed = True
        return report

    def _load_clock(self, watermark: int, starts_us: int | None, last_us: int, anew_us: Mapping[str, int] = {}) -> None:
        cascade = self._cascade
        cascade.anew_us = dict(anew_us)
        self._watermark = watermark
        cascade.watermarks = dict.fromkeys(cascade.watermarks, watermark)
        if starts_us is not None:
            cascade.starts_us = starts_us if cascade.starts_us is None else min(starts_us, cascade.starts_us)
        cascade.last_us = max(cascade.last_us, last_us)
