"""The topics streamer needs: what they must be, whether they are, and ``streamer setup``'s making of them.

Raw topics belong to whoever ships the logs: they are looked at, never made. Our own topics are refused when they are
not as planned, because a wrong clean-up policy loses alerts quietly.
"""

from __future__ import annotations

import asyncio
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

DETECTIONS: Final = "detections"
CHANGELOG: Final = "correlate-changelog"
ALERTS: Final = "alerts"
DEAD_LETTERS: Final = "dead-letter"

DAY_MS: Final = 86_400_000
LARGEST_MESSAGE: Final = 8 * 1024 * 1024
"""Bytes of one message on the internal topics: the state of one key with its evidence must fit."""
_EXISTS: Final = errors.TopicAlreadyExistsError.errno
_UNDESCRIBED: Final = frozenset(
    {errors.TopicAuthorizationFailedError.errno, errors.ClusterAuthorizationFailedError.errno}
)
_FOR_EVER: Final = -1
_RETENTIONS: Final = frozenset({"retention.ms", "retention.bytes"})
_ON_ONE_BROKER: Final = "On a single broker set kafka.replication to 1."
_RECREATE: Final = (
    "Delete it and run `streamer setup`, while streamer is stopped and what it holds is no longer needed."
)


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """What a topic of ours must be.

    Attributes:
        name: full name, prefix included.
        partitions: what it is made with.
        replication: copies of each partition; checked as a minimum.
        settings: topic settings that must have exactly these values.
        minima: topic settings that must be at least this; -1, which means "for ever", is always enough for a retention.
        advice: settings it is made with and that are the operator's to change.
        keyed: whether the key decides the partition, so that the count is fixed at creation; else it is a minimum.
    """

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str] = field(default_factory=dict)
    minima: Mapping[str, int] = field(default_factory=dict)
    advice: Mapping[str, str] = field(default_factory=dict)
    keyed: bool = True

    @property
    def made_with(self) -> dict[str, str]:
        """All settings that ``streamer setup`` gives it."""
        return {**self.settings, **{name: str(value) for name, value in self.minima.items()}, **self.advice}


@dataclass(frozen=True, slots=True)
class TopicProblem:
    """One thing that is not as planned.

    Attributes:
        sentence: what was found and what is needed.
        refused: whether streamer must not run on it; otherwise it runs and says so.
        hint: what to do, where the sentence does not say it.
    """

    sentence: str
    refused: bool = True
    hint: str | None = None

    def __str__(self) -> str:
        """The sentence."""
        return self.sentence


def plan_topics(
    prefix: str, *, partitions: int = 24, replication: int = 3, embedded: bool = False
) -> tuple[TopicPlan, ...]:
    """The plan for all topics of ours.

    ``<prefix>detections`` (kept 7 days), ``<prefix>correlate-changelog`` (compacted: nothing in it may expire, or an
    idle partition would lose its position) and ``<prefix>alerts`` (kept 14 days) have the same number of partitions;
    ``<prefix>dead-letter`` (kept 14 days) has one.

    Args:
        prefix: in front of each name.
        partitions: of the first three.
        replication: copies. With three a write counts when two brokers have it; a single broker has one copy.
        embedded: only what the embedded mode delivers to: alerts and dead letters.
    """
    durable = {"min.insync.replicas": 2 if replication >= 3 else 1}
    delete, compact = {"cleanup.policy": "delete"}, {"cleanup.policy": "compact"}
    clean = {"unclean.leader.election.enable": "false"}
    large = {"max.message.bytes": LARGEST_MESSAGE}
    # Only closed segments are compacted: with the default of 1 GB a takeover would read mostly what is outdated.
    compacted = {"segment.bytes": str(64 * 1024 * 1024), "min.cleanable.dirty.ratio": "0.2"}
    delivered = (
        TopicPlan(
            prefix + ALERTS,
            partitions,
            replication,
            delete,
            durable | {"retention.ms": 14 * DAY_MS},
            clean | {"max.message.bytes": str(LARGEST_MESSAGE)},
        ),
        TopicPlan(
            prefix + DEAD_LETTERS,
            1,
            replication,
            delete,
            durable | {"retention.ms": 14 * DAY_MS},
            clean,
            keyed=False,
        ),
    )
    if embedded:
        return delivered
    return (
        TopicPlan(
            prefix + DETECTIONS, partitions, replication, delete, durable | large | {"retention.ms": 7 * DAY_MS}, clean
        ),
        TopicPlan(prefix + CHANGELOG, partitions, replication, compact, durable | large, clean | compacted),
        *delivered,
    )


