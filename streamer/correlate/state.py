"""What every kind of correlation does for one key: take matches in, judge, forget, and be stored.

The kinds differ in when something completes; what they share is here: the ledger of matches, the times already told
(one firing per time), the record of what changed since the last write.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from streamer.correlate import codec
from streamer.correlate.firings import MAX_VALUES, Completed, Gathered, merged
from streamer.correlate.keys import canonical
from streamer.correlate.ledger import Ledger
from streamer.correlate.plan import Address, Arrival, Plan
from streamer.correlate.sequence import Runs
from streamer.model import Match

Part: TypeAlias = tuple[Any, ...]
"""Names one stored piece of a key's state: its kind, then what tells it from its siblings."""


class KeyState(ABC):
    """The state of one (correlation, key).

    Attributes:
        address: whose state it is.
        changed: the parts that differ from what was last written.
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

    def is_first_step(self, ref: int) -> bool:
        """Whether a match of this reference only begins something (the reserve of the limits is not for it)."""
        return True

    def needs_room(self, arrival: Arrival) -> bool:
        """Whether taking the match in makes the state larger for longer than until it is judged."""
        return True

    def refuse(self, arrival: Arrival) -> None:
        """A match found no room; kinds whose result would become false must remember that."""

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
        self._forgotten(gone, bound)

    def _forgotten(self, gone: list[tuple[int, Match]], bound: int) -> None:
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

    def gather(self, gathered: Gathered, ref: int, matches: Iterable[Match]) -> None:
        """Collect exported values from matches that come latest first, until there are enough."""
        exported = self.plan.rule.exported_fields.get(self.plan.refs[ref])
        if not exported:
            return
        missing = {name: set[str]() for name in exported}
        for match in matches:
            for name, found in list(missing.items()):
                texts = {canonical(value) for value in match.values.get(exported[name], ())}
                if not texts <= found:
                    gathered.add(name, match, exported[name])
                    found |= texts
                    if len(found) >= MAX_VALUES:
                        del missing[name]
            if not missing:
                return

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

    def stored(self, part: Part) -> bytes | None:
        """The value of a part; ``None`` if it is gone."""
        if part[0] == "m":
            ref = self.plan.number[part[1]]
            match = self.ledger.matches[ref].get(part[2])
            return None if match is None else codec.encode(match)
        return codec.MARK if self._told.since(part[1]) == part[1] else None

    def load(self, part: Part, data: bytes) -> None:
        """Put back a part; in any order."""
        if part[0] == "m":
            self.ledger.add(self.plan.number[part[1]], codec.decode_match(data))
        else:
            self._told.add(int(part[1]))

    @abstractmethod
    def loaded(self, watermark: int) -> None:
        """All parts are back: derive what is not stored."""
