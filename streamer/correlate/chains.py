"""Temporal rules, ordered or not: which events have completed, which of them may be judged, what a ``not`` forbids.

An event that may complete an alternative of the condition is in exactly one of three places: *open* (something is
still missing), *queued* (complete, waiting for the watermark) or judged. Only an arrival moves events out of open, and
it moves all it completes at once, so no event is looked at twice (SEMANTICS C12).

For rules with a ``not`` it is remembered which events were judged: a late match may change the chain they would be
judged on, but a completing event, once judged, is not judged again (T6).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import TypeAlias

from streamer.correlate import codec
from streamer.correlate.firings import Completed
from streamer.correlate.ledger import Moment
from streamer.correlate.limits import BEGINNING, FOREVER
from streamer.correlate.plan import Address, Arrival, Plan
from streamer.correlate.sequence import Runs
from streamer.correlate.state import KeyState, Part
from streamer.model import Match

Chain: TypeAlias = dict[int, Moment]
"""The named member of each reference."""


class ChainState(KeyState):
    """One key of a ``temporal`` or ``temporal_ordered`` rule."""

    def __init__(self, plan: Plan, address: Address) -> None:
        super().__init__(plan, address)
        self._ways = plan.shape.alternatives
        self._open: list[Runs[Moment]] = [Runs() for _ in self._ways]
        self._queue: list[tuple[int, int, bytes, int]] = []
        self._judged: list[Runs[Moment]] = [Runs() for _ in self._ways]

    def progress(self, ref: int) -> float:
        """How many of the other steps are there, in whatever order they came; less where this one is there already."""
        lines = self.ledger.lines
        best = 0.0
        for way in self._ways:
            others = [other for other in way if other != ref]
            needed = min(len(others), (self.plan.shape.at_least or len(way)) - 1)
            there = sum(len(lines[other]) > 0 for other in others)
            best = max(best, min(1.0, there / needed) if needed > 0 else 1.0)
        return best / (1 + len(lines[ref]))

    # -- the two kinds ----------------------------------------------------------------------------------------------

    @abstractmethod
    def _may_complete(self, way: int, ref: int) -> bool:
        """Whether matches of this reference are completing events of the alternative."""

    @abstractmethod
    def _completed_by(self, way: int, ref: int, match: Match) -> list[Moment]:
        """The open events that a new match makes complete; they leave ``_open``."""

    @abstractmethod
    def _chain(self, way: int, event: Moment) -> Chain | None:
        """The chain C9 names for a completing event; ``None`` if it is not complete."""

    @abstractmethod
    def _forbidden(self, way: int, chain: Chain) -> Iterator[tuple[int, int, int]]:
        """The ``not`` windows of a chain: reference, first and last time, both included."""

    @abstractmethod
    def _waits_until(self, way: int, event: Moment, chain: Chain) -> int:
        """The time the watermark must pass before the event can be judged."""

    @abstractmethod
    def _gather(self, done: Completed, way: int, event: Moment) -> None:
        """Collect the exported values of everything that takes part in some chain ending at the event."""

    # -- taking in and judging --------------------------------------------------------------------------------------

    def take(self, arrival: Arrival) -> list[Completed]:
        """Keep the match, and tell or queue what it completes."""
        self.keep(arrival)
        match = arrival.match
        done: list[Completed] = []
        for way, refs in enumerate(self._ways):
            if arrival.ref not in refs:
                continue
            self._offer(way, arrival.ref, match)
            for event in self._completed_by(way, arrival.ref, match):
                done += self._enter(way, event, arrival.watermark)
        return self.tell(done)

    def _offer(self, way: int, ref: int, match: Match) -> None:
        """Open a new match to completion, if it can be a completing event."""
        event = (match.time_us, match.identity)
        if self._may_complete(way, ref) and event not in self._judged[way]:
            self._open[way].add(event)

    def _enter(self, way: int, event: Moment, watermark: int) -> Iterator[Completed]:
        if self.plan.on_arrival:
            yield from self._judge(way, event)
            return
        chain = self._chain(way, event)
        assert chain is not None
        until = self._waits_until(way, event, chain)
        if until < watermark:
            yield from self._judge(way, event)
        else:
            heappush(self._queue, (until, *event, way))

    def judge(self, watermark: int) -> list[Completed]:
        """Judge queued events whose last window lies before the watermark, in order of time."""
        done: list[Completed] = []
        queue = self._queue
        while queue and queue[0][0] < watermark:
            _, time, identity, way = heappop(queue)
            event = (time, identity)
            chain = self._chain(way, event)
            if chain is None or event in self._judged[way]:
                continue
            # Matches that came since may have moved the chain, and with it the end of its ``not`` window.
            until = self._waits_until(way, event, chain)
            if until < watermark:
                done += self._judge(way, event)
            else:
                heappush(queue, (until, time, identity, way))
        return self.tell(done)

    def _judge(self, way: int, event: Moment) -> Iterator[Completed]:
        chain = self._chain(way, event)
        assert chain is not None
        if self.plan.shape.forbidden:
            self._judged[way].add(event)
            self.note("j", self._ways[way], *event)
        times = [time for time, _ in chain.values()]
        looks_from, looks_until = FOREVER, BEGINNING
        for ref, first, last in self._forbidden(way, chain):
            if first <= last and (self.ledger.latest(ref, first, last) or self.blind.covers(first, last)):
                return
            looks_from, looks_until = min(looks_from, first), max(looks_until, last)
        done = Completed(
            time_us=max(*times, looks_until),
            members={ref: {moment[1]: self.ledger.matches[ref][moment[1]]} for ref, moment in chain.items()},
            totals={},
            window=(min(times), max(times)),
            looks_from=looks_from,
            looks_until=looks_until,
        )
        self._gather(done, way, event)
        yield done

    def deadline(self) -> int | None:
        """The end of the window that can be judged first."""
        return self._queue[0][0] if self._queue else None

    # -- forgetting and being stored --------------------------------------------------------------------------------

    def _forgotten(self, gone: list[tuple[int, Match]], bound: int) -> None:
        for events in self._open:
            events.drop_before((bound,))
        for refs, judged in zip(self._ways, self._judged, strict=True):
            for event in judged.drop_before((bound,)):
                self.note("j", refs, *event)

    def parts(self) -> Iterator[Part]:
        """The ledger's parts and the judged events."""
        yield from super().parts()
        for refs, judged in zip(self._ways, self._judged, strict=True):
            yield from (("j", refs, *event) for event in judged)

    def stored(self, part: Part) -> bytes | None:
        """The value of a part."""
        if part[0] != "j":
            return super().stored(part)
        return codec.MARK if (part[2], part[3]) in self._judged[self._ways.index(tuple(part[1]))] else None

    def load(self, part: Part, data: bytes) -> None:
        """Put back a part."""
        if part[0] == "j":
            self._judged[self._ways.index(tuple(part[1]))].add((int(part[2]), part[3]))
        else:
            super().load(part, data)

    def loaded(self, watermark: int) -> None:
        """Sort every event that may complete into open, queued and judged."""
        for ref, match in self.ledger.everything():
            for way, refs in enumerate(self._ways):
                if ref in refs and self._may_complete(way, ref):
                    self._place(way, (match.time_us, match.identity), watermark)

    def _place(self, way: int, event: Moment, watermark: int) -> None:
        if event in self._judged[way]:
            return
        chain = self._chain(way, event)
        if chain is None:
            self._open[way].add(event)
        elif not self.plan.on_arrival:
            until = self._waits_until(way, event, chain)
            if until >= watermark:
                heappush(self._queue, (until, *event, way))
