"""Taking a partition over, on a real Kafka: what the predecessor committed is found, all of it and nothing else."""

from __future__ import annotations

import asyncio
import random

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streamer.errors import LedgerLost, ServerError, StateError
from streamer.kafka import KafkaConnection
from streamer.kafka.ledger import POINTS, KafkaLedger
from streamer.kafka.ledger.entries import BARRIER, PROGRESS, barrier, progress
from streamer.kafka.ledger.restore import Barrier, ChangelogReader
from tests.kafka.ledger.conftest import Gate, Installation, lost
from tests.servers.kafka import KafkaServer
from tests.servers.topics import delete_topic, drop_records, make_topic, read_committed


def unheard(_read: int, _end: int) -> None:
    """Nobody wants to know how far restoring is."""


async def write_plainly(installation: Installation, *records: tuple[bytes, bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=installation.address)
    await producer.start()
    for key, value in records:
        await producer.send_and_wait(installation.changelog, value, key, partition=0)
    await producer.stop()


async def commit_group_offset(installation: Installation, offset: int) -> None:
    tp = TopicPartition(installation.detections, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=installation.address, group_id=f"{installation.prefix}correlate", enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign([tp])
    await consumer.commit({tp: offset})
    await consumer.stop()


async def test_a_partition_that_nobody_owned_has_no_position_and_no_state(installation):
    _, restored = await installation.owner()
    assert restored.position is None
    assert restored.entries == {}


async def test_the_last_value_of_every_key_comes_back_and_deleted_keys_do_not(installation):
    ledger, _ = await installation.owner()
    await ledger.commit(10, {b"a": b"1", b"b": b"1", b"c": b"1"}, [])
    await ledger.commit(20, {b"a": b"2", b"b": None, b"": b"a key may be empty"}, [])
    await ledger.commit(30, {b"b": b"3", b"c": None, b"never": None}, [])
    await ledger.close()
    _, restored = await installation.owner()
    assert restored.entries == {b"a": b"2", b"b": b"3", b"": b"a key may be empty"}
    assert restored.position == 30


async def test_partitions_share_nothing(installation):
    first, _ = await installation.owner(0)
    second, _ = await installation.owner(1)
    await first.commit(1, {b"k": b"first"}, [])
    await second.commit(2, {b"k": b"second"}, [])
    _, one = await installation.owner(0)
    _, two = await installation.owner(1)
    assert (one.entries, one.position) == ({b"k": b"first"}, 1)
    assert (two.entries, two.position) == ({b"k": b"second"}, 2)


async def test_points_are_passed_in_their_order(installation):
    gate = Gate("none")
    ledger, _ = await installation.owner(points=gate)
    await ledger.commit(1, {b"k": b"v"}, [])
    assert tuple(gate.passed) == POINTS


async def test_restoring_a_long_log_is_told_while_it_goes_on(installation):
    ledger, _ = await installation.owner()
    noise = random.Random(7)
    for step in range(12):
        await ledger.commit(step, {b"%d-%d" % (step, n): noise.randbytes(20_000) for n in range(100)}, [])
    told: list[tuple[int, int]] = []
    restored = await installation.ledger().take_over(lambda read, end: told.append((read, end)))
    assert len(restored.entries) == 1200
    assert len(told) >= 4
    assert told == sorted(told)
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] > 1200


async def test_an_open_transaction_of_the_predecessor_is_ended_and_not_read(installation):
    predecessor = AIOKafkaProducer(
        bootstrap_servers=installation.address, transactional_id=f"{installation.prefix}correlate.0"
    )
    await predecessor.start()
    try:
        await predecessor.begin_transaction()
        await predecessor.send_and_wait(installation.changelog, b"1", b"half", partition=0)
        _, restored = await installation.owner()
    finally:
        await predecessor.stop()
    assert restored.entries == {}


async def test_the_position_comes_from_the_changelog_and_never_from_the_group(installation):
    ledger, _ = await installation.owner()
    await ledger.commit(5, {}, [])
    for offset in (3, 99):
        await commit_group_offset(installation, offset)
        _, restored = await installation.owner()
        assert restored.position == 5


async def test_an_empty_changelog_whose_group_has_read_is_refused(installation):
    await commit_group_offset(installation, 42)
    with pytest.raises(StateError, match="state is gone") as refused:
        await installation.owner()
    assert refused.value.hint is not None
    assert f"delete the topic {installation.changelog}" in refused.value.hint
    _, other = await installation.owner(1)
    assert other.position is None


async def test_a_changelog_made_anew_under_a_running_installation_is_refused(installation):
    ledger, _ = await installation.owner()
    await ledger.commit(5, {b"k": b"v"}, [])
    await commit_group_offset(installation, 5)
    await ledger.close()
    await delete_topic(installation.address, installation.changelog)
    async with asyncio.timeout(20):
        while True:
            try:
                await make_topic(installation.address, installation.changelog, 2, cleanup_policy="compact")
            except AssertionError:
                await asyncio.sleep(0.2)  # still being deleted
            else:
                break
    with pytest.raises(StateError, match="state is gone"):
        await installation.owner()


async def test_state_without_a_position_is_refused(installation):
    await write_plainly(installation, (b"k", b"v"))
    with pytest.raises(StateError, match="holds state but no position"):
        await installation.owner()


async def test_a_log_that_was_cut_is_refused(kafka_address, unique):
    cut = Installation(kafka_address, f"{unique}.")
    await cut.make_topics(cleanup_policy="compact,delete")  # a broker refuses to cut what is compacted only
    ledger, _ = await cut.owner()
    await ledger.commit(1, {b"old": b"v"}, [])
    await ledger.commit(2, {b"new": b"v"}, [])
    await ledger.close()
    await drop_records(kafka_address, cut.changelog, {0: 4})
    with pytest.raises(StateError, match=r"no longer holds what stood before offset 4: state is missing"):
        await cut.owner()
    await cut.close()


async def test_a_progress_of_a_newer_streamer_is_refused(installation):
    await write_plainly(installation, (b"k", b"v"), (PROGRESS, b'{"schema":9,"position":1,"more":[]}'))
    with pytest.raises(StateError, match="newer streamer"):
        await installation.owner()


async def test_records_of_others_without_a_key_or_with_junk_do_no_harm(installation):
    await write_plainly(installation, (BARRIER, b"junk"), (PROGRESS, progress(4)), (b"k", b"v"))
    _, restored = await installation.owner()
    assert (restored.entries, restored.position) == ({b"k": b"v"}, 4)


async def test_whoever_takes_over_last_has_it_although_both_have_read_everything(installation):
    gate = Gate("takeover-after-barrier")
    slow = installation.ledger(points=gate)
    taking = asyncio.create_task(slow.take_over(unheard))
    await gate.reached.wait()
    quick, _ = await installation.owner()
    await quick.commit(1, {}, [installation.alert(b"quick")])
    gate.opened.set()
    await asyncio.gather(taking, return_exceptions=True)
    assert (await lost(slow.commit(1, {}, [installation.alert(b"slow")]))).fenced or taking.exception() is not None
    await quick.commit(2, {}, [installation.alert(b"quick again")])
    assert await installation.told() == [b"quick", b"quick again"]


async def test_another_token_where_ones_own_was_written_means_that_somebody_took_over(installation):
    await write_plainly(installation, (b"k", b"v"), (BARRIER, barrier("theirs")))
    reader = ChangelogReader(KafkaConnection(installation.address), installation.prefix, 0)
    with pytest.raises(LedgerLost, match="took over") as refused:
        await reader.read(Barrier("mine", 1), unheard)
    assert refused.value.fenced


async def test_a_token_that_a_newer_one_made_compaction_drop_means_that_somebody_took_over(installation):
    first, _ = await installation.owner()
    second, _ = await installation.owner()
    await second.commit(1, {}, [])
    offsets = [record.offset for record in await read_committed(installation.address, installation.changelog)]
    (hole,) = set(range(offsets[0], offsets[1])) - set(offsets)  # a marker: no reader ever sees a record there
    reader = ChangelogReader(KafkaConnection(installation.address), installation.prefix, 0)
    with pytest.raises(LedgerLost, match="took over") as refused:
        await reader.read(Barrier("mine", hole), unheard)
    assert refused.value.fenced
    await first.close()


async def test_a_compacted_log_is_restored_as_it_was(kafka_address, unique):
    compacted = Installation(kafka_address, f"{unique}.")
    quickly = {"segment_bytes": "1048576", "min_cleanable_dirty_ratio": "0.01", "delete_retention_ms": "0"}
    await compacted.make_topics(**quickly, max_compaction_lag_ms="1000")
    ledger, _ = await compacted.owner()
    noise = random.Random(3)
    state: dict[bytes, bytes] = {}
    written = 1
    for step in range(16):
        changes = {b"%d" % noise.randrange(40): noise.randbytes(10_000) for _ in range(20)}
        gone = {b"%d" % noise.randrange(40): None for _ in range(3)}
        await ledger.commit(step, changes | gone, [])
        state = {key: value for key, value in (state | changes).items() if key not in gone}
        written += len(changes | gone) + 1
    async with asyncio.timeout(60):
        while len(await read_committed(kafka_address, compacted.changelog)) > written * 0.6:
            pass  # the cleaner comes around every second
    _, restored = await compacted.owner()
    assert restored.entries == state
    assert restored.position == 15
    await compacted.close()


async def test_nobody_listening_is_a_retriable_sentence():
    ledger = KafkaLedger(KafkaConnection("127.0.0.1:1"), prefix="x.", partition=0)
    with pytest.raises(ServerError, match="does not answer") as refused:
        await ledger.take_over(unheard)
    assert refused.value.retriable
    await ledger.close()


async def test_a_broker_that_freezes_during_a_takeover_is_said_within_seconds(kafka_server: KafkaServer, unique):
    frozen = Installation(kafka_server.address, f"{unique}.")
    await frozen.make_topics()
    gate = Gate("takeover-after-barrier")
    taking = asyncio.create_task(frozen.ledger(points=gate, timeout_s=2).take_over(unheard))
    await gate.reached.wait()
    kafka_server.freeze()
    gate.opened.set()
    async with asyncio.timeout(25):
        with pytest.raises(ServerError):
            await taking
    kafka_server.thaw()
    await frozen.owner()
    await frozen.close()
