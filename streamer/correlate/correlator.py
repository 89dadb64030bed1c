"""Correlation as one value with five verbs: feed, advance, next_deadline, snapshot/changes, restore.

Matches go in, firings and alerts come out; time moves only when told to. The parts (routing and keys, the state of one
key, ranks, episodes) know nothing of each other's insides; this module puts them together for one process.
"""

from __future__ import annotations

from collections.abc import Mapping

from streamer.correlate.alerting import AlertingDetection
from streamer.correlate.cascade import Cascade
from streamer.correlate.episodes import Alerter, Links
from streamer.correlate.limits import BEGINNING, FOREVER, CorrelateLimits, Counters
from streamer.correlate.store import RestoreReport, Store
from streamer.correlate.told import Told
from streamer.model import Match
from streamer.sigma.rules import RuleSet, Suppress

_ONCE = Suppress(gap_us=0, max_us=0)


class Correlator:
    """The correlations of a rule set over one stream of matches.

    Args:
        rules: what runs.
        limits: how much may be remembered.
        start_us: event time from which on the stream is known; without it the earliest match counts as its start.
    """

    def __init__(self, rules: RuleSet, limits: CorrelateLimits | None = None, *, start_us: int | None = None) -> None:
        limits = limits if limits is not None else CorrelateLimits()
        self.counters = Counters()
        self._cascade = Cascade(rules.correlations, limits, self.counters)
        self._start_is_given = start_us is not None
        self._cascade.starts_us = start_us
        self._watermark = BEGINNING
        links = Links({rule.meta.key: rule for rule in rules.correlations})
        self._alerters: dict[str, Alerter] = {}
        self._detections: dict[str, AlertingDetection] = {}
        for rule in rules.correlations:
            if rule.alerts:
                hold = max(rule.suppress.gap_us, rule.timespan_us) + rule.reach_us
                self._alerters[rule.meta.key] = Alerter(rule, rule.suppress, hold, links, limits)
        for detection in rules.detections:
            if detection.alerts:
                suppress = detection.suppress or _ONCE
                hold = suppress.gap_us + detection.reach_us
                self._alerters[detection.meta.key] = Alerter(detection, suppress, hold, links, limits)
                self._detections[detection.meta.key] = AlertingDetection(
                    detection, self.counters, limits.entries_per_rule
                )
        self._store = Store(rules, self._cascade, self._detections, self._alerters)

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
        self._store.clock_changed = True

    def advance(self, watermark_us: int) -> Told:
        """Nothing older than this will come in time any more: judge what ends before it. Going back does nothing."""
        told = Told()
        if watermark_us <= self._watermark:
            return told
        self._watermark = watermark_us
        self._store.clock_changed = True
        self._cascade.advance(watermark_us, told)
        self._alerted(told)
        if watermark_us < FOREVER:
            for detection in self._detections.values():
                detection.expire(watermark_us)
            for alerter in self._alerters.values():
                alerter.book.expire(watermark_us)
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
        for firing, seen in zip(told.firings, told.seen, strict=True):
            alerter = self._alerters.get(firing.rule)
            if alerter is not None:
                alerter.tell(firing, seen if firing.suppress_key in seen else (), told)
        return told

    # -- state ------------------------------------------------------------------------------------------------------

    def changes(self) -> dict[bytes, bytes | None]:
        """Entries that changed since the last call; ``None`` stands for one that is gone."""
        self._store.watermark = self._watermark
        return self._store.changes()

    def forget_changes(self) -> None:
        """Let go of what :meth:`changes` would tell; for callers that store nothing."""
        self._store.forget_changes()

    def snapshot(self) -> dict[bytes, bytes]:
        """All entries."""
        self._store.watermark = self._watermark
        return self._store.snapshot()

    def restore(self, entries: Mapping[bytes, bytes]) -> RestoreReport:
        """Put state back into a correlator that has seen nothing yet.

        State of rules whose meaning changed, or that are not loaded any more, is dropped; the next :meth:`changes`
        deletes its entries.

        Raises:
            StateError: the entries were written by a newer version, or are damaged.
        """
        report = self._store.restore(entries)
        self._watermark = self._store.watermark
        return report
