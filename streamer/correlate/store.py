"""State as entries: small, independent, each telling whose it is.

One entry holds one match, one judged event, one told time, one key's episodes. So what a step writes is what it
changed, however much a key holds, and a compacted log of entries is the state.

========  =========================  ==================================================
kind      then                       value
========  =========================  ==================================================
``rule``  rule                       its meaning
``time``                             watermark, start, latest time
``part``  rule, key, part...         a part of a key's state
``from``  rule, cluster              when its first match came (``learn``)
``full``  rule                       the limits that were hit
``told``  rule, key, time            how long a detection's telling is remembered
``open``  rule, key                  its episodes
========  =========================  ==================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from streamer.correlate import codec
from streamer.correlate.alerting import AlertingDetection
from streamer.correlate.cascade import Cascade
from streamer.correlate.episodes import Alerter
from streamer.correlate.host import Host
from streamer.correlate.limits import BEGINNING
from streamer.sigma.rules import RuleSet


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What became of stored state, by rule key.

    Attributes:
        kept: rules that go on with their state.
        dropped: rules whose meaning changed or that are not loaded any more; their state is gone.
        new: rules without stored state.
    """

    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    new: tuple[str, ...] = ()


class Store:
    """Reads and writes the entries of a correlator's parts."""

    def __init__(
        self,
        rules: RuleSet,
        cascade: Cascade,
        detections: dict[str, AlertingDetection],
        alerters: dict[str, Alerter],
    ) -> None:
        self._meanings = {key: rule.meta.meaning for key, rule in rules.by_key().items()}
        self._cascade = cascade
        self._hosts = {host.name: host for host in cascade.hosts}
        self._detections = detections
        self._alerters = alerters
        self._unwritten: dict[str, None] = dict.fromkeys(self._meanings)
        self._orphans: dict[bytes, None] = {}
        self.watermark = BEGINNING
        self.clock_changed = True

    # -- writing ----------------------------------------------------------------------------------------------------

    def _clock(self) -> bytes:
        cascade = self._cascade
        return codec.encode([self.watermark, cascade.starts_us, cascade.last_us])

    def snapshot(self) -> dict[bytes, bytes]:
        """All entries."""
        entries = dict(self._everything())
        entries[codec.encode_key("time")] = self._clock()
        for rule, meaning in self._meanings.items():
            entries[codec.encode_key("rule", rule)] = codec.encode(meaning)
        return entries

    def _everything(self) -> Iterator[tuple[bytes, bytes]]:
        for host in self._hosts.values():
            for key, state in host.states.items():
                for part in state.parts():
                    value = state.stored(part)
                    assert value is not None
                    yield codec.encode_key("part", host.name, key, *part), value
            for cluster, first in host.beginnings.first.items():
                yield codec.encode_key("from", host.name, cluster), codec.encode(first)
            if not host.pressure.is_untouched():
                yield codec.encode_key("full", host.name), codec.encode(host.pressure.state())
        for rule, detection in self._detections.items():
            for key, time in detection.entries():
                value = detection.stored((key, time))
                assert value is not None
                yield codec.encode_key("told", rule, key, time), value
        for rule, alerter in self._alerters.items():
            for key in alerter.book.known():
                value = alerter.book.stored(key)
                assert value is not None
                yield codec.encode_key("open", rule, key), value

    def changes(self) -> dict[bytes, bytes | None]:
        """Entries that changed since the last call."""
        found: dict[bytes, bytes | None] = dict.fromkeys(self._orphans)
        for rule in self._unwritten:
            found[codec.encode_key("rule", rule)] = codec.encode(self._meanings[rule])
        if self.clock_changed:
            found[codec.encode_key("time")] = self._clock()
        for host in self._hosts.values():
            found |= self._host_changes(host)
        for rule, detection in self._detections.items():
            for key, time in detection.changed:
                found[codec.encode_key("told", rule, key, time)] = detection.stored((key, time))
        for rule, alerter in self._alerters.items():
            for key in alerter.book.changed:
                found[codec.encode_key("open", rule, key)] = alerter.book.stored(key)
        self.forget_changes()
        return found

    @staticmethod
    def _host_changes(host: Host) -> dict[bytes, bytes | None]:
        found: dict[bytes, bytes | None] = {
            codec.encode_key("part", host.name, key, *part): None for key, part in host.gone
        }
        for key in host.touched:
            state = host.states[key]
            for part in state.changed:
                found[codec.encode_key("part", host.name, key, *part)] = state.stored(part)
        for cluster in host.beginnings.changed:
            found[codec.encode_key("from", host.name, cluster)] = codec.encode(host.beginnings.first[cluster])
        if host.pressure.changed:
            found[codec.encode_key("full", host.name)] = codec.encode(host.pressure.state())
        return found

    def forget_changes(self) -> None:
        """What has changed so far is told, or nobody will store it: the next :meth:`changes` begins here."""
        self._orphans, self._unwritten, self.clock_changed = {}, {}, False
        for host in self._hosts.values():
            host.gone = {}
            for key in host.touched:
                host.states[key].changed = {}
            host.touched = {}
            host.beginnings.changed = {}
            host.pressure.changed = False
        for detection in self._detections.values():
            detection.changed = {}
        for alerter in self._alerters.values():
            alerter.book.changed = {}

    # -- reading ----------------------------------------------------------------------------------------------------

    def restore(self, entries: Mapping[bytes, bytes]) -> RestoreReport:
        """Put entries back. Raises :class:`StateError` for newer or damaged ones."""
        decoded = [(data_key, codec.decode_key(data_key), value) for data_key, value in entries.items()]
        stored = {parts[1]: codec.decode(value) for _, parts, value in decoded if parts[0] == "rule"}
        kept = {rule for rule, meaning in stored.items() if self._meanings.get(rule) == meaning}
        for data_key, parts, value in decoded:
            if parts[0] == "time":
                self._load_clock(codec.decode(value))
            elif parts[1] not in kept or not self._load(parts, value):
                self._orphans[data_key] = None
        for host in self._hosts.values():
            host.restored(self.watermark)
        self._unwritten = {rule: None for rule in self._meanings if rule not in kept}
        return RestoreReport(
            kept=tuple(sorted(kept)),
            dropped=tuple(sorted(rule for rule in stored if rule not in kept)),
            new=tuple(sorted(rule for rule in self._meanings if rule not in stored)),
        )

    def _load_clock(self, clock: list[Any]) -> None:
        cascade = self._cascade
        self.watermark = int(clock[0])
        cascade.watermarks = dict.fromkeys(cascade.watermarks, self.watermark)
        starts, last = clock[1], int(clock[2])
        if starts is not None:
            cascade.starts_us = starts if cascade.starts_us is None else min(starts, cascade.starts_us)
        cascade.last_us = max(cascade.last_us, last)

    def _load(self, parts: tuple[Any, ...], value: bytes) -> bool:
        kind, rule = parts[0], parts[1]
        if kind == "rule":
            return True
        host, detection, alerter = self._hosts.get(rule), self._detections.get(rule), self._alerters.get(rule)
        if kind == "part" and host is not None:
            key = tuple(parts[2])
            if key not in host.states:
                host.states[key] = host.new_state(key)
            part = tuple(tuple(one) if isinstance(one, list) else one for one in parts[3:])
            host.states[key].load(part, value)
        elif kind == "from" and host is not None:
            host.beginnings.first[parts[2]] = int(codec.decode(value))
        elif kind == "full" and host is not None:
            host.pressure.load(codec.decode(value))
        elif kind == "told" and detection is not None:
            detection.load(tuple(parts[2]), int(parts[3]), value)
        elif kind == "open" and alerter is not None:
            alerter.book.load(tuple(parts[2]), value)
        else:
            return False
        return True
