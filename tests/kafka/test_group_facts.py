"""Facts about groups in the client library on a real Kafka that the product relies on, or guards against.

Each test states a fact; its docstring says what follows from it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition, errors
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest

from tests.kafka.facts import group_consumer, started, transactional, watch
from tests.servers.topics import make_topic, produce, read_committed


class Listener(ConsumerRebalanceListener):
    """Calls what a test wants to happen."""

    def __init__(
        self, assigned: Callable[[Any], Any] = lambda _tps: None, revoked: Callable[[Any], Any] = lambda _tps: None
    ) -> None:
        self.assigned = assigned
        self.revoked = revoked

    def on_partitions_assigned(self, assigned: Any) -> Any:
        return self.assigned(assigned)

    def on_partitions_revoked(self, revoked: Any) -> Any:
        return self.revoked(revoked)


async def getmany_until(consumer: Any, done: Callable[[], Any], within_s: float = 15) -> None:
    async with asyncio.timeout(within_s):
        while not done():
            await consumer.getmany(timeout_ms=100)


async def test_a_paused_partition_without_a_position_fails_too(kafka_address, unique):
    """So the callback pauses and seeks at once, anywhere; the real seek comes before the resume."""
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"v"])
    async with started(group_consumer(kafka_address, unique, auto_offset_reset="none")) as consumer:
        consumer.subscribe([unique], listener=Listener(lambda tps: consumer.pause(*tps)))
        with pytest.raises(errors.NoOffsetForPartitionError):
            await getmany_until(consumer, lambda: False, 10)

    def pause_and_seek(tps: Any) -> None:
        other.pause(*tps)
        for tp in tps:
            other.seek(tp, 0)

    async with started(group_consumer(kafka_address, f"{unique}.2", auto_offset_reset="none")) as other:
        other.subscribe([unique], listener=Listener(pause_and_seek))
        await getmany_until(other, other.assignment)
        for _ in range(8):
            assert await other.getmany(timeout_ms=100) == {}


async def test_records_flow_at_once_when_nobody_pauses(kafka_address, unique):
    """So everything that is assigned is paused in the callback, before its owner is ready."""
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"v"])
    finished = asyncio.Event()
    async with started(group_consumer(kafka_address, unique, auto_offset_reset="earliest")) as consumer:

        async def restore(_tps: Any) -> None:
            await asyncio.sleep(2)
            finished.set()

        consumer.subscribe([unique], listener=Listener(restore))
        record = await asyncio.wait_for(consumer.getone(), 10)
        assert record.value == b"v"
        assert not finished.is_set()


async def test_work_in_the_assignment_callback_puts_the_member_out_again_and_again(kafka_address, unique):
    """No heartbeats are sent while the callback runs: so takeovers are tasks."""
    await make_topic(kafka_address, unique)
    began: list[float] = []

    async def restore(_tps: Any) -> None:
        began.append(time.monotonic())
        await asyncio.sleep(2.5)

    options = {"session_timeout_ms": 1000, "heartbeat_interval_ms": 300, "auto_offset_reset": "earliest"}
    async with started(group_consumer(kafka_address, unique, **options)) as consumer:
        consumer.subscribe([unique], listener=Listener(restore))
        await getmany_until(consumer, lambda: len(began) >= 3)
        consumer.subscribe([unique])


async def test_work_in_a_task_after_the_callback_keeps_the_membership(kafka_address, unique):
    """The same work as above, where the product does it."""
    await make_topic(kafka_address, unique)
    began: list[Any] = []
    working: list[asyncio.Task[None]] = []

    def assigned(tps: Any) -> None:
        began.append(tps)
        consumer.pause(*tps)
        working.append(asyncio.ensure_future(asyncio.sleep(3)))

    options = {"session_timeout_ms": 1000, "heartbeat_interval_ms": 300, "auto_offset_reset": "earliest"}
    async with started(group_consumer(kafka_address, unique, **options)) as consumer:
        beats = watch(consumer._client, HeartbeatRequest)
        consumer.subscribe([unique], listener=Listener(assigned))
        await getmany_until(consumer, lambda: working and working[0].done())
        assert len(began) == 1
        assert len(beats) >= 5


async def test_what_the_callback_raises_is_only_logged(kafka_address, unique, caplog):
    """So a takeover that fails is told by its own task."""
    await make_topic(kafka_address, unique)
    called: list[Any] = []

    def fail(tps: Any) -> None:
        called.append(tps)
        raise RuntimeError("nobody hears this")

    async with started(group_consumer(kafka_address, unique, auto_offset_reset="earliest")) as consumer:
        consumer.subscribe([unique], listener=Listener(fail))
        await getmany_until(consumer, lambda: called)
        await consumer.getmany(timeout_ms=300)
    assert "failed on partition assignment" in caplog.text


async def test_waiting_for_records_outlasts_its_timeout_while_the_group_is_rearranged(kafka_address, unique):
    """So polling has a deadline of its own around the client's."""
    await make_topic(kafka_address, unique, 2)
    slow = asyncio.Event()

    async def take_leave(tps: Any) -> None:
        if tps:
            slow.set()
            await asyncio.sleep(2)

    first = group_consumer(kafka_address, unique, auto_offset_reset="earliest", heartbeat_interval_ms=200)
    async with started(first):
        first.subscribe([unique], listener=Listener(revoked=take_leave))
        await getmany_until(first, first.assignment)
        async with started(group_consumer(kafka_address, unique, auto_offset_reset="earliest")) as second:
            second.subscribe([unique])
            await slow.wait()
            begun = time.monotonic()
            await first.getmany(timeout_ms=100)
            assert time.monotonic() - begun > 1


