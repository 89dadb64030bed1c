"""Records in, addressed matches out: whom they are sent to, how far time has come, and where a successor begins."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from streamer.decode import DecodeLimits, Source
from streamer.model import Position, Record
from streamer.sigma import load_text
from streamer.sigma.rules import RuleSet
from streamer.stages.detection import RULES_EVERY, DetectStage
from streamer.stages.wire import Addressed, SourceTold, meaning_of, partition_for, version_of

DETECTION = """
title: Something with {name}
name: {name}
logsource: {{category: application, product: kubernetes, service: audit}}
detection:
  selection: {{objectRef.name: {name}}}
  condition: selection
level: low
"""
LINES = """
title: A line with a word
name: words
logsource: {category: container_log, product: kubernetes}
detection:
  selection: {message|contains: [word, 'x']}
  condition: selection
level: low
"""
COUNT = """
title: Several addresses of one user
name: addresses
correlation:
  type: value_count
  rules: [a, b]
  group-by: [user.username]
  timespan: 1m
  condition: {gte: 2, field: sourceIPs}
level: low
"""
PAIR = """
title: One, then the other
name: pair
correlation:
  type: temporal_ordered
  rules: [a, b]
  group-by: [sourceIPs]
  timespan: 1m
level: low
"""
LEARNED = """
title: A new address
name: learned
correlation:
  type: value_count
  rules: [a]
  group-by: [user.username]
  timespan: 1h
  condition: {gte: 1, field: sourceIPs}
