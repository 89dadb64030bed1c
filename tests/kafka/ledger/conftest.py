"""Topics and owners for the tests of the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from streamer.errors import LedgerLost
from streamer.kafka import KafkaConnection, KafkaLedger
from streamer.ports import Message, Restored
from tests.servers.topics import make_topic, read_committed


class Installation:
    """The topics of one prefix, and every ledger that a test opened on them."""

    def __init__(self, address: str, prefix: str) -> None:
        self.address = address
        self.prefix = prefix
        self.changelog = f"{prefix}correlate-changelog"
        self.alerts = f"{prefix}alerts"
        self.detections = f"{prefix}detections"
        self._ledgers: list[KafkaLedger] = []

    async def make_topics(self, **changelog: str) -> None:
        await make_topic(self.address, self.changelog, 2, **({"cleanup_policy": "compact"} | changelog))
        for name in (self.alerts, self.detections):
            await make_topic(self.address, name, 2)

    def ledger(
        self, partition: int = 0, *, points: Callable[[str], Awaitable[None]] | None = None, timeout_s: float = 20
    ) -> KafkaLedger:
        connection = KafkaConnection(self.address, request_timeout_s=timeout_s)
        made = KafkaLedger(connection, prefix=self.prefix, partition=partition, points=points)
        self._ledgers.append(made)
        return made

    async def owner(self, partition: int = 0, **options: Any) -> tuple[KafkaLedger, Restored]:
        made = self.ledger(partition, **options)
        return made, await made.take_over(lambda _read, _end: None)

    def alert(self, value: bytes, partition: int = 0) -> Message:
        return Message(self.alerts, partition, b"key", value, (("ce_id", value),))

    async def told(self) -> list[bytes]:
        return [record.value for record in await read_committed(self.address, self.alerts)]

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in self._ledgers))


@pytest.fixture
async def installation(kafka_address: str, unique: str) -> AsyncIterator[Installation]:
    made = Installation(kafka_address, f"{unique}.")
    await made.make_topics()
    yield made
    await made.close()


class Gate:
    """Stops whoever passes one point until it is opened: a frozen process, seen from the outside."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.passed: list[str] = []

    async def __call__(self, point: str) -> None:
        self.passed.append(point)
        if point == self.point and not self.reached.is_set():
            self.reached.set()
            await self.opened.wait()


async def lost(doing: Awaitable[Any]) -> LedgerLost:
    """What was raised, which must be a :class:`LedgerLost`."""
    with pytest.raises(LedgerLost) as raised:
        await doing
    return raised.value
