"""Committed offsets are looked up completely or not at all."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition, errors

from streamer.kafka import KafkaConnection
from streamer.kafka.offsets import Committed, _answer, committed_offsets
from tests.servers.topics import make_topic


async def test_a_group_that_nobody_knows_has_committed_nothing(kafka_address, unique):
    await make_topic(kafka_address, unique)
    assert await committed_offsets(KafkaConnection(kafka_address), unique, [TopicPartition(unique, 0)]) == {}


async def test_nothing_is_asked_about_no_partition():
    assert await committed_offsets(KafkaConnection("127.0.0.1:1"), "g", []) == {}


async def test_offsets_come_with_their_notes_and_partitions_without_are_left_out(kafka_address, unique):
    await make_topic(kafka_address, unique, 3)
    partitions = [TopicPartition(unique, number) for number in range(3)]
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_address, group_id=unique, enable_auto_commit=False)
    await consumer.start()
    consumer.assign(partitions)
    await consumer.commit({partitions[0]: (0, "begun"), partitions[2]: 7})
    await consumer.stop()
    found = await committed_offsets(KafkaConnection(kafka_address), unique, partitions)
    assert found == {partitions[0]: Committed(0, "begun"), partitions[2]: Committed(7, "")}
    assert set(await committed_offsets(KafkaConnection(kafka_address), unique, partitions[:1])) == {partitions[0]}


async def test_a_coordinator_that_is_still_loading_is_not_taken_for_an_empty_group():
    """It answers without partitions, or that there is no coordinator yet; both are asked again."""
    tp = TopicPartition("t", 0)
    answers: list[Any] = [errors.GroupCoordinatorNotAvailableError(), {}, {tp: "found"}]

    class Admin:
        async def list_consumer_group_offsets(self, _group: str, *, partitions: Any) -> Any:
            assert partitions == [tp]
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    assert await _answer(Admin(), "g", frozenset([tp])) == {tp: "found"}
    assert answers == []
