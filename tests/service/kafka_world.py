"""A small installation over a real Kafka, its roles in this process, and questions to its topics."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streamer.kafka import KafkaConnection, create_topics, plan_topics
from streamer.service import kafka_run
from streamer.service.configuration import load_settings
from streamer.service.settings import Settings
from streamer.sigma import load_text
from streamer.sigma.rules import RuleSet
from tests.servers.topics import make_topic, produce, read_committed
from tests.service.workload import RULES, START_S, audit_line

PARTITIONS = 3
RAW_PARTITIONS = 2
PATIENCE_S = 60.0


@dataclass
class Installation:
    """Its settings and its topics."""

    kafka: str
    name: str
    folder: Path
    rules: str = RULES
    more: dict[str, Any] = field(default_factory=dict)
    written: int = 0

    @property
    def raw(self) -> str:
        return f"{self.name}-audit"

    def topic(self, short: str) -> str:
        return f"{self.name}.{short}"

    def settings(self) -> Settings:
        (self.folder / "rules.yml").write_text(self.rules)
        values: dict[str, Any] = {
            "rules": [str(self.folder / "rules.yml")],
            "sources": [{"kafka": self.raw, "kind": "audit", "lateness": "1s", "idle_after": "2s"}],
            "kafka": {
                "bootstrap_servers": self.kafka,
                "topic_prefix": f"{self.name}.",
                "partitions": PARTITIONS,
                "replication": 1,
                "session": "2s",
            },
            "http": {"enabled": False},
            "watch_rules": False,
        }
        return load_settings(None, command_line=values | self.more, environment={})

    def loaded(self) -> RuleSet:
        return load_text({"rules.yml": self.rules}).ok()

    async def set_up(self) -> None:
        await make_topic(self.kafka, self.raw, RAW_PARTITIONS, message_timestamp_type="LogAppendTime")
        plans = plan_topics(f"{self.name}.", partitions=PARTITIONS, replication=1)
        await create_topics(KafkaConnection(self.kafka), plans)

    async def write(self, *lines: str) -> None:
        """Raw records; those of one call go to one partition."""
        partition = self.written % RAW_PARTITIONS
        self.written += 1
        await produce(self.kafka, self.raw, [line.encode() for line in lines], partition=partition)

    async def alerts(self) -> list[dict[str, Any]]:
        records = await read_committed(self.kafka, self.topic("alerts"))
        return [json.loads(record.value) for record in records]

    async def messages(self) -> list[str]:
        return sorted(alert["message"] for alert in await self.alerts())

    async def letters(self) -> list[dict[str, Any]]:
        records = await read_committed(self.kafka, self.topic("dead-letter"))
        return [json.loads(record.value) for record in records]

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """Offsets that a group has committed."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, group_id=f"{self.name}.{group}")
        await consumer.start()
        try:
            numbers = range(RAW_PARTITIONS if topic == self.raw else PARTITIONS)
            found = {number: await consumer.committed(TopicPartition(topic, number)) for number in numbers}
            return {number: offset for number, offset in found.items() if offset is not None}
        finally:
            await consumer.stop()

    @asynccontextmanager
    async def running(self, *roles: str) -> AsyncIterator[kafka_run._Service]:
        """The service in this process, until the end of the block; then it is stopped in order."""
        service = kafka_run._Service(self.settings(), self.loaded(), roles or ("detect", "correlate"), None)
        stop = asyncio.Event()
        task = asyncio.create_task(service.run(stop))
        try:
            yield service
        finally:
            stop.set()
            await asyncio.wait({task}, timeout=PATIENCE_S)
            await task


async def eventually(condition: Callable[[], Any], why: str, within_s: float = PATIENCE_S) -> Any:
    """Wait for a condition, which may be a coroutine function."""
    end_s = time.monotonic() + within_s
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end_s, why
        await asyncio.sleep(0.2)


def secret_read(number: int, *, user: str, namespace: str, ago_s: float = 0.0) -> str:
    """Somebody read a secret, so long ago."""
    seconds = time.time() - START_S - ago_s
    return audit_line(number, seconds, verb="get", resource="secrets", user=user, namespace=namespace)


def node_deleted(number: int, *, user: str = "u", ago_s: float = 0.0) -> str:
    """Somebody deleted a node: an alert of its own."""
    seconds = time.time() - START_S - ago_s
    return audit_line(number, seconds, verb="delete", resource="nodes", user=user, namespace="n")