async def create_topics(connection: KafkaConnection, plans: Sequence[TopicPlan]) -> tuple[str, ...]:
    """Make the topics that do not exist; returns their names. Existing ones are left as they are.

    Raises:
        ServerError: Kafka is away, or refuses (for example fewer brokers than copies).
    """
    async with administration(connection) as admin:
        there = await attempt(admin.list_topics(), connection, "listing topics")
        missing = [plan for plan in plans if plan.name not in there]
        if not missing:
            return ()
        wanted = [
            _topic(plan.name, plan.partitions, plan.replication, topic_configs=plan.made_with) for plan in missing
        ]
        answer = await attempt(admin.create_topics(wanted), connection, "creating topics")
        refusals = [entry for entry in answer.topic_errors if entry[1] not in {0, _EXISTS}]
        if refusals:
            topic, code, *detail = refusals[0]
            raise _refusal(connection, topic, code, detail[0] if detail else None)
        names = tuple(plan.name for plan in missing)
        await _until_seen(admin, connection, names)
        return names


async def _until_seen(admin: Any, connection: KafkaConnection, names: Sequence[str]) -> None:
    """A broker shows a new topic a moment after it was made; who looks at once would miss it."""
    for _ in range(50):
        if {topic["topic"] for topic in await all_topics(admin, connection)} >= {*names}:
            return
        await asyncio.sleep(0.1)


def _refusal(connection: KafkaConnection, topic: str, code: int, told: str | None) -> ServerError:
    error = errors.for_code(code)
    if code in _UNDESCRIBED:
        hint = f"Allow Create on topics that begin as {topic} does, or have somebody else run `streamer setup`."
    else:
        hint = _ON_ONE_BROKER
    return ServerError(
        f"Kafka at {connection.bootstrap_servers} refuses to create the topic {topic}: {told or error.__name__}",
        hint=hint,
        retriable=False,
    )


async def check_topics(connection: KafkaConnection, plans: Sequence[TopicPlan]) -> tuple[TopicProblem, ...]:
    """What is wrong with our topics; empty when all is well. Raises ``ServerError``."""
    async with administration(connection) as admin:
        described = {topic["topic"]: topic for topic in await all_topics(admin, connection)}
        problems = [
            TopicProblem(
                f"the topic {plan.name} does not exist: run `streamer setup`",
                hint=f"If it does, allow Describe on it ({connection.principal}).",
            )
            for plan in plans
            if plan.name not in described
        ]
        present = [plan for plan in plans if plan.name in described]
        settings = await topic_settings(admin, connection, [plan.name for plan in present])
        for plan in present:
            problems += _differences(plan, described[plan.name]["partitions"], settings.get(plan.name))
        return tuple(problems)


async def partitions_of(connection: KafkaConnection, topics: Iterable[str]) -> dict[str, frozenset[int]]:
    """The partitions of each topic.

    Raises:
        ServerError: Kafka is away, or a topic does not exist (or may not be seen).
    """
    async with administration(connection) as admin:
        described = {topic["topic"]: topic["partitions"] for topic in await all_topics(admin, connection)}
    missing = [topic for topic in topics if topic not in described]
    if missing:
        raise ServerError(
            f"Kafka at {connection.bootstrap_servers} has no topic {', '.join(missing)} that we may see",
            hint="Create it, correct its name under sources, or grant Describe and Read.",
        )
    return {topic: frozenset(entry["partition"] for entry in described[topic]) for topic in topics}


