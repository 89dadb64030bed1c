"""``streamer dead-letters`` over a real Kafka and a real Elasticsearch: seen, replayed once, and again when asked."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamer.kafka import DeadLetterSink, KafkaConnection
from streamer.kafka.dead_letter import LARGEST_PAYLOAD
from streamer.model import DeadLetter, Position
from tests.cli.verbs import Ran, run, write
from tests.servers.indices import ids_in
from tests.servers.topics import drop_records, headers_of, make_topic, produce, read_committed
from tests.service.roles.indexing import World, alert

LARGE = b"x" * (LARGEST_PAYLOAD + 1000)


@dataclass
class Installation(World):
    config: Path = Path()

    @property
    def raw(self) -> str:
        return f"{self.name}-raw"

    def set_aside(self, *letters: DeadLetter) -> None:
        asyncio.run(self._write(letters))

    async def _write(self, letters) -> None:
        sink = DeadLetterSink(KafkaConnection(self.kafka), f"{self.prefix}dead-letter", source="/streamer/test")
        await sink.deliver(list(enumerate(letters)))
        await sink.stop()

    def records(self) -> list:
        return asyncio.run(read_committed(self.kafka, self.raw))


@pytest.fixture
def world(kafka_address, elasticsearch_url, unique, tmp_path) -> Installation:
    config = f"""
