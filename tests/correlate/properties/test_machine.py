"""What must hold of the machine itself, whatever the rules: restarts, deadlines, memory, order of hashes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamer.correlate import Correlator
from tests.correlate.properties import ledger
from tests.correlate.properties.cases import BASE, LANES, YEAR, Case, case_of
from tests.correlate.properties.compare import Run, identity_of, run_engine

NORMAL = 250
ROOT = Path(__file__).parents[3]


def told_by(run: Run) -> list[tuple[object, ...]]:
    """Everything told, in order, with ids and marks."""
    firings = [(step, identity_of(firing), firing.marks, firing.value) for step, firing in run.firings]
    return [*firings, *((step, alert.id, alert.firing.time_us) for step, alert in run.alerts)]


def without_restarts(case: Case) -> Case:
    """The same case in one life."""
    return Case(
        case.lane, case.seed, case.rules, [op for op in case.ops if op[0] != "restart"], case.start_us, case.ends
    )


@pytest.mark.parametrize("lane", ["restarts", "many events of one key"])
def test_a_life_with_restarts_tells_the_same_in_the_same_order_with_the_same_ids(lane: str) -> None:
    """[G3] [A3] the same order of detections gives the same firings and alerts with the same ids, after a crash."""
    for seed in range(ledger.cases_per_lane(NORMAL) // (5 if lane.startswith("many") else 1)):
        case = case_of(lane, seed)
        assert told_by(run_engine(case)) == told_by(run_engine(without_restarts(case))), case.show()


@pytest.mark.parametrize("lane", ["shuffled within lateness", "correlations of correlations", "skew"])
def test_nothing_is_told_before_the_deadline_it_names(lane: str) -> None:
    """[T4] advance() tells nothing for a watermark below next_deadline(), and time alone tells what is due."""
    for seed in range(ledger.cases_per_lane(NORMAL)):
        case = case_of(lane, seed)
        engine = Correlator(case.rules, start_us=case.start_us)
        highest = BASE - YEAR
        for op in case.ops:
            if op[0] == "feed":
                engine.feed(op[1])
            elif op[0] == "advance" and op[1] > highest:
                highest = op[1]
                deadline = engine.next_deadline()
                if deadline is not None and deadline - 1 < highest:
                    early = engine.advance(deadline - 1)
                    assert not early.firings, case.show()
                told = engine.advance(highest)
                if told.firings:
                    assert deadline is not None, case.show()
                    assert deadline <= highest, case.show()


@pytest.mark.parametrize("lane", LANES)
def test_state_is_gone_when_its_time_has_passed(lane: str) -> None:
    """[T7] long after the last event nothing is kept for any key, in memory or stored."""
    for seed in range(ledger.cases_per_lane(NORMAL) // 5):
        case = case_of(lane, seed)
        engine = Correlator(case.rules, start_us=case.start_us)
        stored: set[bytes] = set()
        for number, op in enumerate(case.ops):
            if op[0] == "feed":
                engine.feed(op[1])
            elif op[0] == "advance":
                engine.advance(op[1])
            if number % 7 == 0:
                _note(engine, stored)
        _note(engine, stored)
        for years in (2, 3, 4):
            engine.advance(BASE + years * YEAR)
        _note(engine, stored)
        fresh = Correlator(case.rules, start_us=case.start_us)
        fresh.advance(BASE + 4 * YEAR)
        allowed = len(fresh.snapshot()) + 2 * len(case.rules.correlations)
        assert len(engine.snapshot()) <= allowed, f"{sorted(engine.snapshot())}\n{case.show()}"
        assert len(stored) <= allowed, f"{sorted(stored)}\n{case.show()}"


def _note(engine: Correlator, stored: set[bytes]) -> None:
    for entry, value in engine.changes().items():
        if value is None:
            stored.discard(entry)
        else:
            stored.add(entry)


PRINTS = """
from tests.correlate.properties.cases import LANES, case_of
from tests.correlate.properties.compare import run_engine
from tests.correlate.properties.test_machine import told_by
for lane in LANES:
    for seed in range(6):
        print(lane, seed, told_by(run_engine(case_of(lane, seed))))
"""


def test_the_order_of_hashes_changes_nothing() -> None:
    """[G3] another machine, another hash seed: the same firings, alerts and ids in the same order."""
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", PRINTS], cwd=ROOT, env=environment, capture_output=True, check=True, timeout=120
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
