"""What every kind of correlation does for one key: take matches in, judge, forget, and be stored.

The kinds differ in when something completes; what they share is here: the ledger of matches, the times already told
(one firing per time), the record of what changed since the last write.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from streamer.correlate import codec
from streamer.correlate.digest import texts_of
from streamer.correlate.firings import MAX_VALUES, Completed, Gathered, merged
from streamer.correlate.ledger import Ledger
from streamer.correlate.plan import Address, Arrival, Plan
from streamer.correlate.pressure import Blind
from streamer.correlate.sequence import Runs
from streamer.model import Match

Part: TypeAlias = tuple[Any, ...]
"""Names one stored piece of a key's state: its kind, then what tells it from its siblings."""


class KeyState(ABC):
    """The state of one (correlation, key).

    Attributes:
        address: whose state it is.
        changed: the parts that differ from what was last written.
        blind: when matches of this key were refused.
        due: the deadline its host has noted for it.
        expires: the expiry its host has noted for it.
    """

    def __init__(self, plan: Plan, address: Address) -> None:
        self.plan = plan
        self.address = address
        self.ledger = Ledger(len(plan.refs))
        self.changed: dict[Part, None] = {}
        self.due: int | None = None
        self.expires: int | None = None
        self.blind = Blind()
        self._told: Runs[int] = Runs()

    # -- what the kinds do ------------------------------------------------------------------------------------------

    @abstractmethod
    def take(self, arrival: Arrival) -> list[Completed]:
        """Take a match in that is not a duplicate; returns what it makes true that can be told now."""

    @abstractmethod
    def judge(self, watermark: int) -> list[Completed]:
        """Decide what ends before the watermark."""

    @abstractmethod
    def deadline(self) -> int | None:
        """The watermark must pass this for :meth:`judge` to have something to do."""

    def is_known(self, arrival: Arrival) -> bool:
        """Whether the match is a duplicate of one that is held."""
        return arrival.match.identity in self.ledger.matches[arrival.ref]

    def progress(self, ref: int) -> float | None:
        """How far a match of this reference would bring something that has begun: 0 begins it, 1 completes it.

        The further, the more of the reserve of the limits is for it. ``None``: nothing ever goes on here.
        """
        return None

    def needs_room(self, arrival: Arrival) -> bool:
        """Whether taking the match in makes the state larger for longer than until it is judged."""
        return True

    def refuse(self, time: int) -> None:
        """A match of this time found no room; what rests on absence or on an upper bound does not fire there."""
        self.blind.widen(time)
        self.note("b")

    def size(self) -> int:
        """How many entries are kept, for the limits."""
        return len(self.ledger)

    def expiry(self) -> int | None:
        """The watermark must pass this for :meth:`expire` to have something to do."""
        times = (self.ledger.oldest(), self._told.first())
        oldest = min((time for time in times if time is not None), default=None)
        return None if oldest is None else oldest + self.plan.hold_us

    def expire(self, watermark: int) -> None:
        """Forget what no match within reach can need (SEMANTICS T7)."""
        bound = watermark - self.plan.hold_us
        gone = self.ledger.drop_before(bound)
        for ref, match in gone:
            self.note("m", self.plan.refs[ref], match.identity)
        for time in self._told.drop_before(bound):
            self.note("t", time)
        if self.blind and self.blind.last < bound:
            self.blind = Blind()
            self.note("b")
        self._forgotten(gone, bound)

    def _forgotten(self, gone: list[tuple[int, Match]], bound: int) -> None:  # noqa: B027 - most kinds have none
        """The kind's own part of :meth:`expire`."""

    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not len(self.ledger) and not len(self._told)

    # -- telling ----------------------------------------------------------------------------------------------------

    def keep(self, arrival: Arrival) -> None:
        """Put a match into the ledger."""
        self.ledger.add(arrival.ref, arrival.match)
        self.note("m", arrival.match.rule, arrival.match.identity)

    def tell(self, completions: Iterable[Completed]) -> list[Completed]:
        """Those whose time was not told before, merged by time, in order of time."""
        news: list[Completed] = []
        for one in merged(completions):
            if self._told.add(one.time_us):
                self.note("t", one.time_us)
                news.append(one)
        return news

    def gather(
        self,
        gathered: Gathered,
        ref: int,
        span: tuple[int, int],
        takes_part: Callable[[Match], bool] | None = None,
    ) -> None:
        """Collect the latest exported values from the matches of a reference in a span of time.

        Args:
            gathered: where they go.
            ref: the reference.
            span: first and last time, included.
            takes_part: which of the matches count; all without it.
        """
        exported = self.plan.rule.exported_fields.get(self.plan.refs[ref], {})
        for name, source in exported.items():
            found: set[str] = set()
            for match in self.ledger.newest_values(ref, source, span, found):
                if takes_part is None or takes_part(match):
                    gathered.add(name, match, source)
                    found.update(texts_of(match, source))
                    if len(found) >= MAX_VALUES:
                        break

    def gather_from(self, gathered: Gathered, ref: int, match: Match) -> None:
        """Collect the exported values of one match."""
        for name, source in self.plan.rule.exported_fields.get(self.plan.refs[ref], {}).items():
            gathered.add(name, match, source)

    # -- being stored -----------------------------------------------------------------------------------------------

    def note(self, *part: Any) -> None:
        """A part of this state changed."""
        self.changed[part] = None

    def parts(self) -> Iterator[Part]:
        """All parts there are."""
        for ref, match in self.ledger.everything():
            yield ("m", self.plan.refs[ref], match.identity)
        for time in self._told:
            yield ("t", time)
        if self.blind:
            yield ("b",)

    def stored(self, part: Part) -> bytes | None:
        """The value of a part; ``None`` if it is gone."""
        if part[0] == "m":
            ref = self.plan.number[part[1]]
            match = self.ledger.matches[ref].get(part[2])
            return None if match is None else codec.encode_match(match)
        if part[0] == "b":
            return codec.encode([self.blind.first, self.blind.last]) if self.blind else None
        return codec.MARK if part[1] in self._told else None

    def load(self, part: Part, data: bytes) -> None:
        """Put back a part; in any order."""
        if part[0] == "m":
            self.ledger.add(self.plan.number[part[1]], codec.decode_match(data))
        elif part[0] == "b":
            self.blind = Blind(*codec.decode(data))
        else:
            self._told.add(int(part[1]))

    @abstractmethod
    def loaded(self, watermark: int) -> None:
        """All parts are back: derive what is not stored."""
