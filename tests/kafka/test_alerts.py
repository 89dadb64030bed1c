"""The alerts topic against a real Kafka: a ``read_committed`` subscriber sees every document once."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from streamer.errors import ServerError
from streamer.kafka import AlertsTopicSink, KafkaConnection
from streamer.model import Document
from tests.servers.kafka import KafkaServer
from tests.servers.topics import headers_of, ids_of, make_topic, read_committed

NOW_US = time.time_ns() // 1000


def document(number: int, *, time_us: int = NOW_US, size: int = 100) -> Document:
    identity = f"{number:032x}"
    return Document(
        id=identity,
        index="logs-streamer.alerts-default-2026.11.24",
        key=b"key-%d" % (number % 7),
        body=b'{"n": %d, "pad": "%s"}' % (number, b"x" * size),
        headers=(("ce_specversion", b"1.0"), ("ce_id", identity.encode()), ("streamer_severity", b"99")),
        time_us=time_us,
    )


@asynccontextmanager
async def sink_of(address: str, topic: str, *, timeout_s: float = 10) -> AsyncIterator[AlertsTopicSink]:
    connection = KafkaConnection(address, request_timeout_s=timeout_s)
    sink = AlertsTopicSink(connection, topic, writer=f"{topic}.alerts-store")
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


async def test_documents_arrive_with_key_headers_and_body_unchanged(kafka_address, unique):
    await make_topic(kafka_address, unique, 3)
    documents = [document(number) for number in range(20)]
    async with sink_of(kafka_address, unique) as sink:
        assert await sink.deliver(documents) == tuple(each.id for each in documents)
    records = await read_committed(kafka_address, unique)
    assert sorted(ids_of(records)) == [each.id for each in documents]
    told = {headers_of(record)["ce_id"]: record for record in records}
    assert told[documents[3].id].value == documents[3].body
    assert told[documents[3].id].key == documents[3].key
    assert headers_of(told[documents[3].id])["streamer_severity"] == "99"
    assert len({record.partition for record in records if record.key == b"key-1"}) == 1


async def test_delivering_again_after_a_restart_tells_nothing_twice(kafka_address, unique):
    await make_topic(kafka_address, unique, 2)
    documents = [document(number) for number in range(30)]
    async with sink_of(kafka_address, unique) as sink:
        await sink.deliver(documents[:20])
    async with sink_of(kafka_address, unique) as sink:
        assert await sink.deliver(documents[:10]) == tuple(each.id for each in documents[:10])
        assert await sink.deliver(documents[10:]) == tuple(each.id for each in documents[10:])
        assert sink.already_there == 20
    assert sorted(ids_of(await read_committed(kafka_address, unique))) == [each.id for each in documents]


async def test_delivering_again_without_a_restart_tells_nothing_twice(kafka_address, unique):
    await make_topic(kafka_address, unique)
    documents = [document(number) for number in range(5)]
    async with sink_of(kafka_address, unique) as sink:
        for _ in range(2):
            assert await sink.deliver(documents) == tuple(each.id for each in documents)
        await sink.deliver([*documents, document(5)])
    assert sorted(ids_of(await read_committed(kafka_address, unique))) == [document(n).id for n in range(6)]


async def test_what_stands_there_is_found_however_much_others_wrote_since(kafka_address, unique):
    await make_topic(kafka_address, unique)
    mine = [document(1), document(2)]
    async with sink_of(kafka_address, unique) as sink:
        await sink.deliver(mine)
    other = AlertsTopicSink(KafkaConnection(kafka_address), unique, writer=f"{unique}.another")
    await other.start()
    for batch in range(10):
        await other.deliver([document(1000 + batch * 200 + number) for number in range(200)])
    await other.stop()
    async with sink_of(kafka_address, unique) as sink:
        await sink.deliver(mine)
        assert sink.already_there == 2
    assert ids_of(await read_committed(kafka_address, unique)).count(mine[0].id) == 1


async def test_documents_about_old_events_are_found_too(kafka_address, unique):
    await make_topic(kafka_address, unique)
    old = [document(1, time_us=NOW_US - 400 * 86_400_000_000)]
    for _ in range(2):
        async with sink_of(kafka_address, unique) as sink:
            await sink.deliver(old)
    assert len(await read_committed(kafka_address, unique)) == 1


async def test_a_document_too_large_for_any_message_is_set_aside_and_the_others_arrive(kafka_address, unique):
    await make_topic(kafka_address, unique)
    documents = [document(1), document(2, size=2_000_000), document(3)]
    async with sink_of(kafka_address, unique) as sink:
        assert len(await sink.deliver(documents)) == 3
        assert list(sink.set_aside) == [documents[1].id]
    assert ids_of(await read_committed(kafka_address, unique)) == [documents[0].id, documents[2].id]


async def test_a_document_too_large_for_the_topic_is_set_aside_and_the_others_arrive(kafka_address, unique):
    await make_topic(kafka_address, unique, max_message_bytes="20000")
    noise = random.Random(1).randbytes(40_000).hex().encode()
    large = Document(f"{9:032x}", "i", b"k", noise, (("ce_id", b"large"),), NOW_US)
    documents = [document(1), document(2), large, document(3)]
    async with sink_of(kafka_address, unique) as sink:
        assert len(await sink.deliver(documents)) == 4
        assert list(sink.set_aside) == [large.id]
        await sink.deliver([document(4)])
    assert sorted(ids_of(await read_committed(kafka_address, unique))) == [document(n).id for n in (1, 2, 3, 4)]


async def test_a_newer_writer_of_the_same_store_fences_the_older_one(kafka_address, unique):
    await make_topic(kafka_address, unique)
    async with sink_of(kafka_address, unique) as older:
        await older.deliver([document(1)])
        async with sink_of(kafka_address, unique) as newer:
            await newer.deliver([document(2)])
            with pytest.raises(ServerError):
                await older.deliver([document(3)])
    assert ids_of(await read_committed(kafka_address, unique)) == [document(1).id, document(2).id]


async def test_another_writers_open_transaction_is_waited_for_when_looking_back(kafka_address, unique):
    await make_topic(kafka_address, unique)
    stranger = AIOKafkaProducer(bootstrap_servers=kafka_address, transactional_id=f"{unique}-stranger")
    await stranger.start()
    try:
        async with sink_of(kafka_address, unique) as sink:
            await sink.deliver([document(1)])
            await stranger.begin_transaction()
            await stranger.send_and_wait(unique, b"{}", headers=[("ce_id", b"stranger")])
            await sink.deliver([document(2)])
        async with sink_of(kafka_address, unique) as sink:
            again = asyncio.create_task(sink.deliver([document(2)]))
            await asyncio.sleep(1)
            assert not again.done()
            await stranger.commit_transaction()
            await again
    finally:
        await stranger.stop()
    assert ids_of(await read_committed(kafka_address, unique)) == [document(1).id, "stranger", document(2).id]


async def test_a_broker_frozen_during_a_transaction_leaves_every_document_once(kafka_server: KafkaServer, unique):
    await make_topic(kafka_server.address, unique, 2)
    documents = [document(number) for number in range(40)]
    async with sink_of(kafka_server.address, unique, timeout_s=2) as sink:
        await sink.deliver(documents[:10])
        sending = asyncio.create_task(sink.deliver(documents[10:25]))
        await asyncio.sleep(0.01)
        kafka_server.freeze()
        await asyncio.gather(sending, return_exceptions=True)
        kafka_server.thaw()
        await _insist(sink, documents[10:25])
        await _insist(sink, documents[25:])
    assert sorted(ids_of(await read_committed(kafka_server.address, unique))) == [each.id for each in documents]


async def test_a_killed_broker_leaves_every_document_once(kafka_server: KafkaServer, unique):
    await make_topic(kafka_server.address, unique, 2)
    documents = [document(number) for number in range(60)]
    async with sink_of(kafka_server.address, unique, timeout_s=3) as sink:
        await sink.deliver(documents[:20])
        sending = asyncio.create_task(sink.deliver(documents[20:40]))
        await asyncio.sleep(0.02)
        kafka_server.kill()
        await asyncio.gather(sending, return_exceptions=True)
        kafka_server.start()
        await _insist(sink, documents[20:40])
        await _insist(sink, documents[40:])
    assert sorted(ids_of(await read_committed(kafka_server.address, unique))) == [each.id for each in documents]


WRITER = """
import asyncio, sys
from streamer.kafka import AlertsTopicSink, KafkaConnection
from tests.kafka.test_alerts import document

