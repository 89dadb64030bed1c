"""The health of all sources of one engine, with its state as entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from streamer.decode import Source
from streamer.detect.health import SourceHealth, is_asked_for
from streamer.detect.intake import IntakeCounters
from streamer.model import Event
from streamer.ports import Partition
from streamer.sigma.rules import RuleSet

PREFIX: Final = b"health\x00"
"""What the keys of the entries begin with."""


class Watching:
    """One :class:`SourceHealth` per partition.

    Attributes:
        known: by partition; empty where no rule looks at what they tell.
    """

    def __init__(self, rules: RuleSet, counters: IntakeCounters) -> None:
        self._counters = counters
        self._is_asked_for = is_asked_for(rules)
        self._sources: dict[Partition, tuple[Source, bool]] = {}
        self.known: dict[Partition, SourceHealth] = {}
        self._stored: dict[bytes, bytes] = {}
        self._written: dict[bytes, bytes] = {}

    def expect(self, partition: Partition, source: Source, *, is_file: bool) -> None:
        """Declare a partition. Its stored state may have come before."""
        self._sources[partition] = (source, is_file)
        if not self._is_asked_for:
            return
        self.known[partition] = SourceHealth(source, partition[1], self._counters, is_file=is_file)
        stored = self._stored.pop(_key(partition), None)
        if stored is not None:
            self.known[partition].restore(stored)

    def end(self, partition: Partition) -> list[Event]:
        """As :meth:`SourceHealth.end`."""
        known = self.known.get(partition)
        return [] if known is None else known.end()

    def under(self, rules: RuleSet) -> Watching:
        """What goes on from here under other rules: the same, unless they ask for something else."""
        if is_asked_for(rules) == self._is_asked_for:
            return self
        other = Watching(rules, self._counters)
        other._written = self._written
        for partition, (source, is_file) in self._sources.items():
            other.expect(partition, source, is_file=is_file)
        return other

    # -- being stored -----------------------------------------------------------------------------------------------

    def changes(self, partitions: Iterable[Partition]) -> dict[bytes, bytes | None]:
        """Entries of these partitions that changed since they were told last; ``None`` deletes one."""
        entries: dict[bytes, bytes | None] = {}
        if not self._is_asked_for:  # what is old would be wrong if rules asked again later
            entries |= dict.fromkeys(self._written)
            self._written = {}
        for partition in partitions:
            known = self.known.get(partition)
            if known is None:
                continue
            key, state = _key(partition), known.snapshot()
            if state != self._written.get(key, b""):
                entries[key] = state or None
                self._written[key] = state
        return entries

    def snapshot(self) -> dict[bytes, bytes]:
        """All entries."""
        entries = {_key(partition): known.snapshot() for partition, known in self.known.items()}
        return {key: state for key, state in entries.items() if state} | self._stored

    def restore(self, entries: Mapping[bytes, bytes]) -> None:
        """Go on from those of the entries that are ours.

        Raises:
            StateError: one cannot be read.
        """
        ours = {key: value for key, value in entries.items() if key.startswith(PREFIX)}
        self._written |= ours
        if not self._is_asked_for:
            return
        by_key = {_key(partition): known for partition, known in self.known.items()}
        for key, value in ours.items():
            if key in by_key:
                by_key[key].restore(value)
            else:
                self._stored[key] = value


def _key(partition: Partition) -> bytes:
    name, number = partition
    return PREFIX + str(number).encode() + b"\x00" + name.encode("utf-8", "surrogateescape")
