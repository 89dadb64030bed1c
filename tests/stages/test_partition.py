"""One partition of detections: what it judges and when, what it tells others, what it stores."""

from __future__ import annotations

from dataclasses import replace

from streamer.correlate import CorrelateLimits
from streamer.model import Notice
from streamer.sigma.rules import RuleSet
from streamer.stages.wire import NoticeTold, RanksTold, meaning_of, partition_for
from tests.correlate.making import correlation, count, detection, expression, match, meta, rules
from tests.stages.bench import ABSENT, CHAIN, LEARNS, Bench, at, entries

# -- time and ranks -----------------------------------------------------------------------------------------------


def test_nothing_is_judged_before_every_raw_partition_was_heard_of():
    bench = Bench(rules(ABSENT))
    bench.match(match("a", 1))
    bench.sources(500, expects={"topic": 2})
    assert bench.cores[0].watermark_us is None
    assert bench.told() == []
    bench.sources(100, expects={"topic": 2}, source=("topic", 1))
    assert bench.told() == [("absent", 61)]
    assert bench.cores[0].watermark_us == at(100)
    assert bench.cores[0].heard.sources == {("topic", 0): at(500), ("topic", 1): at(100)}
    assert bench.cores[0].heard.ranks == {1: at(100)}


def test_time_never_goes_back():
    bench = Bench(rules(ABSENT))
    bench.sources(500)
    bench.sources(100)
    assert bench.cores[0].watermark_us == at(500)
    bench.sources(510, expects={"topic": 2})
    bench.match(match("a", 505))
    assert bench.cores[0].watermark_us == at(500), "a partition that was added has to be heard of first"
    bench.sources(600, expects={"topic": 1})
    assert bench.told() == [("absent", 565)]


def test_a_partition_that_was_added_holds_time_and_one_that_is_gone_lets_go():
    bench = Bench(rules(ABSENT))
    bench.sources(10, expects={"topic": 1})
    bench.match(match("a", 20))
    bench.sources(900, expects={"topic": 1, "other": 1})
    assert bench.told() == []
    bench.sources(30, expects={"topic": 1, "other": 1}, source=("other", 0))
    assert bench.told() == []
    bench.sources(901, expects={"topic": 1})
    assert bench.told() == [("absent", 80)]


def test_rules_over_rules_wait_for_all_partitions_and_then_for_those_of_the_rank_below():
    """[C11] rank 2 by what all partitions told for rank 1, rank 3 by what they told for rank 2."""
    bench = Bench(CHAIN, partitions=3)
    bench.match(match("a", 1))
    bench.match(match("b", 2))
    assert bench.told() == [("pair", 2)]
    bench.deliver()
    bench.sources(500)
    assert bench.told() == [], "rank 2 knows nothing of time yet"
    bench.ranks(0, 1)
    assert bench.told() == []
    bench.ranks(2)
    assert bench.told() == [("above", 62)]
    bench.deliver()
    bench.ranks(0, 2)
    assert bench.told() == []
    bench.ranks(1)
    assert bench.told() == [("top", 72)]
    assert all(core.heard.ranks == {1: at(500), 2: at(500), 3: at(500)} for core in bench.cores)


def test_a_lagging_partition_makes_the_rules_above_it_wait():
    """Its firing may be the one that must not be there."""
    chain = rules(
        correlation("shown", "event_count", "a", count("gte", 1)),
        correlation("veto", "event_count", "b", count("lte", 9), span=5),
        correlation("above", "temporal", "shown veto", expression("shown and not veto"), rank=2),
    )
    user = next(f"u{n}" for n in range(99) if partition_for("veto", ('"prod"', f'"u{n}"'), 2) == 1)
    bench = Bench(chain, partitions=2)
    bench.sources(0)
    bench.match(match("a", 1, user=user))
    bench.match(match("b", 2, user=user))
    bench.told()
    bench.sources(500, None, 0)
    bench.ranks(0)
    bench.deliver()
    bench.ranks()
    assert bench.told() == [], "partition 1 has not come to the telling of 500 yet"
    bench.sources(500, None, 1)
    assert bench.told() == [("veto", 7)]
    bench.deliver()
    bench.ranks()
    assert bench.told() == [], "the veto stands before the telling that covers it"