async def main(address, topic):
    sink = AlertsTopicSink(KafkaConnection(address), topic, writer=f"{topic}.alerts-store")
    await sink.start()
    for start in range(0, 4000, 20):
        await sink.deliver([document(number) for number in range(start, start + 20)])
        print(start + 20, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_writer_killed_at_any_moment_and_started_again_leaves_every_document_once(kafka_address, unique):
    """The note "delivered" is lost with the process: the next one delivers from the last note that survived."""
    await make_topic(kafka_address, unique, 3)
    dice = random.Random(unique)
    noted = 0
    for _ in range(4):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, kafka_address, unique, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(dice.randrange(1, 25)):
            noted = max(noted, int(await process.stdout.readline()))
        await asyncio.sleep(dice.random() * 0.02)
        process.kill()
        await process.wait()
        # What it printed after our last look is what it could not note: one batch at most is written and not noted,
        # and looking back finds any number of them.
        await process.stdout.read()
    async with sink_of(kafka_address, unique) as sink:
        for start in range(0, noted + 200, 20):
            await sink.deliver([document(number) for number in range(start, start + 20)])
    ids = ids_of(await read_committed(kafka_address, unique))
    assert len(ids) == len(set(ids))
    assert {document(number).id for number in range(noted + 200)} <= set(ids)


async def _insist(sink: AlertsTopicSink, documents: Any) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await sink.deliver(documents)
            except ServerError:
                await asyncio.sleep(0.2)
            else:
                return
