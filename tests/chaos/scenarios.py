"""The scenarios, each a plan and what happens; short for a look, long for the figures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tests.chaos import faults
from tests.chaos.crash import ALL_POINTS, DETECT_POINTS, INDEX_POINTS
from tests.chaos.play import Plan, Play, Result, Servers


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    Attributes:
        number: of the point in the list of what has to be shown.
        happens: what is done to the play; two processes run then.
        short, long: how large.
        goes_red: whether the check must find something: a rule of the protocol is switched off.
        needs_elasticsearch: whether there is nothing to see without it.
    """

    name: str
    number: int
    happens: Callable[[Play, bool], None]
    short: Plan
    long: Plan
    goes_red: bool = False
    needs_elasticsearch: bool = False
    processes: int = 2

    def run(self, servers: Servers, *, long: bool, seed: int) -> Result:
        """Play it."""
        plan = replace(self.long if long else self.short, seed=seed)
        used = servers if self.needs_elasticsearch else replace(servers, elasticsearch=None)
        with Play(used, plan, self.name) as play:
            for _ in range(self.processes):
                play.cluster.start()
            self.happens(play, long)
            return play.finish()

    def verdict(self, result: Result) -> bool:
        """Whether the result is the one that must be; a red one is red for what the check found, not for a mishap."""
        return not result.findings.ok if self.goes_red else result.ok


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _nothing(play: Play, long: bool) -> None:
    """Everything is well."""


def _kills(play: Play, long: bool) -> None:
    for _ in range(300 if long else 20):
        faults.kill_one(play, pause_s=(0.2, 5.0) if long else (0.2, 8.0))


def _points(play: Play, long: bool) -> None:
    died = {}
    for point in ALL_POINTS:
        roles = ("index",) if point in INDEX_POINTS else ()
        if roles and not play.cluster.elasticsearch:
            continue
        times = 3 if long else 1
        reached = [faults.crash_at(play, point, count=passings(point, number), roles=roles) for number in range(times)]
        died[point] = sum(reached)
    play.result.notes["points"] = died


def passings(point: str, number: int) -> int:
    """How many passings to let go by: a step's point is met in the middle of the work, each time elsewhere."""
    if point.startswith("takeover"):
        return 1 + number % 2  # a process is given half of the partitions
    return (2 if point in DETECT_POINTS or point in INDEX_POINTS else 4) + 3 * number


def _freezes(play: Play, long: bool) -> None:
    for _ in range(12 if long else 2):
        faults.freeze_one(play)


def _rogues(play: Play, long: bool) -> None:
    for _ in range(6 if long else 1):
        faults.rogue(play, for_s=8)
        time.sleep(2)


def _delays(play: Play, long: bool) -> None:
    time.sleep(4)
    came = [faults.delay_end(play) for _ in range(8 if long else 2) if time.sleep(4) is None]
    play.result.notes["delayed_ends"] = sum(came)


def _failed_sends(play: Play, long: bool) -> None:
    time.sleep(4)
    # Nobody says whether something was refused where nobody looks: then everything is.
    largest = 500 if play.plan.switched_off else 3500
    faults.limit_alerts(play, largest, for_s=20 if long else 8)


def _broker(play: Play, long: bool) -> None:
    for _ in range(10 if long else 2):
        time.sleep(play.chance.uniform(1, 5))
        faults.kill_broker(play, away_s=play.chance.uniform(0, 5))


def _broker_frozen(play: Play, long: bool) -> None:
    for _ in range(4 if long else 1):
        time.sleep(3)
        faults.freeze_broker(play, for_s=12)


def _broker_away(play: Play, long: bool) -> None:
    time.sleep(4)
    faults.kill_broker(play, away_s=300 if long else 30)


def _elasticsearch(play: Play, long: bool) -> None:
    time.sleep(4)
    for status in (429, 503):
        faults.refuse(play, status, for_s=30 if long else 5)
    faults.fill_disk(play, for_s=30 if long else 5)
    faults.kill_elasticsearch(play, away_s=600 if long else 5)


def _storm(play: Play, long: bool) -> None:
    play.result.notes["moves"] = faults.storm(play, for_s=180 if long else 20)