sources: [{{kafka: {unique}-raw, kind: audit}}]
kafka: {{bootstrap_servers: "{kafka_address}", topic_prefix: "{unique}.", partitions: 3, replication: 1}}
elasticsearch: {{hosts: ["{elasticsearch_url}"], namespace: {unique}}}
"""
    path = write(tmp_path / "streamer.yml", config.encode())
    world = Installation(kafka_address, elasticsearch_url, unique, path)

    async def prepare() -> None:
        await world.prepare()
        await make_topic(kafka_address, world.raw, 2)
        await produce(kafka_address, world.raw, [b"first", b"{broken", LARGE], partition=1)

    asyncio.run(prepare())
    return world


def at(world: Installation, offset: int, value: bytes, reason: str = "not-json", detail: str = "why") -> DeadLetter:
    return DeadLetter(reason, detail, Position(world.raw, 1, offset, is_file=False), value, len(value))


def verb(capsys, world: Installation, *words: object) -> Ran:
    return run(capsys, "dead-letters", *words, "--config", world.config)


def test_a_letter_written_twice_is_one_with_a_count_and_filters_choose(world, capsys):
    world.set_aside(at(world, 1, b"{broken"), at(world, 0, b"first", "too-deep"), at(world, 1, b"{broken"))
    lines = verb(capsys, world).out.splitlines()
    assert [line.split()[0] for line in lines] == [f"{world.raw}[1]@0", f"{world.raw}[1]@1"]
    assert "2 times" in lines[1]
    (told,) = map(json.loads, verb(capsys, world, "--reason", "too-deep", "--json").out.splitlines())
    assert (told["stage"], told["count"]) == ("decode", 1)
    assert "{broken" in verb(capsys, world, "show", f"{world.raw}[1]@1").out
    assert len(verb(capsys, world, "--limit", 1).out.splitlines()) == 1
    assert "no dead letters" in verb(capsys, world, "--since", "2099-01-01").out


def test_a_record_goes_back_to_its_partition_once_and_again_only_when_asked(world, capsys):
    world.set_aside(at(world, 1, b"{broken"), at(world, 1, b"{broken", "rule-failed", "rule a"))
    asked = verb(capsys, world, "replay", "--since", "1h")
    assert (asked.code, "say --yes" in asked.err) == (2, True)
    dry = verb(capsys, world, "replay", "--since", "1h", "--dry-run")
    assert (dry.code, f"1 record back to {world.raw}" in dry.err) == (0, True)
    assert len(world.records()) == 3
    done = verb(capsys, world, "replay", "--since", "1h", "--yes")
    assert (done.code, "replayed 1" in done.err) == (0, True)
    record = world.records()[-1]
    assert (record.value, record.partition) == (b"{broken", 1)
    assert headers_of(record)["streamer-replayed"] == f"{world.raw}[1]@1"
    assert verb(capsys, world).out.count("replayed 20") == 2
    twice = verb(capsys, world, "replay", "--since", "1h", "--yes")
    assert (twice.code, "replayed at" in twice.err, len(world.records())) == (1, True, 4)
    again = verb(capsys, world, "replay", f"{world.raw}[1]@1", "--yes", "--again")
    assert (again.code, len(world.records())) == (0, 5)


def test_a_replay_that_fails_again_is_known_as_one(world, capsys):
    world.set_aside(at(world, 1, b"{broken"))
    assert verb(capsys, world, "replay", f"{world.raw}[1]@1", "--yes").code == 0
    world.set_aside(at(world, world.records()[-1].offset, b"{broken"))
    ran = verb(capsys, world, "replay", f"{world.raw}[1]@{world.records()[-1].offset}", "--yes")
    assert ran.code == 1
    assert f"it is itself a replay, of {world.raw}[1]@1" in ran.err


def test_a_record_that_the_letter_keeps_in_part_is_taken_from_its_topic_while_that_has_it(world, capsys):
    world.set_aside(at(world, 2, LARGE, "too-large"))
    assert verb(capsys, world, "replay", "--reason", "too-large", "--yes").code == 0
    assert world.records()[-1].value == LARGE
    asyncio.run(drop_records(world.kafka, world.raw, {1: 3}))
    ran = verb(capsys, world, "replay", "--reason", "too-large", "--yes", "--again")
    assert ran.code == 1
    assert "its topic has dropped it" in ran.err


def test_a_record_that_its_topic_dropped_goes_back_from_the_letter(world, capsys):
    world.set_aside(at(world, 1, b"{broken"))
    asyncio.run(drop_records(world.kafka, world.raw, {1: 2}))
    assert verb(capsys, world, "replay", "--reason", "not-json", "--yes").code == 0
    assert world.records()[-1].value == b"{broken"


def test_a_refused_alert_goes_to_its_index_when_that_takes_it(world, capsys):
    good, bad = alert(world.name, 1), alert(world.name, 2, source={"ip": "nowhere"})
    letters = [
        DeadLetter("not-indexed", "400", Position(f"{world.prefix}alerts", 0, offset, False), value, len(value))
        for offset, value in enumerate([good, bad])
    ]
    world.set_aside(*letters)
    asyncio.run(world.tell([good]))
    ran = verb(capsys, world, "replay", "--reason", "not-indexed", "--yes")
    assert ran.code == 1
    assert "refused again" in ran.err
    assert "document_parsing_exception" in ran.err
    assert "replayed 1" in ran.err
    assert ids_in(world.elasticsearch, world.indices) == [f"{1:032x}"]
    (open_,) = [line for line in verb(capsys, world).out.splitlines() if "replayed" not in line]
    assert open_.startswith(f"{world.prefix}alerts[0]@1")


def test_what_has_no_way_back_stays_and_says_why(world, capsys):
    world.set_aside(
        DeadLetter("not-json", "d", Position("audit.log", 0, 3, is_file=True), b"x", 1),
        DeadLetter("no-alert", "d", Position(f"{world.prefix}alerts", 0, 7, is_file=False), b"x", 1),
        DeadLetter("poison", "d", Position(f"{world.prefix}detections", 0, 7, is_file=False), b"x", 1),
    )
    ran = verb(capsys, world, "replay", "--since", "1h", "--yes")
    assert ran.code == 1
    assert "it came from a file" in ran.err
    assert "it is no alert" in ran.err
    assert "is not among the sources" in ran.err
    assert "nothing to replay" in ran.err