def test_a_telling_that_comes_twice_or_late_does_no_harm():
    bench = Bench(CHAIN, partitions=2)
    bench.sources(100)
    early = bench.ranks()
    bench.sources(500)
    bench.ranks()
    reached = bench.cores[0].heard.ranks
    bench.write(RanksTold(early))
    bench.write(RanksTold(early))
    assert bench.cores[0].heard.ranks == reached == {1: at(500), 2: at(500), 3: at(100)}


def test_nothing_is_claimed_before_anything_is_known_and_nothing_for_the_highest_rank():
    bench = Bench(CHAIN)
    assert bench.cores[0].ranks_told().watermarks == {}
    bench.sources(100)
    assert bench.cores[0].ranks_told().watermarks == {1: at(100)}
    bench.ranks()
    assert bench.cores[0].ranks_told().watermarks == {1: at(100), 2: at(100)}
    flat = Bench(rules(ABSENT))
    flat.sources(100)
    assert flat.cores[0].ranks_told().watermarks == {}


def test_a_match_meets_time_as_it_stood_where_the_match_stands():
    """[T6] within reach a late match still counts; what is older than that does not."""
    bench = Bench(rules(correlation("two", "event_count", "a", count("gte", 2), reach=50)))
    bench.match(match("a", 100))
    bench.sources(140)
    bench.match(match("a", 95))
    assert bench.told() == [("two", 100)]
    bench.sources(200)
    bench.match(match("a", 96))
    assert bench.told() == []
    assert bench.cores[0].counters.correlation.too_late["two"] == 1


def test_a_firing_goes_through_the_log_to_the_own_partition_too():
    bench = Bench(CHAIN)
    bench.match(match("a", 1))
    bench.match(match("b", 2))
    assert [(number, one.correlation, one.lane) for number, one in bench.derived] == [(0, "above", "")]
    assert bench.cores[0].counters.matches["above"] == 0
    bench.deliver()
    assert bench.cores[0].counters.matches["above"] == 1


