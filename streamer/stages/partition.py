"""One partition of detections: a function of its log.

Records of the log go in, in their order; firings, alerts and matches for other partitions come out. A firing that
other correlations use is always sent through the log, to the own partition too, so that every match meets the
watermark as it stood where its record stands. Where the log is cut into steps, and how often a step is done again,
makes no difference: what a step writes is the state after it and what it said.

State leaves and comes back only through :meth:`PartitionCore.changes`, :meth:`~PartitionCore.snapshot` and
:meth:`~PartitionCore.restore`; a reload of rules is a new core that restores the old one's snapshot.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from streamer.correlate import CorrelateLimits, RestoreReport, Told, codec
from streamer.correlate.alerting import AlertingDetection
from streamer.correlate.cascade import fired
from streamer.correlate.episodes import Alerters
from streamer.correlate.firings import Verdict, match_of
from streamer.correlate.host import Came, Host
from streamer.correlate.limits import BEGINNING, FOREVER, Room
from streamer.correlate.store import Store
from streamer.errors import StateError
from streamer.model import Match, Notice
from streamer.sigma.rules import RuleSet
from streamer.stages.addressing import Addresser
from streamer.stages.detection import BEGINNINGS, RULES_EVERY
from streamer.stages.outcome import CoreCounters, CoreOutput, Heard
from streamer.stages.resends import Resends
from streamer.stages.shelf import Shelf
from streamer.stages.watermarks import Watermarks
from streamer.stages.wire import (
    FIRING,
    Addressed,
    Beginning,
    NoticeTold,
    RanksTold,
    RankTold,
    SourcesTold,
    decode,
    meaning_of,
    version_of,
)

_HEARD: Final = codec.encode_key("heard")
"""The entry of all that was heard of time and of what was sent before."""

_VERSIONS: Final = codec.encode_key("versions")
"""The entry of what rules meant, here and elsewhere."""

_NOTICES: Final = 64
"""Notices of detecting tasks remembered, so that one told twice is told once."""


class PartitionCore:
    """The correlations of one partition.

    Args:
        rules: what runs.
        partition: number of this partition of detections.
        partitions: how many there are.
        limits: how much may be remembered and told by this one.
    """

    def __init__(
        self, rules: RuleSet, *, partition: int, partitions: int, limits: CorrelateLimits | None = None
    ) -> None:
        limits = limits or CorrelateLimits()
        self.rules = rules
        self.partition, self.partitions = partition, partitions
        self.version = version_of(rules)
        self.counters = CoreCounters()
        counters, room = self.counters.correlation, Room()
        self._hosts = {rule.meta.key: Host(rule, limits, counters, room) for rule in rules.correlations}
        self._order = {name: number for number, name in enumerate(self._hosts)}
        self._alerters = Alerters(rules, limits, counters, f"partition {partition}")
        self._detections = {
            detection.meta.key: AlertingDetection(
                detection, counters, limits, self._alerters.by_rule[detection.meta.key]
            )
            for detection in rules.detections
            if detection.alerts
        }
        self._meanings = {key: meaning_of(rule) for key, rule in rules.by_key().items()}
        self._learning = {self._meanings[name]: host for name, host in self._hosts.items() if host.plan.rule.learn_us}
        self._addresser = Addresser(rules, partitions, counters)
        self._above = frozenset(below for rule in rules.correlations for below in rule.rules)
        self._times = Watermarks(rules, self.version, partitions)
        self._resends = Resends()
        self._shelf = Shelf()
        self._store = Store(rules, self._hosts.values(), self._detections, self._alerters)
        self._notices: dict[bytes, None] = {}
        self._newest_us = BEGINNING
        self._passed_us: int | None = None
        self._heard_changed = True
        self._stored_versions = b""
        self._is_shelf_checked = True
        self._tellings = 0

    # -- the log ----------------------------------------------------------------------------------------------------

    def feed(self, offset: int, value: bytes) -> CoreOutput:
        """Take the next record of the log in.

        Args:
            offset: where it stands, for errors.
            value: the record.

        Raises:
            StateError: the record was written by a newer version.
            RecordError: it cannot be read; nothing has changed.
        """
        try:
            record = decode(value)
        except StateError as error:
            where = f"It stands at offset {offset} of partition {self.partition}."
            raise StateError(f"{error.message} {where}", hint=error.hint) from error
        output = CoreOutput()
        self._heard_changed = True
        if not self._is_shelf_checked:
            self._take_up(output)
        if isinstance(record, Addressed):
            self._match(record, output)
        elif isinstance(record, NoticeTold):
            self._notice(record.notice, output)
        else:
            self._hear(record, output)
        return output

    def _match(self, addressed: Addressed, output: CoreOutput) -> None:
        if addressed.lane != FIRING and not self._resends.is_new(addressed):
            self.counters.resent += 1
            return
        if self._is_for_here(addressed):
            self._take(addressed, output)
        elif self._shelf.put(addressed):
            self.counters.shelved += 1
        else:
            self.counters.unasked += 1

    def _is_for_here(self, addressed: Addressed) -> bool:
        """An alerting detection tells whatever comes under its name; a correlation only what it asked for."""
        if addressed.correlation == addressed.match.rule:
            return addressed.correlation in self._detections
        host = self._hosts.get(addressed.correlation)
        return (
            host is not None
            and self._meanings[host.name] == addressed.meaning
            and addressed.match.rule in host.plan.number
        )

    def _take(self, addressed: Addressed, output: CoreOutput) -> None:
        name, match = addressed.correlation, addressed.match
        told = Told()
        self.counters.matches[name] += 1
        self._newest_us = max(self._newest_us, match.time_us)
        if name == match.rule:
            reached = self._times.reached_us
            told.firings += self._detections[name].feed_key(
                match, addressed.key, BEGINNING if reached is None else reached
            )
            told.seen += [()] * len(told.firings)
        else:
            host = self._hosts[name]
            came = host.feed_key(match, addressed.key, addressed.overflow, self._times.rules[name].watermark)
            self._fire(host, came, match.time_us, told, output)
        self._tell(told, output)

    def _fire(self, host: Host, came: list[Came], arrived_us: int, told: Told, output: CoreOutput) -> None:
        """Tell what came true and send it to the rules above."""
        rule, times = host.plan.rule, self._times.rules[host.name]
        decided_us = arrived_us if rule.decides == "arrival" else times.watermark
        verdict = Verdict(rule.decides, decided_us)
        starts_us = FOREVER if times.starts_us is None else times.starts_us
        told.notices += host.notices
        host.notices = []
        for one in came:
            done = one[1]
            if done.looks_from < FOREVER:
                # With matches of before the start the chain, and what must be absent around it, might be another.
                done.looks_from = min(done.looks_from, done.window[0])
            firing = fired(host, one, verdict, starts_us, told)
            if host.name in self._above:
                self._send(match_of(firing, rule.across_clusters), output)

    def _send(self, match: Match, output: CoreOutput) -> None:
        for sent in self._addresser.address(match):
            above = self._hosts[sent[1].correlation]
            if above.plan.rule.learn_us:
                above.beginnings.note(match.cluster, match.time_us)
            output.derived.append(sent)

    def _tell(self, told: Told, output: CoreOutput) -> None:
        self._alerters.tell(told)
        for firing in told.firings:
            self.counters.firings[firing.rule] += 1
        for alert in told.alerts:
            self.counters.alerts[alert.firing.rule] += 1
        output.firings += told.firings
        output.alerts += told.alerts
        output.notices += told.notices

    def _notice(self, notice: Notice, output: CoreOutput) -> None:
        text = json.dumps([notice.kind, notice.rule, notice.time_us, notice.detail, notice.top])
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        if digest in self._notices:
            return
        self._notices[digest] = None
        if len(self._notices) > _NOTICES:
            del self._notices[next(iter(self._notices))]
        output.notices.append(notice)

    # -- time -------------------------------------------------------------------------------------------------------

    def _hear(self, record: SourcesTold | RanksTold, output: CoreOutput) -> None:
        if isinstance(record, SourcesTold):
            for source in record.sources:
                self._resends.told(record.version, source)
            self._times.hear_sources(record)
            self._begin(record.beginnings)
            self._pass_time(output)
            self._advance(1, output)
            return
        for number, told in record.told.items():
            self._times.hear_ranks(number, told)
            self._begin(told.beginnings)
        for rank in range(2, self._times.highest + 1):
            self._advance(rank, output)

    def _begin(self, beginnings: tuple[Beginning, ...]) -> None:
        for meaning, cluster, time in beginnings:
            host = self._learning.get(meaning)
            if host is not None:
                host.beginnings.note(cluster, time)

    def _pass_time(self, output: CoreOutput) -> None:
        """What goes by the sources alone, whatever the rules: the hours of the flood gate, detections that alert."""
        reached = self._times.reached_us
        if reached is None or reached == self._passed_us:
            return
        self._passed_us = reached
        told = Told()
        self._alerters.advance(reached, told)
        self._tell(told, output)
        self._shelf.expire(reached)
        for name, detection in self._detections.items():
            detection.expire(reached)
            self._alerters.by_rule[name].book.expire(reached)

    def _advance(self, rank: int, output: CoreOutput) -> None:
        """Judge of one rank what nothing can change any more."""
        moved = [self._hosts[rule.key] for rule in self._times.advance(rank, self._shelf.missed)]
        due = [
            (one[1].time_us, self._order[host.name], one, host)
            for host in moved
            for one in host.judge(self._times.rules[host.name].watermark)
        ]
        due.sort(key=lambda one: one[:2])
        for time, _, one, host in due:
            told = Told()
            self._fire(host, [one], time, told, output)
            self._tell(told, output)
        for host in moved:
            self._expire(host)

    def _expire(self, host: Host) -> None:
        watermark = self._times.rules[host.name].watermark
        host.expire(watermark)
        alerter = self._alerters.by_rule.get(host.name)
        if alerter is not None:
            alerter.book.expire(watermark)

    def ranks_told(self) -> RankTold:
        """What may be told to all partitions once everything fed so far is committed, or needs no commit."""
        with_rules = self._tellings % RULES_EVERY == 0
        self._tellings += 1
        beginnings = sorted(
            (-time, meaning, cluster)
            for meaning, host in self._learning.items()
            if host.plan.rule.rank > 1
            for cluster, time in host.beginnings.first.items()
        )
        return replace(
            self._times.claims(),
            beginnings=tuple((meaning, cluster, -time) for time, meaning, cluster in beginnings[:BEGINNINGS]),
            rules=self._times.meanings if with_rules else (),
        )

    @property
    def watermark_us(self) -> int | None:
        """Everything older has been told by all sources; ``None`` as long as one holds it."""
        return self._times.reached_us

    @property
    def heard(self) -> Heard:
        """How far time has come."""
        return Heard(self._times.sources(), self._times.ranks())

    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """Entries and keys that are remembered, by correlation."""
        return {name: (host.used, len(host.states)) for name, host in self._hosts.items()}

    # -- state ------------------------------------------------------------------------------------------------------

    def has_changes(self) -> bool:
        """Whether anything but what was heard has changed: only then a step must be committed at once."""
        return bool(self._shelf.changed) or self._store.has_changes()

    def changes(self) -> dict[bytes, bytes | None]:
        """Entries that changed since the last call; ``None`` stands for one that is gone."""
        found = self._store.changes()
        for number in self._shelf.changed:
            found[_waiting_key(number)] = self._shelf.stored(number)
        if self._heard_changed:
            found[_HEARD] = self._heard()
        versions = self._versions()
        if versions != self._stored_versions:
            found[_VERSIONS] = versions
        self.forget_changes()
        return found

    def forget_changes(self) -> None:
        """Let go of what :meth:`changes` would tell; for callers that store nothing."""
        self._store.forget_changes()
        self._shelf.changed = {}
        self._heard_changed = False
        self._stored_versions = self._versions()

    def snapshot(self) -> dict[bytes, bytes]:
        """All entries."""
        entries = self._store.snapshot()
        for number in self._shelf.numbers():
            value = self._shelf.stored(number)
            assert value is not None
            entries[_waiting_key(number)] = value
        entries[_HEARD] = self._heard()
        entries[_VERSIONS] = self._versions()
        return entries

    def restore(self, entries: Mapping[bytes, bytes]) -> RestoreReport:
        """Put state back into a core that has seen nothing yet.

        State of rules whose meaning changed, or that are not loaded any more, is dropped; the next :meth:`changes`
        deletes its entries. Matches that waited for rules which run now are taken in before the next record.

        Raises:
            StateError: the entries were written by a newer version, are damaged, or are not all there.
        """
        others = dict(entries)
        heard, versions = others.pop(_HEARD, None), others.pop(_VERSIONS, None)
        if others and (heard is None or versions is None):
            raise StateError(
                f"The stored state of partition {self.partition} is not whole: it does not say how far time had come.",
                hint="Restore the changelog topic, or remove its contents to begin anew.",
            )
        waiting = {key: value for key, value in others.items() if codec.decode_key(key)[0] == "wait"}
        self._shelf.load({codec.decode_key(key)[1]: value for key, value in waiting.items()})
        if heard is not None and versions is not None:
            self._load(codec.decode(heard), codec.decode(versions))
        of_rules = {key: value for key, value in others.items() if key not in waiting}
        report = self._store.restore(of_rules, lambda host: self._times.rules[host.name].watermark)
        for name in self._hosts.keys() - set(report.kept):
            self._times.begun(name)
        self._is_shelf_checked = False
        return report

    def _load(self, heard: list[Any], versions: list[Any]) -> None:
        times, sent, notices, self._newest_us = heard
        before, meanings, known, shelf = versions
        self._times.load_versions(known)
        self._times.load(times)
        self._resends.load(sent)
        self._notices = dict.fromkeys(notices)
        self._shelf.load_state(shelf)
        if before != self.version:
            self._times.switched_us = max(self._times.switched_us, self._newest_us, self._times.reached_us or BEGINNING)
        self._shelf.retire(self._meanings, meanings)
        self._stored_versions = codec.encode(versions)

    def _take_up(self, output: CoreOutput) -> None:
        """Take in what waited for rules that run now."""
        self._is_shelf_checked = True
        for addressed in self._shelf.take(self._meanings):
            if self._is_for_here(addressed):
                self._take(addressed, output)

    def _heard(self) -> bytes:
        return codec.encode([self._times.state(), self._resends.state(), list(self._notices), self._newest_us])

    def _versions(self) -> bytes:
        return codec.encode([self.version, self._meanings, self._times.versions(), self._shelf.state()])


def _waiting_key(number: int) -> bytes:
    return codec.encode_key("wait", number)
