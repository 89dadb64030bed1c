"""Records stamped 1970, 2099 or not at all, among others: a cluster and one engine make the same of all of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace

from streamer.engine import Engine
from streamer.model import Firing
from streamer.sigma import load_text
from streamer.sigma.rules import RuleSet
from tests.correlate.properties import ledger
from tests.correlate.properties.build import UNIT
from tests.correlate.properties.cases import BASE, YEAR
from tests.correlate.properties.compare import identity_of
from tests.correlate.properties.requests import Request, Telling, random_requests, stamp, tell
from tests.correlate.properties.rules import RuleMaker
from tests.correlate.properties.yaml import documents
from tests.stages.cluster import ROUGH, Cluster
from tests.stages.test_cluster import LATER, SILENT, raw_of, source_of

CASES = 120
STAMPS = ("1970-01-02T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z", "")


def odd_rules(rng: random.Random) -> dict[str, str]:
    maker = RuleMaker(rng)
    drafts = maker.drafts()
    for draft in drafts:
        draft.suppress, draft.learn_us = None, 0
    return documents(drafts)


def oddly(rng: random.Random, telling: Telling, requests: list[Request]) -> Counter[str]:
    """Some more requests, stamped as they should not be."""
    found: Counter[str] = Counter()
    for queue in telling.written:
        for _ in range(rng.choice((0, 1, 3))):
            request = replace(rng.choice(requests), number=1_000 + found.total(), long_running=False)
            _, line = request.lines(random.Random(0))[-1]
            odd = rng.choice(STAMPS)
            place = rng.randint(0, len(queue))
            appended = queue[place - 1][0] if place else (queue[0][0] if queue else BASE)
            written = json.loads(line)
            assert written["stageTimestamp"] == stamp(request.time)
            written |= {"stageTimestamp": odd, "requestReceivedTimestamp": odd}
            queue.insert(place, (appended, json.dumps(written).encode()))
            found[odd[:4]] += 1
    return found


def by_one_engine(rng: random.Random, rules: RuleSet, telling: Telling) -> list[Firing]:
    engine = Engine(rules)
    queues = raw_of(telling)
    for partition in queues:
        engine.expect(partition, source_of(telling), is_file=False)
    firings: list[Firing] = []
    while any(queues.values()):
        partition = rng.choice([name for name, queue in queues.items() if queue])
        firings += engine.feed([queues[partition].pop(0)]).firings
    for partition in queues:
        firings += engine.idle(partition, LATER).firings
    return firings


def test_records_with_stamps_far_off_hide_nothing_and_invent_nothing() -> None:
    """[T3] [T4] whatever stands between them, what is stamped as it should be is told as by one engine."""
    odd: Counter[str] = Counter()
    told = 0
    for seed in range(ledger.cases_per_lane(CASES)):
        rng = random.Random(f"odd/{seed}")
        texts = odd_rules(rng)
        rules = load_text(texts).ok()
        requests = random_requests(rng, rng.choice((7, 10)), ahead=False)
        telling = tell(rng, requests, files=False)
        odd += oddly(rng, telling, requests)
        cluster = Cluster(
            rng,
            rules,
            raw_of(telling),
            source=source_of(telling),
            partitions=rng.choice((1, 2, 3)),
            tasks=rng.choice((1, 2)),
            troubles=replace(ROUGH),
        )
        for _ in range(rng.choice((0, 20, 60))):
            cluster.turn()
        cluster.finish(LATER)
        alike = [
            {identity_of(one) for one in firings if one.rule not in SILENT and one.time_us > BASE - YEAR}
            for firings in (by_one_engine(rng, rules, telling), cluster.firings)
        ]
        story = f"seed odd/{seed}\n" + "\n".join([*texts.values(), *map(str, requests)])
        assert alike[0] == alike[1], f"missed {alike[0] - alike[1]}, false {alike[1] - alike[0]}\n{story}"
        assert all(one[2] < BASE + 60 * UNIT for one in alike[1]), story
        told += len(alike[0])
    assert told > 2 * ledger.cases_per_lane(CASES)
    assert all(odd[year] > ledger.cases_per_lane(CASES) / 4 for year in ("1970", "2099", ""))
