"""Matches for rules that do not run here yet.

While a new rule set is rolled out, one process detects by it and another still correlates by the old one. What comes
for a rule that is not known here, or that means something else, is put aside and taken up when the rule arrives. What
no rule asks for within an hour of event time is let go; so are matches for what a rule meant here before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streamer.correlate.limits import BEGINNING
from streamer.errors import RecordError, StateError
from streamer.sigma.rules import HOUR_US
from streamer.stages.wire import Addressed, decode, encode

ROOM: Final = 5_000
"""Matches kept aside."""

RETIRED: Final = 5_000
"""Meanings remembered that rules had here before."""


class Shelf:
    """Matches put aside, in the order in which they came.

    Attributes:
        changed: numbers of those that were put aside or let go since the last write.
        missed: by meaning, the latest time of a match that found no room.
        retired: what rules meant here before.
    """

    def __init__(self) -> None:
        self.changed: dict[int, None] = {}
        self.missed: dict[bytes, int] = {}
        self.retired: dict[bytes, None] = {}
        self._waiting: dict[int, Addressed] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, addressed: Addressed) -> bool:
        """Put a match aside; ``False`` if nobody will ask for it or there is no room."""
        if addressed.meaning in self.retired:
            return False
        if len(self._waiting) >= ROOM:
            time = addressed.match.time_us
            self.missed[addressed.meaning] = max(time, self.missed.get(addressed.meaning, BEGINNING))
            return False
        self._waiting[self._next] = addressed
        self.changed[self._next] = None
        self._next += 1
        return True

    def take(self, meanings: Mapping[str, bytes]) -> list[Addressed]:
        """Take off what is for rules that are known now: meanings by rule key."""
        found = [number for number, one in self._waiting.items() if meanings.get(one.correlation) == one.meaning]
        return [self._drop(number) for number in found]

    def retire(self, meanings: Mapping[str, bytes], before: Mapping[str, bytes]) -> None:
        """The rules mean something else now than before."""
        current = set(meanings.values())
        for meaning in before.values():
            if meaning not in current:
                self.retired[meaning] = None
        for meaning in current:
            self.retired.pop(meaning, None)
        while len(self.retired) > RETIRED:
            del self.retired[next(iter(self.retired))]
        for number, one in list(self._waiting.items()):
            if one.meaning in self.retired:
                self._drop(number)

    def expire(self, watermark: int) -> None:
        """Let go of what came an hour before the watermark."""
        for number, one in list(self._waiting.items()):
            if one.match.time_us >= watermark - HOUR_US:
                return
            self._drop(number)

    def _drop(self, number: int) -> Addressed:
        self.changed[number] = None
        return self._waiting.pop(number)

    def numbers(self) -> list[int]:
        """The numbers of all that wait."""
        return list(self._waiting)

    def stored(self, number: int) -> bytes | None:
        """The stored form of one; ``None`` if it is gone."""
        one = self._waiting.get(number)
        return None if one is None else encode(one)

    def load(self, entries: Mapping[int, bytes]) -> None:
        """Put back what waits. Raises :class:`StateError` for what a newer version wrote, or is damaged."""
        for number in sorted(entries):
            try:
                one = decode(entries[number])
            except RecordError as error:
                raise StateError("Stored correlation state is damaged: a match put aside cannot be read.") from error
            assert isinstance(one, Addressed)
            self._waiting[number] = one
            self._next = number + 1

    def state(self) -> list[Any]:
        """What was missed and what is retired."""
        return [self.missed, list(self.retired)]

    def load_state(self, state: list[Any]) -> None:
        """Go on from :meth:`state`."""
        self.missed, retired = state
        self.retired = dict.fromkeys(retired)