def test_looking_back_beyond_the_start_of_the_stream_is_marked():
    before = correlation("before", "temporal_ordered", "b a", expression("a and not b"), span=60)
    bench = Bench(rules(before))
    bench.sources(1, since=0)
    bench.match(match("a", 50))
    bench.match(match("a", 200))
    bench.sources(900)
    assert [(one.time_us // 1_000_000, one.marks) for one in bench.firings] == [(50, ("cold_start",)), (200, ())]


def test_where_a_topic_is_read_from_its_beginning_the_first_event_is_the_start():
    before = correlation("before", "temporal_ordered", "b a", expression("a and not b"), span=60)
    bench = Bench(rules(before))
    bench.sources(10)
    bench.match(match("a", 50))
    bench.match(match("a", 200))
    bench.sources(900)
    assert [one.marks for one in bench.firings] == [("cold_start",), ()]


# -- first_seen ---------------------------------------------------------------------------------------------------


def test_a_rule_that_learns_begins_where_its_first_match_came_on_any_partition():
    bench = Bench(rules(LEARNS))
    bench.sources(0, beginnings=((meaning_of(LEARNS), "prod", at(1)),))
    bench.match(match("a", 150, v="x"))
    bench.sources(900)
    assert bench.told() == [("learns", 150)], "another partition had a match at 1"


def test_the_beginnings_of_higher_ranks_are_told_by_who_derives():
    rule = correlation("learns", "value_count", "shown", count("gte", 1, "user"), first_seen=True, learn=100,
                       span=1_000, rank=2, by=("user",))  # fmt: skip
    chain = rules(correlation("shown", "event_count", "a", count("gte", 1), exports=("user",)), rule)
    bench = Bench(chain, partitions=2)
    bench.sources(0)
    bench.match(match("a", 1, user="first"))
    bench.deliver()
    owner = partition_for("shown", ('"prod"', '"first"'), 2)
    user = next(
        f"u{n}"
        for n in range(99)
        if partition_for("learns", ('"prod"', f'"u{n}"'), 2) != partition_for("learns", ('"prod"', '"first"'), 2)
    )
    bench.match(match("a", 150, user=user))
    bench.deliver()
    bench.told()
    bench.sources(900)
    told = bench.ranks(owner)
    assert told[owner].beginnings == ((meaning_of(rule), "prod", at(1)),)
    bench.ranks()
    assert bench.told() == [("learns", 150)]


# -- alerting detections, notices, limits -------------------------------------------------------------------------


def test_an_alerting_detection_alerts_once_per_event_however_late():
    bench = Bench(rules(detection("a", alerts=True)))
    bench.sources(100_000)
    bench.match(match("a", 1))
    bench.match(match("a", 1))
    assert [one.firing.rule for one in bench.alerts] == ["a"]
    assert bench.cores[0].counters.alerts["a"] == 1


def test_an_alerting_detection_tells_what_other_rules_mean_by_its_name():
    """While rules are rolled out a changed detection must not fall between the old and the new."""
    old = rules(detection("a", alerts=True))
    changed = RuleSet((replace(old.detections[0], meta=meta("a", "another meaning")),))
    bench = Bench(old)
    bench.match(match("a", 1), changed)
    assert len(bench.alerts) == 1


def test_a_notice_told_twice_is_told_once_also_after_a_takeover():
    bench = Bench(rules(ABSENT))
    notice = NoticeTold(Notice("dead-letters", None, 5, "many"))
    bench.write(notice)
    bench.write(notice)
    stored = entries(bench, {})
    bench.cores[0] = bench.core(0, bench.rules)
    bench.cores[0].restore(stored)
    bench.write(notice)
    assert bench.notices == [notice.notice]


def test_keys_left_out_are_said_once_and_not_once_per_key():
    bench = Bench(rules(correlation("many", "event_count", "a", count("gte", 9))))
    bench.match(match("a", 1, user=[f"u{number}" for number in range(20)]))
    assert [(one.kind, one.rule) for one in bench.notices] == [("state-pressure", "many")]
    assert bench.notices[0].detail.startswith("4 keys")
    assert bench.cores[0].counters.correlation.key_overflow["many"] == 4


def test_what_finds_no_room_is_said():
    limits = CorrelateLimits(entries_per_key=2)
    bench = Bench(rules(correlation("many", "event_count", "a", count("gte", 9))), limits=limits)
    for second in range(4):
        bench.match(match("a", second))
    assert [one.kind for one in bench.notices] == ["state-pressure"]


# -- resends ------------------------------------------------------------------------------------------------------


def test_matches_sent_again_change_nothing_and_are_counted():
    bench = Bench(rules(correlation("two", "event_count", "a", count("gte", 2))))
    bench.match(match("a", 1, "x"), offset=5)
    bench.match(match("a", 2, "y"), offset=6)
    assert bench.told() == [("two", 2)]
    bench.match(match("a", 1, "x"), offset=5)
    bench.match(match("a", 2, "y"), offset=6)
    assert bench.told() == []
    assert bench.cores[0].counters.resent == 2


def test_a_rebuild_may_say_what_was_said_before_in_its_own_lane():
    bench = Bench(rules(correlation("two", "event_count", "a", count("gte", 2))))
    bench.match(match("a", 2, "y"), offset=6)
    bench.match(match("a", 1, "x"), offset=5, lane="rebuild")
    assert bench.told() == [("two", 2)]
