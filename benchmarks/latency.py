"""How long from an event's append in Kafka until its alert can be read on the topic and found in Elasticsearch?

A real Kafka and a real Elasticsearch beside streamer on the same machine; events come at a steady rate into a raw topic
with ``LogAppendTime``. A subscriber of the alerts topic (``read_committed``) and a searcher note when each alert of a
planted event is there. What each process used of the CPU is printed beside, so that a saturated part is seen.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from elasticsearch import ApiError, AsyncElasticsearch

from benchmarks import corpus
from benchmarks.installation import PARTITIONS, PLANTED, Installation, cpu_seconds, rule_count
from tests.servers.elasticsearch import ElasticsearchServer
from tests.servers.kafka import KafkaServer

_EVERY = 50
"""One event of so many is planted."""
_STAMPS = ("requestReceivedTimestamp", "stageTimestamp")


@dataclass
class Seen:
    """What was seen of planted events and their alerts; times in seconds since the epoch.

    Attributes:
        appended: when each planted event was appended, by partition and offset.
        sources: where each alert's event stands, by alert id.
        told: when each alert was read on the topic.
        found: when each alert was found in Elasticsearch.
    """

    appended: dict[tuple[int, int], float] = field(default_factory=dict)
    sources: dict[str, tuple[int, int]] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    found: dict[str, float] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """Alerts that were read and not found yet."""
        return [name for name in self.told if name not in self.found]

    def untold(self) -> int:
        """Planted events without an alert."""
        return len(set(self.appended) - set(self.sources.values()))

    def delays(self, when: dict[str, float]) -> list[float]:
        """Seconds from append, of the alerts of planted events."""
        return [
            moment - self.appended[self.sources[name]]
            for name, moment in when.items()
            if self.sources[name] in self.appended
        ]


def main() -> int:
    """Run and print; exit code 1 where an alert of a planted event did not come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1_000, help="events per second")
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        kafka, elastic = KafkaServer(), ElasticsearchServer()
        for server in (kafka, elastic):
            stack.callback(server.close)
            server.start()
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="streamer-latency-"))
        installation = Installation(Path(folder), kafka.address, elastic.url)
        stack.callback(installation.stop)
        return asyncio.run(_measure(arguments, installation, kafka, elastic))


async def _measure(
    arguments: argparse.Namespace, installation: Installation, kafka: KafkaServer, elastic: ElasticsearchServer
) -> int:
    await installation.set_up()
    installation.start()
    await installation.ready()
    seen = Seen()
    stop = asyncio.Event()
    watching = [
        asyncio.create_task(_read_alerts(installation, seen, stop)),
        asyncio.create_task(_search(installation, elastic.url, seen, stop)),
    ]
    await _offer(installation, itertools.islice(_events(), arguments.rate * 5), arguments.rate)  # warm
    processes = {"streamer": installation.pids[0], "kafka": kafka.pid, "elasticsearch": elastic.pid}
    before = {name: cpu_seconds(pid) for name, pid in processes.items()}
    begun = time.monotonic()
    events = itertools.islice(_events(seed=2), arguments.rate * arguments.seconds)
    sent = await _offer(installation, events, arguments.rate, seen)
    took = time.monotonic() - begun
    used = {name: (cpu_seconds(pid) - before[name]) / took for name, pid in processes.items()}
    for _ in range(300):
        if not seen.untold() and not seen.missing():
            break
        await asyncio.sleep(0.2)
    stop.set()
    await asyncio.gather(*watching)
    return _report(seen, sent / took, used)


def _events(seed: int = 1) -> Iterator[dict[str, Any]]:
    return (orjson.loads(line) for line in corpus.lines(10_000_000, seed=seed))


async def _offer(
    installation: Installation, events: Iterator[dict[str, Any]], rate: int, seen: Seen | None = None
) -> int:
    """Send at a steady rate, stamped with the time of sending; returns how many."""
    producer = AIOKafkaProducer(bootstrap_servers=installation.kafka, linger_ms=5)
    await producer.start()
    sent, begun, pending = 0, time.monotonic(), []
    try:
        for event in events:
            stamp = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
            planted = sent % _EVERY == 0
            source = {"sourceIPs": [PLANTED]} if planted else {}
            future = await producer.send(
                installation.raw_topic,
                orjson.dumps(event | dict.fromkeys(_STAMPS, stamp) | source),
                partition=sent % PARTITIONS,
            )
            if seen is not None and planted:
                pending.append(future)
            sent += 1
            ahead = sent / rate - (time.monotonic() - begun)
            if ahead > 0:
                await asyncio.sleep(ahead)
        for future in pending:
            told = await future
            assert seen is not None
            seen.appended[told.partition, told.offset] = told.timestamp / 1000
    finally:
        await producer.stop()
    return sent


async def _read_alerts(installation: Installation, seen: Seen, stop: asyncio.Event) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=installation.kafka, isolation_level="read_committed", fetch_max_wait_ms=50
    )
    await consumer.start()
    consumer.assign([TopicPartition(installation.alerts_topic, number) for number in range(PARTITIONS)])
    await consumer.seek_to_end()
    try:
        while not stop.is_set():
            for records in (await consumer.getmany(timeout_ms=100)).values():
                for record in records:
                    alert = orjson.loads(record.value)
                    source = alert["streamer"]["evidence"][-1]["source"]
                    seen.sources[alert["event"]["id"]] = (source["partition"], source["offset"])
                    seen.told[alert["event"]["id"]] = time.time()
    finally:
        await consumer.stop()


async def _search(installation: Installation, url: str, seen: Seen, stop: asyncio.Event) -> None:
    client = AsyncElasticsearch(url)
    try:
        while not stop.is_set():
            ids = seen.missing()[:1000]
            if ids:
                seen.found |= dict.fromkeys(await _found(client, installation.alerts_index, ids), time.time())
            await asyncio.sleep(0.05)
    finally:
        await client.close()


async def _found(client: AsyncElasticsearch, index: str, ids: list[str]) -> list[str]:
    try:
        answer = await client.search(
            index=index, query={"ids": {"values": ids}}, source=False, size=len(ids), ignore_unavailable=True
        )
    except ApiError as error:
        if error.status_code != 503:  # an index that was made a moment ago cannot be searched yet
            raise
        return []
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def _report(seen: Seen, rate: float, used: dict[str, float]) -> int:
    print(f"{rate:.0f} events/s, {rule_count()} rules, {PARTITIONS} partitions, {len(seen.appended)} planted events")
    for where, when in (("on the alerts topic", seen.told), ("found in Elasticsearch", seen.found)):
        times = seen.delays(when)
        if len(times) > 1:
            cuts = statistics.quantiles(times, n=100)
            print(f"  {where:24} n={len(times):6} p50 {cuts[49] * 1000:7.0f} ms   p99 {cuts[98] * 1000:7.0f} ms")
    for name, cores in used.items():
        print(f"  {name:24} {cores * 100:5.0f} % of one core")
    untold, missing = seen.untold(), len(seen.missing())
    if not seen.appended or untold or missing:
        print(f"  {untold} planted events without an alert, {missing} alerts not found in Elasticsearch")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
