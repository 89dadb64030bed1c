"""Temporal rules by enumeration: every chain is written down, then the one that the text names is picked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streamer.sigma.rules import And, AtLeast, CorrelationRule, Expression, Not, Or, Ref
from tests.oracle.twist import TRUE, Twist
from tests.oracle.values import Seen

Alternative = frozenset[str]
Chain = tuple[Seen, ...]


class NotWindow(NamedTuple):
    """Where a ``not`` looks, first and last moment included.

    ``back``: it stands before the first step; ``on``: it reaches to the end of the timespan.
    """

    first: int
    last: int
    back: bool = False
    on: bool = False


@dataclass(frozen=True)
class Completion:
    """One completing event on one chain: what is judged once.

    Attributes:
        what: identifies the completing event, the alternative and (with skew) the time of the latest member.
        chain: the named members, in the order of the rule's references.
        taking_part: every match in some chain that ends at the completing event.
        time: the firing's time.
        vetoed: a ``not`` has a match in its window.
        windows: the ``not`` windows.
    """

    what: object
    chain: Chain
    taking_part: frozenset[Seen]
    time: int
    vetoed: bool
    windows: tuple[NotWindow, ...] = ()


def alternatives(expression: Expression) -> list[Alternative]:
    """The disjunctive normal form of the positive part."""
    if isinstance(expression, Ref):
        return [frozenset({expression.rule})]
    if isinstance(expression, Not):
        return [frozenset()]
    if isinstance(expression, Or):
        return list(dict.fromkeys(itertools.chain.from_iterable(map(alternatives, expression.items))))
    assert isinstance(expression, And)
    parts = [alternatives(item) for item in expression.items]
    return list(dict.fromkeys(frozenset().union(*choice) for choice in itertools.product(*parts)))


def negatives(expression: Expression) -> list[str]:
    """The rules under a ``not``, which stands at the top or directly under the top-level ``and``."""
    items: Sequence[Expression] = expression.items if isinstance(expression, And) else (expression,)
    return [item.item.rule for item in items if isinstance(item, Not)]


def completions(rule: CorrelationRule, matches: Sequence[Seen], twist: Twist = TRUE) -> Iterator[Completion]:
    """Everything that completes the rule among the matches of one key."""
    condition = rule.condition
    assert not hasattr(condition, "op")
    if isinstance(condition, AtLeast):
        yield from _at_least(rule, matches, condition.count, twist)
        return
    vetoes = negatives(condition)
    for alternative in alternatives(condition):
        steps = [name for name in rule.rules if name in alternative]
        if rule.type == "temporal":
            yield from _unordered(rule, matches, steps, vetoes, twist)
        else:
            yield from _ordered(rule, matches, steps, vetoes, twist)


def _window(rule: CorrelationRule, matches: Sequence[Seen], event: Seen, twist: Twist) -> list[Seen]:
    """The matches in [event - timespan, event]."""
    return [
        match for match in matches if match.time <= event.time and twist.fits(match.time, event.time, rule.timespan_us)
    ]


def _latest(matches: Sequence[Seen]) -> Seen:
    return max(matches, key=lambda match: match.rank_in_time)


def _own(matches: Sequence[Seen], event: Seen) -> set[str]:
    """The rules that the event itself matched."""
    return {match.rule for match in matches if match.identity == event.identity}


def _fill(step: str, event: Seen, own: set[str], window: Sequence[Seen]) -> list[Seen]:
    """The matches that may stand for a step when the event takes part for every rule it matched."""
    of_step = [match for match in window if match.rule == step]
    return [match for match in of_step if match.identity == event.identity] if step in own else of_step


def _taking_part(event: Seen, own: set[str], steps: Sequence[str], window: Sequence[Seen]) -> frozenset[Seen]:
    """Every match in some chain in which the event stands for at least one step."""
    found: set[Seen] = set()
    for match in window:
        elsewhere = (own & set(steps)) - {match.rule}
        if match.rule in steps and (match.identity == event.identity or elsewhere):
            found.add(match)
    return frozenset(found)


def _at_least(rule: CorrelationRule, matches: Sequence[Seen], count: int, twist: Twist) -> Iterator[Completion]:
    for event in {match.identity: match for match in matches}.values():
        window = _window(rule, matches, event, twist)
        own = _own(matches, event)
        filled = {step: _fill(step, event, own, window) for step in rule.rules}
        present = [step for step in rule.rules if filled[step]]
        if len(present) >= count:
            chain = tuple(_latest(filled[step]) for step in present)
            taking = _taking_part(event, own, present, window)
            yield Completion(event.identity, chain, taking, event.time, False)


def _unordered(
    rule: CorrelationRule, matches: Sequence[Seen], steps: Sequence[str], vetoes: Sequence[str], twist: Twist
) -> Iterator[Completion]:
    for event in {match.identity: match for match in matches if match.rule in steps}.values():
        window = _window(rule, matches, event, twist)
        own = _own(matches, event)
        filled = {step: _fill(step, event, own, window) for step in steps}
        if not all(filled.values()):
            continue
        chain = tuple(_latest(filled[step]) for step in steps)
        taking = _taking_part(event, own, steps, window)
        what = (event.identity, frozenset(steps))
        if not vetoes:
            yield Completion(what, chain, taking, event.time, False)
            continue
        first = min(member.time for member in chain)
        end = first + rule.timespan_us
        vetoed = any(
            match.rule in vetoes and first <= match.time and twist.fits(first, match.time, rule.timespan_us)
            for match in matches
        )
        yield Completion(what, chain, taking, max(event.time, end), vetoed, (NotWindow(first, end, on=True),))


def _ordered(
    rule: CorrelationRule, matches: Sequence[Seen], steps: Sequence[str], vetoes: Sequence[str], twist: Twist
) -> Iterator[Completion]:
    chains = list(_all_chains(rule, matches, steps, twist))
    groups: dict[tuple[object, int], list[Chain]] = {}
    for chain in chains:
        latest = max(member.time for member in chain)
        groups.setdefault((chain[-1].identity, latest), []).append(chain)
    for (event, latest), group in groups.items():
        chain = max(group, key=lambda one: _lateness(one, rule.skew_us))
        taking = frozenset(itertools.chain.from_iterable(group))
        vetoed, windows = _judge_nots(rule, matches, steps, chain, vetoes)
        time = max([latest, *(window.last for window in windows)])
        yield Completion((event, frozenset(steps), latest), chain, taking, time, vetoed, windows)


def _all_chains(rule: CorrelationRule, matches: Sequence[Seen], steps: Sequence[str], twist: Twist) -> Iterator[Chain]:
    """Different events in the order of the rules (up to skew), within one timespan."""
    pools = [[match for match in matches if match.rule == step] for step in steps]
    for chain in itertools.product(*pools):
        times = [member.time for member in chain]
        if not twist.fits(min(times), max(times), rule.timespan_us):
            continue
        if len({member.identity for member in chain}) < len(chain) and not twist.one_event_many_steps:
            continue
        if all(twist.in_order(one, two, rule.skew_us) for one, two in itertools.pairwise(times)):
            yield chain


def _lateness(chain: Chain, skew: int) -> tuple[object, ...]:
    """What "the latest chain" compares, from the last step backwards."""
    backwards = tuple(reversed(chain))
    if skew:
        return tuple(member.rank_in_time for member in backwards)
    return (tuple(member.time for member in backwards), tuple(member.order for member in backwards))


def _judge_nots(
    rule: CorrelationRule, matches: Sequence[Seen], steps: Sequence[str], chain: Chain, vetoes: Sequence[str]
) -> tuple[bool, tuple[NotWindow, ...]]:
    """Whether some ``not`` is broken, and where each looked."""
    place = {name: index for index, name in enumerate(rule.rules)}
    first = min(member.time for member in chain)
    vetoed, windows = False, []
    for veto in vetoes:
        of_veto = [match.time for match in matches if match.rule == veto]
        before = [index for index, step in enumerate(steps) if place[step] < place[veto]]
        after = [index for index, step in enumerate(steps) if place[step] > place[veto]]
        if not before:
            following = chain[after[0]].time
            vetoed |= any(following - rule.timespan_us <= time < following for time in of_veto)
            windows.append(NotWindow(following - rule.timespan_us, following - 1, back=True))
        elif not after:
            previous, end = chain[before[-1]].time, first + rule.timespan_us
            vetoed |= any(previous < time <= end for time in of_veto)
            windows.append(NotWindow(previous + 1, end, on=True))
        else:
            low, high = chain[before[-1]].time, chain[after[0]].time
            vetoed |= any(low < time < high for time in of_veto)
            windows.append(NotWindow(low + 1, high - 1))
    return vetoed, tuple(windows)
