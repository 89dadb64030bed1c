"""The engine tells exactly what SEMANTICS says, in every way in which events may arrive."""

from __future__ import annotations

import pytest

from tests.correlate.properties import ledger
from tests.correlate.properties.cases import LANES, case_of
from tests.correlate.properties.compare import differences
from tests.correlate.properties.shrink import shrink
from tests.correlate.properties.truth import run_oracle

NORMAL = 500
HEAVY = {"many events of one key": 10}
"""Lanes whose cases are so large that one stands for several."""
FIRST_FAILURES = 3


@pytest.mark.parametrize("lane", LANES)
def test_engine_and_oracle_tell_the_same_firings_and_alerts(lane: str) -> None:
    """[T4] [T6] [T7] [I5] [K1] [K2] [K3] [K4] [K5] [W1] [W2] [W3] [C1] [C2] [C3] [C4] [C5] [C6] [C7] [C8] [C9]
    [C10] [C11] [A1] [A2] [A3] [G1] [G2] [G3] [G4] equal sets of firings, members, values, marks and alerts."""
    wrong: list[str] = []
    failures = 0
    fired = 0
    cases = ledger.cases_per_lane(NORMAL) // HEAVY.get(lane, 1)
    for seed in range(cases):
        case = case_of(lane, seed)
        world = run_oracle(case)
        fired += bool(world.told)
        found = differences(case)
        ledger.note(lane, cases=1, events=case.events, firings=len(world.told), firing_cases=int(bool(world.told)))
        if found:
            failures += 1
            if failures <= FIRST_FAILURES:
                small = shrink(case, lambda one: bool(differences(one)))
                wrong.append("\n".join([small.show(), *(f"  >> {line}" for line in differences(small)[:8])]))
    assert not wrong, f"{failures} of {cases} cases differ\n" + "\n\n".join(wrong)
    assert fired > 0.6 * cases, "the lane is vacuous: too few cases fire"
