"""Which matches were sent before: told by the raw record they came from.

A detecting task sends the matches of a raw partition in order and, after a restart, once more from an earlier record
on. So below the newest record seen everything has been here; at the newest, what was kept of it is remembered. Tasks
that run different rules say different things about the same record: each has a lane of its own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final

from streamer.correlate.limits import BEGINNING
from streamer.detect.health import MINUTE_US
from streamer.model import SOURCE_HEALTH, Match
from streamer.ports import Partition
from streamer.stages.wire import Addressed, SourceTold

LANES: Final = 2
"""Lanes remembered per raw partition; the one used longest ago is forgotten."""


@dataclass(slots=True)
class _Lane:
    """How far one lane of one raw partition is.

    Attributes:
        began: where it was first heard of; what stands before was never said in it, unless a task that began earlier
            comes later, and then it is news.
        floor: matches of smaller offsets have been here.
        kept: digests of those kept of offset ``floor``.
        newest_us: the largest time of an event known to stand below or at the floor.
    """

    began: int
    floor: int
    kept: set[bytes] = field(default_factory=set)
    newest_us: int = BEGINNING

    def raise_to(self, floor: int) -> None:
        """Everything below has been here."""
        if floor > self.floor:
            self.floor, self.kept = floor, set()


class Resends:
    """What was sent, by raw partition and lane."""

    def __init__(self) -> None:
        self._lanes: dict[Partition, dict[str, _Lane]] = {}

    def is_new(self, addressed: Addressed) -> bool:
        """Whether a match was not sent before; it counts as sent afterwards."""
        position, match = addressed.match.position, addressed.match
        if position is None:
            return True
        lane = self._lane((position.source, position.partition), addressed.lane, addressed.offset)
        if addressed.offset < lane.floor and _seen_from(match) > lane.newest_us:
            # Newer than anything below the floor: the topic was made anew and its offsets began again.
            lane.began, lane.floor, lane.kept = addressed.offset, addressed.offset, set()
        if addressed.offset < lane.began:
            return True
        if addressed.offset < lane.floor:
            return False
        lane.raise_to(addressed.offset)
        digest = _digest(addressed)
        if digest in lane.kept:
            return False
        lane.kept.add(digest)
        lane.newest_us = max(lane.newest_us, _seen_from(match))
        return True

    def told(self, lane: str, told: SourceTold) -> None:
        """A task says how far it is; it stands behind everything it sent."""
        if told.next_offset is None:
            return
        found = self._lane((told.source, told.partition), lane, told.next_offset)
        found.raise_to(told.next_offset)
        if told.newest_us is not None:
            found.newest_us = max(found.newest_us, told.newest_us)

    def _lane(self, partition: Partition, name: str, offset: int) -> _Lane:
        lanes = self._lanes.setdefault(partition, {})
        lane = lanes.pop(name, None)
        if lane is None:
            lane = _Lane(offset, offset)
            if len(lanes) >= LANES:
                del lanes[next(iter(lanes))]
        lanes[name] = lane
        return lane

    def state(self) -> list[Any]:
        """What :meth:`load` needs to go on from here."""
        return [
            [source, number, name, lane.began, lane.floor, sorted(lane.kept), lane.newest_us]
            for (source, number), lanes in self._lanes.items()
            for name, lane in lanes.items()
        ]

    def load(self, state: list[Any]) -> None:
        """Go on from a state."""
        for source, number, name, began, floor, kept, newest_us in state:
            self._lanes.setdefault((source, number), {})[name] = _Lane(began, floor, set(kept), newest_us)


def _seen_from(match: Match) -> int:
    """The earliest time at which what a match tells of may have stood in its record."""
    is_of_a_minute = match.evidence is not None and match.evidence.kind == SOURCE_HEALTH.category
    return match.time_us - MINUTE_US if is_of_a_minute else match.time_us


def _digest(addressed: Addressed) -> bytes:
    match = addressed.match
    place = [match.identity.hex(), match.index, match.position.offset if match.position else -1, match.rule]
    text = json.dumps([*place, addressed.correlation, *addressed.key], ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
