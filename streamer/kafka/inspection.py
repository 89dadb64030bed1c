"""What ``streamer doctor`` asks a Kafka: facts, without a judgement.

Nothing is changed that anybody sees: the transaction that is tried has no records and is aborted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition, errors
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest

from streamer.errors import ServerError
from streamer.kafka.access import Access
from streamer.kafka.complaints import as_server_error, attempt, let_go
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.requests import GroupsRequest, MetadataRequest, TransactionsRequest, operations_of
from streamer.kafka.topics import administration, all_topics, topic_settings

# The client library has no annotations.
_resource: Any = ConfigResource

TRANSACTION_S: Final = 30
"""How long the broker is asked to keep an abandoned transaction; what the service asks for as well."""
_GROUP_COORDINATOR: Final = 0
_TRANSACTION_COORDINATOR: Final = 1
_AGAIN: Final = frozenset({14, 15, 16, 51})
"""The coordinator loads, moves, or finishes what an earlier try left: asked again a moment later."""
_TRIES: Final = 40
_UNKNOWN_TOPIC: Final = errors.UnknownTopicOrPartitionError.errno
_REFUSED_GROUP: Final = errors.GroupAuthorizationFailedError.errno
_SUCCESS: Final = 0


@dataclass(frozen=True, slots=True)
class TopicSeen:
    """A topic as the broker shows it to us.

    Attributes:
        exists: ``None``: we may not see whether it does.
        partitions: how many.
        short_of_copies: partitions with fewer copies in sync than they should have.
        leaderless: partitions that cannot be read or written now.
        in_sync: fewest copies in sync of any partition.
        operations: what we may do with it; ``None`` where the broker does not tell.
        settings: in force; ``None``: we may not see them.
    """

    exists: bool | None
    partitions: int = 0
    short_of_copies: int = 0
    leaderless: int = 0
    in_sync: int = 0
    operations: frozenset[str] | None = frozenset()
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class GroupSeen:
    """A consumer group as the broker shows it to us.

    Attributes:
        state: Kafka's word: ``Stable``, ``Empty``, ``Dead`` (nobody has used it yet), …; ``None``: we may not see it.
        members: how many.
        lag: records between the committed positions and the ends; ``None`` where nothing is committed.
        operations: what we may do with it; ``None`` where the broker does not tell.
    """

    state: str | None
    members: int = 0
    lag: int | None = None
    operations: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class TransactionSeen:
    """What came of a tried transaction.

    Attributes:
        refusal: name of the broker's error; ``None``: it works.
        clock_ahead_s: seconds that the broker's clock is ahead of ours, as exactly as the answers' time allows;
            ``None`` where it could not be seen.
    """

    refusal: str | None
    clock_ahead_s: float | None = None


class Inspection:
    """An open look at one Kafka; made by :func:`inspecting`. Every method raises ``ServerError`` when it goes away."""

    def __init__(self, connection: KafkaConnection, admin: Any) -> None:
        self._connection = connection
        self._admin = admin
        self._client = admin._client  # noqa: SLF001 (the requests below are the protocol's, not the library's)

    async def _send(self, node: int, request: Any, doing: str) -> Any:
        try:
            return await attempt(self._client.send(node, request), self._connection, doing)
        except NotImplementedError as error:  # what the library says of a broker that is too old for a request
            unsupported = errors.IncompatibleBrokerVersion(str(error))
            raise as_server_error(unsupported, self._connection, doing) from error

    async def brokers(self) -> dict[str, bool]:
        """Every broker that the cluster names, by address, and whether it can be reached from here."""
        reached = {}
        for broker in self._client.cluster.brokers():
            async with _patience(self._connection):
                reached[f"{broker.host}:{broker.port}"] = await self._client.ready(broker.nodeId)
        return reached

    async def topics(self, names: Sequence[str]) -> dict[str, TopicSeen]:
        """These topics as we see them; looking never creates one."""
        if not names:
            return {}
        node = self._client.get_random_node()
        answer = await self._send(node, MetadataRequest(list(names)), "asking for topics")
        there = [entry[1] for entry in answer.topics if entry[0] == _SUCCESS]
        settings = await topic_settings(self._admin, self._connection, there)
        return {entry[1]: _topic_seen(entry, settings.get(entry[1])) for entry in answer.topics}

    async def groups(self, names: Sequence[str]) -> dict[str, GroupSeen]:
        """These groups as we see them, with how far they are behind."""
        found = {}
        for name in names:
            coordinator = await self._coordinator(name)
            if coordinator is None:
                found[name] = GroupSeen(None)
                continue
            doing = f"asking for the group {name}"
            answer = await self._asked_again(GroupsRequest([name]), coordinator, doing)
            (entry,) = answer.groups
            if entry[0] == _REFUSED_GROUP:
                found[name] = GroupSeen(None)
                continue
            if entry[0] != _SUCCESS:
                raise as_server_error(errors.for_code(entry[0])(name), self._connection, doing)
            lag = await self._lag(name, coordinator)
            found[name] = GroupSeen(entry[2], len(entry[5]), lag, operations_of(entry[6]))
        return found

    async def _coordinator(self, group: str) -> int | None:
        doing = f"looking for the coordinator of the group {group}"
        answer = await self._asked_again(FindCoordinatorRequest(group, _GROUP_COORDINATOR), None, doing)
        if answer.error_code == _REFUSED_GROUP:
            return None
        if answer.error_code:
            raise as_server_error(errors.for_code(answer.error_code)(group), self._connection, doing)
        return int(answer.coordinator_id)

    async def _lag(self, group: str, coordinator: int) -> int | None:
        asked = self._admin.list_consumer_group_offsets(group, group_coordinator_id=coordinator)
        committed = await attempt(asked, self._connection, f"reading the positions of the group {group}")
        positions: dict[TopicPartition, int] = {
            tp: entry.offset for tp, entry in committed.items() if entry.offset >= 0
        }
        if not positions:
            return None
        ends = await self._ends(positions)
        return sum(max(0, ends[tp] - offset) for tp, offset in positions.items() if tp in ends)

    async def _ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The ends of those partitions that still exist."""
        described = await all_topics(self._admin, self._connection)
        there = {
            TopicPartition(topic["topic"], entry["partition"]) for topic in described for entry in topic["partitions"]
        }
        consumer = self._connection.consumer()
        try:
            await attempt(consumer.start(), self._connection, "connecting")
            asked = consumer.end_offsets(sorted(there & {*partitions}))
            ends: dict[TopicPartition, int] = await attempt(asked, self._connection, "asking for the ends of topics")
        finally:
            await let_go(consumer.stop())
        return ends

    async def broker_settings(self) -> Mapping[str, str] | None:
        """Settings of one broker; ``None``: we may not see them, which streamer needs for nothing else."""
        node = self._client.get_random_node()
        asked = self._admin.describe_configs([_resource(ConfigResourceType.BROKER, str(node))])
        for answer in await attempt(asked, self._connection, "reading broker settings"):
            for code, _message, _kind, _name, entries in answer.resources:
                return None if code else {entry[0]: entry[1] for entry in entries}
        return None

    async def transaction(self, transactional_id: str, topic: str) -> TransactionSeen:
        """Try a transaction that touches one partition of ``topic`` and is aborted; tells the broker's clock as well.

        The topic must exist.
        """
        doing = f"opening transactions as {transactional_id}"
        answer = await self._asked_again(
            FindCoordinatorRequest(transactional_id, _TRANSACTION_COORDINATOR), None, doing
        )
        if answer.error_code:
            return TransactionSeen(_name_of(answer.error_code))
        node = answer.coordinator_id
        begun = await self._asked_again(InitProducerIdRequest(transactional_id, TRANSACTION_S * 1000), node, doing)
        if begun.error_code:
            return TransactionSeen(_name_of(begun.error_code))
        producer = (transactional_id, begun.producer_id, begun.producer_epoch)
        before_s = time.time()
        added = await self._asked_again(AddPartitionsToTxnRequest(*producer, [(topic, [0])]), node, doing)
        after_s = time.time()
        refusal = next((code for _, partitions in added.errors for _, code in partitions if code), 0)
        if refusal:
            return TransactionSeen(_name_of(refusal))
        try:
            ahead_s = await self._clock_ahead(transactional_id, node, (before_s, after_s))
        finally:
            ended = await self._asked_again(EndTxnRequest(*producer, False), node, doing)  # an abort
        return TransactionSeen(_name_of(ended.error_code) if ended.error_code else None, ahead_s)

    async def _clock_ahead(self, transactional_id: str, node: int, between: tuple[float, float]) -> float | None:
        try:
            answer = await self._send(node, TransactionsRequest([transactional_id]), "asking for the broker's clock")
        except ServerError:
            return None
        (entry,) = answer.transactions
        if entry[0] or entry[4] < 0:
            return None
        began_s: float = entry[4] / 1000
        before_s, after_s = between
        return min(0.0, began_s - before_s) or max(0.0, began_s - after_s)

    async def _asked_again(self, request: Any, node: int | None, doing: str) -> Any:
        """Ask until the coordinator has time for us."""
        answer = None
        for _ in range(_TRIES):
            answer = await self._send(self._client.get_random_node() if node is None else node, request, doing)
            if not _codes(answer) & _AGAIN:
                break
            await asyncio.sleep(0.1)
        return answer


