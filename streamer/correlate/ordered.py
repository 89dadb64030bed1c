"""``temporal_ordered``: several rules within one timespan, one after the other.

Going back from a completing event, taking the latest match for each step leaves the most room for the steps before
it; so one pass finds the chain, or that there is none. Seen from a new match in the middle: going back from it gives
the latest possible beginning, going forward the earliest possible last step, and exactly the last steps between that
one and the end of the timespan that starts at that beginning are complete through it.

An event that two rules accepted may fill only one step (W3). Where there are such events the range above is a
superset, every candidate in it is tried, and :mod:`streamer.correlate.search` shares the events out. Rules with
``skew`` (W2) are in :mod:`streamer.correlate.skewed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from streamer.correlate.chains import Chain, ChainState
from streamer.correlate.firings import Completed
from streamer.correlate.ledger import Moment
from streamer.correlate.search import Search
from streamer.model import Match


class OrderedState(ChainState):
    """One key of a ``temporal_ordered`` rule."""

    def _may_complete(self, way: int, ref: int) -> bool:
        return ref == self._ways[way][-1]

    def _is_plain(self) -> bool:
        """Whether taking the latest match for each step is enough."""
        return not self.ledger.shared

    def _completed_by(self, way: int, ref: int, match: Match) -> list[Moment]:
        span = self._completable(way, ref, match.time_us)
        if span is None:
            return []
        if self._is_plain():
            return self._open[way].pop_between((span[0],), (span[1] + 1,))
        candidates = self._open[way].between((span[0],), (span[1] + 1,))
        return [one for one in candidates if self._chain(way, one) is not None and self._open[way].discard(one)]

    def _completable(self, way: int, ref: int, time: int) -> tuple[int, int] | None:
        """First and last time at which a completing event may have a chain through a match of this time."""
        refs, timespan, skew = self._ways[way], self.plan.rule.timespan_us, self.plan.rule.skew_us
        at = refs.index(ref)
        begin, step = time, time
        for other in reversed(refs[:at]):
            moment = self.ledger.lines[other].before((step + skew + 1,))
            if moment is None:
                return None
            step = moment[0]
            begin = min(begin, step)
        if begin < time - timespan:
            return None
        first = time
        for other in refs[at + 1 :]:
            moment = self.ledger.lines[other].since((first - skew,))
            if moment is None:
                return None
            first = moment[0]
        if at == len(refs) - 1 and not skew:
            return (time, time)
        return (first, begin + timespan)

    def _chain(self, way: int, event: Moment) -> Chain | None:
        refs = self._ways[way]
        if not self._is_plain():
            return Search(self.ledger, self.plan, refs).latest(event)
        chain = {refs[-1]: event}
        step, start = event[0], event[0] - self.plan.rule.timespan_us
        for ref in reversed(refs[:-1]):
            moment = self.ledger.latest(ref, start, step)
            if moment is None:
                return None
            chain[ref] = moment
            step = moment[0]
        return chain

    def _forbidden(self, way: int, chain: Chain) -> Iterator[tuple[int, int, int]]:
        refs, timespan = self._ways[way], self.plan.rule.timespan_us
        for ref in self.plan.shape.forbidden:
            before = [other for other in refs if other < ref]
            after = [other for other in refs if other > ref]
            if not before:
                following = chain[after[0]][0]
                yield (ref, following - timespan, following - 1)
            elif not after:
                yield (ref, chain[before[-1]][0] + 1, min(time for time, _ in chain.values()) + timespan)
            else:
                yield (ref, chain[before[-1]][0] + 1, chain[after[0]][0] - 1)

    def _waits_until(self, way: int, event: Moment, chain: Chain) -> int:
        last = self._ways[way][-1]
        if any(ref > last for ref in self.plan.shape.forbidden):
            return max(event[0], min(time for time, _ in chain.values()) + self.plan.rule.timespan_us)
        return event[0]

    def _gather(self, done: Completed, way: int, event: Moment) -> None:
        if not any(self.plan.rule.exported_fields.values()):
            return
        refs, skew = self._ways[way], self.plan.rule.skew_us
        own = self.ledger.matches[refs[-1]][event[1]]
        begin = start = event[0] - self.plan.rule.timespan_us
        earliest: dict[int, int] = {}
        for ref in refs[:-1]:
            moment = self.ledger.earliest(ref, start)
            assert moment is not None
            earliest[ref] = moment[0]
            start = max(begin, moment[0] - skew)
        step = own.time_us
        for ref in reversed(refs[:-1]):
            moment = self.ledger.lines[ref].before((min(step + skew, event[0]) + 1,))
            assert moment is not None
            step = moment[0]
            self.gather(done.gathered, ref, (earliest[ref], step), self._taking_part(way, event, ref))
        self.gather_from(done.gathered, refs[-1], own)

    def _taking_part(self, way: int, event: Moment, ref: int) -> Callable[[Match], bool] | None:
        """Which matches of a step are in some chain ending at the event; ``None`` if all in the span are."""
        if self._is_plain():
            return None
        search = Search(self.ledger, self.plan, self._ways[way])
        latest_us = event[0]
        own = self.ledger.matches[self._ways[way][-1]][event[1]]
        last = (own.time_us, own.identity)

        def takes_part(match: Match) -> bool:
            pin = (ref, (match.time_us, match.identity))
            return search.latest(last, latest_us=latest_us, pinned=pin) is not None

        return takes_part