def _restores(play: Play, long: bool) -> None:
    """Restores longer than the session; crashes and rebalances meanwhile; a changelog in small segments."""
    faults.alter_topic(
        play, "correlate-changelog", segment_bytes="1048576", segment_ms="10000", min_cleanable_dirty_ratio="0.01"
    )
    time.sleep(5)
    with environment(CHAOS_DELAY=f"takeover-mid-restore:{faults.SESSION_S + 3}"):
        for number in range(6 if long else 1):
            for worker in list(play.cluster.living):
                play.kill(worker)
            play.cluster.start()
            time.sleep(2)
            second = play.cluster.start()  # rebalance during the restore
            if number % 2 == 0:
                time.sleep(2)
                play.kill(second)  # crash during the restore
            time.sleep(12)
    play.cluster.start()


def _switched_off(how: Callable[[Play, bool], None]) -> Callable[[Play, bool], None]:
    def happens(play: Play, long: bool) -> None:
        how(play, False)

    return happens


def _fight(play: Play, long: bool) -> None:
    """Owners who do not know of each other."""
    faults.freeze_one(play)
    faults.rogue(play, for_s=10)


_IN_HALVES = {"CHAOS_DELAY": "step-mid-sends:0.3"}
"""Half of every step is sent before the other, as it is where the client's memory is full."""
_SHORT = Plan(size=6000, rate=150, burst=1000)
_LONG = Plan(size=200_000, rate=400, burst=20_000, within_s=600)
_MIDDLE = Plan(size=40_000, rate=400, burst=4000, within_s=300)
_SLOW = Plan(size=200_000, rate=190, burst=4000, within_s=600)

SCENARIOS = (
    Scenario("calm", 10, _nothing, replace(_SHORT, rate=0), replace(_LONG, rate=0), needs_elasticsearch=True),
    Scenario("kills", 1, _kills, replace(_SHORT, size=10_000, rate=80), _SLOW, needs_elasticsearch=True),
    Scenario("points", 2, _points, replace(_SHORT, rate=20), replace(_MIDDLE, rate=45), needs_elasticsearch=True),
    Scenario("freezes", 3, _freezes, _SHORT, replace(_MIDDLE, rate=250)),
    Scenario("rogues", 4, _rogues, _SHORT, replace(_MIDDLE, rate=400)),
    Scenario(
        "delays",
        5,
        _delays,
        replace(_SHORT, proxied=True, environment=_IN_HALVES),
        replace(_MIDDLE, rate=300, proxied=True, environment=_IN_HALVES),
    ),
    Scenario("sends", 6, _failed_sends, _SHORT, replace(_MIDDLE, rate=600)),
    Scenario("broker", 7, _broker, _SHORT, replace(_MIDDLE, rate=300)),
    Scenario("broker-frozen", 7, _broker_frozen, _SHORT, replace(_MIDDLE, rate=300)),
    Scenario("broker-away", 7, _broker_away, _SHORT, replace(_MIDDLE, rate=200)),
    Scenario(
        "elasticsearch",
        7,
        _elasticsearch,
        replace(_SHORT, door=True),
        replace(_MIDDLE, door=True, rate=60),
        needs_elasticsearch=True,
    ),
    Scenario("storm", 8, _storm, replace(_SHORT, rate=0), replace(_LONG, rate=0)),
    Scenario("restores", 9, _restores, replace(_SHORT, rate=300), replace(_MIDDLE, rate=300)),
    Scenario(
        "without-own-id",
        12,
        _switched_off(_fight),
        replace(_SHORT, switched_off="own-id-per-partition"),
        replace(_SHORT, switched_off="own-id-per-partition"),
        goes_red=True,
    ),
    Scenario(
        "without-position-after-init",
        12,
        _switched_off(_fight),
        replace(_SHORT, switched_off="position-after-init"),
        replace(_SHORT, switched_off="position-after-init"),
        goes_red=True,
    ),
    Scenario(
        "without-checked-sends",
        12,
        _switched_off(_failed_sends),
        replace(_SHORT, switched_off="checked-sends"),
        replace(_SHORT, switched_off="checked-sends"),
        goes_red=True,
    ),
    Scenario(
        "without-init",
        12,
        _switched_off(_delays),
        replace(_SHORT, switched_off="init-after-unclear-commit", proxied=True, environment=_IN_HALVES),
        replace(_SHORT, switched_off="init-after-unclear-commit", proxied=True, environment=_IN_HALVES),
        goes_red=True,
    ),
    Scenario(
        "without-pause",
        12,
        _nothing,
        replace(_SHORT, switched_off="nothing-but-pause-in-callback", within_s=60),
        replace(_SHORT, switched_off="nothing-but-pause-in-callback", within_s=60),
        goes_red=True,
    ),
)
