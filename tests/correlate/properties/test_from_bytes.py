"""From the bytes of audit logs to firings: decoder, detector, clocks and correlator against what really happened."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from streamer.decode import Decoder, Source
from streamer.engine import Engine, Output
from streamer.model import Position, Record
from streamer.sigma import load_text
from streamer.sigma.rules import RuleSet
from tests.correlate.properties import ledger
from tests.correlate.properties.compare import identity_of
from tests.correlate.properties.requests import Request, Telling, Turn, batched, random_requests, tell, turns
from tests.correlate.properties.rules import NAMES, RuleMaker
from tests.correlate.properties.yaml import documents
from tests.oracle.world import World

CASES = 60


def random_rules(rng: random.Random) -> dict[str, str]:
    """Random rules as YAML."""
    maker = RuleMaker(rng)
    drafts = maker.drafts()
    for draft in drafts:
        draft.suppress = None
    return documents(drafts)


def truth(rules: RuleSet, requests: list[Request]) -> set[object]:
    """The firings of what happened, without any order of arrival.

    Identities are the decoder's: with skew, equal times are told apart by them.
    """
    world = World(rules)
    decoder = Decoder(Source("any", "audit"))
    for request in requests:
        _, line = request.lines(random.Random(0))[-1]
        (event,) = decoder.decode(Record(line, Position("any", 0, 1, is_file=True))).events[:1]
        for kind in request.kinds:
            world.feed(replace(request.match(kind), identity=event.identity))
    world.finish()
    return {one.identity for one in world.told}


def told(rules: RuleSet, telling: Telling, story: list[Turn]) -> Output:
    """What the engine tells; where it crashes, a new one goes on from the sum of its changes."""
    source = Source("any", "audit", lateness_us=telling.lateness_us)
    entries: dict[bytes, bytes] = {}
    whole = Output()
    engine = _engine(rules, telling, source, entries)
    for turn in story:
        if turn.crash:
            for key, value in engine.changes().items():
                if value is None:
                    entries.pop(key, None)
                else:
                    entries[key] = value
            engine = _engine(rules, telling, source, entries)
            continue
        output = engine.end(turn.ended) if turn.ended else engine.feed(turn.records)
        whole.alerts += output.alerts
        whole.firings += [one for one in output.firings if one.rule not in NAMES]
        assert not output.dead_letters
        assert not output.failures
    return whole


def _engine(rules: RuleSet, telling: Telling, source: Source, entries: dict[bytes, bytes]) -> Engine:
    engine = Engine(rules)
    if entries:
        engine.restore(dict(entries))
    for partition in telling.partitions:
        engine.expect(partition, replace(source, name=partition[0]), is_file=telling.files)
    return engine


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", ["files", "topic"])
def test_partitions_in_any_disorder_with_repetitions_and_stages_tell_the_truth(kind: str, part: int) -> None:
    """[G1] [G2] [G3] [I1] [I2] [I5] [T1] [T2] [T3] [T4] [T5] firings are those of the requests that happened."""
    lane = f"from bytes, {kind}"
    count = ledger.cases_per_lane(CASES)
    fired = 0
    for seed in range(part * count, (part + 1) * count):
        rng = random.Random(f"{kind}/{seed}")
        texts = random_rules(rng)
        rules = load_text(texts).ok()
        requests = random_requests(rng, rng.choice((4, 7, 10)), ahead=kind == "files")
        telling = tell(rng, requests, files=kind == "files")
        single = turns(rng, telling)
        true = truth(rules, requests)
        whole = told(rules, telling, single)
        found = [identity_of(one) for one in whole.firings]
        story = "\n".join([*texts.values(), *map(str, requests), *(str(one) for one in single)])
        assert set(found) == true, f"seed {seed}: missed {true - set(found)}, false {set(found) - true}\n{story}"
        assert len(found) == len(true), f"seed {seed}: told twice\n{story}"
        again = told(rules, telling, batched(rng, single))
        assert [identity_of(one) for one in again.firings] == found, f"seed {seed}: batches matter\n{story}"
        assert [one.id for one in again.alerts] == [one.id for one in whole.alerts], f"seed {seed}\n{story}"
        fired += bool(true)
        ledger.note(
            lane,
            cases=1,
            events=sum(map(len, telling.written)),
            firings=len(true),
            firing_cases=int(bool(true)),
        )
    assert fired > 0.6 * count
