"""Does a match cost the same whether its key holds four thousand or forty thousand others?

One key, all its matches within one timespan, told in order and in reverse; every type of correlation, decided on
arrival and at the watermark. The cost of one match at 40,000 is divided by the cost at 4,000: a linear scan would show
as 10, a logarithm stays near 1. Processor time, the better of several rounds, both sizes interleaved.

Run: ``python benchmarks/correlate_cost.py``; exit code 1 if a ratio exceeds the bound.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from streamer.correlate import Correlator
from streamer.model import Match
from streamer.sigma.rules import CorrelationRule
from tests.correlate.making import SECOND, correlation, count, expression, match, rules

SMALL, LARGE = 4_000, 40_000
BOUND = 2.5
SPAN = 1_000_000
"""Seconds; longer than all matches together, so that nothing expires and every match sees all others."""

Feed = Callable[[int], Iterator[Match]]


def _of(names: str, values: int = 0) -> Feed:
    """Matches of the named rules in turn, a second apart; ``values`` different values, 0 for all different."""
    kinds = names.split()

    def feed(size: int) -> Iterator[Match]:
        for number in range(size):
            value = number % values if values else number
            yield match(kinds[number % len(kinds)], number, str(number), v=value)

    return feed


def _halves(first: str, last: str) -> Feed:
    """Every match of one rule before every match of another: nothing completes, or everything at the end."""

    def feed(size: int) -> Iterator[Match]:
        for number in range(size):
            yield match(first if number < size // 2 else last, number, str(number), v=number)

    return feed


def _lanes() -> dict[str, tuple[CorrelationRule, Feed]]:
    late = {"decides": "watermark"}

    def rule(type_: str, names: str, condition: object = None, **more: object) -> CorrelationRule:
        return correlation("c", type_, names, condition, span=SPAN, **more)  # type: ignore[arg-type]

    return {
        "event_count gte 5": (rule("event_count", "a", count("gte", 5)), _of("a")),
        "event_count gte 1000": (rule("event_count", "a", count("gte", 1000)), _of("a")),
        "event_count gte 1000000": (rule("event_count", "a", count("gte", 1e6), **late), _of("a")),
        "event_count gte 5, watermark": (rule("event_count", "a", count("gte", 5), **late), _of("a")),
        "event_count lt 5": (rule("event_count", "a", count("lt", 5)), _of("a")),
        "value_count gte 5": (rule("value_count", "a", count("gte", 5, "v")), _of("a")),
        "value_count gte 5 of 3 values": (rule("value_count", "a", count("gte", 5, "v")), _of("a", 3)),
        "value_count gte 1000": (rule("value_count", "a", count("gte", 1000, "v")), _of("a")),
        "value_count gte 1000 of 999": (rule("value_count", "a", count("gte", 1000, "v")), _of("a", 999)),
        "value_count neq 5": (rule("value_count", "a", count("neq", 5, "v")), _of("a")),
        "first_seen": (rule("value_count", "a", count("gte", 1, "v"), first_seen=True), _of("a")),
        "first_seen of 3 values": (rule("value_count", "a", count("gte", 1, "v"), first_seen=True), _of("a", 3)),
        "value_sum": (rule("value_sum", "a", count("gte", 0, "v")), _of("a")),
        "value_avg": (rule("value_avg", "a", count("lt", 0, "v")), _of("a")),
        "value_median": (rule("value_median", "a", count("gte", 0, "v")), _of("a")),
        "value_percentile": (rule("value_percentile", "a", count("gte", 0, "v", percentile=99.0)), _of("a")),
        "temporal a b c": (rule("temporal", "a b c"), _of("a b c")),
        "temporal a b c, never": (rule("temporal", "a b c"), _of("a b")),
        "temporal a b c, halves": (rule("temporal", "a b"), _halves("a", "b")),
        "temporal 2 of 3": (rule("temporal", "a b c", expression("2")), _of("a b c")),
        "temporal a and not b": (rule("temporal", "a b", expression("a and not b")), _of("a b")),
        "temporal_ordered a b c": (rule("temporal_ordered", "a b c"), _of("a b c")),
        "temporal_ordered a b c, never": (rule("temporal_ordered", "a b c"), _of("b c")),
        "temporal_ordered a b, halves": (rule("temporal_ordered", "a b"), _halves("a", "b")),
        "temporal_ordered b a, halves": (rule("temporal_ordered", "b a"), _halves("a", "b")),
        "temporal_ordered a not b c": (
            rule("temporal_ordered", "a b c", expression("a and c and not b")),
            _of("a b c"),
        ),
        "temporal_ordered, skew": (rule("temporal_ordered", "a b c", skew=2), _of("a b c")),
        "temporal_ordered, one event for two rules": (rule("temporal_ordered", "a b"), _twice),
    }


def _twice(size: int) -> Iterator[Match]:
    """Every event is a match of both rules."""
    for number in range(size // 2):
        yield match("a", number, str(number))
        yield match("b", number, str(number))


def _seconds_per_match(rule: CorrelationRule, matches: list[Match]) -> float:
    correlator = Correlator(rules(rule))
    gc.collect()
    gc.disable()
    start = time.process_time()
    for one in matches:
        correlator.feed(one)
    correlator.advance(3 * SPAN * SECOND)
    spent = time.process_time() - start
    gc.enable()
    return spent / len(matches)


def _measure(rule: CorrelationRule, feed: Feed, reverse: bool, rounds: int) -> tuple[float, float]:
    inputs = {size: list(feed(size)) for size in (SMALL, LARGE)}
    if reverse:
        for matches in inputs.values():
            matches.reverse()
    best = {SMALL: float("inf"), LARGE: float("inf")}
    for _ in range(rounds):
        for size, matches in inputs.items():
            for _ in range(3 if size == SMALL else 1):
                best[size] = min(best[size], _seconds_per_match(rule, matches))
    return best[SMALL], best[LARGE]


def main() -> int:
    """Measure and print; 1 if a ratio exceeds the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="lanes whose name contains this")
    parser.add_argument("--bound", type=float, default=BOUND)
    options = parser.parse_args()
    worst = 0.0
    print(f"{'':44}{'order':10}{'us at 4,000':>12}{'us at 40,000':>14}{'ratio':>8}")
    for name, (rule, feed) in _lanes().items():
        if options.only not in name:
            continue
        for order in ("in order", "reverse"):
            small, large = _measure(rule, feed, order == "reverse", options.rounds)
            worst = max(worst, large / small)
            print(f"{name:44}{order:10}{small * 1e6:12.1f}{large * 1e6:14.1f}{large / small:8.2f}", flush=True)
    print(f"worst ratio {worst:.2f}, bound {options.bound}")
    return 1 if worst > options.bound else 0


if __name__ == "__main__":
    raise SystemExit(main())
