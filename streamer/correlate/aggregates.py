"""``value_sum``, ``value_avg``, ``value_median``, ``value_percentile``: judged for every event with a number.

All arithmetic is exact: a JSON number is taken at its exact value, the threshold too, so that neither the order of
arrival nor the order of addition can tip a comparison. Sums are integers in units of the smallest number a float can
hold.
"""

from __future__ import annotations

from fractions import Fraction
from heapq import heappop, heappush
from typing import Final

from streamer.correlate.counts import window_of
from streamer.correlate.firings import Completed
from streamer.correlate.plan import Address, Arrival, Plan
from streamer.correlate.sequence import Runs, Sums
from streamer.correlate.state import KeyState
from streamer.correlate.windows import OPERATORS
from streamer.model import Match

_UNIT_BITS: Final = 1074
"""The smallest positive float is 2 ** -1074: every number is a whole multiple of it."""

Number = int | float


def numbers_of(match: Match, fields: tuple[str, ...]) -> list[Number]:
    """The numbers a match has in a field; booleans and strings are none."""
    return [
        value
        for name in fields
        for value in match.values.get(name, ())
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def units(number: Number) -> int:
    """A number as an exact multiple of the smallest float."""
    above, below = number.as_integer_ratio()
    return above * ((1 << _UNIT_BITS) // below)


class AggregateState(KeyState):
    """One key of an aggregate."""

    def __init__(self, plan: Plan, address: Address) -> None:
        super().__init__(plan, address)
        ordered = plan.rule.type in ("value_median", "value_percentile")
        self._numbers: Sorted | Summed = Sorted(plan) if ordered else Summed(plan)
        self._threshold = Fraction(plan.count.threshold)
        self._queue: list[int] = []
        self._queued: set[int] = set()

    def take(self, arrival: Arrival) -> list[Completed]:
        """Keep an event with a number; one behind the watermark is judged at once."""
        match, time = arrival.match, arrival.match.time_us
        counted = self._counted(match.identity)
        self.keep(arrival)
        # An event that several rules accepted is one event; whichever came first, it counts as the first rule reads it.
        if counted is None or arrival.ref < counted:
            if counted is not None:
                self._numbers.remove(match, self._read(counted, match.identity))
            self._numbers.add(match, self._read(arrival.ref, match.identity))
        if time < arrival.watermark:
            return self.tell(self._judged(time))
        self._enqueue(time)
        return []

    def _counted(self, identity: bytes) -> int | None:
        """The reference as whose match an event is counted."""
        return next((ref for ref, held in enumerate(self.ledger.matches) if identity in held), None)

    def _read(self, ref: int, identity: bytes) -> list[Number]:
        return numbers_of(self.ledger.matches[ref][identity], self.plan.counted_fields(ref))

    def _enqueue(self, time: int) -> None:
        if time not in self._queued:
            self._queued.add(time)
            heappush(self._queue, time)

    def judge(self, watermark: int) -> list[Completed]:
        """Judge the events before the watermark, in order of time."""
        done: list[Completed] = []
        while self._queue and self._queue[0] < watermark:
            time = heappop(self._queue)
            self._queued.discard(time)
            done += self._judged(time)
        return self.tell(done)

    def deadline(self) -> int | None:
        """The first time that has not been judged."""
        return self._queue[0] if self._queue else None

    def _judged(self, time: int) -> list[Completed]:
        start = time - self.plan.rule.timespan_us
        if self.blind.covers(start, time):
            return []
        result = self._numbers.result(start, time)
        if not OPERATORS[self.plan.count.op](result, self._threshold):
            return []
        done = window_of(self, start, time)
        try:
            done.value = float(result)
        except OverflowError:
            done.value = None
        return [done]

    def _forgotten(self, gone: list[tuple[int, Match]], bound: int) -> None:
        self._numbers.forget(gone, bound)

    def loaded(self, watermark: int) -> None:
        """Take the numbers in again; what the watermark has not passed has not been judged."""
        known: set[bytes] = set()
        for ref, match in self.ledger.everything():
            if match.identity not in known:
                known.add(match.identity)
                self._numbers.add(match, self._read(ref, match.identity))
            if match.time_us >= watermark:
                self._enqueue(match.time_us)


class Summed:
    """Sums and averages over any range of time."""

    def __init__(self, plan: Plan) -> None:
        self._averages = plan.rule.type == "value_avg"
        self._sums = Sums()
        self._counts = Sums()

    def add(self, match: Match, numbers: list[Number]) -> None:
        """Take an event's numbers in."""
        self._sums.add(match.time_us, sum(map(units, numbers)))
        self._counts.add(match.time_us, len(numbers))

    def remove(self, match: Match, numbers: list[Number]) -> None:
        """Take an event's numbers out again."""
        self._sums.add(match.time_us, -sum(map(units, numbers)))
        self._counts.add(match.time_us, -len(numbers))

    def result(self, start: int, end: int) -> Fraction:
        """The sum, or the average, of all numbers in [start, end]."""
        total = Fraction(self._sums.before(end + 1) - self._sums.before(start), 1 << _UNIT_BITS)
        if not self._averages:
            return total
        return total / (self._counts.before(end + 1) - self._counts.before(start))

    def forget(self, gone: list[tuple[int, Match]], bound: int) -> None:
        """Forget the numbers before the bound."""
        self._sums.drop_before(bound)
        self._counts.drop_before(bound)


class Sorted:
    """Medians and percentiles: the numbers of the window judged last, in order.

    Judging goes forward in time, so from one window to the next only what enters and what leaves is touched.
    """

    def __init__(self, plan: Plan) -> None:
        percentile = plan.count.percentile if plan.rule.type == "value_percentile" else 50
        self._share = Fraction(percentile if percentile is not None else 50) / 100
        self._all: Runs[tuple[int, bytes, int, Number]] = Runs()
        self._window: Runs[tuple[Number, int, bytes, int]] = Runs()
        self._span = (0, -1)

    def add(self, match: Match, numbers: list[Number]) -> None:
        """Take an event's numbers in."""
        for place, number in enumerate(numbers):
            self._all.add((match.time_us, match.identity, place, number))
            if self._span[0] <= match.time_us <= self._span[1]:
                self._window.add((number, match.time_us, match.identity, place))

    def remove(self, match: Match, numbers: list[Number]) -> None:
        """Take an event's numbers out again."""
        for place, number in enumerate(numbers):
            self._all.discard((match.time_us, match.identity, place, number))
            self._window.discard((number, match.time_us, match.identity, place))

    def result(self, start: int, end: int) -> Fraction:
        """The percentile of all numbers in [start, end], linear between closest ranks."""
        self._move(start, end)
        place = (len(self._window) - 1) * self._share
        below = int(place)
        low = Fraction(self._window.at(below)[0])
        if below == place:
            return low
        return low + (Fraction(self._window.at(below + 1)[0]) - low) * (place - below)

    def _move(self, start: int, end: int) -> None:
        first, last = self._span
        if end < first or last < start:
            self._window = Runs()
            self._enter(start, end)
        else:
            self._leave(first, start - 1)
            self._leave(end + 1, last)
            self._enter(start, first - 1)
            self._enter(last + 1, end)
        self._span = (start, end)

    def _enter(self, first: int, last: int) -> None:
        for time, identity, place, number in self._all.between((first,), (last + 1,)):
            self._window.add((number, time, identity, place))

    def _leave(self, first: int, last: int) -> None:
        for time, identity, place, number in self._all.between((first,), (last + 1,)):
            self._window.discard((number, time, identity, place))

    def forget(self, gone: list[tuple[int, Match]], bound: int) -> None:
        """Forget the numbers before the bound."""
        for time, identity, place, number in self._all.drop_before((bound,)):
            if self._span[0] <= time <= self._span[1]:
                self._window.discard((number, time, identity, place))
