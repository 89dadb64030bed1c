"""Making and checking our topics on a real Kafka."""

from __future__ import annotations

import pytest

from streamer.errors import ServerError
from streamer.kafka import KafkaConnection, check_topics, create_topics, plan_topics
from tests.servers.topics import administration, make_topic


async def test_setup_makes_what_is_missing_and_then_all_is_well(kafka_address, unique):
    connection = KafkaConnection(kafka_address)
    plans = plan_topics(f"{unique}.", partitions=4, replication=1)
    assert len(await check_topics(connection, plans)) == 2
    assert await create_topics(connection, plans) == (f"{unique}.alerts", f"{unique}.dead-letter")
    assert await create_topics(connection, plans) == ()
    assert await check_topics(connection, plans) == ()


async def test_a_missing_topic_is_said_with_what_to_do(kafka_address, unique):
    problems = await check_topics(KafkaConnection(kafka_address), plan_topics(f"{unique}.", replication=1))
    assert problems[0] == f"the topic {unique}.alerts does not exist: run `streamer setup`"


async def test_wrong_partitions_and_clean_up_are_said(kafka_address, unique):
    await make_topic(kafka_address, f"{unique}.alerts", 2, cleanup_policy="compact")
    (alerts, _) = plan_topics(f"{unique}.", partitions=4, replication=1)
    problems = await check_topics(KafkaConnection(kafka_address), [alerts])
    assert f"the topic {unique}.alerts has 2 partitions and needs 4" in problems
    assert f"the topic {unique}.alerts has cleanup.policy=compact and needs cleanup.policy=delete" in problems


async def test_more_copies_than_brokers_are_refused_with_a_hint(kafka_address, unique):
    with pytest.raises(ServerError, match="refuses to create") as refused:
        await create_topics(KafkaConnection(kafka_address), plan_topics(f"{unique}.", replication=3))
    assert not refused.value.retriable
    assert refused.value.hint == "On a single broker set kafka.replication to 1."


async def test_looking_for_a_topic_does_not_create_it(kafka_address, unique):
    await check_topics(KafkaConnection(kafka_address), plan_topics(f"{unique}.", replication=1))
    async with administration(kafka_address) as admin:
        assert not [name for name in await admin.list_topics() if name.startswith(unique)]
