"""``temporal_ordered`` with ``skew``: a step may precede its predecessor a little.

The completing event need not be the latest member then, and which chain is the latest may change when a step comes
that lies just after it. A firing whose time depended on that would depend on the order of arrival. So an event
completes once for every time T at which some chain that ends with it has its latest member (usually only its own
time): that set only grows with the matches, whatever their order, and what is told of T rests on matches up to T.

A pair (T, event) is what the plain rule calls an event. It is opened when the steps from the member at T to the event
are there; all of these lie within the skew, so that only matches nearby are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamer.correlate.chains import Chain
from streamer.correlate.ledger import Moment
from streamer.correlate.ordered import OrderedState
from streamer.correlate.plan import Address, Plan
from streamer.correlate.search import Search
from streamer.correlate.sequence import Runs
from streamer.model import Match


class SkewedState(OrderedState):
    """One key of a ``temporal_ordered`` rule with ``skew``."""

    def __init__(self, plan: Plan, address: Address) -> None:
        super().__init__(plan, address)
        self._complete: list[Runs[Moment]] = [Runs() for _ in self._ways]

    def _is_plain(self) -> bool:
        return False

    def _offer(self, way: int, ref: int, match: Match) -> None:
        """Pairs are opened when their neighbourhood is looked at."""

    def _reach(self, way: int) -> int:
        """How far the latest member of a chain may lie after its completing event."""
        return self.plan.rule.skew_us * (len(self._ways[way]) - 1)

    def _completed_by(self, way: int, ref: int, match: Match) -> list[Moment]:
        found = [pair for pair in self._nearby(way, match.time_us) if self._completes(way, pair)]
        span = self._completable(way, ref, match.time_us)
        if span is not None:
            far = self._open[way].between((span[0],), (span[1] + 1,))
            found += [pair for pair in far if self._completes(way, pair)]
        return found

    def _completes(self, way: int, pair: Moment) -> bool:
        """Whether a pair is complete now and was not before; a pair that may become so is opened."""
        if pair in self._complete[way] or (not self.plan.shape.forbidden and pair[0] in self._told):
            return False
        search = Search(self.ledger, self.plan, self._ways[way])
        if search.latest(self._event(way, pair), latest_us=pair[0]) is not None:
            self._open[way].discard(pair)
            self._complete[way].add(pair)
            return True
        if search.ends(self._event(way, pair), pair[0]):
            self._open[way].add(pair)
        return False

    def _nearby(self, way: int, time: int) -> Iterator[Moment]:
        """Pairs for which a match of this time may lie between the event and the latest member."""
        refs, reach = self._ways[way], self._reach(way)
        lines = self.ledger.lines
        times = {moment[0] for ref in refs for moment in lines[ref].between((time,), (time + reach + 1,))}
        for latest in sorted(times):
            for _, identity in lines[refs[-1]].between((latest - reach,), (latest + 1,)):
                yield (latest, identity)

    def _event(self, way: int, pair: Moment) -> Moment:
        match = self.ledger.matches[self._ways[way][-1]][pair[1]]
        return (match.time_us, match.identity)

    def _chain(self, way: int, event: Moment) -> Chain | None:
        if event[1] not in self.ledger.matches[self._ways[way][-1]]:
            return None
        search = Search(self.ledger, self.plan, self._ways[way])
        return search.latest(self._event(way, event), latest_us=event[0])

    def _forgotten(self, gone: list[tuple[int, Match]], bound: int) -> None:
        super()._forgotten(gone, bound)
        for way, pairs in enumerate(self._complete):
            pairs.drop_before((bound,))
            self._open[way].drop_before((bound + self._reach(way),))

    def _place(self, way: int, event: Moment, watermark: int) -> None:
        """Put back all pairs of one event."""
        for latest, identity in self._nearby(way, event[0]):
            pair = (latest, identity)
            if identity == event[1] and self._completes(way, pair) and not self.plan.on_arrival:
                super()._place(way, pair, watermark)
