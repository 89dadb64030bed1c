"""From the bytes of audit logs to firings: decoder, detector, clocks and correlator against what really happened."""

from __future__ import annotations

import random

import pytest

from streamer.decode import Source
from streamer.engine import Engine
from streamer.sigma import load_text
from streamer.sigma.rules import RuleSet
from tests.correlate.properties import ledger
from tests.correlate.properties.compare import identity_of
from tests.correlate.properties.requests import Request, Telling, random_requests, tell
from tests.correlate.properties.rules import RuleMaker
from tests.correlate.properties.yaml import documents
from tests.oracle.world import World

CASES = 150
LANE = "from bytes, files"


def random_rules(rng: random.Random) -> dict[str, str]:
    """Random rules as YAML."""
    maker = RuleMaker(rng)
    drafts = maker.drafts()
    for draft in drafts:
        draft.suppress = None
    return documents(drafts)


def truth(rules: RuleSet, requests: list[Request]) -> set[object]:
    """The firings of what happened, without any order of arrival."""
    world = World(rules)
    for request in requests:
        for kind in request.kinds:
            world.feed(request.match(kind))
    world.finish()
    return {one.identity for one in world.told}


def told(rng: random.Random, rules: RuleSet, telling: Telling) -> tuple[list[object], int]:
    """What the engine tells of the files, read in turns; it dies now and then."""
    engine = Engine(rules)
    entries: dict[bytes, bytes] = {}
    sources = [
        Source(f"file-{number}", "audit", lateness_us=telling.lateness_us) for number in range(len(telling.files))
    ]
    for source in sources:
        engine.expect((source.name, 0), source, is_file=True)
    queues = [telling.records(number) for number in range(len(sources))]
    open_files = set(range(len(sources)))
    firings: list[object] = []
    alerts = 0
    dying = rng.choice((0.0, 0.0, 0.1))
    while open_files:
        number = rng.choice(sorted(open_files))
        cut = rng.choice((1, 1, 2, 5))
        batch, queues[number] = queues[number][:cut], queues[number][cut:]
        if batch:
            output = engine.feed(batch)
        else:
            output = engine.end((sources[number].name, 0))
            open_files.discard(number)
        firings += [identity_of(one) for one in output.firings if one.rule not in "abcd"]
        alerts += len(output.alerts)
        assert not output.dead_letters
        assert not output.failures
        if rng.random() < dying:
            for key, value in engine.changes().items():
                if value is None:
                    entries.pop(key, None)
                else:
                    entries[key] = value
            engine = Engine(rules)
            engine.restore(dict(entries))
            for source in sources:
                engine.expect((source.name, 0), source, is_file=True)
    return firings, alerts


@pytest.mark.parametrize("part", range(4))
def test_files_in_any_disorder_with_repetitions_and_stages_tell_the_truth(part: int) -> None:
    """[G1] [G2] [G3] [I1] [I2] [I5] [T1] [T2] [T3] [T4] [T5] firings are those of the requests that happened."""
    count = ledger.cases_per_lane(CASES)
    fired = 0
    for seed in range(part * count, (part + 1) * count):
        rng = random.Random(f"bytes/{seed}")
        texts = random_rules(rng)
        rules = load_text(texts).ok()
        requests = random_requests(rng, rng.choice((4, 7, 10)))
        telling = tell(rng, requests)
        true = truth(rules, requests)
        found, alerts = told(rng, rules, telling)
        fired += bool(true)
        ledger.note(
            LANE,
            cases=1,
            events=sum(map(len, telling.files)),
            firings=len(true),
            firing_cases=int(bool(true)),
            alerts=alerts,
        )
        story = "\n".join([*texts.values(), *map(str, requests), *(str(file) for file in telling.files)])
        assert set(found) == true, f"seed {seed}: missed {true - set(found)}, false {set(found) - true}\n{story}"
        assert len(found) == len(true), f"seed {seed}: told twice\n{story}"
    assert fired > 0.6 * count
