"""Records that a partition cannot get over, and how they are found.

A record on which the core raises is known at once: it was the one being fed. It is fed again by the next incarnations,
because the failure may have been ours; after :data:`ATTEMPTS` it is set aside.

A record that kills the process leaves no word behind. Therefore the ledger holds, between a takeover and the first
step that gets further, how often it was tried from that position, and by whom (:class:`Attempt`). Deaths are counted,
not takeovers by a process that lives. After :data:`ATTEMPTS` deaths without any progress the next
:data:`SINGLY` records go one at a time, each in a step of its own; the record before which a process died
:data:`ATTEMPTS` times more, going singly, is the culprit and is set aside in the step that passes over it. A process
that is killed from outside so often at the very same record is taken for the same thing; what was set aside can be
fed again (``streamer dead-letters``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import msgspec

from streamer.errors import StateError

_Place = TypeVar("_Place", bound=Hashable)
KEY: Final = b"__attempt__"
"""The ledger's entry; not one of the core's."""
ATTEMPTS: Final = 3
SINGLY: Final = 500


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody began to go on from a position.

    Attributes:
        position: offset of the record that comes next.
        count: how often that was begun, this time included.
        left: records still to be taken singly; 0: as many at a time as there are.
        process: who began, a name no other process ever has.
    """

    position: int
    count: int
    left: int
    process: str

    @property
    def is_culprit(self) -> bool:
        """Whether the record at the position has had all its attempts."""
        return self.left > 0 and self.count > ATTEMPTS

    def passed(self, position: int) -> Attempt | None:
        """What the ledger should hold once the record was got over and ``position`` comes next."""
        return Attempt(position, 1, self.left - 1, self.process) if self.left > 1 else None

    def encode(self) -> bytes:
        """Value of the entry."""
        return msgspec.msgpack.encode((self.position, self.count, self.left, self.process))


def begin(stored: bytes | None, position: int, process: str) -> Attempt:
    """The attempt to go on from ``position``, knowing what the ledger held. Raises ``StateError``."""
    if stored is None:
        return Attempt(position, 1, 0, process)
    try:
        last = Attempt(*msgspec.msgpack.decode(stored, type=tuple[int, int, int, str]))
    except msgspec.DecodeError as error:
        raise StateError(f"The note of attempts in the changelog is damaged: {error}.") from error
    if last.position != position:
        return Attempt(position, 1, 0, process)
    if last.process == process:
        return last
    if last.left == 0 and last.count >= ATTEMPTS:
        return Attempt(position, 1, SINGLY, process)
    return Attempt(position, last.count + 1, last.left, process)


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
