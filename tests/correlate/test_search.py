"""The latest chain against trying everything."""

from __future__ import annotations

import random
from itertools import pairwise, product

import pytest

from streamer.correlate.ledger import Ledger
from streamer.correlate.limits import CorrelateLimits
from streamer.correlate.plan import Plan
from streamer.correlate.search import Search
from tests.correlate.making import SECOND, correlation, match

NAMES = "a b c d"


def _order(members, skew: int):
    """Without skew the times decide before the events: of equal times, what leaves the latest to the steps before."""
    backwards = members[::-1]
    return backwards if skew else ([time for time, _ in backwards], backwards)


def _slow(ledger: Ledger, event, skew: int, span: int, pinned=None):
    """The best chain for every time of a latest member, by trying everything."""
    best: dict[int, tuple] = {}
    for chain in product(*(list(line) for line in ledger.lines[:-1])):
        members = (*chain, event)
        times = [time for time, _ in members]
        if len({identity for _, identity in members}) < len(members) or max(times) - min(times) > span:
            continue
        if any(after < before - skew for before, after in pairwise(times)):
            continue
        if pinned is not None and members[pinned[0]] != pinned[1]:
            continue
        latest = max(times)
        if latest not in best or _order(members, skew) > _order(best[latest], skew):
            best[latest] = members
    return {latest: dict(enumerate(members)) for latest, members in best.items()}


@pytest.mark.parametrize("skew", [0, 1, 2])
def test_the_search_finds_the_latest_chain_or_that_there_is_none(skew):
    """[C9] [W2] [W3] the chain that is named, for every time its latest member may have."""
    rng = random.Random(skew)
    plan = Plan.of(correlation("o", "temporal_ordered", NAMES, skew=skew, span=4), CorrelateLimits())
    search_refs = (0, 1, 2, 3)
    found = 0
    for _ in range(300):
        ledger = Ledger(4)
        for number in range(rng.randrange(3, 10)):
            at = rng.randrange(7)
            for ref in rng.sample(range(4), rng.choice((1, 1, 2, 3, 4))):
                ledger.add(ref, match(NAMES[ref * 2], at, str(number)))
        for event in ledger.lines[3]:
            search = Search(ledger, plan, search_refs)
            expected = _slow(ledger, event, skew * SECOND, 4 * SECOND)
            found += len(expected)
            for latest in range(event[0], (event[0] + 3 * skew * SECOND) + 1, SECOND):
                assert search.latest(event, latest_us=latest) == expected.get(latest)
                assert latest not in expected or not skew or search.ends(event, latest)
            for ref in range(3):
                for moment in ledger.lines[ref]:
                    expected = _slow(ledger, event, skew * SECOND, 4 * SECOND, (ref, moment))
                    for latest in range(event[0], (event[0] + 3 * skew * SECOND) + 1, SECOND):
                        got = search.latest(event, latest_us=latest, pinned=(ref, moment))
                        assert (got is None) == (latest not in expected)
    assert found > 50


def test_many_events_for_many_steps_at_one_time_need_no_search():
    """[C9] no search is needed: nine events that match ten rules each are shared out, or not, at once."""
    names = "a b c d e f g h i j"
    plan = Plan.of(correlation("o", "temporal_ordered", names), CorrelateLimits())
    ledger = Ledger(10)
    for number in range(9):
        for ref, name in enumerate(names.split()):
            ledger.add(ref, match(name, 5, str(number)))
    event = ledger.lines[9].last()
    assert Search(ledger, plan, tuple(range(10))).latest(event) is None
    ledger.add(0, match("a", 5, "one more"))
    chain = Search(ledger, plan, tuple(range(10))).latest(event)
    assert chain is not None
    assert len(set(chain.values())) == 10


def test_a_search_that_is_given_up_is_counted():
    """[W2] [D4] a bound on the work is never hit silently."""
    plan = Plan.of(correlation("o", "temporal_ordered", NAMES, skew=2, span=4), CorrelateLimits())
    ledger = Ledger(4)
    for ref in (0, 1):  # one event for two steps: no chain exists, which only trying shows
        ledger.add(ref, match(NAMES[ref * 2], 1, "only"))
    for number in range(25_000):
        ledger.add(2, match(NAMES[4], 1, str(number)))
    ledger.add(3, match(NAMES[6], 2, "last"))
    last = next(iter(ledger.lines[3]))

    assert Search(ledger, plan, (0, 1, 2, 3)).latest(last, latest_us=last[0]) is None
    assert plan.counters.abandoned == {"o": 1}
