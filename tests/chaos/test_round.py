"""The round that every change goes through: kills, every crash point once, a freeze, and what else ``make chaos`` does.

Everything happens to one installation, one thing after the other, while records keep coming; then nothing may be lost,
doubled or wrong. A second one, with a rule of the protocol switched off, must be found out.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.chaos import faults
from tests.chaos.broker import ProxiedKafka
from tests.chaos.crash import ALL_POINTS, INDEX_POINTS
from tests.chaos.play import Plan, Play, Servers
from tests.chaos.scenarios import SCENARIOS, passings
from tests.servers.elasticsearch import ElasticsearchServer

pytestmark = pytest.mark.servers


def test_nothing_is_lost_doubled_or_wrong_whatever_happens(
    kafka: ProxiedKafka, elasticsearch_server: ElasticsearchServer
):
    plan = Plan(size=16_000, rate=55, burst=1000, door=True, proxied=True, within_s=180)
    with Play(Servers(kafka, elasticsearch_server), plan, "round") as play:
        for _ in range(2):
            play.cluster.start()
        time.sleep(3)
        for point in ALL_POINTS:
            roles = ("index",) if point in INDEX_POINTS else ()
            assert faults.crash_at(play, point, count=passings(point, 0), roles=roles), play.result.problems
        faults.limit_alerts(play, 3500, for_s=3)
        for _ in range(6):
            faults.kill_one(play)
        faults.freeze_one(play)
        assert faults.delay_end(play), play.result.problems
        faults.refuse(play, 503, for_s=3)
        faults.kill_elasticsearch(play, away_s=2)
        faults.kill_broker(play)
        result = play.finish()
    print(result.line())
    assert result.ok, result.line()
    assert result.kills >= 20
    assert result.findings.set_aside > 0
    assert result.notes["refused_503"] > 0
    assert result.findings.matches > 1000
    assert result.findings.alerts > 500
    assert result.recoveries_s
    assert max(result.recoveries_s) < 60


@pytest.mark.parametrize("name", ["without-own-id", "without-checked-sends"])
def test_a_rule_of_the_protocol_that_is_switched_off_is_found_out(kafka: ProxiedKafka, name: str):
    (scenario,) = [scenario for scenario in SCENARIOS if scenario.name == name]
    assert scenario.goes_red
    small = replace(scenario, short=replace(scenario.short, size=4000, within_s=60))
    result = small.run(Servers(kafka), long=False, seed=1)
    print(result.line())
    assert not result.findings.ok
