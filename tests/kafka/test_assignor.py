"""Dealing partitions: everybody the same number, and as few moving as that allows."""

from __future__ import annotations

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streamer.kafka.assignor import KeepingAssignor, deal


def parts(*numbers: int) -> list[TopicPartition]:
    return [TopicPartition("detections", number) for number in numbers]


ALL = parts(*range(24))


def test_one_who_joins_takes_its_share_and_nothing_else_moves():
    before = deal(ALL, {"a": [], "b": [], "c": []})
    after = deal(ALL, before | {"d": []})
    assert [len(after[name]) for name in "abcd"] == [6, 6, 6, 6]
    assert all(set(after[name]) <= set(before[name]) for name in "abc")


def test_what_one_who_left_had_is_shared_and_nothing_else_moves():
    before = deal(ALL, {"a": [], "b": [], "c": [], "d": []})
    after = deal(ALL, {name: before[name] for name in "abd"})
    assert [len(after[name]) for name in "abd"] == [8, 8, 8]
    assert all(set(before[name]) <= set(after[name]) for name in "abd")


def test_nothing_moves_when_nobody_came_or_left():
    before = deal(ALL[:23], {"a": [], "b": []})
    assert deal(ALL[:23], before) == before


def test_two_who_claim_the_same_are_separated():
    dealt = deal(parts(0, 1), {"a": parts(0, 1), "b": parts(0, 1)})
    assert sorted(dealt["a"] + dealt["b"]) == parts(0, 1)
    assert len(dealt["a"]) == 1


def test_what_no_longer_exists_is_forgotten():
    assert deal(parts(0), {"a": [*parts(5, 0), TopicPartition("gone", 1)]}) == {"a": parts(0)}


def test_more_members_than_partitions_leave_some_with_none():
    dealt = deal(parts(0, 1), {"a": [], "b": [], "c": []})
    assert sorted(len(each) for each in dealt.values()) == [0, 1, 1]


@given(
    st.integers(0, 30),
    st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.lists(st.integers(0, 40)), min_size=1, max_size=6),
)
def test_every_partition_is_dealt_once_and_evenly_whatever_members_claim(count, claims):
    dealt = deal(parts(*range(count)), {name: parts(*numbers) for name, numbers in claims.items()})
    assert set(dealt) == set(claims)
    assert sorted(tp for each in dealt.values() for tp in each) == parts(*range(count))
    sizes = [len(each) for each in dealt.values()]
    assert max(sizes) - min(sizes) <= 1


class Cluster:
    @staticmethod
    def partitions_for_topic(topic: str) -> set[int] | None:
        return {"raw": {0, 1, 2}, "other": {0}}.get(topic)


def test_members_tell_what_they_have_and_the_leader_reads_it():
    assignors = {name: KeepingAssignor() for name in "ab"}
    members = {name: each.metadata({"raw", "other", "missing"}) for name, each in assignors.items()}
    first = assignors["a"].assign(Cluster, members)
    for name, each in assignors.items():
        each.on_assignment(first[name])
    members = {name: each.metadata({"raw", "other"}) for name, each in assignors.items()}
    again = assignors["b"].assign(Cluster, members)
    assert [again[name].partitions() for name in "ab"] == [first[name].partitions() for name in "ab"]
    assert sorted(tp for each in first.values() for tp in each.partitions()) == [
        ("other", 0),
        ("raw", 0),
        ("raw", 1),
        ("raw", 2),
    ]


def test_a_member_that_says_nothing_readable_has_nothing():
    assignor = KeepingAssignor()
    member = assignor.metadata(["raw"])
    for junk in (b"", b"junk", b"5", b'{"a": 1}', b'[["raw"]]', None):
        member.user_data = junk
        assert len(assignor.assign(Cluster, {"a": member})["a"].partitions()) == 3


def test_nobody_is_given_partitions_of_a_topic_it_did_not_ask_for():
    assignor = KeepingAssignor()
    members = {"a": assignor.metadata(["raw"]), "b": assignor.metadata(["raw", "other"])}
    dealt = assignor.assign(Cluster, members)
    given = {name: [TopicPartition(*tp) for tp in dealt[name].partitions()] for name in "ab"}
    assert {tp.topic for tp in given["a"]} == {"raw"}
    assert TopicPartition("other", 0) in given["b"]
    assert sorted(given["a"] + given["b"]) == [TopicPartition("other", 0), *parts_of_raw()]


def parts_of_raw() -> list[TopicPartition]:
    return [TopicPartition("raw", number) for number in range(3)]
