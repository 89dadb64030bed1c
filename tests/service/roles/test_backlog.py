"""What is read and not decided: positions never pass an open alert, and bytes are counted to nothing again."""

from __future__ import annotations

import random

from streamer.model import Document
from streamer.service.roles.backlog import Backlog, Entry


def entry_of(backlog: Backlog, partition: int, offset: int, index: str = "a", size: int = 10) -> Entry:
    lane = backlog.lane(partition)
    assert lane is not None
    body = b"x" * size
    document = Document(id=f"{partition}-{offset}", index=index, key=b"", body=body, headers=(), time_us=0)
    entry = Entry(lane, offset, document, body, append_us=offset, arrived_s=float(offset))
    backlog.add(entry)
    return entry


def filled(*offsets: int, partition: int = 0) -> tuple[Backlog, list[Entry]]:
    backlog = Backlog()
    backlog.assign([partition])
    return backlog, [entry_of(backlog, partition, offset) for offset in offsets]


def take(backlog: Backlog, documents: int = 100, most_bytes: int = 10**9) -> list[int]:
    return [entry.offset for entry in backlog.take(documents=documents, most_bytes=most_bytes)]


def test_a_position_moves_over_decided_alerts_only():
    backlog, (first, second, third) = filled(4, 6, 9)
    backlog.decide(second)
    assert backlog.positions() == {}
    backlog.decide(first)
    assert backlog.positions() == {0: 7}
    backlog.committed({0: 7})
    assert backlog.positions() == {}
    backlog.decide(third)
    assert backlog.positions() == {0: 10}


def test_what_was_sent_in_vain_goes_again_before_everything_else():
    backlog, _ = filled(0, 1, 2, 3)
    batch = backlog.take(documents=2, most_bytes=10**9)
    backlog.give_back(batch)
    assert take(backlog) == [0, 1, 2, 3]


def test_a_batch_is_bounded_in_number_and_bytes_and_one_too_large_goes_alone():
    backlog = Backlog()
    backlog.assign([0])
    for offset, size in enumerate([100, 100, 5_000, 100]):
        entry_of(backlog, 0, offset, size=size)
    assert take(backlog, documents=1) == [0]
    assert take(backlog, most_bytes=2_000) == [1]
    assert take(backlog, most_bytes=2_000) == [2]
    assert take(backlog, most_bytes=2_000) == [3]


def test_a_batch_waits_for_others_until_it_is_full_or_has_lingered():
    backlog, _ = filled(0, 1)
    assert backlog.due_s(0.25, 1.0, documents=3, most_bytes=10**9) == 0.75
    assert backlog.due_s(1.5, 1.0, documents=3, most_bytes=10**9) == 0.0
    assert backlog.due_s(0.25, 1.0, documents=2, most_bytes=10**9) == 0.0
    assert backlog.due_s(0.25, 1.0, documents=3, most_bytes=600) == 0.0
    take(backlog)
    assert backlog.due_s(9.0, 1.0, documents=3, most_bytes=10**9) is None


def test_alerts_for_a_parked_index_wait_and_others_pass_them():
    backlog = Backlog()
    backlog.assign([0])
    for offset, index in enumerate("abab"):
        entry_of(backlog, 0, offset, index)
    refused = backlog.take(documents=1, most_bytes=10**9)
    backlog.park("a", refused)
    entry_of(backlog, 0, 4, "a")
    assert take(backlog) == [1, 3]
    assert [entry.offset for entry in backlog.probe("a")] == [0]
    backlog.unpark("a")
    assert take(backlog) == [2, 4]


def test_a_partition_that_goes_takes_its_alerts_with_it_and_decides_nothing_any_more():
    backlog, (open_,) = filled(0)
    backlog.assign([1])
    kept = entry_of(backlog, 1, 5)
    backlog.park("b", [entry_of(backlog, 0, 1, "b")])
    backlog.revoke([0])
    assert (backlog.parked, backlog.partitions, take(backlog)) == ({}, {1}, [5])
    backlog.assign([0])
    backlog.decide(open_)
    backlog.give_back([open_])
    assert (backlog.positions(), take(backlog), backlog.oldest_us()) == ({}, [], 5)
    backlog.decide(kept)
    assert backlog.bytes == 0


def test_whatever_happens_no_position_passes_an_open_alert_and_the_bytes_end_at_zero():
    dice = random.Random(11)
    for _ in range(200):
        backlog = Backlog()
        backlog.assign([0, 1])
        open_ = {0: set(), 1: set()}
        in_flight: list[Entry] = []
        for offset in range(40):
            partition = dice.choice([0, 1])
            entry_of(backlog, partition, offset, dice.choice("ab"), size=dice.randrange(100))
            open_[partition].add(offset)
            if dice.random() < 0.5:
                in_flight += backlog.take(documents=dice.randrange(1, 5), most_bytes=10**9)
            dice.shuffle(in_flight)
            while in_flight and dice.random() < 0.6:
                entry = in_flight.pop()
                end = dice.random()
                if end < 0.6:
                    backlog.decide(entry)
                    open_[entry.lane.partition].discard(entry.offset)
                elif end < 0.8:
                    backlog.give_back([entry])
                else:
                    assert entry.document is not None
                    backlog.park(entry.document.index, [entry])
            for number, position in backlog.positions().items():
                assert all(position <= offset for offset in open_[number])
        for index in "ab":
            backlog.unpark(index)
        in_flight += backlog.take(documents=1000, most_bytes=10**9)
        for entry in in_flight:
            backlog.decide(entry)
        assert (backlog.bytes, backlog.open) == (0, 0)
