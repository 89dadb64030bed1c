"""The generators are not vacuous, and the oracle agrees with itself."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import fields, replace

import pytest

from tests.correlate.properties.cases import LANES, Op, case_of
from tests.correlate.properties.truth import run_oracle
from tests.oracle.twist import TRUE, Twist

EVERY_ORDER = (
    "in order",
    "shuffled within lateness",
    "several partitions",
    "stamps a year ahead",
    "correlations of correlations",
    "skew",
)
"""Lanes in which nothing is late, so that the order of arrival must not matter."""


LOUDEST = {
    "late_dropped": "late, within and beyond reach",
    "late_edge": "late, within and beyond reach",
    "judged_again": "late, against what is judged",
    "no_dedup": "told one to three times",
    "ties_out_of_order": "skew",
}
"""The lane in which a mistake shows soonest, to save time."""

KINDS = (
    "event_count",
    "value_count",
    "value_sum",
    "value_avg",
    "value_median",
    "value_percentile",
    "temporal",
    "temporal_ordered",
    "first_seen",
    "rank 1",
    "rank 2",
    "rank 3",
    "across clusters",
    "list keys",
    "event_count decided at watermark",
)


@pytest.mark.parametrize("flag", [one.name for one in fields(Twist)])
def test_a_wrong_reading_is_noticed_by_the_random_cases(flag: str) -> None:
    """Each classic mistake changes the firings of some of the cases that the lanes run."""
    wrong = replace(TRUE, **{flag: True})
    noticed = 0
    for lane in sorted(LANES, key=lambda one: one != LOUDEST.get(flag, "correlations of correlations")):
        for seed in range(500):
            case = case_of(lane, seed)
            true = {truth.identity for truth in run_oracle(case).told}
            noticed += true != {truth.identity for truth in run_oracle(case, wrong).told}
            if noticed >= 3:
                return
    pytest.fail(f"only {noticed} cases notice {flag}")


@pytest.mark.parametrize("lane", EVERY_ORDER)
def test_the_oracle_tells_the_same_firings_in_any_order_within_lateness(lane: str) -> None:
    """[G3] the same set of (rule, key, time) from any order of arrival."""
    for seed in range(150):
        case = case_of(lane, seed)
        case.ends = True
        told = {truth.identity for truth in run_oracle(case).told}
        feeds: list[Op] = [op for op in case.ops if op[0] == "feed"]
        random.Random(seed).shuffle(feeds)
        case.ops = feeds
        assert told == {truth.identity for truth in run_oracle(case).told}, case.show()


def test_every_type_and_every_rank_fires_often() -> None:
    """A lane in which some kind of rule never fires would prove nothing about it."""
    fired: Counter[str] = Counter()
    for lane in set(LANES) - {"many events of one key"}:
        for seed in range(40):
            case = case_of(lane, seed)
            told = {truth.rule for truth in run_oracle(case).told}
            for rule in case.rules.correlations:
                if rule.meta.key in told:
                    kind = "first_seen" if rule.first_seen else rule.type
                    fired.update((kind, f"rank {rule.rank}", f"{rule.type} decided at {rule.decides}"))
                    fired.update(["across clusters"] * rule.across_clusters + ["list keys"] * ("ip" in rule.group_by))
    assert {kind: fired[kind] for kind in KINDS if fired[kind] < 5} == {}
