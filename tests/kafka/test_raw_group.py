"""The shared reader of raw topics on a real Kafka: every record at least once, whoever reads it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.group import LeaveGroupRequest

from streamer.errors import ServerError
from streamer.kafka import KafkaConnection, ReadLimits
from streamer.kafka.offsets import committed_offsets
from tests.kafka.members import QUICK, member
from tests.servers.kafka import KafkaServer
from tests.servers.topics import administration, delete_topic, drop_records, grow_topic, make_topic, produce


async def test_a_new_group_reads_every_record_of_every_topic_from_the_beginning(kafka_address, unique):
    other = f"{unique}.other"
    await make_topic(kafka_address, unique, 3)
    await make_topic(kafka_address, other, 1)
    for number in range(3):
        await produce(kafka_address, unique, [b"%d-%d" % (number, index) for index in range(50)], partition=number)
    await produce(kafka_address, other, [b"other"])
    async with member(kafka_address, unique, other) as one:
        assert sorted(await one.read_all()) == sorted(
            [b"%d-%d" % (number, index) for number in range(3) for index in range(50)] + [b"other"]
        )
        assert one.reader.partition_counts() == {unique: 3, other: 1}
        assert one.reader.partitions() == one.owned == {(unique, 0), (unique, 1), (unique, 2), (other, 0)}
        assert one.reader.take_gaps() == ()
    offsets = [record.position.offset for record in one.records if record.position.source == other]
    assert offsets == [0]


async def test_a_beginning_that_expired_before_anybody_read_is_no_gap(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
    await drop_records(kafka_address, unique, {0: 7})
    async with member(kafka_address, unique) as one:
        assert await one.read_all() == [b"7", b"8", b"9"]
        assert one.reader.take_gaps() == ()


async def test_reading_goes_on_at_what_was_committed_and_the_note_is_there(kafka_address, unique):
    await make_topic(kafka_address, unique, 2)
    for number in range(2):
        await produce(kafka_address, unique, [b"%d" % index for index in range(5)], partition=number)
    async with member(kafka_address, unique) as one:
        await one.read_all()
        assert one.reader.note_of((unique, 0)) == ""
        await one.reader.commit({(unique, 0): 3, (unique, 1): 5}, {(unique, 0): "clock 17 µs"})
    async with member(kafka_address, unique) as one:
        assert await one.read_all() == [b"3", b"4"]
        assert one.reader.note_of((unique, 0)) == "clock 17 µs"
        assert one.reader.note_of((unique, 1)) == ""
        await one.reader.commit({(unique, 0): 5}, "for all")
    found = await committed_offsets(
        KafkaConnection(kafka_address), f"{unique}.detect", [TopicPartition(unique, number) for number in range(2)]
    )
    assert [(found[tp].offset, found[tp].note) for tp in sorted(found)] == [(5, "for all"), (5, "")]


async def test_the_largest_note_a_broker_takes_is_taken_and_a_larger_one_is_refused(kafka_address, unique):
    await make_topic(kafka_address, unique)
    async with member(kafka_address, unique) as one:
        await one.read_all()
        await one.reader.commit({(unique, 0): 0}, "x" * 4096)
        with pytest.raises(ServerError):
            await one.reader.commit({(unique, 0): 0}, "x" * 4097)


async def test_rewinding_hands_over_again_what_was_not_committed(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(40)])
    async with member(kafka_address, unique, limits=ReadLimits(records=8, silence_s=3)) as one:
        await one.poll_until(lambda: len(one.records) >= 16)
        await one.reader.commit({(unique, 0): 10})
        one.reader.rewind()
        one.records.clear()
        assert await one.read_all() == [b"%d" % index for index in range(10, 40)]
        assert one.told == ["assigned"]
        assert one.reader.position((unique, 0)) == 40
        assert one.reader.lag((unique, 0)) == 0


async def test_a_committed_position_that_expired_is_a_gap_that_says_how_many_were_lost(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
    async with member(kafka_address, unique) as one:
        await one.read_all()
        await one.reader.commit({(unique, 0): 2})
    await drop_records(kafka_address, unique, {0: 6})
    async with member(kafka_address, unique) as one:
        assert await one.read_all() == [b"6", b"7", b"8", b"9"]
        (gap,) = one.reader.take_gaps()
        assert one.reader.take_gaps() == ()
    assert (gap.partition, gap.wanted, gap.found, gap.recreated) == ((unique, 0), 2, 6, False)


async def test_records_that_expire_while_reading_are_a_gap_too(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
    async with member(kafka_address, unique) as one:
        await one.read_all()
        tp = TopicPartition(unique, 0)
        one.reader._reader._next[tp] = 3  # as if it had been slow
        await drop_records(kafka_address, unique, {0: 8})
        one.reader._reader._member.seek({tp: 3})
        one.records.clear()
        await one.poll_until(lambda: len(one.records) == 2)
        (gap,) = one.reader.take_gaps()
    assert (gap.wanted, gap.found, gap.recreated) == (3, 8, False)


async def test_a_topic_made_anew_is_a_gap_and_read_from_its_beginning(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(10)])
    async with member(kafka_address, unique) as one:
        await one.read_all()
        await one.reader.commit({(unique, 0): 10})
    async with member(kafka_address, unique) as one:
        await one.read_all()
        await one.reader.commit({(unique, 0): 500}, "about 500")  # as a topic with fewer records would see it
        await produce(kafka_address, unique, [b"new"])
    async with member(kafka_address, unique) as one:
        assert len(await one.read_all()) == 11
        (gap,) = one.reader.take_gaps()
        assert one.reader.note_of((unique, 0)) == ""
    assert gap.recreated


async def test_two_members_share_and_a_rearrangement_loses_nothing(kafka_address, unique):
    await make_topic(kafka_address, unique, 4)
    seen: set[bytes] = set()
    sent = 0
    async with member(kafka_address, unique, session_s=3) as one:
        await one.poll_until(lambda: len(one.owned) == 4)
        async with member(kafka_address, unique, session_s=3) as two:
            async with asyncio.timeout(30):
                while not (len(one.owned) == len(two.owned) == 2 and len(seen) == sent >= 200):
                    if sent < 200:
                        values = [b"%d" % number for number in range(sent, sent + 10)]
                        await produce(kafka_address, unique, values)
                        sent += 10
                    for each in (one, two):
                        await each.poll()
                        seen |= {record.value for record in each.records}
            assert one.owned | two.owned == {(unique, number) for number in range(4)}
            assert not one.owned & two.owned
        assert one.told[:3] == ["assigned", "revoked", "assigned"]
        one.records.clear()
        await one.poll_until(lambda: len(one.owned) == 4)
        assert len(await one.read_all()) == 200  # nothing was committed


async def test_a_member_that_was_put_out_cannot_commit_and_comes_back(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % index for index in range(5)])
    async with member(kafka_address, unique) as one:
        await one.read_all()
        coordinator = one.reader._reader._member.consumer._coordinator
        async with administration(kafka_address) as admin:
            assert await _put_out(admin, group=f"{unique}.detect", member=coordinator.member_id)
        with pytest.raises(ServerError, match="somebody else's by now") as refused:
            await one.reader.commit({(unique, 0): 5})
        assert refused.value.retriable
        await one.poll_until(lambda: one.told == ["assigned", "revoked", "assigned"])
        assert await one.read_all() == [b"%d" % index for index in range(5)]
        await one.reader.commit({(unique, 0): 5})


async def _put_out(admin: Any, *, group: str, member: str) -> bool:
    """What the broker does to a member that has been silent for too long."""
    coordinator = await admin.find_coordinator(group)
    answer = await admin._send_request(LeaveGroupRequest(group, member), coordinator)
    return answer.error_code == 0


async def test_new_partitions_are_noticed_and_read_from_their_beginning(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"old"])
    async with member(kafka_address, unique, session_s=3) as one:
        await one.read_all()
        await one.reader.commit({(unique, 0): 1})
        await grow_topic(kafka_address, unique, 3)
        await produce(kafka_address, unique, [b"new"], partition=2)
        await one.poll_until(lambda: len(one.owned) == 3)
        assert await one.read_all() == [b"new"]
        assert one.reader.partition_counts() == {unique: 3}


async def test_a_batch_is_bounded_in_number_and_bytes(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"x" * 1000] * 20)
    async with member(kafka_address, unique, limits=ReadLimits(records=10, bytes=3000, silence_s=3)) as one:
        sizes: list[int] = []
        async with asyncio.timeout(20):
            while sum(sizes) < 20:
                await one.poll()
                sizes.append(len(one.batch.records))
        assert max(sizes) == 3
        assert one.batch.positions == {(unique, 0): 20}


async def test_a_member_with_nothing_to_read_waits_without_a_complaint(kafka_address, unique):
    await make_topic(kafka_address, unique)
    limits = ReadLimits(silence_s=0.5)
    async with member(kafka_address, unique, limits=QUICK) as one:
        await one.poll_until(lambda: one.owned)
        async with member(kafka_address, unique, limits=limits) as two:
            async with asyncio.timeout(30):
                while "assigned" not in two.told:
                    await asyncio.gather(one.poll(), two.poll())
            idle = two if not two.owned else one
            for _ in range(12):
                await asyncio.gather(one.poll(), two.poll())
            assert idle.owned == frozenset()


async def test_a_topic_that_is_missing_is_a_sentence(kafka_address, unique):
    with pytest.raises(ServerError, match=f"no topic {unique}"):
        async with member(kafka_address, unique):
            pass


async def test_nobody_listening_is_a_retriable_sentence():
    with pytest.raises(ServerError, match=r"Kafka at 127\.0\.0\.1:1 does not answer") as refused:
        async with member("127.0.0.1:1", "raw"):
            pass
    assert refused.value.retriable


async def test_a_deleted_topic_is_said_after_a_while(kafka_address, unique):
    await make_topic(kafka_address, unique)
    async with member(kafka_address, unique) as one:
        await one.read_all()
        await delete_topic(kafka_address, unique)
        with pytest.raises(ServerError, match=f"no topic {unique}"):
            await one.poll_until(lambda: False)


async def test_a_killed_broker_is_said_and_reading_goes_on_without_a_loss(kafka_server: KafkaServer, unique):
    await make_topic(kafka_server.address, unique)
    await produce(kafka_server.address, unique, [b"before"])
    async with member(kafka_server.address, unique, session_s=3, timeout_s=5) as one:
        assert await one.read_all() == [b"before"]
        kafka_server.kill()
        with pytest.raises(ServerError) as away:
            await one.poll_until(lambda: False)
        assert away.value.retriable
        kafka_server.start()
        await produce(kafka_server.address, unique, [b"after"])
        async with asyncio.timeout(40):
            while b"after" not in {record.value for record in one.records}:
                try:
                    await one.poll()
                except ServerError:
                    await asyncio.sleep(0.2)


async def test_a_reader_can_be_started_again(kafka_address, unique):
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"1"])
    async with member(kafka_address, unique) as one:
        assert await one.read_all() == [b"1"]
        await one.reader.stop()
        with pytest.raises(ServerError, match="has not been joined"):
            await one.reader.poll(0.1)
        one.owned, one.records = frozenset(), []
        await one.reader.start(one.assigned, one.revoked)
        assert await one.read_all() == [b"1"]
