"""The chain of a ``temporal_ordered`` rule where events may fill only one step, or steps may swap within ``skew``.

Without skew only members of equal time can get into each other's way: a step that gives up a time for an earlier one
leaves nothing to the steps before it, for they would have to be earlier still. So the steps are laid going back, as
many as possible on the same time (an assignment of events to steps, bounded by the number of steps), then on earlier
ones.

With skew the latest member's time T is given. Going back from the completing event, as late as T allows, finds a chain
or that there is none, but for events that would fill two steps; among those the search tries the latest first, and a
look ahead that ignores W3 cuts off what cannot be completed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, TypeAlias

from streamer.correlate.ledger import Ledger, Moment
from streamer.correlate.plan import Plan

Chain: TypeAlias = dict[int, Moment]
Pin: TypeAlias = tuple[int, Moment]
"""A step that must be filled by one given match."""

_TRIES: Final = 20_000
"""Steps of one search with skew before it gives up; reached only when an event is accepted by many of the rules."""


class Search:
    """Searches in one ledger for one alternative."""

    def __init__(self, ledger: Ledger, plan: Plan, refs: tuple[int, ...]) -> None:
        self._ledger = ledger
        self._refs = refs
        self._timespan = plan.rule.timespan_us
        self._skew = plan.rule.skew_us
        self._plan = plan
        self._pinned: Pin | None = None
        self._tries = 0
        self._cap = 0

    def latest(self, event: Moment, *, latest_us: int | None = None, pinned: Pin | None = None) -> Chain | None:
        """The latest chain that ends with the event, comparing members from the last step backwards.

        Args:
            event: the match of the last step.
            latest_us: with skew, the time of the chain's latest member; the event's own time without it.
            pinned: a step that must be filled by a given match.
        """
        self._pinned = pinned
        self._tries = _TRIES
        if self._skew:
            self._cap = latest_us if latest_us is not None else event[0]
            found = self._skewed(len(self._refs) - 1, {self._refs[-1]: event})
            if found is None and self._tries < 0:
                self._plan.counters.abandoned[self._plan.rule.meta.key] += 1
            return found
        return self._straight(event)

    def ends(self, event: Moment, latest_us: int) -> bool:
        """Whether the last steps, back to one whose member is at ``latest_us``, are there."""
        self._pinned, self._cap = None, latest_us
        step = event[0]
        for ref in reversed(self._refs[:-1]):
            if step == latest_us:
                return True
            moment = self._latest(ref, step + self._skew)
            if moment is None:
                return False
            step = moment[0]
        return step == latest_us

    # -- without skew -----------------------------------------------------------------------------------------------

    def _straight(self, event: Moment) -> Chain | None:
        chain: Chain = {}
        start = event[0] - self._timespan
        refs = self._refs
        time, group, at = event[0], [refs[-1]], len(refs) - 2
        choices = {refs[-1]: [event[1]]}
        while True:
            while at >= 0:
                choices[refs[at]] = self._identities(refs[at], time)
                if not _assignable([*group, refs[at]], choices):
                    break
                group.append(refs[at])
                at -= 1
            for ref, identity in _latest_assignment(group, choices).items():
                chain[ref] = (time, identity)
            if at < 0:
                return chain
            moment = self._before(refs[at], time)
            if moment is None or moment[0] < start:
                return None
            time, group, choices = moment[0], [], {}

    def _identities(self, ref: int, time: int) -> list[bytes]:
        """The latest candidates of a step at a time: one more than other steps could take away is enough."""
        if self._pinned is not None and self._pinned[0] == ref:
            return [self._pinned[1][1]] if self._pinned[1][0] == time else []
        found: list[bytes] = []
        for moment in islice(self._ledger.lines[ref].descending((time + 1,)), len(self._refs)):
            if moment[0] != time:
                break
            found.append(moment[1])
        return found

    def _before(self, ref: int, time: int) -> Moment | None:
        if self._pinned is not None and self._pinned[0] == ref:
            return self._pinned[1] if self._pinned[1][0] < time else None
        return self._ledger.lines[ref].before((time,))

    # -- with skew --------------------------------------------------------------------------------------------------

    def _skewed(self, at: int, chain: Chain) -> Chain | None:
        """Fill the steps before number ``at``."""
        if not self._fits(at, chain):
            return None
        if at == 0:
            return chain
        ref = self._refs[at - 1]
        used = {identity for _, identity in chain.values()}
        for moment in self._candidates(ref, min(chain[self._refs[at]][0] + self._skew, self._cap)):
            self._tries -= 1
            if self._tries < 0:
                return None
            if moment[1] in used:
                continue
            wider = {**chain, ref: moment}
            # An even earlier match leaves less to the steps before it.
            if not self._fits(at - 1, wider):
                return None
            found = self._skewed(at - 1, wider)
            if found is not None:
                return found
        return None

    def _candidates(self, ref: int, limit: int) -> Iterator[Moment]:
        if self._pinned is not None and self._pinned[0] == ref:
            return iter([self._pinned[1]] if self._pinned[1][0] <= limit else [])
        return self._ledger.lines[ref].descending((limit + 1,))

    def _fits(self, at: int, chain: Chain) -> bool:
        """Whether the steps before number ``at`` could be filled if an event might fill several."""
        times = [time for time, _ in chain.values()]
        low, high, step = min(times), max(times), chain[self._refs[at]][0]
        for ref in reversed(self._refs[:at]):
            moment = self._latest(ref, step + self._skew)
            if moment is None:
                return False
            step = moment[0]
            low, high = min(low, step), max(high, step)
        return high == self._cap and low >= self._cap - self._timespan

    def _latest(self, ref: int, limit: int) -> Moment | None:
        limit = min(limit, self._cap)
        if self._pinned is not None and self._pinned[0] == ref:
            return self._pinned[1] if self._pinned[1][0] <= limit else None
        return self._ledger.lines[ref].before((limit + 1,))


def _assignable(refs: list[int], choices: dict[int, list[bytes]]) -> bool:
    """Whether every step can have an event of its own."""
    holder: dict[bytes, int] = {}
    return all(_assign(ref, choices, holder, set()) for ref in refs)


def _assign(ref: int, choices: dict[int, list[bytes]], holder: dict[bytes, int], tried: set[bytes]) -> bool:
    for identity in choices[ref]:
        if identity in tried:
            continue
        tried.add(identity)
        if identity not in holder or _assign(holder[identity], choices, holder, tried):
            holder[identity] = ref
            return True
    return False


def _latest_assignment(refs: list[int], choices: dict[int, list[bytes]]) -> dict[int, bytes]:
    """An event for every step, the latest for the first of ``refs``, then for the second, and so on."""
    fixed = {ref: list(choices[ref]) for ref in refs}
    for ref in refs:
        for identity in sorted(choices[ref], reverse=True):
            fixed[ref] = [identity]
            if _assignable(refs, fixed):
                break
    return {ref: fixed[ref][0] for ref in refs}
