"""One key that gets everything: the cost of a match must not grow with how many there are."""

from __future__ import annotations

import time

import pytest

from streamer.correlate import Correlator
from streamer.model import Evidence, Match, Position
from streamer.sigma.rules import And, CountCondition, Ref
from tests.correlate.properties.build import UNIT, Draft, detection, link

HOUR = 3_600 * UNIT
BASE = 1_750_000_000 * UNIT
FEW, MANY = 2_000, 16_000
GROWTH = 4
"""Eight times the matches may cost this much more each: quadratic cost would be eight times."""

BACKWARDS, FOLLOWED = "in reverse order", "followed by the watermark"
USER = {"a": {"user": "user", "v": "v"}, "b": {"user": "user", "v": "v"}}
BOTH = And((Ref("a"), Ref("b")))
RULES = {
    "a sequence that never completes": Draft("r", "temporal_ordered", ("b", "a"), HOUR, BOTH, ("user",), USER),
    "a set that never completes": Draft("r", "temporal", ("a", "b"), HOUR, BOTH, ("user",), USER),
    "a count far from its threshold": Draft(
        "r", "event_count", ("a",), HOUR, CountCondition("gte", 1_000_000), ("user",), USER, decide="watermark"
    ),
    "a count of three": Draft("r", "event_count", ("a",), HOUR, CountCondition("gte", 3), ("user",), USER),
    "different values": Draft(
        "r", "value_count", ("a",), HOUR, CountCondition("gte", 5_000, ("v",)), ("user",), USER, decide="watermark"
    ),
    "different values on arrival": Draft(
        "r", "value_count", ("a",), HOUR, CountCondition("gte", 20, ("v",)), ("user",), USER
    ),
    "a median": Draft("r", "value_median", ("a",), HOUR, CountCondition("lt", 0, ("v",)), ("user",), USER),
}


def cost(draft: Draft, count: int, arrival: str) -> float:
    """CPU seconds per match, everything within one hour, and judged at the end."""
    engine = Correlator(link([detection("a"), detection("b")], [draft]))
    evidence = Evidence("audit", "success", "")
    order = range(count - 1, -1, -1) if arrival == BACKWARDS else range(count)
    matches = [
        Match(
            rule="a",
            identity=number.to_bytes(16, "big"),
            time_us=BASE + number * (HOUR // count),
            cluster="k",
            values={"user": ("u",), "v": (number,)},
            position=Position("t", 0, number, is_file=False),
            evidence=evidence,
        )
        for number in order
    ]
    begin = time.process_time()
    for match in matches:
        engine.feed(match)
        if arrival == FOLLOWED:
            engine.advance(match.time_us)
    engine.finish()
    return (time.process_time() - begin) / count


@pytest.mark.parametrize("arrival", ["in order", BACKWARDS, FOLLOWED])
@pytest.mark.parametrize("what", RULES)
def test_the_cost_of_a_match_does_not_grow_with_the_matches_of_its_key(what: str, arrival: str) -> None:
    """[C12] many thousand matches of one key, also in reverse order, also with the watermark close behind."""
    few = min(cost(RULES[what], FEW, arrival) for _ in range(2))
    many = cost(RULES[what], MANY, arrival)
    assert many < GROWTH * few, f"{few * 1e6:.1f} us each for {FEW}, {many * 1e6:.1f} us each for {MANY}"
