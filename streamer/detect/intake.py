"""From a record to events in their time and to matches, counted: what every host of detection does alike.

Who moves a clock, and what becomes of a match, is the host's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from streamer.decode import Decoded
from streamer.detect.detector import Detected
from streamer.model import Event, Match, Record


@dataclass(slots=True)
class IntakeCounters:
    """How much passed through.

    Attributes:
        events: by log source category (``service`` where an event has no category of its own).
        dead_letters: by reason.
        matches, failures: by rule key.
        allowed: what an exception of the site covered, by its name and rule key.
        skipped: records that were understood and carry nothing to look at.
        unwatched: events of clusters beyond those whose silence is noticed.
    """

    records: int = 0
    bytes: int = 0
    skipped: int = 0
    unwatched: int = 0
    events: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    matches: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    allowed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def read(self, record: Record) -> None:
        """A record came."""
        self.records += 1
        self.bytes += len(record.value)

    def decoded(self, decoded: Decoded) -> None:
        """This is what stood in it."""
        self.skipped += decoded.skipped
        for event in decoded.events:
            self.events[event.logsource.service or event.logsource.category] += 1
        for letter in decoded.dead_letters:
            self.dead_letters[letter.reason] += 1

    def detected(self, detected: Detected) -> None:
        """This is what rules said of it."""
        for match in detected.matches:
            self.matches[match.rule] += 1
        for failure in detected.failures:
            self.failures[failure.rule] += 1
        self.allowed.update(detected.allowed)


def timed(events: Sequence[Event], reached_us: int | None) -> list[Event]:
    """Events in their time: one without any happened, as far as anybody can tell, when its neighbours did.

    Args:
        events: of one record.
        reached_us: largest event time of its partition before it.
    """
    if reached_us is None:
        return list(events)
    return [
        replace(event, time_us=reached_us) if not event.has_stamp and "no-time" in event.flags else event
        for event in events
    ]


def newest_stamp(events: Sequence[Event]) -> int | None:
    """The largest usable stamp among the events of a record: only such stamps move a clock."""
    return max((event.time_us for event in events if event.has_stamp and event.stamp_us is None), default=None)


def tells(match: Match, event: Event) -> bool:
    """Whether this is the event that matched."""
    return match.index == event.index and match.identity == event.identity and match.position == event.position
