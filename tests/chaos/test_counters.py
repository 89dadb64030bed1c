"""What is counted on the way through topics is what one engine counts, whatever stands in the records."""

from __future__ import annotations

from collections import Counter

from streamer.correlate import CorrelateLimits
from streamer.decode import Source
from streamer.engine import Engine
from streamer.model import Position, Record
from streamer.sigma import load_rules
from streamer.stages.detection import DetectStage
from streamer.stages.partition import PartitionCore
from streamer.stages.wire import RanksTold, encode
from tests.chaos.workload import PARTITIONS, RULES, Workload

FRESH_US = 2_000_000_000_000_000
"""Append times: later than anything that is not from the far future."""


def records() -> list[Record]:
    """The chaos world as it would stand in its topics: doubled, out of order, late, odd and unreadable records."""
    ends: Counter[tuple[str, int]] = Counter()
    found = []
    for raw in Workload(3000).records():
        place = (raw.kind, raw.partition)
        position = Position(raw.kind, raw.partition, ends[place], is_file=False)
        found.append(Record(raw.value, position, FRESH_US, tuple(raw.headers)))
        ends[place] += 1
    return found


def test_every_counter_of_the_stages_is_that_of_one_engine_over_duplicates_late_and_odd_records():
    rules = load_rules([RULES]).ok()
    limits = CorrelateLimits(alerts=10_000_000, alerts_per_rule=1_000_000)
    sources = {kind: Source(kind, kind) for kind in PARTITIONS}
    engine = Engine(rules, limits=limits)
    stage = DetectStage(rules, partitions=1)
    core = PartitionCore(rules, partition=0, partitions=1, limits=limits)
    for kind, count in PARTITIONS.items():
        for number in range(count):
            engine.expect((kind, number), sources[kind], is_file=False)
            stage.take((kind, number), sources[kind], 0)
    for record in records():
        engine.feed([record])
        log = [encode(sent) for _, sent in stage.feed([record]).addressed]
        log.append(encode(stage.told(PARTITIONS)))
        while log:
            output = core.feed(0, log.pop(0))
            log += [encode(sent) for _, sent in output.derived]
            if not log and core.ranks_told().watermarks:
                core.feed(0, encode(RanksTold({0: core.ranks_told()})))
    by_engine, by_stage = engine.counters, stage.counters
    for name in ("records", "bytes", "skipped", "events", "dead_letters", "matches", "failures"):
        assert getattr(by_stage, name) == getattr(by_engine, name), name
    assert by_stage.dead_letters.total() > 0
    first = {rule.meta.key for rule in rules.correlations if rule.rank == 1}
    apart, whole = core.counters.correlation, engine.correlator.counters
    for name in ("late", "too_late", "duplicates", "used", "refused"):
        counted, expected = getattr(apart, name), getattr(whole, name)
        assert {rule: counted[rule] for rule in first} == {rule: expected[rule] for rule in first}, name
    for name in ("missing_key", "missing_value"):
        together = getattr(apart, name) + getattr(by_stage.correlation, name)
        assert {rule: together[rule] for rule in first} == {rule: getattr(whole, name)[rule] for rule in first}, name
    assert sum(whole.late[rule] for rule in first) > 0
    assert sum(whole.duplicates[rule] for rule in first) > 0
