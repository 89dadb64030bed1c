"""How well a source speaks, as events of its own: what rules about silence and about unreadable records look at.

Three things are told of a partition of a source, each a function of its records and of nothing else:

* ``heard``: an event of this cluster came from this source in this minute of event time. Once per minute, whatever the
  partition, so whoever reads the same records again says the same again.
* ``counted``: how many of the records of one minute could not be read. A minute of which the beginning was not seen,
  because reading began in it, is left out rather than told wrong.
* ``ended``: a file has come to its end, so that its silence means nothing.

All of them have the end of their minute as their time: what is told of a minute is never earlier than what it is told
of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from streamer.decode import Decoded, Source
from streamer.decode.identity import digest
from streamer.detect.intake import IntakeCounters
from streamer.errors import StateError
from streamer.model import SOURCE_HEALTH, Event, Position, Record
from streamer.sigma.rules import DAY_US, RuleSet

MINUTE_US: Final = 60_000_000
CLUSTERS: Final = 256
"""Clusters told apart per partition. Their names come from logs, so anybody who writes logs might invent some."""

REMEMBERED: Final = 60
"""Minutes behind the newest one of a cluster of which it is known whether they were told; older ones are not told."""

HISTORY_US: Final = 90 * DAY_US
"""How old a stamp may be when it is appended to a topic; older ones are taken for broken clocks, like 1970."""

_FORGOTTEN: Final = 24 * 60
"""A cluster not heard for so many minutes makes room for another one, where there is none left."""

_SCHEMA: Final = 1


class _Minutes:
    """Which minutes of a cluster were told: the newest, and one bit for each before it."""

    __slots__ = ("begins_us", "ends_us", "newest", "told")

    def __init__(self, newest: int, told: int = 1) -> None:
        self.told = told
        self._set(newest)

    def _set(self, newest: int) -> None:
        self.newest = newest
        self.begins_us, self.ends_us = newest * MINUTE_US, (newest + 1) * MINUTE_US

    def take(self, minute: int) -> bool:
        """Whether this minute is news."""
        ahead = minute - self.newest
        if ahead > 0:
            self.told = ((self.told << ahead) | 1) & ((1 << REMEMBERED) - 1) if ahead < REMEMBERED else 1
            self._set(minute)
            return True
        bit = 1 << -ahead if -ahead < REMEMBERED else 0
        if not bit or self.told & bit:
            return False
        self.told |= bit
        return True


class _Block:
    """The records of one minute.

    Attributes:
        is_whole: its first record was seen.
        shown: offset of the last record that could not be read; -1 where all could be.
    """

    __slots__ = ("ends_us", "is_whole", "minute", "records", "shown", "undecodable")

    def __init__(self, minute: int, is_whole: bool, records: int = 0, undecodable: int = 0, shown: int = -1) -> None:
        self.minute, self.ends_us = minute, (minute + 1) * MINUTE_US
        self.is_whole = is_whole
        self.records = records
        self.undecodable = undecodable
        self.shown = shown


class SourceHealth:
    """What is known of one partition; fed record by record.

    Args:
        source: what the partition carries.
        number: of the partition.
        counters: where events of clusters beyond :data:`CLUSTERS` are counted; nothing is said of those.
        is_file: stamps of files must be confirmed before they count, and files end.
    """

    def __init__(self, source: Source, number: int, counters: IntakeCounters, *, is_file: bool) -> None:
        self.counters = counters
        self._source = source
        self._name = source.name.encode("utf-8", "backslashreplace").decode()  # a path may hold bytes that are no text
        self._number = number
        self._is_file = is_file
        self._clusters: dict[str, _Minutes] = {}
        self._block: _Block | None = None
        self._offset = 0

    def read(self, record: Record, decoded: Decoded, events: Sequence[Event], reached_us: int | None) -> list[Event]:
        """What is to be told now that a record was read.

        Args:
            record: the record.
            decoded: what stood in it.
            events: the events in it, in their time.
            reached_us: the confirmed event time of the partition, this record included.
        """
        found: list[Event] = []
        clusters = self._clusters
        for event in events:
            known = clusters.get(event.cluster)
            if known is not None and known.begins_us <= event.time_us < known.ends_us:
                continue  # nearly always: the newest minute, told already
            if self._is_believed(event.time_us, record, reached_us):
                minute = event.time_us // MINUTE_US
                if self._is_news(event.cluster, minute):
                    found.append(self._heard(event.cluster, minute, record.position, len(events) + len(found)))
        at_us = record.append_time_us if record.append_time_us is not None else reached_us
        if at_us is None:
            return found
        block = self._block
        if block is None or at_us >= block.ends_us:
            found += self._next_block(at_us // MINUTE_US, record, len(events) + len(found))
            block = self._block
            assert block is not None
        block.records += 1
        self._offset = record.position.offset
        if decoded.dead_letters:
            block.undecodable += 1
            block.shown = self._offset
        return found

    def end(self) -> list[Event]:
        """What is to be told now that nothing will come any more."""
        found: list[Event] = []
        if self._block is not None and self._block.is_whole:
            found.append(self._counted(self._block, 0))
        self._block = None
        if self._is_file:
            for cluster, minutes in self._clusters.items():
                found.append(self._ended(cluster, minutes.newest, len(found)))
        return found

    # -- minutes ----------------------------------------------------------------------------------------------------

    def _is_believed(self, time_us: int, record: Record, reached_us: int | None) -> bool:
        """Whether the source may have spoken then.

        A file's stamp needs others that confirm it. A topic's is recent, or belongs to a history that is being written
        into the topic: not too old, and near to where the partition's time stands.
        """
        if record.append_time_us is not None:
            age_us = record.append_time_us - time_us
            near = reached_us is not None and abs(reached_us - time_us) <= DAY_US
            return age_us <= DAY_US or (near and age_us <= HISTORY_US)
        return not self._is_file or (reached_us is not None and time_us <= reached_us)

    def _is_news(self, cluster: str, minute: int) -> bool:
        known = self._clusters.get(cluster)
        if known is not None:
            return known.take(minute)
        if len(self._clusters) >= CLUSTERS and not self._make_room(minute):
            self.counters.unwatched += 1
            return False
        self._clusters[cluster] = _Minutes(minute)
        return True

    def _make_room(self, minute: int) -> bool:
        oldest = min(self._clusters, key=lambda name: self._clusters[name].newest)
        if minute - self._clusters[oldest].newest < _FORGOTTEN:
            return False
        del self._clusters[oldest]
        return True

    def _next_block(self, minute: int, record: Record, index: int) -> list[Event]:
        """Begin to count the records of a minute; tells the one before, if that was seen from its beginning."""
        before = self._block
        is_first = record.position.offset == (1 if self._is_file else 0)
        self._block = _Block(minute, is_whole=before is not None or is_first)
        return [self._counted(before, index)] if before is not None and before.is_whole else []

    # -- events -----------------------------------------------------------------------------------------------------

    def _heard(self, cluster: str, minute: int, position: Position, index: int) -> Event:
        return _event(cluster, self._said("heard", minute), (minute + 1) * MINUTE_US, position, index)

    def _counted(self, block: _Block, index: int) -> Event:
        said = self._said("counted", block.minute) | {"partition": self._number}
        counts = {
            "records": block.records,
            "undecodable": block.undecodable,
            "undecodable_share": round(100 * block.undecodable / block.records, 2),
        }
        time_us = block.ends_us
        place = block.shown if block.shown >= 0 else self._offset
        return _event(self._source.cluster, said, time_us, self._place(place), index, counts)

    def _ended(self, cluster: str, minute: int, index: int) -> Event:
        time_us = (minute + 1) * MINUTE_US + 1  # after everything that was heard
        return _event(cluster, self._said("ended", minute), time_us, self._place(self._offset), index)

    def _said(self, event: str, minute: int) -> dict[str, Any]:
        return {"event": event, "kind": self._source.kind, "source": self._name, "minute": minute}

    def _place(self, offset: int) -> Position:
        return Position(self._source.name, self._number, offset, self._is_file)

    # -- being stored -----------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """What :meth:`restore` needs to go on from here; empty before the first record."""
        block = self._block
        if block is None and not self._clusters:
            return b""
        counted = block and [block.minute, block.is_whole, block.records, block.undecodable, block.shown]
        clusters = [[name, one.newest, one.told] for name, one in self._clusters.items()]
        return orjson.dumps([_SCHEMA, self._offset, counted, clusters])

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot.

        Raises:
            StateError: it was written by a newer version, or is damaged.
        """
        try:
            schema, offset, counted, clusters = orjson.loads(data)
            if schema > _SCHEMA:
                raise StateError(
                    f"The stored state of source {self._name} has schema {schema}; this version reads {_SCHEMA}.",
                    hint="Run the version that wrote it, or a newer one.",
                )
            self._clusters = {name: _Minutes(newest, told) for name, newest, told in clusters}
            self._block = None if counted is None else _Block(*counted)
            self._offset = offset
        except (ValueError, TypeError) as error:
            raise StateError(
                f"The stored state of source {self._name} cannot be read: {error}.",
                hint="Restore the store from a copy, or begin with a new one.",
            ) from error


def is_asked_for(rules: RuleSet) -> bool:
    """Whether a rule looks at such events; else nobody needs to make them."""
    return any(rule.logsource.category == SOURCE_HEALTH.category for rule in rules.detections)


def _event(
    cluster: str,
    said: dict[str, Any],
    time_us: int,
    position: Position,
    index: int,
    counts: Mapping[str, float] = {},
) -> Event:
    """An event whose identity is what it says, but for counts: they may differ when the same is told again."""
    identity = digest("source_health", cluster, *said.values())
    return Event(
        SOURCE_HEALTH, time_us, identity, cluster, {"cluster": cluster, "health": {**said, **counts}}, position, index
    )
