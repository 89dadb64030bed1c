"""A cluster in which everything goes wrong tells what one engine tells: every firing once, and the same alerts."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from streamer.decode import Source
from streamer.engine import Engine
from streamer.model import Alert, Record
from streamer.ports import Partition
from streamer.sigma import load_text
from streamer.sigma.rules import RuleSet
from tests.correlate.properties import ledger
from tests.correlate.properties.build import UNIT
from tests.correlate.properties.cases import BASE
from tests.correlate.properties.compare import identity_of
from tests.correlate.properties.requests import Telling, random_requests, tell
from tests.correlate.properties.rules import NAMES, RuleMaker
from tests.correlate.properties.test_from_bytes import truth
from tests.correlate.properties.yaml import documents
from tests.stages.cluster import ROUGH, Cluster, Troubles

CASES = 60
LATER = BASE + 10 * 86_400 * UNIT
SILENT = frozenset(NAMES)


def random_rules(rng: random.Random) -> dict[str, str]:
    maker = RuleMaker(rng)
    maker.upper = 3
    drafts = maker.drafts()
    for draft in drafts:
        draft.suppress = None
    return documents(drafts)


def raw_of(telling: Telling) -> dict[Partition, list[Record]]:
    return {partition: telling.records(number) for number, partition in enumerate(telling.partitions)}


def source_of(telling: Telling) -> Source:
    return Source("topic", "audit", lateness_us=telling.lateness_us)


def engine_alerts(rng: random.Random, rules: RuleSet, telling: Telling) -> list[Alert]:
    """What one engine alerts of, the partitions read in any order."""
    engine = Engine(rules)
    queues = raw_of(telling)
    for partition in queues:
        engine.expect(partition, source_of(telling), is_file=False)
    alerts: list[Alert] = []
    while any(queues.values()):
        partition = rng.choice([name for name, queue in queues.items() if queue])
        alerts += engine.feed([queues[partition].pop(0)]).alerts
    for partition in queues:
        alerts += engine.idle(partition, LATER).alerts
    return alerts


def certain(rules: RuleSet) -> set[str]:
    """Rules whose alerts do not depend on the order of arrival: decided at the watermark, and detections."""
    found = {rule.meta.key for rule in rules.correlations if rule.decides == "watermark"}
    return found | {rule.meta.key for rule in rules.detections}


LANES = {"calm": Troubles(), "rough": ROUGH}


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("lane", LANES)
def test_a_cluster_tells_what_happened_and_alerts_as_one_engine_does(lane: str, part: int) -> None:
    """[G1] [G2] [G3] [G4] [C10] [C11] ranks one to three and more, resends, zombies, deaths, late tellings."""
    count = ledger.cases_per_lane(CASES)
    fired: Counter[int] = Counter()
    happened: Counter[str] = Counter()
    alerted = 0
    for seed in range(part * count, (part + 1) * count):
        rng = random.Random(f"cluster/{lane}/{seed}")
        texts = random_rules(rng)
        rules = load_text(texts).ok()
        requests = random_requests(rng, rng.choice((4, 7, 10, 16)), ahead=False)
        telling = tell(rng, requests, files=False)
        true = truth(rules, requests)
        cluster = Cluster(
            rng,
            rules,
            raw_of(telling),
            source=source_of(telling),
            partitions=rng.choice((1, 2, 3, 4)),
            tasks=rng.choice((1, 2, 3)),
            troubles=replace(LANES[lane]),
        )
        for _ in range(rng.choice((0, 20, 60, 120))):
            cluster.turn()
        cluster.finish(LATER)
        found = [identity_of(one) for one in cluster.firings if one.rule not in SILENT]
        story = f"seed {lane}/{seed}\n" + "\n".join([*texts.values(), *map(str, requests)])
        assert set(found) == true, f"missed {true - set(found)}, false {set(found) - true}\n{story}"
        assert len(found) == len(true), f"told twice: {Counter(found).most_common(3)}\n{story}"
        expected = {one.id for one in engine_alerts(rng, rules, telling) if one.firing.rule in certain(rules)}
        alerts = [one.id for one in cluster.alerts if one.firing.rule in certain(rules)]
        assert set(alerts) == expected, story
        assert len(alerts) == len(expected), story
        ranks = {rule.meta.key: rule.rank for rule in rules.correlations}
        fired.update(ranks[one[0]] for one in true)
        happened += cluster.happened
        alerted += len(alerts)
        ledger.note(
            f"cluster, {lane}",
            cases=1,
            events=sum(map(len, telling.written)),
            firings=len(true),
            firing_cases=int(bool(true)),
        )
    assert fired[1] > 3 * count
    assert fired[2] > 0.5 * count
    assert fired[3] > 0.1 * count
    assert alerted > count
    if lane == "rough":
        assert all(happened[what] > count / 4 for what in ("broken", "restarts", "zombies", "deaths", "repeats"))
