"""The two halves of the engine over the workload, in memory: what the service has to keep up is true without it."""

from __future__ import annotations

import random

import pytest

from tests.chaos.memory import Installation
from tests.chaos.offline import Core, run_again
from tests.chaos.oracle import ordinary
from tests.chaos.test_workload import RULESET, SOURCES, expected, log_of


@pytest.mark.parametrize(("seed", "restarts"), [(1, 0.0), (2, 0.1), (3, 0.1), (4, 0.3)])
def test_split_restarted_and_resent_the_halves_tell_what_the_engine_tells(seed, restarts):
    size = 3000
    installation = Installation(RULESET, SOURCES, log_of(size, seed), 4)
    installation.run(random.Random(seed), restarts=restarts)
    firings = []
    for number, owner in enumerate(installation.owners):
        again = run_again(Core(RULESET, number, 4), installation.log[number], owner.position)
        assert [alert.id for alert in again.alerts] == owner.alerts
        assert again.state == owner.core.snapshot()
        firings += again.firings.values()
    truth = ordinary(expected(size, seed).firings.values())
    assert len(truth) > 150
    assert ordinary(firings) - truth == set()
    assert truth - ordinary(firings) == set()
