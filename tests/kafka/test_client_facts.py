"""What the client library does on a real broker, and what streamer does about it.

Every protection in :mod:`streamer.kafka` stands on one of these. When a new version of the client changes one, the test
here fails and names the protection that is no longer needed, or no longer enough. Nothing of the product runs here
except where it says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition, errors
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest
from aiokafka.protocol.transaction import EndTxnRequest

from streamer.kafka.complaints import let_go
from tests.servers.kafka import KafkaServer
from tests.servers.topics import delete_topic, make_topic, produce, read_committed

HOUR_MS = 3_600_000


def transactional(address: str, name: str, **options: Any) -> Any:
    return AIOKafkaProducer(bootstrap_servers=address, transactional_id=name, **options)


@asynccontextmanager
async def started(client: Any) -> AsyncIterator[Any]:
    await client.start()
    try:
        yield client
    finally:
        await let_go(client.stop(), (client.client if hasattr(client, "client") else client._client).close())


def watch(client: Any, kind: type, answer: Callable[[Any, int], Awaitable[Any]] | None = None) -> list[Any]:
    """Note every request of one kind; ``answer`` may replace the answer to the request of that number."""
    send, seen = client.send, []

    async def watched(node_id: int, request: Any, **options: Any) -> Any:
        if not isinstance(request, kind):
            return await send(node_id, request, **options)
        seen.append(request)
        number, got = len(seen), await send(node_id, request, **options)
        return await answer(got, number) if answer else got

    client.send = watched
    return seen


def group_consumer(address: str, group: str, **options: Any) -> Any:
    return AIOKafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False, **options)


# Sending and committing


async def too_large(producer: Any, topic: str) -> Any:
    return await producer.send(topic, bytes(range(256)) * 400, b"k", partition=0)


async def without_a_key(producer: Any, topic: str) -> Any:
    return await producer.send(topic, b"v", partition=0)


async def stamped_tomorrow(producer: Any, topic: str) -> Any:
    return await producer.send(topic, b"v", b"k", partition=0, timestamp_ms=time.time_ns() // 10**6 + 2 * HOUR_MS)


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (too_large, errors.MessageSizeTooLargeError),
        (without_a_key, errors.UnknownError),
        (stamped_tomorrow, errors.InvalidTimestampError),
    ],
)
async def test_a_commit_is_fine_although_a_send_failed_and_every_later_one_while_all_later_sends_fail(
    kafka_address, unique, refused, error
):
    """So every send is waited for before the commit, and after a failure there is a new producer, never an abort.

    A record stamped more than an hour ahead is refused: the event's own time is never the record's stamp. An invalid
    record (no key on a compacted topic) is an "unknown error" to the client: nobody can tell that it is the culprit.
    """
    await make_topic(kafka_address, unique, 2, cleanup_policy="compact", max_message_bytes="20000")
    async with started(transactional(kafka_address, unique)) as producer:
        await producer.begin_transaction()
        good = await producer.send(unique, b"good", b"k", partition=1)
        bad = await refused(producer, unique)
        await producer.commit_transaction()
        await good
        with pytest.raises(error):
            await bad
        await producer.begin_transaction()
        lost = await producer.send(unique, b"lost", b"k", partition=0)
        await producer.abort_transaction()
        for _ in range(2):
            await producer.begin_transaction()
            lost_too = await producer.send(unique, b"lost", b"k", partition=0)
            await producer.commit_transaction()
            with pytest.raises(errors.OutOfOrderSequenceNumber):
                await lost_too
        with pytest.raises(errors.OutOfOrderSequenceNumber):
            await lost
    assert [record.value for record in await read_committed(kafka_address, unique)] == [b"good"]


async def test_a_send_to_a_topic_that_was_deleted_meanwhile_does_not_come_back(kafka_address, unique):
    """The send is repeated without end: so every transaction has a deadline of its own."""
    await make_topic(kafka_address, unique)
    async with started(transactional(kafka_address, unique, request_timeout_ms=1000)) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(unique, b"v", b"k")
        await producer.commit_transaction()
        await delete_topic(kafka_address, unique)
        await asyncio.sleep(0.5)
        await producer.begin_transaction()
        sent = await producer.send(unique, b"v", b"k")
        done, _ = await asyncio.wait({sent}, timeout=3)
        assert not done


async def test_a_plain_idempotent_producer_is_broken_by_a_refused_record_too(kafka_address, unique):
    """So the outlet makes a new producer after any failure."""
    await make_topic(kafka_address, unique, max_message_bytes="20000")
    async with started(AIOKafkaProducer(bootstrap_servers=kafka_address, enable_idempotence=True)) as producer:
        await producer.send_and_wait(unique, b"v", b"k")
        with pytest.raises(errors.MessageSizeTooLargeError):
            await (await too_large(producer, unique))
        with pytest.raises(errors.OutOfOrderSequenceNumber):
            await producer.send_and_wait(unique, b"v", b"k")


async def test_a_message_larger_than_a_batch_is_refused_alone(kafka_address, unique):
    """So the culprit of a refused send can be named, as long as it is larger than a batch."""
    await make_topic(kafka_address, unique, max_message_bytes="20000")
    async with started(transactional(kafka_address, unique, max_batch_size=16_000)) as producer:
        await producer.begin_transaction()
        before = [await producer.send(unique, b"small", b"k") for _ in range(10)]
        large = await producer.send(unique, bytes(range(256)) * 100, b"k")
        done = await asyncio.gather(*before, large, return_exceptions=True)
        assert [type(each) for each in done if isinstance(each, Exception)] == [errors.MessageSizeTooLargeError]
        assert isinstance(done[-1], errors.MessageSizeTooLargeError)


# Being fenced


async def begin_only(_producer: Any, _topic: str) -> None:
    """Nothing was sent before the fence."""


async def send_first(producer: Any, topic: str) -> None:
    await producer.send_and_wait(topic, b"before", b"k")


@pytest.mark.parametrize("before", [begin_only, send_first])
async def test_a_fenced_producer_learns_it_in_different_ways(kafka_address, unique, before):
    """So the product takes every exception for the end of the producer.

    ``ProducerFenced`` comes from a send, ``IllegalOperation`` or ``AssertionError`` from the calls after it, and now
    and then an unknown error where the end of a transaction is refused.
    """
    await make_topic(kafka_address, unique)
    seen: list[type] = []

    async def note(call: Awaitable[Any]) -> None:
        try:
            await call
        except Exception as error:  # noqa: BLE001 (that is the question)
            seen.append(type(error))

    async with started(transactional(kafka_address, unique)) as older:
        await older.begin_transaction()
        await before(older, unique)
        async with started(transactional(kafka_address, unique)):
            if before is send_first:
                await note(older.commit_transaction())
            else:
                await note(older.send_and_wait(unique, b"after", b"k"))
            await asyncio.sleep(0.2)
            await note(older.send(unique, b"later", b"k"))
            await note(older.commit_transaction())
            await note(older.begin_transaction())
    assert len(seen) == 4
    assert set(seen) <= {errors.ProducerFenced, errors.IllegalOperation, AssertionError, errors.KafkaError}
    assert len(set(seen)) >= 2
    assert await read_committed(kafka_address, unique) == []


async def test_init_returns_only_when_the_predecessors_transaction_has_ended_for_every_reader(kafka_address, unique):
    """So what a takeover reads after it is all there is. The predecessor commits while the successor starts."""
    await make_topic(kafka_address, unique)
    for number in range(12):
        older = transactional(kafka_address, unique)
        await older.start()
        await older.begin_transaction()
        await older.send_and_wait(unique, b"%d" % number, b"k")
        committing = asyncio.ensure_future(older.commit_transaction())
        await asyncio.sleep(number * 0.0005)
        newer = transactional(kafka_address, unique)
        await newer.start()
        at_init = [record.value for record in await read_committed(kafka_address, unique)]
        await asyncio.wait({committing}, timeout=3)
        if not committing.done():
            committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
        await asyncio.sleep(0.05)
        assert [record.value for record in await read_committed(kafka_address, unique)] == at_init
        for each in (older, newer):
            await let_go(each.stop(), each.client.close())


async def test_an_open_transaction_holds_back_readers_until_a_successor_ends_it(kafka_address, unique):
    """So nothing is written to many partitions in one transaction, and a takeover begins with Init."""
    await make_topic(kafka_address, unique)
    async with started(transactional(kafka_address, unique)) as older:
        await older.begin_transaction()
        await older.send_and_wait(unique, b"open", b"k")
        await produce(kafka_address, unique, [b"behind"])
        reading = asyncio.ensure_future(read_committed(kafka_address, unique))
        consumer = AIOKafkaConsumer(
            unique, bootstrap_servers=kafka_address, isolation_level="read_committed", auto_offset_reset="earliest"
        )
        async with started(consumer):
            assert await consumer.getmany(timeout_ms=1500) == {}
            async with started(transactional(kafka_address, unique)):
                record = await asyncio.wait_for(consumer.getone(), 5)
                assert record.value == b"behind"
        await reading


# The end of a transaction


async def test_an_unanswered_end_of_a_transaction_is_sent_again_without_a_word(kafka_address, unique):
    """The repetition can reach the next transaction (KAFKA-17754): the product counts them by wrapping ``client.send``
    and makes a new producer before it begins another one."""
    await make_topic(kafka_address, unique)

    async def unanswered(got: Any, number: int) -> Any:
        if number == 1:
            raise errors.RequestTimedOutError
        return got

    async with started(transactional(kafka_address, unique)) as producer:
        ends = watch(producer.client, EndTxnRequest, unanswered)
        await producer.begin_transaction()
        await producer.send_and_wait(unique, b"v", b"k")
        await producer.commit_transaction()
        assert len(ends) == 2
    assert len(await read_committed(kafka_address, unique)) == 1


async def test_a_commit_that_timed_out_on_our_side_may_have_happened(kafka_address, unique):
    """So the log is read after every doubt; nothing is taken for granted in either direction."""
    await make_topic(kafka_address, unique)

    async def never(_got: Any, _number: int) -> Any:
        await asyncio.sleep(60)

    producer = transactional(kafka_address, unique)
    await producer.start()
    watch(producer.client, EndTxnRequest, never)
    await producer.begin_transaction()
    await producer.send_and_wait(unique, b"v", b"k")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(producer.commit_transaction(), 0.5)
    assert len(await read_committed(kafka_address, unique)) == 1
    await let_go(producer.stop(), producer.client.close())


async def test_stopping_a_producer_hangs_while_the_broker_is_frozen(kafka_server: KafkaServer, unique):
    """So producers are let go in the background, with a deadline."""
    await make_topic(kafka_server.address, unique)
    producer = transactional(kafka_server.address, unique)
    await producer.start()
    await producer.begin_transaction()
    await producer.partitions_for(unique)
    kafka_server.freeze()
    await asyncio.sleep(0.5)
    sent = await producer.send(unique, b"v", b"k")
    await asyncio.sleep(0.2)
    assert not sent.done()
    stopping = asyncio.ensure_future(producer.stop())
    done, _ = await asyncio.wait({stopping}, timeout=3)
    assert not done
    kafka_server.thaw()
    await let_go(_joined(stopping), producer.client.close())


async def _joined(task: asyncio.Future[Any]) -> None:
    await task


async def test_a_producer_does_not_start_while_the_broker_is_away():
    """So a takeover is tried again by its owner."""
    producer = transactional("127.0.0.1:1", "nobody")
    with pytest.raises(errors.KafkaConnectionError):
        await producer.start()
    await let_go(producer.stop(), producer.client.close())


async def test_a_producer_per_partition_costs_seconds_at_most(kafka_address, unique):
    """So there is one per partition: this client has no other fence that is fine enough (KIP-447)."""
    begun = time.monotonic()
    producers = [transactional(kafka_address, f"{unique}.{number}") for number in range(24)]
    await asyncio.gather(*(producer.start() for producer in producers))
    assert time.monotonic() - begun < 15
    await asyncio.gather(*(let_go(producer.stop(), producer.client.close()) for producer in producers))


# Groups


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
