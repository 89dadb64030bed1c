"""``event_count`` and ``value_count`` with a lower bound: n different events, or values, within one timespan.

The level of a time t is what [t - timespan, t] holds. A new value raises the level of the times between its own and the
next occurrence of the same value, as far as the previous occurrence did not reach; that is one interval, whatever the
order of arrival. Times still below the threshold stand in :class:`~streamer.correlate.sequence.Levels`, where an
interval rises as a whole and what reaches the threshold leaves; times above it have been told and need no level.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush

from streamer.correlate.firings import Completed
from streamer.correlate.keys import Tuple, tuples_of
from streamer.correlate.ledger import NAMED
from streamer.correlate.plan import Address, Arrival, Plan
from streamer.correlate.sequence import Levels, Runs, Sums
from streamer.correlate.state import KeyState
from streamer.model import Match


class CountState(KeyState):
    """One key of a count with ``gt`` or ``gte``."""

    def __init__(self, plan: Plan, address: Address) -> None:
        super().__init__(plan, address)
        threshold = plan.count.threshold
        least = math.floor(threshold) + 1 if plan.count.op == "gt" else math.ceil(threshold)
        self._counting: Counting = Values(plan) if plan.rule.type == "value_count" else Events(plan)
        self._least = max(1, least)
        self._below = Levels(self._least)
        self._queue: list[int] = []
        self._queued: set[int] = set()

    def progress(self, ref: int) -> float:
        """How near the count is to its threshold; less where it is beyond."""
        held = len(self.ledger)
        return held / self._least if held < self._least else 1.0 / (2 + held - self._least)

    def take(self, arrival: Arrival) -> list[Completed]:
        """Count the match, and tell or queue what it completes."""
        match = arrival.match
        known = self.ledger.held(match.identity) > 0
        self.keep(arrival)
        reached: list[int] = []
        for first, last in self._counting.add(arrival.ref, match, known):
            reached += self._below.rise(first, last)
        time = match.time_us
        if time not in self._told and time not in self._queued and time not in self._below:
            reached += self._place(time, arrival.watermark)
        return self.tell(self._completed(time) for time in reached)

    def _place(self, time: int, watermark: int) -> list[int]:
        if not self.plan.on_arrival and time >= watermark:
            heappush(self._queue, time)
            self._queued.add(time)
            return []
        level = self._counting.level(time)
        if level >= self._least:
            return [time]
        self._below.add(time, level)
        return []

    def judge(self, watermark: int) -> list[Completed]:
        """Judge the times before the watermark; those below the threshold may still be raised by late matches."""
        done: list[Completed] = []
        while self._queue and self._queue[0] < watermark:
            time = heappop(self._queue)
            self._queued.discard(time)
            level = self._counting.level(time)
            if level >= self._least:
                done.append(self._completed(time))
            else:
                self._below.add(time, level)
        return self.tell(done)

    def deadline(self) -> int | None:
        """The first time that has not been judged."""
        return self._queue[0] if self._queue else None

    def _completed(self, time: int) -> Completed:
        done = window_of(self, time - self.plan.rule.timespan_us, time)
        done.value = float(self._counting.level(time))
        return done

    def _forgotten(self, gone: list[tuple[int, Match]], bound: int) -> None:
        self._below.drop_before(bound)
        self._counting.forget(gone, bound)

    def loaded(self, watermark: int) -> None:
        """Count everything again; what was not told is below the threshold or waits."""
        known: set[bytes] = set()
        times: dict[int, None] = {}
        for ref, match in self.ledger.everything():
            self._counting.add(ref, match, match.identity in known)
            known.add(match.identity)
            times[match.time_us] = None
        for time in sorted(times):
            if time not in self._told:
                self._place(time, watermark)


def window_of(state: KeyState, start: int, end: int) -> Completed:
    """A completion that names the matches in [start, end]: the latest of each reference, and how many there are."""
    members: dict[int, dict[bytes, Match]] = {}
    totals: dict[int, int] = {}
    first = end
    done = Completed(end, members, totals, (start, end))
    for ref, line in enumerate(state.ledger.lines):
        earliest = line.since((start,))
        if earliest is None or earliest[0] > end:
            continue
        first = min(first, earliest[0])
        totals[ref] = state.ledger.count(ref, start, end)
        named = members[ref] = {}
        for match in state.ledger.backwards(ref, start, end):
            named[match.identity] = match
            if len(named) == NAMED:
                break
        state.gather(done.gathered, ref, (start, end))
    done.window = (first, end)
    return done


class Events:
    """Counts different events."""

    def __init__(self, plan: Plan) -> None:
        self._timespan = plan.rule.timespan_us
        self._moments: Runs[tuple[int, bytes]] = Runs()

    def add(self, ref: int, match: Match, known: bool) -> list[tuple[int, int]]:
        """Take an event in; returns the intervals of time whose level it raises."""
        if known:
            return []
        self._moments.add((match.time_us, match.identity))
        return [(match.time_us, match.time_us + self._timespan)]

    def level(self, time: int) -> int:
        """How many events stand in [time - timespan, time]."""
        return self._moments.rank((time + 1,)) - self._moments.rank((time - self._timespan,))

    def forget(self, gone: list[tuple[int, Match]], bound: int) -> None:
        """Forget the events before the bound."""
        self._moments.drop_before((bound,))


class Values:
    """Counts different values (tuples of values, where several fields are counted together)."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._timespan = plan.rule.timespan_us
        self._occurs: dict[Tuple, Runs[int]] = {}
        self._changes = Sums()
        self._base = 0

    def add(self, ref: int, match: Match, known: bool) -> list[tuple[int, int]]:
        """Take a match's values in; returns the intervals of time whose level they raise."""
        time, raised = match.time_us, []
        for value in self._values(ref, match):
            occurs = self._occurs.setdefault(value, Runs())
            before, after = occurs.before(time), occurs.since(time)
            if not occurs.add(time):
                continue
            first = time if before is None else max(time, before + self._timespan + 1)
            last = time + self._timespan if after is None else min(time + self._timespan, after - 1)
            if first <= last:
                self._changes.add(first, 1)
                self._changes.add(last + 1, -1)
                raised.append((first, last))
        return raised

    def _values(self, ref: int, match: Match) -> list[Tuple]:
        fields = self._plan.counted_fields(ref)
        return tuples_of(match.values, fields, self._plan.limits.values_per_match)[0]

    def level(self, time: int) -> int:
        """How many values stand in [time - timespan, time]."""
        return self._base + self._changes.before(time + 1)

    def forget(self, gone: list[tuple[int, Match]], bound: int) -> None:
        """Forget the values before the bound."""
        self._base += self._changes.drop_before(bound)
        for ref, match in gone:
            for value in self._values(ref, match):
                occurs = self._occurs.get(value)
                if occurs is not None:
                    occurs.drop_before(bound)
                    if not len(occurs):
                        del self._occurs[value]


Counting = Events | Values
