"""The matches one key of one correlation holds: by reference, in order of time, each identity once.

Deduplication lives here (SEMANTICS I5): a match whose identity is already held for the same reference changes nothing.
Two references may hold the same event; for counts that is one event, for ordered steps it may fill only one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from streamer.correlate.digest import Digest, texts_of
from streamer.correlate.sequence import Runs
from streamer.model import Match

Moment: TypeAlias = tuple[int, bytes]
"""(time, identity): the order of matches; "latest" is the greatest (names must not depend on arrival)."""

_PATIENCE: Final = 256
"""Matches looked at one by one before an index over their values is made."""

_NO_DIGESTS: Final[Mapping[tuple[int, str], Digest]] = MappingProxyType({})

NAMED: Final = 20
"""Members a step shows at most (SEMANTICS A4)."""


class Ledger:
    """Matches by reference.

    Attributes:
        lines: per reference the moments of its matches.
        matches: per reference the match of each identity.
        shared: how many (event, reference) pairs there are beyond one per event; 0 means that no event was accepted by
            two referenced rules.
    """

    __slots__ = ("_digests", "lines", "matches", "shared")

    def __init__(self, refs: int) -> None:
        self.lines: list[Runs[Moment]] = [Runs() for _ in range(refs)]
        self.matches: list[dict[bytes, Match]] = [{} for _ in range(refs)]
        self.shared = 0
        self._digests: Mapping[tuple[int, str], Digest] = _NO_DIGESTS

    def __len__(self) -> int:
        return sum(map(len, self.matches))

    def add(self, ref: int, match: Match) -> bool:
        """Take a match in; ``False`` for a duplicate."""
        identity = match.identity
        if identity in self.matches[ref]:
            return False
        self.shared += self.held(identity) > 0
        self.matches[ref][identity] = match
        self.lines[ref].add((match.time_us, identity))
        for (other, _), digest in self._digests.items():
            if other == ref:
                digest.add(match)
        return True

    def held(self, identity: bytes) -> int:
        """For how many references an event is held."""
        return sum(identity in matches for matches in self.matches)

    def drop_before(self, time: int) -> list[tuple[int, Match]]:
        """Forget all matches older than ``time``; returns them with their references."""
        gone: list[tuple[int, Match]] = []
        for digest in self._digests.values():
            digest.drop_before(time)
        for ref, line in enumerate(self.lines):
            gone += [(ref, self._forget(ref, identity)) for _, identity in line.drop_before((time,))]
        return gone

    def _forget(self, ref: int, identity: bytes) -> Match:
        gone = self.matches[ref].pop(identity)
        self.shared -= self.held(identity) > 0
        return gone

    def oldest(self) -> int | None:
        """The time of the oldest match held."""
        firsts = [line.first() for line in self.lines]
        return min((first[0] for first in firsts if first is not None), default=None)

    def latest(self, ref: int, start: int, end: int) -> Moment | None:
        """The latest match of a reference in [start, end]."""
        moment = self.lines[ref].before((end + 1,))
        return moment if moment is not None and moment[0] >= start else None

    def earliest(self, ref: int, start: int) -> Moment | None:
        """The earliest match of a reference at ``start`` or after."""
        return self.lines[ref].since((start,))

    def backwards(self, ref: int, start: int, end: int) -> Iterator[Match]:
        """The matches of a reference in [start, end], latest first."""
        matches = self.matches[ref]
        for time, identity in self.lines[ref].descending((end + 1,)):
            if time < start:
                return
            yield matches[identity]

    def newest_values(self, ref: int, source: str, span: tuple[int, int], found: set[str]) -> Iterator[Match]:
        """The matches of a reference in a span of time that have a value not among ``found``, latest first.

        ``found`` may grow meanwhile. Only where many matches have few values is an index worth its upkeep, so it is
        made when a search has gone on for long.
        """
        first, last = span
        digest = self._digests.get((ref, source))
        if digest is None:
            for looked, match in enumerate(self.backwards(ref, first, last)):
                if looked == _PATIENCE:
                    break
                if not found.issuperset(texts_of(match, source)):
                    yield match
            else:
                return
            last = match.time_us
            digest = Digest(source, self.matches[ref].values())
            self._digests = {**self._digests, (ref, source): digest}
        for _, identity in digest.newest(first, last, found):
            yield self.matches[ref][identity]

    def count(self, ref: int, start: int, end: int) -> int:
        """How many matches a reference has in [start, end]."""
        line = self.lines[ref]
        return line.rank((end + 1,)) - line.rank((start,))

    def everything(self) -> Iterator[tuple[int, Match]]:
        """All matches, by reference, then in order of time."""
        for ref, line in enumerate(self.lines):
            for _, identity in line:
                yield ref, self.matches[ref][identity]
