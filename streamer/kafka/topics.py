"""The topics streamer needs: what they must be, whether they are, and ``streamer setup``'s making of them.

Raw topics belong to whoever ships the logs: they are looked at, never made. Our own topics are refused when they are
not as planned, because a wrong clean-up policy loses alerts quietly.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import errors
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streamer.errors import ServerError
from streamer.kafka.complaints import as_server_error, attempt, let_go
from streamer.kafka.connection import KafkaConnection

# The client library has no annotations.
_topic: Any = NewTopic
_resource: Any = ConfigResource

_DAY_MS: Final = 86_400_000
_EXISTS: Final = errors.TopicAlreadyExistsError.errno


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """What a topic of ours must be.

    Attributes:
        name: full name, prefix included.
        partitions: exact count; the key decides the partition, so it is fixed at creation.
        replication: copies of each partition; checked as a minimum.
        settings: topic settings that must have exactly these values.
    """

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str] = field(default_factory=dict)


def plan_topics(prefix: str, *, partitions: int = 24, replication: int = 3) -> tuple[TopicPlan, ...]:
    """The plan for ``<prefix>alerts`` (kept 14 days) and ``<prefix>dead-letter`` (kept 14 days).

    With three copies a write counts when two brokers have it; a single broker (``replication=1``) has one copy.
    """
    durable = {"min.insync.replicas": "2" if replication >= 3 else "1", "cleanup.policy": "delete"}
    kept = durable | {"retention.ms": str(14 * _DAY_MS)}
    return (
        TopicPlan(f"{prefix}alerts", partitions, replication, kept),
        TopicPlan(f"{prefix}dead-letter", 1, replication, kept),
    )


async def create_topics(connection: KafkaConnection, plans: Sequence[TopicPlan]) -> tuple[str, ...]:
    """Make the topics that do not exist; returns their names. Existing ones are left as they are.

    Raises:
        ServerError: Kafka is away, or refuses (for example fewer brokers than copies).
    """
    async with _administration(connection) as admin:
        there = await attempt(admin.list_topics(), connection, "listing topics")
        missing = [plan for plan in plans if plan.name not in there]
        if not missing:
            return ()
        wanted = [
            _topic(plan.name, plan.partitions, plan.replication, topic_configs=dict(plan.settings)) for plan in missing
        ]
        answer = await attempt(admin.create_topics(wanted), connection, "creating topics")
        refusals = [entry for entry in answer.topic_errors if entry[1] not in {0, _EXISTS}]
        if refusals:
            topic, code, *detail = refusals[0]
            told = detail[0] if detail and detail[0] else errors.for_code(code).__name__
            raise ServerError(
                f"Kafka at {connection.bootstrap_servers} refuses to create the topic {topic}: {told}",
                hint="On a single broker set kafka.replication to 1.",
                retriable=False,
            )
        return tuple(plan.name for plan in missing)


async def check_topics(connection: KafkaConnection, plans: Sequence[TopicPlan]) -> tuple[str, ...]:
    """What is wrong with our topics, one sentence each; empty when all is well. Raises ``ServerError``."""
    async with _administration(connection) as admin:
        described = {topic["topic"]: topic for topic in await _all_topics(admin, connection)}
        problems = [
            f"the topic {plan.name} does not exist: run `streamer setup`"
            for plan in plans
            if plan.name not in described
        ]
        present = [plan for plan in plans if plan.name in described]
        settings = await _settings(admin, connection, [plan.name for plan in present])
        for plan in present:
            problems += _differences(plan, described[plan.name]["partitions"], settings.get(plan.name, {}))
        return tuple(problems)


async def partitions_of(connection: KafkaConnection, topics: Iterable[str]) -> dict[str, frozenset[int]]:
    """The partitions of each topic.

    Raises:
        ServerError: Kafka is away, or a topic does not exist (or may not be seen).
    """
    async with _administration(connection) as admin:
        described = {topic["topic"]: topic["partitions"] for topic in await _all_topics(admin, connection)}
    missing = [topic for topic in topics if topic not in described]
    if missing:
        raise ServerError(
            f"Kafka at {connection.bootstrap_servers} has no topic {', '.join(missing)} that we may see",
            hint="Create it, correct its name under sources, or grant Describe and Read.",
        )
    return {topic: frozenset(entry["partition"] for entry in described[topic]) for topic in topics}


def _differences(plan: TopicPlan, partitions: Sequence[Mapping[str, Any]], settings: Mapping[str, str]) -> list[str]:
    found = []
    if len(partitions) != plan.partitions:
        found.append(f"the topic {plan.name} has {len(partitions)} partitions and needs {plan.partitions}")
    copies = min((len(entry["replicas"]) for entry in partitions), default=0)
    if copies < plan.replication:
        found.append(f"the topic {plan.name} has {copies} copies of its data and needs {plan.replication}")
    for name, value in plan.settings.items():
        has = settings.get(name)
        if has is not None and has != value:
            found.append(f"the topic {plan.name} has {name}={has} and needs {name}={value}")
    return found


async def _all_topics(admin: Any, connection: KafkaConnection) -> list[dict[str, Any]]:
    """All topics, because asking for one by name would create it on brokers that create topics by themselves."""
    topics: list[dict[str, Any]] = await attempt(admin.describe_topics(), connection, "listing topics")
    return [topic for topic in topics if topic["error_code"] == 0]


async def _settings(admin: Any, connection: KafkaConnection, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Settings in force, by topic and name."""
    if not names:
        return {}
    asked = [_resource(ConfigResourceType.TOPIC, name) for name in names]
    answers = await attempt(admin.describe_configs(asked), connection, "reading topic settings")
    found: dict[str, dict[str, str]] = {}
    for answer in answers:
        for code, _message, _kind, name, entries in answer.resources:
            if code:
                raise as_server_error(errors.for_code(code)(name), connection, "reading topic settings")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


@asynccontextmanager
async def _administration(connection: KafkaConnection) -> AsyncIterator[Any]:
    admin = connection.administration()
    try:
        await attempt(admin.start(), connection, "connecting")
        yield admin
    finally:
        await let_go(admin.close())
