"""Health told by tasks that begin again, move and die: what the cluster alerts of silence is what one engine does."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from streamer.engine import Engine
from streamer.model import Alert, Position, Record
from streamer.ports import Partition
from streamer.sigma import load_text
from streamer.sigma.rules import RuleSet
from streamer.stages.detection import DetectStage
from streamer.stages.wire import Addressed
from tests.stages.cluster import ROUGH, Cluster, Troubles
from tests.test_engine_health import AUDIT, BASE_S, LINES, MINUTE, SECOND, audit, line, rules

LATER = (BASE_S + 6 * 3600) * SECOND
RawLog = dict[Partition, list[Record]]


def raw_log(rng: random.Random) -> RawLog:
    """Two hours of two topics with two partitions each, some of it out of order, with one hole in one of them."""
    hole = rng.randint(30, 60)
    holes = {"audit": range(hole, hole + rng.choice((0, 12, 25))), "lines": range(hole + 40, hole + 40)}
    if rng.random() < 0.5:
        holes["lines"] = range(hole + 5, hole + 5 + rng.choice((8, 20)))
    raw: RawLog = {(name, number): [] for name in holes for number in range(2)}
    for name, make in (("audit", audit), ("lines", line)):
        for minute in range(120):
            for second in sorted(rng.sample(range(60), rng.choice((1, 2, 4)))):
                if minute in holes[name]:
                    continue
                at = minute * MINUTE + second
                partition = (name, rng.randrange(2))
                late = rng.choice((0, 0, 3, 8))
                position = Position(*partition, len(raw[partition]), is_file=False)
                value = make(max(0, at - late))
                if name == "audit" and minute > 90 and rng.random() < 0.3:
                    value = value[: len(value) // 9]
                raw[partition].append(Record(value, position, (BASE_S + at) * SECOND))
    return raw


def engine_alerts(ruleset: RuleSet, raw: RawLog) -> list[Alert]:
    engine = Engine(ruleset)
    for name, number in raw:
        engine.expect((name, number), AUDIT if name == "audit" else LINES, is_file=False)
    alerts: list[Alert] = []
    for records in raw.values():
        alerts += engine.feed(records).alerts
    for partition in raw:
        alerts += engine.idle(partition, LATER).alerts
    return alerts


def ids(alerts: list[Alert], ruleset: RuleSet, *names: str) -> Counter[str]:
    keys = {rule.meta.key for rule in ruleset.correlations if rule.meta.name in names}
    return Counter(one.id for one in alerts if one.firing.rule in keys)


@pytest.mark.parametrize("lane", ["calm", "rough"])
def test_a_cluster_tells_of_silence_what_one_engine_tells(lane: str) -> None:
    """[G1] [G2] [G4] tasks that begin again in the middle of a minute say the same of it, and it counts once."""
    ruleset = rules()
    told: Counter[str] = Counter()
    for seed in range(12):
        rng = random.Random(f"health/{lane}/{seed}")
        raw = raw_log(rng)
        troubles = replace(ROUGH) if lane == "rough" else Troubles()
        cluster = Cluster(
            rng, ruleset, raw, source={"audit": AUDIT, "lines": LINES}, partitions=3, tasks=2, troubles=troubles
        )
        for _ in range(150):
            cluster.turn()
        cluster.finish(LATER)
        silence = ("source_silent", "audit_log_stopped")
        expected = engine_alerts(ruleset, raw)
        assert ids(cluster.alerts, ruleset, *silence) == ids(expected, ruleset, *silence), f"seed {lane}/{seed}"
        unreadable = ids(cluster.alerts, ruleset, "undecodable_share_rises")
        if lane == "calm":
            assert unreadable == ids(expected, ruleset, "undecodable_share_rises")
        assert len(unreadable) <= 1
        names = {key: rule.meta.name or "" for key, rule in ruleset.by_key().items()}
        told.update(names[one.firing.rule] for one in cluster.alerts)
    assert told["source_silent"] > 12
    assert told["audit_log_stopped"] > 2
    assert told["undecodable_share_rises"] > 6


def records(seconds: range, *, offset: int = 0) -> list[Record]:
    return [
        Record(audit(second), Position("audit", 0, offset + at, is_file=False), (BASE_S + second) * SECOND)
        for at, second in enumerate(seconds)
    ]


def sent(stage: DetectStage, fed: list[Record]) -> list[Addressed]:
    return [addressed for _, addressed in stage.feed(fed).addressed]


def of_health(addressed: list[Addressed]) -> set[tuple[str, int]]:
    """What was said, by identity and time."""
    return {(one.match.identity.hex(), one.match.time_us) for one in addressed}


def test_a_successor_repeats_the_minute_and_leaves_out_what_it_cannot_count() -> None:
    """[I5] [G3] a minute in which reading began anew is heard as before, and its records are not counted."""
    ruleset = rules()
    everything = records(range(0, 180, 5))
    whole = DetectStage(ruleset, partitions=1)
    whole.take(("audit", 0), AUDIT)
    told = of_health(sent(whole, everything))

    before = DetectStage(ruleset, partitions=1)
    before.take(("audit", 0), AUDIT)
    first = of_health(sent(before, everything[:15]))
    after = DetectStage(ruleset, partitions=1)
    after.take(("audit", 0), AUDIT, 15)
    second = of_health(sent(after, everything[15:]))

    assert first | second < told
    assert len(first & second) == 1  # the second minute is heard by both
    assert len(told - (first | second)) == 1  # and counted by neither


def test_health_does_not_move_a_partition() -> None:
    """[T4] neither the clock nor what is told of it knows of the end of a minute that is not over."""
    stage = DetectStage(rules(), partitions=1)
    stage.take(("audit", 0), AUDIT)
    stage.feed(records(range(0, 70, 5)))
    (told,) = stage.told({}).sources

    assert told.newest_us == (BASE_S + 65) * SECOND
    assert told.watermark_us == (BASE_S + 55) * SECOND


def test_a_stage_that_goes_on_with_other_rules_begins_and_ceases_to_look_at_health() -> None:
    """A reload needs no reading again for what comes from now on."""
    other = load_text({
        "r.yml": "title: T\nname: t\nlogsource: {category: application, product: kubernetes, service: audit}\n"
        "detection: {selection: {verb: delete}, condition: selection}\nlevel: low\n"
    }).ok()  # fmt: skip
    stage = DetectStage(other, partitions=1)
    stage.take(("audit", 0), AUDIT)
    assert sent(stage, records(range(0, 60, 5))) == []

    stage = stage.replaced(rules())
    assert sent(stage, records(range(60, 70, 5), offset=12))
    stage = stage.replaced(other)
    assert sent(stage, records(range(120, 180, 5), offset=14)) == []
