"""A member of the group that reads raw topics, what it was told and what it read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from streamer.kafka import KafkaConnection, RawGroupReader, ReadLimits
from streamer.model import Record
from streamer.ports import Batch, Partition

QUICK = ReadLimits(refresh_s=0.5, silence_s=3.0)


class Member:
    """A reader, what it was told, and what it read since it was last assigned something."""

    def __init__(self, reader: RawGroupReader) -> None:
        self.reader = reader
        self.owned: frozenset[Partition] = frozenset()
        self.told: list[str] = []
        self.records: list[Record] = []
        self.batch = Batch()

    def assigned(self, partitions: frozenset[Partition]) -> None:
        self.told.append("assigned")
        self.owned = partitions

    def revoked(self, partitions: frozenset[Partition]) -> None:
        self.told.append("revoked")
        assert partitions
        self.owned = frozenset()
        self.records.clear()

    async def poll(self) -> None:
        self.batch = await self.reader.poll(0.1)
        for record in self.batch.records:
            assert (record.position.source, record.position.partition) in self.owned
        self.records += self.batch.records

    async def poll_until(self, done: Callable[[], Any], within_s: float = 20) -> None:
        async with asyncio.timeout(within_s):
            while not done():
                await self.poll()

    async def read_all(self) -> list[bytes]:
        self.batch = Batch()
        await self.poll_until(lambda: self.owned and self.batch.at_end == self.owned and not self.batch.records)
        return [record.value for record in self.records]


@asynccontextmanager
async def member(
    address: str, *topics: str, limits: ReadLimits = QUICK, session_s: float = 10, timeout_s: float = 20
) -> AsyncIterator[Member]:
    made = Member(
        RawGroupReader(
            KafkaConnection(address, request_timeout_s=timeout_s),
            topics,
            group=f"{topics[0]}.detect",
            now_us=lambda: time.time_ns() // 1000,
            session_s=session_s,
            limits=limits,
        )
    )
    try:
        await made.reader.start(made.assigned, made.revoked)
        yield made
    finally:
        await made.reader.stop()
