"""What the client library does on a real broker, and what streamer does about it.

Every protection in :mod:`streamer.kafka` stands on one of these. When a new version of the client changes one, the test
here fails and names the protection that is no longer needed, or no longer enough. Nothing of the product runs here
except where it says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, errors
from aiokafka.protocol.transaction import EndTxnRequest

from streamer.kafka.complaints import let_go
from tests.kafka.facts import started, transactional, watch
from tests.servers.kafka import KafkaServer
from tests.servers.topics import delete_topic, make_topic, produce, read_committed

HOUR_MS = 3_600_000


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
