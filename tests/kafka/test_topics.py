"""Making and checking our topics on a real Kafka."""

from __future__ import annotations

import pytest

from streamer.errors import ServerError
from streamer.kafka import KafkaConnection, check_topics, create_topics, plan_topics
from streamer.kafka.topics import DAY_MS, LARGEST_MESSAGE
from tests.servers.topics import administration, make_topic


def plan_of(unique: str, name: str, **options):
    """The plan of one topic."""
    plans = plan_topics(f"{unique}.", **{"partitions": 4, "replication": 1} | options)
    return next(plan for plan in plans if plan.name == f"{unique}.{name}")


async def sentences(address: str, plan) -> list[str]:
    return [problem.sentence for problem in await check_topics(KafkaConnection(address), [plan])]


def test_the_three_topics_of_the_pipeline_have_the_same_partitions_and_the_changelog_is_never_expired():
    plans = {plan.name: plan for plan in plan_topics("s.", partitions=12)}
    assert list(plans) == ["s.detections", "s.correlate-changelog", "s.alerts", "s.dead-letter"]
    assert {plan.partitions for plan in plans.values() if plan.keyed} == {12}
    changelog = plans["s.correlate-changelog"]
    assert changelog.settings == {"cleanup.policy": "compact"}
    assert "retention.ms" not in changelog.made_with
    assert {plan.minima["min.insync.replicas"] for plan in plans.values()} == {2}
    assert plans["s.detections"].made_with["retention.ms"] == str(7 * DAY_MS)


async def test_setup_makes_what_is_missing_and_then_all_is_well(kafka_address, unique):
    connection = KafkaConnection(kafka_address)
    plans = plan_topics(f"{unique}.", partitions=4, replication=1)
    assert len(await check_topics(connection, plans)) == 4
    assert await create_topics(connection, plans) == tuple(plan.name for plan in plans)
    assert await create_topics(connection, plans) == ()
    assert await check_topics(connection, plans) == ()


async def test_setup_never_changes_a_topic_that_is_there(kafka_address, unique):
    name = f"{unique}.detections"
    await make_topic(kafka_address, name, 2, cleanup_policy="compact")
    connection = KafkaConnection(kafka_address)
    assert name not in await create_topics(connection, plan_topics(f"{unique}.", partitions=4, replication=1))
    assert f"the topic {name} has 2 partitions and needs 4" in await sentences(
        kafka_address, plan_of(unique, "detections")
    )


async def test_the_embedded_mode_needs_only_what_it_delivers_to(unique):
    names = [plan.name for plan in plan_topics(f"{unique}.", embedded=True)]
    assert names == [f"{unique}.alerts", f"{unique}.dead-letter"]


async def test_a_missing_topic_is_said_with_what_to_do(kafka_address, unique):
    problems = await check_topics(KafkaConnection(kafka_address), plan_topics(f"{unique}.", replication=1))
    assert str(problems[0]) == f"the topic {unique}.detections does not exist: run `streamer setup`"
    assert problems[0].refused


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
async def test_a_changelog_in_which_something_may_expire_is_refused(kafka_address, unique, policy):
    plan = plan_of(unique, "correlate-changelog")
    await make_topic(kafka_address, plan.name, 4, cleanup_policy=policy, max_message_bytes=str(LARGEST_MESSAGE))
    (problem,) = await check_topics(KafkaConnection(kafka_address), [plan])
    assert problem.sentence == f"the topic {plan.name} has cleanup.policy={policy} and needs cleanup.policy=compact"
    assert problem.refused


@pytest.mark.parametrize("partitions", [2, 8])
async def test_another_number_of_partitions_is_refused_because_the_key_decides_the_partition(
    kafka_address, unique, partitions
):
    await make_topic(kafka_address, f"{unique}.alerts", partitions, cleanup_policy="compact")
    found = await sentences(kafka_address, plan_of(unique, "alerts"))
    assert f"the topic {unique}.alerts has {partitions} partitions and needs 4" in found
    assert f"the topic {unique}.alerts has cleanup.policy=compact and needs cleanup.policy=delete" in found


async def test_dead_letters_may_have_more_partitions(kafka_address, unique):
    plan = plan_of(unique, "dead-letter")
    await make_topic(kafka_address, plan.name, 3, retention_ms=str(30 * DAY_MS))
    assert await sentences(kafka_address, plan) == []


async def test_messages_that_would_not_fit_are_refused_before_one_comes(kafka_address, unique):
    plan = plan_of(unique, "detections")
    await make_topic(kafka_address, plan.name, 4, retention_ms=str(7 * DAY_MS), max_message_bytes="1048588")
    (problem,) = await check_topics(KafkaConnection(kafka_address), [plan])
    assert problem.sentence == f"the topic {plan.name} has max.message.bytes=1048588 and needs at least 8388608"
    assert problem.refused
    assert problem.hint == "Set max.message.bytes=8388608."


async def test_a_shorter_retention_is_said_and_not_refused(kafka_address, unique):
    plan = plan_of(unique, "alerts")
    await make_topic(kafka_address, plan.name, 4, retention_ms=str(3 * DAY_MS))
    (problem,) = await check_topics(KafkaConnection(kafka_address), [plan])
    assert "keeps its data for 3 days and 14 days are planned" in problem.sentence
    assert not problem.refused


async def test_data_kept_for_ever_is_kept_long_enough(kafka_address, unique):
    plan = plan_of(unique, "alerts")
    await make_topic(kafka_address, plan.name, 4, retention_ms="-1")
    assert await sentences(kafka_address, plan) == []


async def test_more_copies_needed_for_a_write_than_there_are_is_refused(kafka_address, unique):
    plan = plan_of(unique, "alerts")
    await make_topic(kafka_address, plan.name, 4, retention_ms="-1", min_insync_replicas="2")
    (problem,) = await check_topics(KafkaConnection(kafka_address), [plan])
    assert problem.sentence.endswith("has 1 copy of its data and min.insync.replicas=2: nothing can be written")
    assert problem.refused


async def test_fewer_copies_than_planned_are_refused(kafka_address, unique):
    await make_topic(kafka_address, f"{unique}.alerts", 4, retention_ms="-1")
    found = await sentences(kafka_address, plan_of(unique, "alerts", replication=3))
    assert f"the topic {unique}.alerts has 1 copy of its data and needs 3" in found
    assert f"the topic {unique}.alerts has min.insync.replicas=1 and needs at least 2" in found


async def test_a_leader_that_may_forget_is_said(kafka_address, unique):
    plan = plan_of(unique, "alerts")
    options = {"retention_ms": "-1", "unclean_leader_election_enable": "true"}
    await make_topic(kafka_address, plan.name, 4, **options)
    (problem,) = await check_topics(KafkaConnection(kafka_address), [plan])
    assert "unclean.leader.election.enable=true" in problem.sentence
    assert not problem.refused


async def test_more_copies_than_brokers_are_refused_with_a_hint(kafka_address, unique):
    with pytest.raises(ServerError, match="refuses to create") as refused:
        await create_topics(KafkaConnection(kafka_address), plan_topics(f"{unique}.", replication=3))
    assert not refused.value.retriable
    assert refused.value.hint == "On a single broker set kafka.replication to 1."


async def test_looking_for_a_topic_does_not_create_it(kafka_address, unique):
    await check_topics(KafkaConnection(kafka_address), plan_topics(f"{unique}.", replication=1))
    async with administration(kafka_address) as admin:
        assert not [name for name in await admin.list_topics() if name.startswith(unique)]
