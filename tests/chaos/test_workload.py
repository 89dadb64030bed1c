"""The workload and its oracle, before any chaos: what they are sensitive to and what they are not."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import pytest

from streamer.correlate import Correlator
from streamer.decode import Source
from streamer.detect import Detector
from streamer.engine import Engine
from streamer.model import Alert, Match, Position, Record
from streamer.ports import Partition
from streamer.sigma import load_rules
from tests.chaos.oracle import Expected, expected_of, identity_of, is_odd, ordinary
from tests.chaos.workload import PARTITIONS, RULES, Workload

RULESET = load_rules([RULES]).ok()
SOURCES = {kind: Source(kind, kind) for kind in PARTITIONS}
APPENDED_US = 1_795_000_000_000_000


@cache
def log_of(size: int, seed: int = 1) -> dict[Partition, list[Record]]:
    log: dict[Partition, list[Record]] = {(kind, n): [] for kind, count in PARTITIONS.items() for n in range(count)}
    for number, raw in enumerate(Workload(size, seed).records()):
        records = log[raw.kind, raw.partition]
        position = Position(raw.kind, raw.partition, len(records), is_file=False)
        records.append(Record(raw.value, position, APPENDED_US + number * 1000, tuple(raw.headers)))
    return log


@cache
def expected(size: int, seed: int = 1) -> Expected:
    return expected_of(RULESET, SOURCES, log_of(size, seed))


def test_the_world_is_large_enough_and_every_rule_has_its_say():
    found = expected(20_000)
    assert len(RULESET.detections) + len(RULESET.correlations) >= 20
    assert found.matches >= 1500
    assert len(found.alerts) >= 500
    fired = {firing.rule for firing in found.firings.values()}
    assert fired >= {rule.meta.key for rule in RULESET.correlations}
    assert {rule.rank for rule in RULESET.correlations} == {1, 2, 3}


def test_the_same_seed_is_the_same_world_and_another_is_another():
    first, again, other = (list(Workload(2000, seed).records()) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", [1, 2])
def test_another_order_of_partitions_tells_the_same_firings(seed):
    engine = Engine(RULESET)
    log = log_of(6000, seed)
    for partition in log:
        engine.expect(partition, SOURCES[partition[0]], is_file=False)
    chance = random.Random(seed)
    left = {partition: list(records) for partition, records in log.items()}
    firings = []
    while left:
        partition = chance.choice(sorted(left))
        size = chance.randrange(1, 400)
        firings += engine.feed(left[partition][:size]).firings
        left[partition] = left[partition][size:]
        left = {each: records for each, records in left.items() if records}
    told = expected(6000, seed)
    assert ordinary(firings) == ordinary(told.firings.values())
    assert len(ordinary(firings)) > 300
    assert len(told.firings) > len(ordinary(firings))


def test_strange_times_are_part_of_the_world():
    found = expected(20_000)
    odd = [firing for firing in found.firings.values() if is_odd(firing)]
    assert len(odd) > 50
    assert any(firing.time_us >= APPENDED_US for firing in odd)
    assert len(found.dead_letters) > 5


@cache
def matches_of(size: int) -> tuple[Match, ...]:
    """All matches of the ordinary part of the world in the order of their time."""
    engine, detector = Engine(RULESET), Detector(RULESET)
    found: list[Match] = []
    for partition, records in log_of(size).items():
        engine.expect(partition, SOURCES[partition[0]], is_file=False)
        for record in records:
            found += detector.detect(engine._decoders[partition].decode(record).events).matches
    once = {(match.rule, match.identity): match for match in found}
    story = [match for match in once.values() if b"odd-" not in repr(match.values).encode()]
    return tuple(sorted(story, key=lambda match: (match.time_us, match.identity)))


def alerts_of(matches: Iterable[Match]) -> list[tuple[object, ...]]:
    correlator = Correlator(RULESET)
    alerts: list[Alert] = []
    for match in matches:
        alerts += correlator.feed(match).alerts
        alerts += correlator.advance(match.time_us - 10_000_000).alerts
    alerts += correlator.finish().alerts
    return [
        (alert.id, identity_of(alert.firing), alert.firing.value, [step.total for step in alert.firing.steps])
        for alert in alerts
    ]


def _changed(without: Sequence[Match], truth: Sequence[object]) -> bool:
    return alerts_of(without) != list(truth)


def test_nearly_every_single_detection_that_is_lost_changes_an_alert():
    matches = matches_of(3000)
    truth = alerts_of(matches)
    chance = random.Random(3)
    sample = chance.sample(range(len(matches)), 60)
    felt = [_changed([*matches[:at], *matches[at + 1 :]], truth) for at in sample]
    assert sum(felt) >= 50


def test_nearly_every_single_detection_that_comes_again_as_another_one_changes_an_alert():
    matches = matches_of(3000)
    truth = alerts_of(matches)
    chance = random.Random(4)
    sample = chance.sample(range(len(matches)), 60)
    felt = [_changed([*matches[: at + 1], _another(matches[at]), *matches[at + 1 :]], truth) for at in sample]
    assert sum(felt) >= 40


def test_a_detection_that_comes_again_as_itself_changes_nothing():
    matches = matches_of(3000)
    truth = alerts_of(matches)
    for at in random.Random(5).sample(range(len(matches)), 10):
        assert alerts_of([*matches[: at + 1], matches[at], *matches[at + 1 :]]) == truth


def _another(match: Match) -> Match:
    fields: Mapping[str, object] = {name: getattr(match, name) for name in Match.__dataclass_fields__}
    return Match(**(fields | {"identity": bytes(16)}))  # type: ignore[arg-type]
