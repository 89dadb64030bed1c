"""Runs a case through the oracle."""

from __future__ import annotations

from tests.correlate.properties.cases import Case
from tests.oracle.twist import TRUE, Twist
from tests.oracle.world import World


def run_oracle(case: Case, twist: Twist = TRUE) -> World:
    """The case through the oracle; restarts mean nothing to it."""
    world = World(case.rules, start=case.start_us, twist=twist)
    for op in case.ops:
        if op[0] == "feed":
            world.feed(op[1])
        elif op[0] == "advance":
            world.advance(op[1])
    if case.ends:
        world.finish()
    return world
