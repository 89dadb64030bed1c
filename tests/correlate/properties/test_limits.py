"""At a limit something may be missed, and says so; nothing false is ever told."""

from __future__ import annotations

import random

import pytest

from streamer.correlate import CorrelateLimits, Correlator
from tests.correlate.properties import ledger
from tests.correlate.properties.cases import Case, case_of
from tests.correlate.properties.compare import Identity, identity_of
from tests.correlate.properties.truth import run_oracle

NORMAL = 400
LANES = ("in order", "shuffled within lateness", "told one to three times", "several partitions")


def tight(seed: int) -> CorrelateLimits:
    """Limits so small that most cases hit one."""
    rng = random.Random(f"limits/{seed}")
    return CorrelateLimits(
        entries_per_key=rng.choice((1, 2, 3, 100)),
        entries_per_rule=rng.choice((2, 4, 7, 100)),
        entries=rng.choice((5, 10, 1000)),
        reserved=rng.choice((0.0, 0.2, 0.5)),
        values_per_match=rng.choice((1, 2, 1024)),
    )


def told_at_limits(case: Case, limits: CorrelateLimits) -> tuple[set[Identity], bool]:
    """What is told, and whether the engine says that something did not fit."""
    engine = Correlator(case.rules, limits, start_us=case.start_us)
    told: set[Identity] = set()
    notices = 0
    for op in case.ops:
        if op[0] == "restart":
            continue
        result = engine.feed(op[1]) if op[0] == "feed" else engine.advance(op[1])
        told |= {identity_of(one) for one in result.firings}
        notices += len(result.notices)
    if case.ends:
        result = engine.finish()
        told |= {identity_of(one) for one in result.firings}
        notices += len(result.notices)
    return told, bool(notices)


def without_upper(case: Case) -> Case:
    """Rules of rank 1 only: above them a rule rests on what others could not see."""
    first = tuple(rule for rule in case.rules.correlations if rule.rank == 1)
    case.rules = type(case.rules)(case.rules.detections, first)
    return case


@pytest.mark.parametrize("lane", LANES)
def test_at_a_limit_nothing_false_is_told_and_what_is_missed_is_said(lane: str) -> None:
    """[G1] [G2] firings at tiny limits are true ones; where one is missing, a notice was told."""
    missed = 0
    cases = ledger.cases_per_lane(NORMAL)
    for seed in range(cases):
        case = without_upper(case_of(lane, seed))
        limits = tight(seed)
        true = {truth.identity for truth in run_oracle(case).told}
        told, said = told_at_limits(case, limits)
        assert told <= true, f"false at {limits}: {told - true}\n{case.show()}"
        if true - told:
            missed += 1
            assert said, f"silently missed at {limits}: {true - told}\n{case.show()}"
        ledger.note(f"tiny limits, {lane}", cases=1, events=case.events, firings=len(told), firing_cases=bool(told))
    assert missed > cases // 10, "the limits are never hit"
