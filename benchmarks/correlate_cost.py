"""Does a match cost the same whether its key holds four thousand or forty thousand others?

One key, every type of correlation, decided on arrival and at the watermark. The cost of one match at 40,000 is divided
by the cost at 4,000: a look at every match would show as 10, a logarithm stays near 1. Four ways of arriving:

``in order``, ``reverse``
    all matches lie within one timespan and are told forwards or backwards; then the watermark passes them.
``late``
    backwards too, but the watermark has passed all of them already; each is within reach and judged at once.
``sliding``
    forwards, the watermark close behind, twice as many matches as the timespan holds: half of them expire.

Processor time of both sizes, interleaved, best of several rounds.
Run: ``python benchmarks/correlate_cost.py``; exit code 1 if a ratio exceeds the bound.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from streamer.correlate import Correlator
from streamer.model import Match
from streamer.sigma.rules import CorrelationRule
from tests.correlate.making import SECOND, correlation, count, expression, match, rules

SMALL, LARGE = 4_000, 40_000
BOUND = 2.0
ORDERS = ("in order", "reverse", "late", "sliding")
BEHIND = 10
"""Seconds by which the watermark follows the matches in the lane ``sliding``."""

Feed = Callable[[int], Iterator[Match]]
Make = Callable[[int], CorrelationRule]


def of(names: str, values: int = 0, *, each: float = 1) -> Feed:
    """Matches of the named rules in turn, ``each`` seconds apart; ``values`` different values, 0 for all different."""
    kinds = names.split()

    def feed(size: int) -> Iterator[Match]:
        for number in range(size):
            value = number % values if values else number
            yield match(kinds[number % len(kinds)], number * each, str(number), v=value)

    return feed


def halves(first: str, last: str) -> Feed:
    """Every match of one rule before every match of another."""

    def feed(size: int) -> Iterator[Match]:
        for number in range(size):
            yield match(first if number < size // 2 else last, number, str(number), v=number)

    return feed


def twice(size: int) -> Iterator[Match]:
    """Every event is a match of both rules."""
    for number in range(size // 2):
        yield match("a", number, str(number))
        yield match("b", number, str(number))


def rule(type_: str, names: str, condition: Any = None, **more: Any) -> Make:
    """A rule whose timespan is given later."""
    return lambda span: correlation("c", type_, names, condition, span=span, reach=10**6, **more)


WATERMARK: dict[str, Any] = {"decides": "watermark"}
FIRST: dict[str, Any] = {"first_seen": True}
CARRY: dict[str, Any] = {"exported_fields": {"a": {"a.v": "v"}}}

LANES: dict[str, tuple[Make, Feed]] = {
    "event_count gte 5": (rule("event_count", "a", count("gte", 5)), of("a")),
    "event_count gte 1000": (rule("event_count", "a", count("gte", 1000)), of("a")),
    "event_count gte 1000000, watermark": (rule("event_count", "a", count("gte", 1e6), **WATERMARK), of("a")),
    "event_count gte 5, watermark": (rule("event_count", "a", count("gte", 5), **WATERMARK), of("a")),
    "event_count gte 5, one time": (rule("event_count", "a", count("gte", 5)), of("a", each=0)),
    "event_count gte 5, carrying one value": (rule("event_count", "a", count("gte", 5), **CARRY), of("a", 1)),
    "event_count lt 5": (rule("event_count", "a", count("lt", 5)), of("a")),
    "value_count gte 5": (rule("value_count", "a", count("gte", 5, "v")), of("a")),
    "value_count gte 5 of 3 values": (rule("value_count", "a", count("gte", 5, "v")), of("a", 3)),
    "value_count gte 1000": (rule("value_count", "a", count("gte", 1000, "v")), of("a")),
    "value_count gte 1000 of 999 values": (rule("value_count", "a", count("gte", 1000, "v")), of("a", 999)),
    "value_count neq 5": (rule("value_count", "a", count("neq", 5, "v")), of("a")),
    "first_seen": (rule("value_count", "a", count("gte", 1, "v"), **FIRST), of("a")),
    "first_seen of 3 values": (rule("value_count", "a", count("gte", 1, "v"), **FIRST), of("a", 3)),
    "value_sum": (rule("value_sum", "a", count("gte", 0, "v")), of("a")),
    "value_avg": (rule("value_avg", "a", count("lt", 0, "v")), of("a")),
    "value_median": (rule("value_median", "a", count("gte", 0, "v")), of("a")),
    "value_percentile": (rule("value_percentile", "a", count("gte", 0, "v", percentile=99.0)), of("a")),
    "temporal a b c": (rule("temporal", "a b c"), of("a b c")),
    "temporal a b c, never": (rule("temporal", "a b c"), of("a b")),
    "temporal a b, halves": (rule("temporal", "a b"), halves("a", "b")),
    "temporal 2 of 3": (rule("temporal", "a b c", expression("2")), of("a b c")),
    "temporal a and not b": (rule("temporal", "a b", expression("a and not b")), of("a b")),
    "temporal a b, carrying 3 values": (rule("temporal", "a b", **CARRY), of("a b", 3)),
    "ordered a b c": (rule("temporal_ordered", "a b c"), of("a b c")),
    "ordered a b c, never": (rule("temporal_ordered", "a b c"), of("b c")),
    "ordered a b, halves": (rule("temporal_ordered", "a b"), halves("a", "b")),
    "ordered b a, halves": (rule("temporal_ordered", "b a"), halves("a", "b")),
    "ordered a not b c": (rule("temporal_ordered", "a b c", expression("a and c and not b")), of("a b c")),
    "ordered a b, carrying 3 values": (rule("temporal_ordered", "a b", **CARRY), of("a b", 3)),
    "ordered a b c, skew": (rule("temporal_ordered", "a b c", skew=2), of("a b c")),
    "ordered b c of a b c, skew": (rule("temporal_ordered", "a b c", skew=2), of("b c")),
    "ordered a b, one event for both": (rule("temporal_ordered", "a b"), twice),
}


def _seconds_per_match(make: Make, feed: Feed, size: int, order: str) -> float:
    span = size if order == "sliding" else 10 * LARGE
    matches = list(feed(2 * size if order == "sliding" else size))
    if order in ("reverse", "late"):
        matches.reverse()
    correlator = Correlator(rules(make(span)))
    if order == "late":
        correlator.advance((LARGE + 1) * SECOND)
    gc.collect()
    gc.disable()
    start = time.process_time()
    if order == "sliding":
        for one in matches:
            correlator.feed(one)
            correlator.advance(one.time_us - BEHIND * SECOND)
    else:
        for one in matches:
            correlator.feed(one)
        correlator.advance(30 * LARGE * SECOND)
    spent = time.process_time() - start
    gc.enable()
    return spent / len(matches)


def _measure(make: Make, feed: Feed, order: str, rounds: int) -> tuple[float, float]:
    small = large = float("inf")
    for _ in range(rounds):
        for _ in range(2):
            small = min(small, _seconds_per_match(make, feed, SMALL, order))
        large = min(large, _seconds_per_match(make, feed, LARGE, order))
    return small, large


def main() -> int:
    """Measure and print; 1 if a ratio exceeds the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="how often each lane runs")
    parser.add_argument("--only", default="", help="lanes whose name contains this")
    parser.add_argument("--order", default="", help="one way of arriving instead of all")
    parser.add_argument("--bound", type=float, default=BOUND, help="greatest ratio allowed")
    options = parser.parse_args()
    worst = 0.0
    print(f"{'rule':40}{'arriving':10}{'us at 4,000':>12}{'us at 40,000':>14}{'ratio':>8}")
    for name, (make, feed) in LANES.items():
        if options.only not in name:
            continue
        for order in [options.order] if options.order else ORDERS:
            small, large = _measure(make, feed, order, options.rounds)
            worst = max(worst, large / small)
            print(f"{name:40}{order:10}{small * 1e6:12.1f}{large * 1e6:14.1f}{large / small:8.2f}", flush=True)
    print(f"worst ratio {worst:.2f}, bound {options.bound}")
    return 1 if worst > options.bound else 0


if __name__ == "__main__":
    raise SystemExit(main())