streamer: {first_seen: true, learn: 1h}
level: low
"""
START = datetime(2026, 1, 1, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000
SECOND = 1_000_000
TOPIC = ("topic", 0)
SOURCE = Source("topic", "audit", lateness_us=10 * SECOND)
PARTITIONS = 5


def rule_set(*documents: str) -> RuleSet:
    texts = [*(DETECTION.format(name=name) for name in "ab"), *documents]
    return load_text({f"{number}.yml": text for number, text in enumerate(texts)}).ok()


def audit(
    second: float, name: str, user: str | None = "alice", addresses: Sequence[str] = ("10.0.0.1",), **more: str
) -> bytes:
    stamp = f"{START + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S.%f}Z"
    return json.dumps(
        {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": f"{name}-{second}-{user}",
            "stage": "ResponseComplete",
            "requestURI": "/x",
            "verb": "get",
            "user": {"username": user} if user else {},
            "sourceIPs": list(addresses),
            "objectRef": {"resource": "configmaps", "name": name, "apiVersion": "v1"},
            "responseStatus": {"code": 200},
            "requestReceivedTimestamp": stamp,
            "stageTimestamp": stamp,
        }
        | more
    ).encode()


def records(*values: bytes, first: int = 0, appended: Sequence[float] | None = None) -> list[Record]:
    times = appended if appended is not None else [3600.0] * len(values)
    return [
        Record(value, Position(*TOPIC, first + number, is_file=False), START_US + round(at * SECOND))
        for number, (value, at) in enumerate(zip(values, times, strict=True))
    ]


def stage_of(rules: RuleSet, **more: object) -> DetectStage:
    stage = DetectStage(rules, partitions=PARTITIONS, **more)  # type: ignore[arg-type]
    stage.take(TOPIC, SOURCE)
    return stage


def sent(stage: DetectStage, *values: bytes, **more: object) -> list[Addressed]:
    return [one for _, one in stage.feed(records(*values, **more)).addressed]  # type: ignore[arg-type]


def told(stage: DetectStage) -> SourceTold:
    return stage.told({"topic": 1}).sources[0]


# -- addressing ---------------------------------------------------------------------------------------------------


def test_a_match_goes_to_every_correlation_once_per_key_and_to_the_partition_of_the_key():
    rules = rule_set(COUNT, PAIR)
    stage = stage_of(rules)
    output = stage.feed(records(audit(1, "a", addresses=["10.0.0.1", "10.0.0.2"])))
    assert [(one.correlation, one.key) for _, one in output.addressed] == [
        ("addresses", ('"default"', '"alice"')),
        ("pair", ('"default"', '"10.0.0.2"')),
        ("pair", ('"default"', '"10.0.0.1"')),
    ]
    assert all(number == partition_for(one.correlation, one.key, PARTITIONS) for number, one in output.addressed)
    meanings = {rule.meta.key: meaning_of(rule) for rule in rules.correlations}
    assert all(one.meaning == meanings[one.correlation] for _, one in output.addressed)
    assert {one.lane for _, one in output.addressed} == {version_of(rules)}


def test_a_match_carries_only_the_values_its_receiver_needs():
    addressed = sent(stage_of(rule_set(COUNT, PAIR)), audit(1, "a"))
    assert [(one.correlation, dict(one.match.values)) for one in addressed] == [
        ("addresses", {"sourceIPs": ("10.0.0.1",)}),
        ("pair", {}),
    ]


def test_an_alerting_detection_is_sent_under_its_own_name_and_the_event():
    (one,) = sent(stage_of(rule_set()), audit(1, "a"))
    assert one.correlation == one.match.rule == "a"
    assert one.key == ('"default"', f'"{one.match.identity.hex()}"')


def test_a_match_without_its_key_or_its_value_is_counted_and_not_sent():
    stage = stage_of(rule_set(COUNT))
    assert sent(stage, audit(1, "a", user=None), audit(2, "b", addresses=())) == []
    counters = stage.counters.correlation
    assert (counters.missing_key["addresses"], counters.missing_value["addresses"]) == (1, 1)


def test_keys_beyond_sixteen_are_told_with_the_first():
    addressed = sent(stage_of(rule_set(PAIR)), audit(1, "a", addresses=[f"10.0.0.{number}" for number in range(20)]))
    assert len(addressed) == 16
    assert [one.overflow for one in addressed] == [4] + [0] * 15


def test_a_rebuild_sends_only_to_the_rules_it_is_for():
    stage = stage_of(rule_set(COUNT, PAIR), lane="rebuild", only=frozenset({"pair"}))
    addressed = sent(stage, audit(1, "a"))
    assert [(one.correlation, one.lane) for one in addressed] == [("pair", "rebuild")]


def test_what_is_said_of_a_record_does_not_depend_on_how_the_records_are_cut():
    rules = rule_set(COUNT, PAIR)
    values = [audit(at, name) for at, name in ((1, "a"), (2, "b"), (3, "c"), (4, "a"))]
    single = stage_of(rules)
    one_by_one = [one for record in records(*values) for _, one in single.feed([record]).addressed]
    assert one_by_one == sent(stage_of(rules), *values)
    assert [one.offset for one in one_by_one] == [0, 0, 1, 1, 3, 3]


def test_a_record_that_cannot_be_read_is_a_dead_letter_and_moves_no_time():
    stage = stage_of(rule_set())
    output = stage.feed(records(b"{", audit(30, "a")))
    assert [letter.position.offset for letter in output.dead_letters] == [0]
    assert stage.counters.dead_letters.total() == 1
    assert told(stage).watermark_us == START_US + 20 * SECOND


# -- time ---------------------------------------------------------------------------------------------------------


def test_a_raw_partition_is_as_far_as_its_newest_event_less_lateness():
    stage = stage_of(rule_set())
    assert told(stage) == SourceTold(*TOPIC)
    sent(stage, audit(100, "a"), audit(90, "a"))
    assert told(stage) == SourceTold(
        *TOPIC,
        watermark_us=START_US + 90 * SECOND,
        first_us=START_US + 90 * SECOND,
        since_us=None,
        newest_us=START_US + 100 * SECOND,
        next_offset=2,
    )


def test_an_idle_partition_goes_on_with_the_clock():
    stage = stage_of(rule_set())
    stage.idle(TOPIC, START_US + 600 * SECOND)
    assert told(stage).watermark_us == START_US + 530 * SECOND


@pytest.mark.parametrize("year", ["1970", "2099"])
def test_one_stamp_far_off_moves_nothing(year: str):
    stage = stage_of(rule_set())
    far = audit(1, "a", stageTimestamp=f"{year}-01-02T00:00:00.000000Z")
    sent(stage, audit(100, "a"), far, audit(101, "a"))
    assert told(stage).watermark_us == START_US + 91 * SECOND
    assert told(stage).first_us == START_US + 100 * SECOND


def test_an_unstamped_record_moves_nothing():
    stage = stage_of(rule_set())
    sent(stage, audit(100, "a"), audit(1, "a", stageTimestamp="", requestReceivedTimestamp=""))
    assert told(stage).watermark_us == START_US + 90 * SECOND


def test_the_rules_are_told_at_first_and_now_and_then():
    rules = rule_set(COUNT)
    stage = stage_of(rules)
    meanings = tuple(meaning_of(rule) for rule in rules.correlations)
    found = [stage.told({}).rules for _ in range(RULES_EVERY + 1)]
    assert found == [meanings, *[()] * (RULES_EVERY - 1), meanings]
    stage.take(TOPIC, SOURCE)
    assert stage.told({}).rules == meanings, "after a failed send nobody may have heard of them"


def test_the_first_match_of_a_rule_that_learns_is_told_for_each_cluster():
    rules = rule_set(LEARNED)
    (learned,) = rules.correlations
    stage = stage_of(rules)
    sent(stage, audit(100, "a"), audit(98, "a"), audit(97, "b"), audit(120, "a"))
    assert stage.told({}).beginnings == ((meaning_of(learned), "default", START_US + 98 * SECOND),)


def test_a_stamp_of_1970_is_no_beginning_once_time_is_known():
    stage = stage_of(rule_set(LEARNED))
    sent(stage, audit(100, "a"), audit(1, "a", stageTimestamp="1970-01-02T00:00:00.000000Z"))
    assert [time for _, _, time in stage.told({}).beginnings] == [START_US + 100 * SECOND]


# -- from where on ------------------------------------------------------------------------------------------------


def test_from_the_beginning_of_a_topic_everything_has_been_seen():
    stage = DetectStage(rule_set(), partitions=PARTITIONS)
    stage.take(TOPIC, SOURCE, 0)
    sent(stage, audit(100, "a"), first=5)
    assert told(stage).since_us is None


def test_from_the_middle_on_what_came_before_may_be_newer_by_the_lateness():
    stage = stage_of(rule_set())
    sent(stage, audit(100, "a"), first=5)
    assert told(stage).since_us == START_US + 110 * SECOND


def test_what_a_predecessor_knew_of_the_beginning_is_told_again():
    stage = DetectStage(rule_set(), partitions=PARTITIONS)
    stage.take(TOPIC, SOURCE, 5, since_us=7)
    sent(stage, audit(100, "a"), first=5)
    assert told(stage).since_us == 7


def test_other_rules_look_at_what_is_newer_than_all_that_was_read():
    stage = stage_of(rule_set())
    sent(stage, audit(100, "a"), audit(99, "a"))
    after = stage.replaced(rule_set(COUNT))
    assert told(after).since_us == START_US + 100 * SECOND
    assert told(after).watermark_us == START_US + 90 * SECOND
    assert told(stage.replaced(stage.rules)).since_us is None, "the same rules have seen everything"


def test_after_a_rebuild_the_rules_have_looked_from_there():
    stage = stage_of(rule_set())
    sent(stage, audit(100, "a"))
    after = stage.replaced(rule_set(COUNT))
    after.covers_from(TOPIC, 3)
    assert told(after).since_us == 3
    after.covers_from(TOPIC, None)
    sent(after, audit(101, "a"), first=1)
    assert told(after).since_us is None


def test_a_partition_given_up_is_told_no_more():
    stage = stage_of(rule_set())
    stage.give_up(TOPIC)
    assert stage.told({}).sources == ()
    assert stage.clocks == {}
    with pytest.raises(KeyError):
        sent(stage, audit(1, "a"))


# -- restarts -----------------------------------------------------------------------------------------------------

LOGS = Source("topic", "container", lateness_us=0, limits=DecodeLimits(partial_records=12))


def piece(rng: random.Random, number: int, container: str, *, last: bool) -> bytes:
    stamp = f"{START + timedelta(seconds=number):%Y-%m-%dT%H:%M:%S.%f}000Z"
    pod = {"namespace_name": "x", "pod_name": "p", "pod_id": "u", "container_name": container}
    text = rng.choice(("word", "half a wo", "rd and more", "nothing"))
    log = f"{stamp} stdout {'F' if last else 'P'} {number} {text}"
    return json.dumps({"log": log, "kubernetes": pod}).encode()


def test_a_successor_says_the_same_of_every_record_whatever_lines_were_unfinished():
    """[G1] [G2] unfinished lines are not stored: they are read again, and nothing else is said again or otherwise."""
    rules = load_text({"words.yml": LINES}).ok()
    lines = restarts = longest = 0
    for seed in range(60):
        rng = random.Random(seed)
        log = [piece(rng, n, rng.choice("cde"), last=rng.random() < 0.5) for n in range(60)]
        whole = DetectStage(rules, partitions=PARTITIONS)
        whole.take(TOPIC, LOGS)
        expected = [one for _, one in whole.feed(records(*log, appended=range(60))).addressed]
        stage = DetectStage(rules, partitions=PARTITIONS)
        stage.take(TOPIC, LOGS, 0)
        found: list[Addressed] = []
        read = 0
        while read < len(log):
            most = rng.randint(1, 6)
            batch = records(*log, appended=range(60))[read : read + most]
            found += [one for _, one in stage.feed(batch).addressed]
            read += len(batch)
            if rng.random() < 0.4:
                safe = stage.safe_position(TOPIC, read)
                assert safe <= read
                longest = max(longest, read - safe)
                restarts += 1
                stage = DetectStage(rules, partitions=PARTITIONS)
                stage.take(TOPIC, LOGS, safe, sent_below=read)
                if safe < read:
                    assert stage.feed(records(*log, appended=range(60))[safe:read]).addressed == []
        assert found == expected, seed
        lines += len(expected)
    assert lines > 300
    assert restarts > 200
    assert longest > 5