def _differences(
    plan: TopicPlan, partitions: Sequence[Mapping[str, Any]], settings: Mapping[str, str] | None
) -> list[TopicProblem]:
    found = _counts(plan, partitions)
    if settings is None:
        unseen = f"the settings of the topic {plan.name} cannot be seen, so nobody checks its clean-up policy"
        return [*found, TopicProblem(unseen, refused=False, hint=f"Allow DescribeConfigs on {plan.name}.")]
    for name, value in plan.settings.items():
        has = settings.get(name)
        if has is not None and has != value:
            found.append(TopicProblem(f"the topic {plan.name} has {name}={has} and needs {name}={value}"))
    copies = _copies(partitions)
    for name, least in plan.minima.items():
        has = settings.get(name)
        if has is not None and int(has) < least and not (name in _RETENTIONS and int(has) == _FOR_EVER):
            found.append(_too_small(plan.name, name, int(has), least))
        elif name == "min.insync.replicas" and has is not None and copies < int(has):
            data = _counted(copies, "copy", "copies")
            sentence = f"the topic {plan.name} has {data} of its data and {name}={has}: nothing can be written"
            found.append(TopicProblem(sentence))
    for name, value in plan.advice.items():
        if name == "unclean.leader.election.enable" and settings.get(name) not in {None, value}:
            sentence = f"the topic {plan.name} has {name}=true: a broker that fails may take acknowledged data with it"
            found.append(TopicProblem(sentence, refused=False, hint=f"Set {name}={value}."))
    return found


def _copies(partitions: Sequence[Mapping[str, Any]]) -> int:
    return min((len(entry["replicas"]) for entry in partitions), default=0)


def _counts(plan: TopicPlan, partitions: Sequence[Mapping[str, Any]]) -> list[TopicProblem]:
    found = []
    if len(partitions) < plan.partitions or (plan.keyed and len(partitions) != plan.partitions):
        has = _counted(len(partitions), "partition", "partitions")
        sentence = f"the topic {plan.name} has {has} and needs {plan.partitions}"
        hint = f"Set kafka.partitions to what the topics have, all three the same. Or: {_RECREATE}"
        found.append(TopicProblem(sentence, hint=hint))
    copies = _copies(partitions)
    if copies < plan.replication:
        sentence = (
            f"the topic {plan.name} has {_counted(copies, 'copy', 'copies')} of its data and needs {plan.replication}"
        )
        found.append(TopicProblem(sentence, hint=_ON_ONE_BROKER))
    return found


def _too_small(topic: str, name: str, has: int, least: int) -> TopicProblem:
    if name == "retention.ms":
        lost = "what is not processed by then is lost"
        sentence = f"the topic {topic} keeps its data for {_days(has)} and {_days(least)} are planned: {lost}"
        return TopicProblem(sentence, refused=False, hint=f"Set {name}={least}.")
    sentence = f"the topic {topic} has {name}={has} and needs at least {least}"
    return TopicProblem(sentence, hint=f"Set {name}={least}.")


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _days(length_ms: int) -> str:
    hours = length_ms / 3_600_000
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:.3g} hours"


async def all_topics(admin: Any, connection: KafkaConnection) -> list[dict[str, Any]]:
    """All topics, because asking for one by name would create it on brokers that create topics by themselves."""
    topics: list[dict[str, Any]] = await attempt(admin.describe_topics(), connection, "listing topics")
    return [topic for topic in topics if topic["error_code"] == 0]


async def topic_settings(admin: Any, connection: KafkaConnection, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Settings in force, by topic and name; a topic whose settings may not be seen is left out."""
    if not names:
        return {}
    asked = [_resource(ConfigResourceType.TOPIC, name) for name in names]
    answers = await attempt(admin.describe_configs(asked), connection, "reading topic settings")
    found: dict[str, dict[str, str]] = {}
    for answer in answers:
        for code, _message, _kind, name, entries in answer.resources:
            if code in _UNDESCRIBED:
                continue
            if code:
                raise as_server_error(errors.for_code(code)(name), connection, "reading topic settings")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


@asynccontextmanager
async def administration(connection: KafkaConnection) -> AsyncIterator[Any]:
    """A started administration client; raises ``ServerError``."""
    admin = connection.administration()
    try:
        await attempt(admin.start(), connection, "connecting")
        yield admin
    finally:
        await let_go(admin.close())