async def test_records_of_a_fetch_that_was_under_way_are_delivered_after_a_seek(kafka_address, unique):
    """So records below the expected offset are dropped."""
    await make_topic(kafka_address, unique)
    await produce(kafka_address, unique, [b"%d" % number for number in range(10)])
    tp = TopicPartition(unique, 0)
    async with started(AIOKafkaConsumer(bootstrap_servers=kafka_address, auto_offset_reset="none")) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, 0)
        polling = asyncio.ensure_future(consumer.getmany(timeout_ms=5000))
        await asyncio.wait({polling}, timeout=6)
        consumer.seek(tp, 7)  # the owner is ready; whoever polled has not been scheduled yet
        assert [record.offset for record in (await polling)[tp]] == list(range(10))
        assert [record.offset for record in (await consumer.getmany(timeout_ms=5000))[tp]] == [7, 8, 9]


async def test_offsets_of_a_transactional_log_have_gaps(kafka_address, unique):
    """The markers of transactions count: so above the expected offset nothing is missing where one is skipped."""
    await make_topic(kafka_address, unique)
    async with started(transactional(kafka_address, unique)) as producer:
        for _ in range(3):
            await producer.begin_transaction()
            await producer.send_and_wait(unique, b"v", b"k")
            await producer.commit_transaction()
    assert [record.offset for record in await read_committed(kafka_address, unique)] == [0, 2, 4]


async def test_a_session_shorter_than_the_broker_allows_is_refused(kafka_address, unique):
    """The default lower bound is 6 s (``group.min.session.timeout.ms``); the broker of these tests allows 1 s."""
    await make_topic(kafka_address, unique)
    options = {"session_timeout_ms": 500, "heartbeat_interval_ms": 100, "auto_offset_reset": "earliest"}
    async with started(group_consumer(kafka_address, unique, **options)) as consumer:
        consumer.subscribe([unique])
        with pytest.raises(errors.InvalidSessionTimeoutError):
            await getmany_until(consumer, lambda: False, 10)


async def test_a_consumer_with_two_assignors_joins_once_with_each_list(kafka_address, unique):
    """So exactly one assignor is configured, the same in every version that may share a group."""
    await make_topic(kafka_address, unique)
    joins: list[int] = []
    for strategy in ((RoundRobinPartitionAssignor,), (RoundRobinPartitionAssignor, RangePartitionAssignor)):
        consumer = group_consumer(
            kafka_address, unique, auto_offset_reset="earliest", partition_assignment_strategy=strategy
        )
        async with started(consumer):
            seen = watch(consumer._client, JoinGroupRequest)
            consumer.subscribe([unique])
            await getmany_until(consumer, consumer.assignment)
            joins.append(len(seen))
    assert joins == [2, 3]  # the first one is always sent away, to come again with the id it was given


def test_the_sticky_assignor_keeps_what_it_knows_on_its_class():
    """So several consumers of one process would mix theirs: the product has an assignor of its own."""
    assert "member_assignment" in vars(StickyPartitionAssignor)
    assert isinstance(vars(StickyPartitionAssignor)["on_assignment"], classmethod)
