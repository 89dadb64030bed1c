"""Records that a partition cannot get over, and how they are found.

A record on which something raises is known at once: it was the one being fed. It is fed again, because the failure
may have been ours; after :data:`ATTEMPTS` it is set aside.

A record that kills the process leaves no word behind. Therefore the ledger (for raw partitions: the note beside the
group's position) holds, between a takeover and the first step that gets further, how often somebody began to go on
from that position (:class:`Attempt`). After :data:`ATTEMPTS` deaths without any progress the next :data:`SINGLY`
records go one at a time: the note says that the next one is being tried, it is fed, and a step of its own passes over
it. In a whole process only one record is tried at a time, so that whoever dies with it is not blamed for it. A record
during whose trials the process died :data:`ATTEMPTS` times is set aside in the step that passes over it. Kills from
outside that meet the very same record so often are taken for the same thing; what was set aside stands in the
dead-letter topic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Final, Generic, TypeVar

import msgspec

from streamer.errors import StateError

_Place = TypeVar("_Place", bound=Hashable)
KEY: Final = b"__attempt__"
"""The ledger's entry; not one of the core's."""
ATTEMPTS: Final = 3
SINGLY: Final = 100


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody began to go on from a position.

    Attributes:
        position: offset of the record that comes next.
        count: how often that was begun, this time included; where records go singly, how often the process died while
            this one was tried.
        left: records still to be taken singly; 0: as many at a time as there are.
        tries: the record at the position is being fed.
        process: who began, a name no other process ever has.
    """

    position: int
    count: int
    left: int
    tries: bool
    process: str

    @property
    def is_culprit(self) -> bool:
        """Whether the record at the position has had all its attempts."""
        return self.left > 0 and self.count >= ATTEMPTS

    def trying(self) -> Attempt:
        """What is noted before the record is fed singly."""
        return replace(self, tries=True)

    def passed(self, position: int) -> Attempt | None:
        """What is noted once the record was got over and ``position`` comes next; ``None``: nothing any more."""
        return Attempt(position, 0, self.left - 1, False, self.process) if self.left > 1 else None

    def encode(self) -> bytes:
        """Value of the ledger's entry."""
        return msgspec.msgpack.encode((self.position, self.count, self.left, self.tries, self.process))


def decode(stored: bytes | None) -> Attempt | None:
    """What the ledger holds. Raises ``StateError``."""
    if stored is None:
        return None
    try:
        return Attempt(*msgspec.msgpack.decode(stored, type=tuple[int, int, int, bool, str]))
    except msgspec.DecodeError as error:
        raise StateError(f"The note of attempts in the changelog is damaged: {error}.") from error


def begin(last: Attempt | None, position: int, process: str) -> Attempt:
    """The attempt to go on from ``position``, after the last one anybody noted."""
    if last is None or last.position != position:
        return Attempt(position, 1, 0, False, process)
    if last.process == process:
        return replace(last, tries=False)
    if last.left:
        return Attempt(position, last.count + last.tries, last.left, False, process)
    if last.count >= ATTEMPTS:
        return Attempt(position, 0, SINGLY, False, process)
    return Attempt(position, last.count + 1, 0, False, process)


@dataclass(slots=True)
class Suspects(Generic[_Place]):
    """Records on which something raised in this process, by where they stand."""

    raised: Counter[_Place] = field(default_factory=Counter)
    reasons: dict[_Place, str] = field(default_factory=dict)

    def add(self, place: _Place, error: Exception) -> None:
        """It raised once more."""
        self.raised[place] += 1
        self.reasons[place] = f"{type(error).__name__}: {error}"[:500]

    def is_culprit(self, place: _Place) -> bool:
        """Whether it has had all its attempts."""
        return self.raised[place] >= ATTEMPTS if self.raised else False

    def forget(self, passed: Callable[[_Place], bool]) -> None:
        """What was got over."""
        for place in [place for place in self.raised if passed(place)]:
            del self.raised[place]
            self.reasons.pop(place, None)
