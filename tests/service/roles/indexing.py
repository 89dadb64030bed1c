"""What the tests of the index role share: alerts on a topic, a role over it, and questions to both servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streamer.ecs.bodies import shortened
from streamer.ecs.templates import INDEX_PREFIX, INDEX_TEMPLATE, component_templates, index_template
from streamer.elastic import Bulk, ElasticConnection, install
from streamer.kafka import KafkaConnection
from streamer.kafka.alerts_reader import AlertsReader
from streamer.kafka.outlet import Outlet
from streamer.service.doors import now_us
from streamer.service.roles.index import DeadLetters, IndexRole
from streamer.service.roles.shipping import IndexOptions
from tests.servers.indices import ids_in
from tests.servers.topics import make_topic, read_committed

PARTITIONS = 3


def alert(namespace: str, number: int, *, day: str = "2026-11-24", pad: int = 0, **more: Any) -> bytes:
    """A small alert document."""
    body = {
        "@timestamp": f"{day}T10:00:00.000000Z",
        "event": {"id": f"{number:032x}", "kind": "alert"},
        "data_stream": {"namespace": namespace},
        "message": f"alert {number}",
    }
    return json.dumps(body | more | ({"streamer": {"evidence": [{"summary": "x" * pad}]}} if pad else {})).encode()


def ids(numbers: Iterable[int]) -> list[str]:
    """As Elasticsearch lists them."""
    return sorted(f"{number:032x}" for number in numbers)


@dataclass
class World:
    """One installation: its topics and its indices."""

    kafka: str
    elasticsearch: str
    name: str

    @property
    def prefix(self) -> str:
        """Of the topics."""
        return f"{self.name}."

    @property
    def indices(self) -> str:
        """All alert indices of this installation."""
        return f"{INDEX_PREFIX}{self.name}-*"

    def index(self, day: str) -> str:
        """The index of a day, as YYYY.MM.DD."""
        return f"{INDEX_PREFIX}{self.name}-{day}"

    async def prepare(self, **login: Any) -> None:
        """Topics and templates."""
        await make_topic(self.kafka, f"{self.prefix}alerts", PARTITIONS)
        await make_topic(self.kafka, f"{self.prefix}dead-letter")
        connection = ElasticConnection((self.elasticsearch,), **login)
        await install(connection, components=component_templates(), templates={INDEX_TEMPLATE: index_template()})

    async def tell(self, values: Iterable[bytes]) -> None:
        """Alerts on the topic, over all partitions in turn."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka)
        await producer.start()
        try:
            sent = [
                await producer.send(f"{self.prefix}alerts", value, partition=number % PARTITIONS)
                for number, value in enumerate(values)
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def committed(self) -> dict[int, int]:
        """Committed offsets of the group, where there are any."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, group_id=f"{self.prefix}index")
        await consumer.start()
        try:
            found = {
                number: await consumer.committed(TopicPartition(f"{self.prefix}alerts", number))
                for number in range(PARTITIONS)
            }
        finally:
            await consumer.stop()
        return {number: offset for number, offset in found.items() if offset is not None}

    async def dead_letters(self) -> list[dict[str, Any]]:
        """Bodies of the dead-letter topic."""
        return [json.loads(record.value) for record in await read_committed(self.kafka, f"{self.prefix}dead-letter")]

    def indexed(self) -> list[str]:
        """Ids of all documents, sorted; one that stands in two indices is there twice."""
        return ids_in(self.elasticsearch, self.indices)

    def role(
        self, url: str | None = None, *, timeout_s: float = 10, outlet: str = "", login: Any = None, **options: Any
    ) -> IndexRole:
        """A role as the service makes it, but for time-outs; ``outlet`` is another Kafka for dead letters."""
        kafka = KafkaConnection(self.kafka, request_timeout_s=10)
        elastic = ElasticConnection((url or self.elasticsearch,), request_timeout_s=timeout_s, **(login or {}))
        return IndexRole(
            AlertsReader(kafka, topic=f"{self.prefix}alerts", group=f"{self.prefix}index", now_us=now_us),
            Bulk(elastic, template=INDEX_TEMPLATE, shorten=shortened),
            Outlet(KafkaConnection(outlet or self.kafka, request_timeout_s=10), name="dead letters"),
            dead_letters=DeadLetters(f"{self.prefix}dead-letter", f"{self.prefix}alerts", "/streamer/test"),
            options=IndexOptions(**({"linger_s": 0.1, "slow_s": 1.0, "unready_after_s": 1.0} | options)),
        )


@asynccontextmanager
async def running(role: IndexRole) -> AsyncIterator[IndexRole]:
    """Run a role until the end of the block, and stop it in order; what it raises is raised."""
    stop = asyncio.Event()
    task = asyncio.create_task(role.run(stop))
    try:
        yield role
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


async def until(true: Callable[[], bool], within_s: float = 60) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 (what is waited for happens in servers)
            await asyncio.sleep(0.1)
