"""The roles of the Kafka mode on a real Kafka: what goes in comes out once, whatever is in the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamer.errors import SettingsError
from streamer.kafka.ledger import KafkaLedger
from streamer.service import kafka_run
from streamer.service.roles.attempts import ATTEMPTS
from streamer.stages import wire
from streamer.stages.partition import PartitionCore
from tests.servers.topics import make_topic, produce
from tests.service.kafka_world import Installation, eventually, node_deleted, secret_read

NODE = "Node deleted"
SPREAD = "Secrets read in many namespaces"


@pytest.fixture
async def installation(kafka_address: str, unique: str, tmp_path: Path) -> Installation:
    made = Installation(kafka_address, unique, tmp_path)
    await made.set_up()
    return made


async def has_told(installation: Installation, message: str, times: int = 1) -> bool:
    return (await installation.messages()).count(message) >= times


async def test_what_is_spread_over_raw_partitions_is_correlated_and_told_once(installation):
    async with installation.running() as service:
        for number in range(3):
            await installation.write(secret_read(number, user="eve", namespace=f"n{number}"))
        await eventually(lambda: has_told(installation, SPREAD), "it was not told")
        assert service._ready() == dict.fromkeys(service._ready(), True)
        assert service._live() == {"loop": True}
        await asyncio.sleep(3)
    assert (await installation.messages()).count(SPREAD) == 1
    assert await installation.letters() == []


async def test_after_a_graceful_stop_nothing_is_read_again(installation):
    async with installation.running():
        await installation.write(*[node_deleted(number) for number in range(20)])
        await installation.write(
            *[secret_read(100 + number, user="eve", namespace=f"n{number}") for number in range(20)]
        )
        await eventually(lambda: has_told(installation, NODE), "it was not told")
        await eventually(lambda: has_told(installation, SPREAD), "it was not told")
    told = await installation.messages()
    assert sum((await installation.committed("detect", installation.raw)).values()) == 40
    async with installation.running() as service:
        await eventually(lambda: all(service._ready().values()), "it did not get ready")
        await asyncio.sleep(2)
        assert service.detect.counters().records == 0
        assert service.correlate.counters().resent == 0
        assert not service.correlate.counters().matches
        # It goes on where it was.
        await installation.write(node_deleted(1000, user="another"))
        await eventually(lambda: has_told(installation, NODE, told.count(NODE) + 1), "it does not go on")
        assert service.detect.counters().records == 1


async def test_what_cannot_be_read_is_a_dead_letter_and_the_rest_goes_on(installation):
    async with installation.running() as service:
        await installation.write('{"kind": "Event", "broken', node_deleted(1))
        await eventually(lambda: has_told(installation, NODE), "it was not told")
        (letter,) = await installation.letters()
        assert service.detect.numbers.set_aside == {letter["error"]["reason"]: 1}
    assert letter["source"] == {"topic": installation.raw, "partition": 0, "offset": 0}


class Poisoned(PartitionCore):
    """Raises on every match of one user."""

    def feed(self, offset, value):
        record = wire.decode(value)
        if isinstance(record, wire.Addressed) and "mallory" in str(record.match.evidence):
            raise RuntimeError("out of my depth")
        return super().feed(offset, value)


async def test_a_record_on_which_the_core_raises_is_set_aside_after_some_attempts(installation, monkeypatch):
    monkeypatch.setattr(kafka_run, "PartitionCore", Poisoned)
    async with installation.running() as service:
        await installation.write(node_deleted(1, user="mallory"), node_deleted(2, user="alice"))
        await eventually(lambda: has_told(installation, NODE), "the other was not told")
        (letter,) = await eventually(installation.letters, "nothing was set aside")
        assert service.correlate.numbers.lost == {"failed": ATTEMPTS}
        assert service.correlate.numbers.set_aside == {"poison": 1}
    assert letter["error"] == {"reason": "poison", "detail": "RuntimeError: out of my depth"}
    assert letter["source"]["topic"] == installation.topic("detections")
    assert letter["stage"] == "correlate"
    (alert,) = await installation.alerts()
    assert alert["user"]["name"] == "alice"


async def test_damaged_records_of_the_detections_are_set_aside(installation):
    await produce(installation.kafka, installation.topic("detections"), [b"no msgpack"], partition=1)
    async with installation.running() as service:
        await installation.write(*[node_deleted(number, user=f"u{number}") for number in range(6)])
        await eventually(lambda: has_told(installation, NODE, 6), "the others were not told")
        (letter,) = await eventually(installation.letters, "nothing was set aside")
        assert service.correlate.numbers.set_aside == {"not-readable": 1}
    assert letter["source"] == {"topic": installation.topic("detections"), "partition": 1, "offset": 0}


async def test_an_alert_that_the_topic_refuses_is_a_dead_letter_in_its_place(kafka_address, unique, tmp_path):
    installation = Installation(kafka_address, unique, tmp_path)
    await make_topic(kafka_address, installation.topic("alerts"), 3, cleanup_policy="delete", max_message_bytes="2500")
    await installation.set_up()
    async with installation.running() as service:
        await installation.write(*[secret_read(number, user="eve", namespace=f"n{number}") for number in range(3)])
        await installation.write(node_deleted(10))
        letters = await eventually(installation.letters, "nothing was set aside")
        await asyncio.sleep(2)
        assert service.correlate.numbers.lost["refused"] >= 1
    assert {letter["error"]["reason"] for letter in letters} == {"not-writable"}
    for letter in letters:
        assert letter["error"]["detail"].startswith("alert ")
        assert installation.topic("alerts") in letter["error"]["detail"]


async def test_two_processes_share_the_partitions_and_tell_everything_once(installation):
    async with installation.running() as one, installation.running() as other:
        await eventually(
            lambda: sorted(len(service.correlate.cores()) for service in (one, other)) == [1, 2], "they do not share"
        )
        await installation.write(*[node_deleted(number, user=f"u{number}") for number in range(12)])
        await eventually(lambda: has_told(installation, NODE, 12), "not everything was told")
        assert one.correlate.cores()
        assert other.correlate.cores()
    assert (await installation.messages()).count(NODE) == 12


async def test_a_partition_somebody_else_took_is_given_up_and_begun_anew(installation):
    async with installation.running() as service:
        await installation.write(node_deleted(1, user="a"))
        await eventually(lambda: has_told(installation, NODE), "it was not told")
        for number in range(3):
            thief = KafkaLedger(service._connection, prefix=f"{installation.name}.", partition=number)
            await thief.take_over(lambda read, end: None)
            await thief.close()
        await installation.write(*[node_deleted(number, user=f"u{number}") for number in range(6)])
        await eventually(lambda: has_told(installation, NODE, 7), "it does not go on")
        assert service.correlate.numbers.lost["fenced"] >= 1
    assert (await installation.messages()).count(NODE) == 7


async def test_wrong_topics_are_refused(kafka_address, unique, tmp_path):
    installation = Installation(kafka_address, unique, tmp_path)
    await make_topic(kafka_address, installation.raw, 1)
    with pytest.raises(SettingsError, match="does not exist"):
        async with installation.running():
            await asyncio.sleep(20)


async def test_a_successor_knows_at_once_how_far_its_predecessor_was(kafka_address, unique, tmp_path):
    source = {"kafka": f"{unique}-audit", "kind": "audit", "lateness": "0s", "idle_after": "12h"}
    installation = Installation(kafka_address, unique, tmp_path, more={"sources": [source]})
    await installation.set_up()
    async with installation.running("detect") as detecting:
        for _ in range(2):
            await installation.write(node_deleted(installation.written, user="a"))
        await eventually(lambda: detecting.detect.counters().records == 2, "it does not detect")
    async with installation.running() as service:
        # Nothing comes any more, and nobody may take that for silence for the next twelve hours.
        await eventually(
            lambda: service.correlate.cores() and all(core.watermark_us for core in service.correlate.cores()),
            "time stands still",
        )
        assert service.detect.counters().records == 0
