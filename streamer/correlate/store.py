"""State as entries: small, independent, each telling whose it is.

One entry holds one match, one judged event, one told time, one key's episodes. So what a step writes is what it
changed, however much a key holds, and a compacted log of entries is the state.

========  =========================  ==================================================
kind      then                       value
========  =========================  ==================================================
``rule``  rule                       its meaning
``part``  rule, key, part...         a part of a key's state
``from``  rule, cluster              when its first match came (``learn``)
``full``  rule                       the limits that were hit
``said``  rule                       the limits of telling that were hit
``told``  rule, key, time            how long a detection's telling is remembered
``open``  rule, key                  its episodes
``flood`` rule                       how many of its alerts were told, and not, in this hour; without rule: the hour
========  =========================  ==================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from streamer.correlate import codec
from streamer.correlate.alerting import AlertingDetection
from streamer.correlate.episodes import Alerters
from streamer.correlate.host import Host
from streamer.sigma.rules import CorrelationRule, DetectionRule, RuleSet


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


def stored_meaning(rule: DetectionRule | CorrelationRule) -> str:
    """What state belongs to: the rule's meaning, and the keys of the rules it references, which its entries name.

    A referenced rule without an id has another key when it is renamed.
    """
    refs = rule.rules if isinstance(rule, CorrelationRule) else ()
    return " ".join((rule.meta.meaning, *refs))


class Store:
    """Reads and writes the entries of a correlator's parts."""

    def __init__(
        self,
        rules: RuleSet,
        hosts: Iterable[Host],
        detections: dict[str, AlertingDetection],
        alerters: Alerters,
    ) -> None:
        self._meanings = {key: stored_meaning(rule) for key, rule in rules.by_key().items()}
        self._hosts = {host.name: host for host in hosts}
        self._detections = detections
        self._alerters = alerters.by_rule
        self._gate = alerters.gate
        self._unwritten: dict[str, None] = dict.fromkeys(self._meanings)
        self._orphans: dict[bytes, None] = {}

    # -- writing ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[bytes, bytes]:
        """All entries."""
        entries = dict(self._everything())
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
            if not alerter.pressure.is_untouched():
                yield codec.encode_key("said", rule), codec.encode(alerter.pressure.state())
        for rule in self._gate.known():
            value = self._gate.stored(rule)
            assert value is not None
            yield codec.encode_key("flood", rule), value

    def has_changes(self) -> bool:
        """Whether :meth:`changes` would tell anything."""
        return bool(
            self._orphans
            or self._unwritten
            or any(
                host.gone or host.touched or host.beginnings.changed or host.pressure.changed
                for host in self._hosts.values()
            )
            or any(detection.changed for detection in self._detections.values())
            or any(alerter.book.changed or alerter.pressure.changed for alerter in self._alerters.values())
            or self._gate.changed
        )

    def changes(self) -> dict[bytes, bytes | None]:
        """Entries that changed since the last call."""
        found: dict[bytes, bytes | None] = dict.fromkeys(self._orphans)
        for rule in self._unwritten:
            found[codec.encode_key("rule", rule)] = codec.encode(self._meanings[rule])
        for host in self._hosts.values():
            found |= self._host_changes(host)
        for rule, detection in self._detections.items():
            for key, time in detection.changed:
                found[codec.encode_key("told", rule, key, time)] = detection.stored((key, time))
        for rule, alerter in self._alerters.items():
            for key in alerter.book.changed:
                found[codec.encode_key("open", rule, key)] = alerter.book.stored(key)
            if alerter.pressure.changed:
                found[codec.encode_key("said", rule)] = codec.encode(alerter.pressure.state())
        for rule in self._gate.changed:
            found[codec.encode_key("flood", rule)] = self._gate.stored(rule)
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
        self._orphans, self._unwritten = {}, {}
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
            alerter.pressure.changed = False
        self._gate.changed = {}

    # -- reading ----------------------------------------------------------------------------------------------------

    def restore(self, entries: Mapping[bytes, bytes], watermark_of: Callable[[Host], int]) -> RestoreReport:
        """Put entries back; every rule goes on from its watermark.

        Raises:
            StateError: entries that are newer than this version, or damaged.
        """
        decoded = [(data_key, codec.decode_key(data_key), value) for data_key, value in entries.items()]
        stored = {parts[1]: codec.decode(value) for _, parts, value in decoded if parts[0] == "rule"}
        kept = {rule for rule, meaning in stored.items() if self._meanings.get(rule) == meaning}
        for data_key, parts, value in decoded:
            if parts[0] == "flood":
                # Whatever became of the rule, its number has still to be said.
                self._gate.load(parts[1], value)
            elif parts[1] not in kept or not self._load(parts, value):
                self._orphans[data_key] = None
        for host in self._hosts.values():
            host.restored(watermark_of(host))
        self._unwritten = {rule: None for rule in self._meanings if rule not in kept}
        return RestoreReport(
            kept=tuple(sorted(kept)),
            dropped=tuple(sorted(rule for rule in stored if rule not in kept)),
            new=tuple(sorted(rule for rule in self._meanings if rule not in stored)),
        )

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
        elif kind == "said" and alerter is not None:
            alerter.pressure.load(codec.decode(value))
        elif kind == "open" and alerter is not None:
            alerter.book.load(tuple(parts[2]), value)
        else:
            return False
        return True
