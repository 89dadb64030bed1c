"""``temporal``: several rules within one timespan, in any order.

A match of a rule *covers* the times from its own to one timespan later. An event completes an alternative when all its
rules cover the event's time. A new match only adds cover, and only within its own reach; there every other rule covers
at most a beginning (from its latest match before) and an end (from its earliest match after). So what becomes complete
is found by intersecting a handful of intervals, never by looking at events.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from streamer.correlate.chains import Chain, ChainState
from streamer.correlate.firings import Completed
from streamer.correlate.ledger import Moment
from streamer.model import Match

Span = tuple[int, int]


class TemporalState(ChainState):
    """One key of a ``temporal`` rule."""

    def _may_complete(self, way: int, ref: int) -> bool:
        return True

    def _completed_by(self, way: int, ref: int, match: Match) -> list[Moment]:
        time, end = match.time_us, match.time_us + self.plan.rule.timespan_us
        opened = self._open[way]
        spans: list[Span] = [(time, time), *self._newly_covered(ref, match, end)]
        others = [other for other in self._ways[way] if other != ref]
        at_least = self.plan.shape.at_least
        if at_least:
            spans = [piece for span in spans for piece in self._covered_often(others, time, span, at_least - 1)]
        else:
            for other in others:
                spans = [piece for span in spans for piece in self._covered(other, time, span)]
        found: dict[Moment, None] = {}
        for first, last in spans:
            found |= dict.fromkeys(opened.pop_between((first,), (last + 1,)))
        return list(found)

    def _newly_covered(self, ref: int, match: Match, end: int) -> list[Span]:
        """The times in the match's reach that its rule did not cover before it came."""
        moment = (match.time_us, match.identity)
        before = self.ledger.lines[ref].before(moment)
        after = self.ledger.lines[ref].since((*moment, 0))
        first = match.time_us
        if before is not None:
            first = max(first, before[0] + self.plan.rule.timespan_us + 1)
        last = end if after is None else min(end, after[0] - 1)
        return [(first, last)] if first <= last else []

    def _covered(self, ref: int, time: int, span: Span) -> Iterator[Span]:
        """The parts of a span, within one timespan from ``time``, that a rule covers."""
        first, last = span
        before = self.ledger.lines[ref].before((time + 1,))
        until = time - 1 if before is None else before[0] + self.plan.rule.timespan_us
        after = self.ledger.earliest(ref, time + 1)
        if first <= until:
            yield (first, min(last, until))
        if after is not None and max(first, after[0], until + 1) <= last:
            yield (max(first, after[0], until + 1), last)

    def _covered_often(self, refs: list[int], time: int, span: Span, enough: int) -> Iterator[Span]:
        """The parts of a span that at least ``enough`` of the rules cover."""
        steps: dict[int, int] = {}
        for ref in refs:
            for first, last in self._covered(ref, time, span):
                steps[first] = steps.get(first, 0) + 1
                steps[last + 1] = steps.get(last + 1, 0) - 1
        level, edges = 0, sorted({span[0], *steps, span[1] + 1})
        for first, following in pairwise(edges):
            level += steps.get(first, 0)
            if level >= enough:
                yield (first, following - 1)

    def _chain(self, way: int, event: Moment) -> Chain | None:
        time, identity = event
        start = time - self.plan.rule.timespan_us
        chain: Chain = {}
        for ref in self._ways[way]:
            if identity in self.ledger.matches[ref]:
                chain[ref] = event
                continue
            moment = self.ledger.latest(ref, start, time)
            if moment is not None:
                chain[ref] = moment
            elif not self.plan.shape.at_least:
                return None
        enough = self.plan.shape.at_least
        return chain if len(chain) >= enough and identity in self._own(chain) else None

    @staticmethod
    def _own(chain: Chain) -> set[bytes]:
        return {moment[1] for moment in chain.values()}

    def _forbidden(self, way: int, chain: Chain) -> Iterator[tuple[int, int, int]]:
        first = min(time for time, _ in chain.values())
        for ref in self.plan.shape.forbidden:
            yield (ref, first, first + self.plan.rule.timespan_us)

    def _waits_until(self, way: int, event: Moment, chain: Chain) -> int:
        if not self.plan.shape.forbidden:
            return event[0]
        return min(time for time, _ in chain.values()) + self.plan.rule.timespan_us

    def _gather(self, done: Completed, way: int, event: Moment) -> None:
        time, identity = event
        own = [ref for ref in done.members if identity in self.ledger.matches[ref]]
        for ref in done.members:
            if own == [ref]:
                self.gather_from(done.gathered, ref, self.ledger.matches[ref][identity])
            else:
                self.gather(done.gathered, ref, (time - self.plan.rule.timespan_us, time))
