"""The outside world: who ships the raw records and who reads the alerts, while all between them is in trouble."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from tests.chaos.records import Raw
from tests.servers.topics import headers_of

_CHUNK = 100
"""Records sent at once. A chunk that failed is sent again as a whole: a shipper's duplicates."""


class Background:
    """Something that runs in a thread with a loop of its own, until it is done or told to stop."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end, and wait; raises what it failed with."""
        self._stop.set()
        self._thread.join(60)
        if self.error is not None:
            raise self.error

    def end(self) -> None:
        """Ask it to end, and wait; for whoever no longer minds what it failed with."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(20)

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - told by stop()
            self.error = error

    async def _run(self) -> None:
        raise NotImplementedError


class Shipper(Background):
    """Writes raw records at a pace, whatever happens to the broker.

    Args:
        address: of Kafka.
        topics: names by kind.
        records: in the order of their arrival.
        rate: records per second; 0 writes as fast as Kafka takes them.
        burst: how many go out at once in the beginning.
    """

    def __init__(
        self, address: str, topics: Mapping[str, str], records: Iterable[Raw], *, rate: float = 0, burst: int = 0
    ) -> None:
        super().__init__()
        self._address, self._topics, self._records = address, topics, records
        self._rate, self._burst = rate, burst
        self.sent = 0
        self.done = threading.Event()

    def hurry(self) -> None:
        """The rest goes out as fast as Kafka takes it."""
        self._rate = 0

    def _main(self) -> None:
        super()._main()
        self.done.set()

    async def _run(self) -> None:
        producer = await self._connected()
        begun_s = time.monotonic()
        try:
            for chunk in _chunks(self._records):
                while self._rate and self.sent > self._burst + self._rate * (time.monotonic() - begun_s):
                    await asyncio.sleep(0.05)
                    if self._stop.is_set():
                        return
                while not await self._ship(producer, chunk):
                    await end(producer)
                    if self._stop.is_set():
                        return
                    producer = await self._connected()
                self.sent += len(chunk)
        finally:
            await end(producer)

    async def _connected(self) -> AIOKafkaProducer:
        while True:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._address, enable_idempotence=True, linger_ms=2, compression_type="lz4"
            )
            try:
                await producer.start()
            except (KafkaError, OSError):
                await end(producer)
                await asyncio.sleep(0.3)
            else:
                return producer

    async def _ship(self, producer: AIOKafkaProducer, chunk: Sequence[Raw]) -> bool:
        try:
            futures = [
                await producer.send(self._topics[raw.kind], raw.value, partition=raw.partition, headers=raw.headers)
                for raw in chunk
            ]
            await asyncio.gather(*futures)
        except (KafkaError, OSError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Sighting:
    """One alert that a subscriber saw."""

    partition: int
    offset: int
    id: str
    at_s: float
    appended_ms: int


@dataclass(slots=True)
class Sightings:
    """What a subscriber saw, in the order seen."""

    seen: list[Sighting] = field(default_factory=list)

    def doubled(self) -> list[str]:
        """Ids that were seen at more than one place."""
        places: dict[str, set[tuple[int, int]]] = {}
        for sighting in self.seen:
            places.setdefault(sighting.id, set()).add((sighting.partition, sighting.offset))
        return sorted(identity for identity, found in places.items() if len(found) > 1)


class Follower(Background):
    """Reads partitions of a topic from their beginning, without a group, and never forgets how far it came."""

    isolation = "read_uncommitted"

    def __init__(self, address: str, topic: str, partitions: int) -> None:
        super().__init__()
        self._address, self._topic = address, topic
        self._next = dict.fromkeys(range(partitions), 0)

    async def _run(self) -> None:
        while not self._stop.is_set():
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._address,
                isolation_level=self.isolation,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
            )
            try:
                await consumer.start()
                await self._follow(consumer)
            except (KafkaError, OSError):
                await asyncio.sleep(0.3)
            finally:
                await end(consumer)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        partitions = [TopicPartition(self._topic, number) for number in self._next]
        consumer.assign(partitions)
        for tp in partitions:
            consumer.seek(tp, self._next[tp.partition])
        while not self._stop.is_set():
            for tp, records in (await consumer.getmany(timeout_ms=300)).items():
                for record in records:
                    self._next[tp.partition] = record.offset + 1
                    self._saw(tp.partition, record)

    def _saw(self, partition: int, record: Any) -> None:
        raise NotImplementedError


class Subscriber(Follower):
    """Somebody who reads alerts as the contract says: ``read_committed``."""

    isolation = "read_committed"

    def __init__(self, address: str, topic: str, partitions: int) -> None:
        super().__init__(address, topic, partitions)
        self.sightings = Sightings()

    def _saw(self, partition: int, record: Any) -> None:
        identity = headers_of(record).get("ce_id", "")
        sighting = Sighting(partition, record.offset, identity, time.monotonic(), record.timestamp)
        self.sightings.seen.append(sighting)


def _chunks(records: Iterable[Raw]) -> Iterable[list[Raw]]:
    chunk: list[Raw] = []
    for raw in records:
        chunk.append(raw)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def end(client: Any) -> None:
    """Close a client that may hang on a broker that is away."""
    task = asyncio.ensure_future(client.stop())
    with contextlib.suppress(TimeoutError, KafkaError, OSError):
        await asyncio.wait_for(task, 5)
