"""A sorted sequence that stays cheap wherever one inserts, and sums over its ranges.

Matches of one key may arrive in any order, forty thousand of them backwards. One Python list would move half of its
memory for each; a tree would cost an object per match. So a sequence is a list of short sorted runs: an insertion
bisects twice and moves a few hundred pointers at most, whatever the length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

_FULL: Final = 512
_NOTHING: Final[Any] = ()

T = TypeVar("T")


class Runs(Generic[T]):
    """A sorted set of comparable items. Bounds are anything comparable to the items, for example a shorter tuple."""

    __slots__ = ("_lasts", "_runs", "_size")

    def __init__(self) -> None:
        # A state holds several of these, mostly empty: they share what is in them.
        self._runs: list[list[Any]] = _NOTHING
        self._lasts: list[Any] = _NOTHING
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, item: T) -> bool:
        return self.since(item) == item

    def __iter__(self) -> Iterator[T]:
        for run in self._runs:
            yield from run

    def add(self, item: T) -> bool:
        """Insert; ``False`` if an equal item is already there."""
        runs = self._runs
        if not runs:
            self._runs, self._lasts, self._size = [[item]], [item], 1
            return True
        at = bisect_left(self._lasts, item)
        if at == len(runs):
            at -= 1
            runs[at].append(item)
            self._lasts[at] = item
        else:
            run = runs[at]
            inside = bisect_left(run, item)
            if run[inside] == item:
                return False
            run.insert(inside, item)
        self._size += 1
        if len(runs[at]) > _FULL:
            self._split(at)
        return True

    def _split(self, at: int) -> None:
        run = self._runs[at]
        half = len(run) // 2
        self._runs[at : at + 1] = [run[:half], run[half:]]
        self._lasts[at : at + 1] = [run[half - 1], run[-1]]

    def discard(self, item: T) -> bool:
        """Remove an equal item; ``False`` if there is none."""
        at = bisect_left(self._lasts, item)
        if at == len(self._runs):
            return False
        run = self._runs[at]
        inside = bisect_left(run, item)
        if run[inside] != item:
            return False
        del run[inside]
        self._size -= 1
        if run:
            self._lasts[at] = run[-1]
        else:
            del self._runs[at], self._lasts[at]
        return True

    def first(self) -> T | None:
        """The smallest item."""
        return self._runs[0][0] if self._runs else None

    def last(self) -> T | None:
        """The greatest item."""
        return self._lasts[-1] if self._lasts else None

    def before(self, bound: Any) -> T | None:
        """The greatest item below the bound."""
        at = bisect_left(self._lasts, bound)
        if at < len(self._runs):
            run = self._runs[at]
            inside = bisect_left(run, bound)
            if inside:
                item: T = run[inside - 1]
                return item
        return self._lasts[at - 1] if at else None

    def since(self, bound: Any) -> T | None:
        """The smallest item not below the bound."""
        at = bisect_left(self._lasts, bound)
        if at == len(self._runs):
            return None
        run = self._runs[at]
        item: T = run[bisect_left(run, bound)]
        return item

    def descending(self, bound: Any) -> Iterator[T]:
        """Items below the bound, greatest first. The sequence must not change meanwhile."""
        at = bisect_left(self._lasts, bound)
        if at < len(self._runs):
            run = self._runs[at]
            for inside in range(bisect_left(run, bound) - 1, -1, -1):
                yield run[inside]
        for earlier in range(min(at, len(self._runs)) - 1, -1, -1):
            yield from reversed(self._runs[earlier])

    def between(self, start: Any, stop: Any) -> list[T]:
        """Items not below ``start`` and below ``stop``, in order."""
        found: list[T] = []
        for at in range(bisect_left(self._lasts, start), len(self._runs)):
            run = self._runs[at]
            low = bisect_left(run, start)
            high = bisect_left(run, stop)
            found += run[low:high]
            if high < len(run):
                break
        return found

    def pop_between(self, start: Any, stop: Any) -> list[T]:
        """Like :meth:`between`, and the items are gone."""
        found: list[T] = []
        at = bisect_left(self._lasts, start)
        while at < len(self._runs):
            run = self._runs[at]
            low, high = bisect_left(run, start), bisect_left(run, stop)
            more = high == len(run)
            found += run[low:high]
            del run[low:high]
            if run:
                self._lasts[at] = run[-1]
                at += 1
            else:
                del self._runs[at], self._lasts[at]
            if not more:
                break
        self._size -= len(found)
        return found

    def drop_before(self, bound: Any) -> list[T]:
        """Remove and return all items below the bound."""
        first = self.first()
        if first is None or not first < bound:
            return []
        at = bisect_left(self._lasts, bound)
        gone: list[T] = [item for run in self._runs[:at] for item in run]
        del self._runs[:at], self._lasts[:at]
        if self._runs:
            run = self._runs[0]
            low = bisect_left(run, bound)
            gone += run[:low]
            del run[:low]
        self._size -= len(gone)
        return gone

    def rank(self, bound: Any) -> int:
        """How many items are below the bound."""
        at = bisect_left(self._lasts, bound)
        inside = bisect_left(self._runs[at], bound) if at < len(self._runs) else 0
        return sum(map(len, self._runs[:at])) + inside

    def at(self, index: int) -> T:
        """The item with this index, counted from 0. Raises ``IndexError``."""
        for run in self._runs:
            if index < len(run):
                item: T = run[index]
                return item
            index -= len(run)
        raise IndexError(index)


class Sums:
    """Exact sums of weights up to a time; the weights are integers of any size.

    Questions come in order of time, two by two (where a window begins, where it ends). So the last answers are kept,
    and the next is found from the nearer of them.
    """

    __slots__ = ("_answers", "_lasts", "_runs", "_totals", "_weights")

    _FULL: Final = 192

    def __init__(self) -> None:
        self._runs: list[list[int]] = []
        self._weights: list[list[int]] = []
        self._totals: list[int] = []
        self._lasts: list[int] = []
        self._answers = [[0, 0], [0, 0]]

    def add(self, time: int, weight: int) -> None:
        """Add to the weight of a time."""
        for answer in self._answers:
            if time < answer[0]:
                answer[1] += weight
        if not self._runs:
            self._runs, self._weights, self._totals, self._lasts = [[time]], [[weight]], [weight], [time]
            return
        at = min(bisect_left(self._lasts, time), len(self._runs) - 1)
        run, weights = self._runs[at], self._weights[at]
        inside = bisect_left(run, time)
        if inside < len(run) and run[inside] == time:
            weights[inside] += weight
        else:
            run.insert(inside, time)
            weights.insert(inside, weight)
            self._lasts[at] = run[-1]
        self._totals[at] += weight
        if len(run) > self._FULL:
            self._split(at)

    def _split(self, at: int) -> None:
        run, weights = self._runs[at], self._weights[at]
        half = len(run) // 2
        self._runs[at : at + 1] = [run[:half], run[half:]]
        self._weights[at : at + 1] = [weights[:half], weights[half:]]
        self._totals[at : at + 1] = [sum(weights[:half]), sum(weights[half:])]
        self._lasts[at : at + 1] = [run[half - 1], run[-1]]

    def before(self, bound: int) -> int:
        """The sum of the weights of all times below the bound."""
        one, other = self._answers
        answer = one if abs(one[0] - bound) <= abs(other[0] - bound) else other
        if answer[0] <= bound:
            answer[1] += self._between(answer[0], bound)
        else:
            answer[1] -= self._between(bound, answer[0])
        answer[0] = bound
        return answer[1]

    def _between(self, start: int, stop: int) -> int:
        first, last = bisect_left(self._lasts, start), bisect_left(self._lasts, stop)
        if first == len(self._runs):
            return 0
        low = bisect_left(self._runs[first], start)
        if first == last:
            return sum(self._weights[first][low : bisect_left(self._runs[first], stop)])
        total = sum(self._weights[first][low:]) + sum(self._totals[first + 1 : last])
        if last < len(self._runs):
            total += sum(self._weights[last][: bisect_left(self._runs[last], stop)])
        return total

    def drop_before(self, bound: int) -> int:
        """Forget all times below the bound and return what they weighed."""
        gone = self.before(bound)
        at = bisect_left(self._lasts, bound)
        del self._runs[:at], self._weights[:at], self._totals[:at], self._lasts[:at]
        if self._runs:
            low = bisect_left(self._runs[0], bound)
            self._totals[0] -= sum(self._weights[0][:low])
            del self._runs[0][:low], self._weights[0][:low]
        for answer in self._answers:
            answer[:] = [bound, 0] if answer[0] <= bound else [answer[0], answer[1] - gone]
        return gone


class Levels:
    """Times with a level each; a whole range rises at once, and what reaches the threshold leaves.

    Rising a range touches single times only in the two runs at its ends; the runs between remember it.
    """

    __slots__ = ("_lasts", "_levels", "_raised", "_runs", "_threshold", "_tops")

    _FULL: Final = 256

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._runs: list[list[int]] = []
        self._levels: list[list[int]] = []
        self._raised: list[int] = []
        self._tops: list[int] = []
        self._lasts: list[int] = []

    def __contains__(self, time: int) -> bool:
        at = bisect_left(self._lasts, time)
        if at == len(self._runs):
            return False
        run = self._runs[at]
        return run[bisect_left(run, time)] == time

    def add(self, time: int, level: int) -> None:
        """Insert a time that is not there yet, below the threshold."""
        if not self._runs:
            self._runs, self._levels, self._raised = [[time]], [[level]], [0]
            self._tops, self._lasts = [level], [time]
            return
        at = min(bisect_left(self._lasts, time), len(self._runs) - 1)
        run = self._runs[at]
        inside = bisect_left(run, time)
        run.insert(inside, time)
        self._levels[at].insert(inside, level - self._raised[at])
        self._tops[at] = max(self._tops[at], level)
        self._lasts[at] = run[-1]
        if len(run) > self._FULL:
            self._split(at)

    def _split(self, at: int) -> None:
        run, levels, raised = self._runs[at], self._levels[at], self._raised[at]
        half = len(run) // 2
        parts = (levels[:half], levels[half:])
        self._runs[at : at + 1] = [run[:half], run[half:]]
        self._levels[at : at + 1] = parts
        self._raised[at : at + 1] = [raised, raised]
        self._tops[at : at + 1] = [max(part) + raised for part in parts]
        self._lasts[at : at + 1] = [run[half - 1], run[-1]]

    def rise(self, start: int, stop: int) -> list[int]:
        """Raise all times in [start, stop] by one; those that reach the threshold are removed and returned."""
        first, last = bisect_left(self._lasts, start), bisect_left(self._lasts, stop)
        if first == len(self._runs):
            return []
        # The runs at the two ends may stand only partly in the range.
        self._rise_partly(first, start, stop)
        if first < last < len(self._runs):
            self._rise_partly(last, start, stop)
        self._raised[first + 1 : last] = [raised + 1 for raised in self._raised[first + 1 : last]]
        self._tops[first + 1 : last] = [top + 1 for top in self._tops[first + 1 : last]]
        reached: list[int] = []
        if max(self._tops[first : last + 1]) >= self._threshold:
            for at in range(min(last, len(self._runs) - 1), first - 1, -1):
                if self._tops[at] >= self._threshold:
                    self._take(at, reached)
        return reached

    def _rise_partly(self, at: int, start: int, stop: int) -> None:
        run, levels = self._runs[at], self._levels[at]
        low, high = bisect_left(run, start), bisect_left(run, stop + 1)
        if low < high:
            levels[low:high] = [level + 1 for level in levels[low:high]]
            self._tops[at] = max(levels) + self._raised[at]

    def _take(self, at: int, reached: list[int]) -> None:
        raised = self._raised[at]
        pairs = list(zip(self._runs[at], self._levels[at], strict=True))
        reached += [time for time, level in pairs if level + raised >= self._threshold]
        kept = [(time, level) for time, level in pairs if level + raised < self._threshold]
        self._runs[at] = [time for time, _ in kept]
        self._levels[at] = [level for _, level in kept]
        if kept:
            self._lasts[at] = kept[-1][0]
            self._tops[at] = max(self._levels[at]) + raised
        else:
            self._remove(at)

    def _remove(self, at: int) -> None:
        for column in (self._runs, self._levels, self._raised, self._tops, self._lasts):
            del column[at]

    def drop_before(self, bound: int) -> None:
        """Forget all times below the bound."""
        at = bisect_left(self._lasts, bound)
        for _ in range(at):
            self._remove(0)
        if self._runs:
            low = bisect_left(self._runs[0], bound)
            if low:
                del self._runs[0][:low], self._levels[0][:low]
                self._tops[0] = max(self._levels[0]) + self._raised[0]
