"""Which values came last, without looking at all matches.

A firing carries the latest sixteen distinct values of a field over a window. If forty thousand matches of the window
hold three values between them, looking for the other thirteen would mean looking at all. A digest keeps, for runs of
matches, the values that occur in them; a run that holds nothing new is passed over as a whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from streamer.correlate.keys import canonical
from streamer.model import Match

Moment: TypeAlias = tuple[int, bytes]

_FULL: Final = 256


class _Run:
    """Moments in order, and how often each value occurs at them."""

    __slots__ = ("counts", "moments", "texts")

    def __init__(self, moments: list[Moment], texts: list[tuple[str, ...]]) -> None:
        self.moments = moments
        self.texts = texts
        self.counts: dict[str, int] = {}
        for some in texts:
            self.count(some, 1)

    def count(self, texts: tuple[str, ...], by: int) -> None:
        for text in texts:
            left = self.counts.get(text, 0) + by
            if left:
                self.counts[text] = left
            else:
                del self.counts[text]


class Digest:
    """The values of one field in the matches of one reference.

    Args:
        source: the field.
        matches: those held already, in any order.
    """

    def __init__(self, source: str, matches: Iterable[Match]) -> None:
        self._source = source
        self._runs: list[_Run] = []
        self._lasts: list[Moment] = []
        self._all = _Run([], [])
        for match in matches:
            self.add(match)

    def add(self, match: Match) -> None:
        """Take a match in."""
        moment = (match.time_us, match.identity)
        texts = texts_of(match, self._source)
        if not self._runs:
            self._runs.append(_Run([], []))
            self._lasts.append(moment)
        at = min(bisect_left(self._lasts, moment), len(self._runs) - 1)
        run = self._runs[at]
        inside = bisect_left(run.moments, moment)
        run.moments.insert(inside, moment)
        run.texts.insert(inside, texts)
        run.count(texts, 1)
        self._all.count(texts, 1)
        self._lasts[at] = run.moments[-1]
        if len(run.moments) > _FULL:
            half = _FULL // 2
            parts = [_Run(run.moments[:half], run.texts[:half]), _Run(run.moments[half:], run.texts[half:])]
            self._runs[at : at + 1] = parts
            self._lasts[at : at + 1] = [part.moments[-1] for part in parts]

    def drop_before(self, time: int) -> None:
        """Forget all matches older than ``time``."""
        at = bisect_left(self._lasts, (time, b""))
        for run in self._runs[:at]:
            for texts in run.texts:
                self._all.count(texts, -1)
        del self._runs[:at], self._lasts[:at]
        if self._runs:
            run = self._runs[0]
            low = bisect_left(run.moments, (time, b""))
            for texts in run.texts[:low]:
                run.count(texts, -1)
                self._all.count(texts, -1)
            del run.moments[:low], run.texts[:low]

    def newest(self, first: int, last: int, found: set[str]) -> Iterator[Moment]:
        """Moments in [first, last] with a value not among ``found``, latest first; ``found`` may grow meanwhile."""
        for at in range(min(bisect_left(self._lasts, (last + 1, b"")), len(self._runs) - 1), -1, -1):
            if self._lasts[at][0] < first or self._all.counts.keys() <= found:
                return
            run = self._runs[at]
            if run.counts.keys() <= found:
                continue
            for inside in range(len(run.moments) - 1, -1, -1):
                moment = run.moments[inside]
                if first <= moment[0] <= last and not found.issuperset(run.texts[inside]):
                    yield moment


def texts_of(match: Match, source: str) -> tuple[str, ...]:
    """The distinct values of a match in a field, as canonical texts."""
    return tuple(dict.fromkeys(map(canonical, match.values.get(source, ()))))
