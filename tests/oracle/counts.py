"""Counts, aggregates and first_seen, computed from the whole list of matches each time."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from streamer.sigma.rules import CorrelationRule, CountCondition
from tests.oracle.twist import TRUE, Twist
from tests.oracle.values import Seen, Token, number, token, tuples_of

UPPER_BOUNDED = ("lt", "lte", "eq", "neq")
COMPARE: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}


@dataclass(frozen=True)
class Counted:
    """One window that is judged once.

    Attributes:
        what: identifies the completing event or the window.
        members: the matches in the window.
        time: the firing's time.
        holds: the condition is true.
        value: the count or the aggregate.
        new_value: first_seen only: the value that was not seen.
        looks_back_to: first_seen only: where it begins to look.
    """

    what: object
    members: tuple[Seen, ...]
    time: int
    holds: bool
    value: Fraction
    new_value: tuple[Token, ...] | None = None
    looks_back_to: int = 0


def condition_of(rule: CorrelationRule) -> CountCondition:
    """The threshold of a count rule."""
    assert isinstance(rule.condition, CountCondition)
    return rule.condition


def counted_values(rule: CorrelationRule, match: Seen) -> list[tuple[Token, ...]]:
    """The values a match brings to ``value_count`` or ``first_seen``; several fields make a tuple."""
    combinations = tuples_of(match, condition_of(rule).fields, rule.fields_of[match.rule])
    return [tuple(map(token, combination)) for combination in combinations]


def takes_part(rule: CorrelationRule, match: Seen) -> bool:
    """Whether the match has what the rule counts."""
    if rule.type == "event_count":
        return True
    if rule.type == "value_count":
        return bool(counted_values(rule, match))
    return bool(_numbers_of(rule, match))


def _numbers_of(rule: CorrelationRule, match: Seen) -> list[Fraction]:
    """Every number in the field: a list gives each element."""
    values = match.values.get(rule.fields_of[match.rule][condition_of(rule).fields[0]], ())
    return [one for one in map(number, values) if one is not None]


def count(rule: CorrelationRule, window: Sequence[Seen], twist: Twist) -> Fraction:
    """Different events, or different values, in a window."""
    if rule.type == "event_count":
        return Fraction(len(window)) if twist.no_dedup else Fraction(len({match.identity for match in window}))
    if twist.true_is_one:
        return Fraction(len({tuple(v for _, v in value) for match in window for value in counted_values(rule, match)}))
    return Fraction(len({value for match in window for value in counted_values(rule, match)}))


def aggregate(rule: CorrelationRule, window: Sequence[Seen]) -> Fraction:
    """Sum, mean, median or percentile over different events, exact.

    Of an event that several referenced rules accepted, the first of them says the numbers.
    """
    first_reference_last = sorted(window, key=lambda match: rule.rules.index(match.rule), reverse=True)
    by_event = {match.identity: _numbers_of(rule, match) for match in first_reference_last}
    numbers = sorted(itertools.chain.from_iterable(by_event.values()))
    if rule.type == "value_sum":
        return sum(numbers, Fraction(0))
    if rule.type == "value_avg":
        return sum(numbers, Fraction(0)) / len(numbers)
    share = Fraction(1, 2)
    if rule.type == "value_percentile":
        percentile = condition_of(rule).percentile
        assert percentile is not None
        share = Fraction(percentile) / 100
    place = share * (len(numbers) - 1)
    below = math.floor(place)
    above = min(below + 1, len(numbers) - 1)
    return numbers[below] + (numbers[above] - numbers[below]) * (place - below)


def sliding(rule: CorrelationRule, matches: Sequence[Seen], twist: Twist = TRUE) -> Iterator[Counted]:
    """For every event the window [event - timespan, event]: counts with a lower bound, and aggregates."""
    condition = condition_of(rule)
    threshold = Fraction(condition.threshold)
    for event in {match.identity: match for match in matches}.values():
        window = [
            match
            for match in matches
            if match.time <= event.time and twist.fits(match.time, event.time, rule.timespan_us)
        ]
        if not window:
            continue
        counting = rule.type in ("event_count", "value_count")
        value = count(rule, window, twist) if counting else aggregate(rule, window)
        yield Counted(event.identity, tuple(window), event.time, COMPARE[condition.op](value, threshold), value)


def opened(
    rule: CorrelationRule, matches: Sequence[Seen], judged_until: int | None, twist: Twist = TRUE
) -> Counted | None:
    """The open window of a count with an upper bound, or ``None``: it begins with the first usable match."""
    usable = [match for match in matches if judged_until is None or match.time > judged_until]
    if not usable:
        return None
    start = min(match.time for match in usable)
    end = start + rule.timespan_us
    window = [match for match in usable if twist.fits(start, match.time, rule.timespan_us)]
    condition = condition_of(rule)
    value = count(rule, window, twist)
    holds = COMPARE[condition.op](value, Fraction(condition.threshold))
    return Counted(("window", end), tuple(window), end, holds, value)


def first_seen(
    rule: CorrelationRule, matches: Sequence[Seen], learnt_from: dict[str, int], twist: Twist = TRUE
) -> Iterator[Counted]:
    """For every match and each of its values: was it not there in [match - timespan, match)?"""
    for match in matches:
        for value in counted_values(rule, match):
            known = any(
                value in counted_values(rule, other)
                and other.time < match.time
                and twist.fits(other.time, match.time, rule.timespan_us)
                for other in matches
            )
            learning = bool(rule.learn_us) and match.time < learnt_from[match.cluster] + rule.learn_us
            yield Counted(
                (match.identity, match.rule, value),
                (match,),
                match.time,
                not known and not learning,
                Fraction(1),
                new_value=value,
                looks_back_to=match.time - rule.timespan_us,
            )