@asynccontextmanager
async def inspecting(connection: KafkaConnection) -> AsyncIterator[Inspection]:
    """Connect; raises ``ServerError`` that says why not."""
    async with administration(connection) as admin:
        yield Inspection(connection, admin)


def missing(access: Access, topics: Mapping[str, TopicSeen], groups: Mapping[str, GroupSeen]) -> tuple[str, ...]:
    """The operations of an access that are not allowed, as far as the broker tells; of a prefix: on any topic seen."""
    if access.resource == "topic":
        # Of a topic that may not even be seen nobody knows what else is denied.
        unseen = frozenset(access.operations) - {"Describe"} if "Describe" in access.operations else frozenset()
        seen = [
            topic.operations if topic.exists is not None else unseen
            for name, topic in topics.items()
            if (name.startswith(access.name) if access.prefixed else name == access.name) and topic.exists is not False
        ]
    elif access.resource == "group":
        seen = [groups[access.name].operations] if access.name in groups else []
    else:
        return ()
    granted = [operations for operations in seen if operations is not None]
    return tuple(name for name in access.operations if any(name not in operations for operations in granted))


def _topic_seen(entry: Sequence[Any], settings: Mapping[str, str] | None) -> TopicSeen:
    code, _name, _internal, partitions, operations = entry
    if code:
        return TopicSeen(False if code == _UNKNOWN_TOPIC else None)
    return TopicSeen(
        exists=True,
        partitions=len(partitions),
        short_of_copies=sum(len(isr) < len(replicas) for *_, replicas, isr, _offline in partitions),
        leaderless=sum(leader < 0 for _, _, leader, *_ in partitions),
        in_sync=min((len(isr) for *_, isr, _offline in partitions), default=0),
        operations=operations_of(operations),
        settings=settings,
    )


def _codes(answer: Any) -> frozenset[int]:
    if hasattr(answer, "groups"):
        return frozenset(entry[0] for entry in answer.groups)
    if hasattr(answer, "errors"):
        return frozenset(code for _, partitions in answer.errors for _, code in partitions)
    return frozenset({answer.error_code})


def _name_of(code: int) -> str:
    return str(errors.for_code(code).__name__)


@asynccontextmanager
async def _patience(connection: KafkaConnection) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(connection.request_timeout_s):
            yield
    except TimeoutError as error:
        raise as_server_error(error, connection, "connecting") from error
