"""What stands in Kafka and Elasticsearch after the chaos, read with plain clients and none of the product's code."""

from __future__ import annotations

import asyncio
import urllib.error
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streamer.model import Position, Record
from streamer.ports import Partition
from tests.chaos.cluster import Cluster
from tests.servers.elasticsearch import request
from tests.servers.topics import headers_of, read_committed


@dataclass(frozen=True, slots=True)
class Told:
    """An alert on the topic."""

    offset: int
    id: str
    body: bytes


@dataclass(slots=True)
class Recorded:
    """Everything a check looks at, by partition where there is one."""

    raw: dict[Partition, list[Record]] = field(default_factory=dict)
    detections: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    alerts: dict[int, list[Told]] = field(default_factory=dict)
    changelog: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    dead_letters: list[Any] = field(default_factory=list)
    indexed: list[str] | None = None

    def alert_ids(self) -> list[str]:
        """All ids on the topic."""
        return [told.id for number in sorted(self.alerts) for told in self.alerts[number]]


def read_all(cluster: Cluster) -> Recorded:
    """Read every topic of an installation, ``read_committed``, and its indices."""
    found = Recorded()
    for topic in cluster.topics.values():
        by_number = _by_partition(_read(cluster, topic))
        for number, records in by_number.items():
            found.raw[topic, number] = [_record(record) for record in records]
    for number in range(cluster.partitions):
        found.detections[number], found.alerts[number], found.changelog[number] = [], [], {}
    for record in _read(cluster, cluster.topic("detections")):
        found.detections[record.partition].append((record.offset, record.value))
    for record in _read(cluster, cluster.topic("alerts")):
        told = Told(record.offset, headers_of(record)["ce_id"], record.value)
        found.alerts[record.partition].append(told)
    for record in _read(cluster, cluster.topic("correlate-changelog")):
        entries = found.changelog[record.partition]
        if record.value is None:
            entries.pop(record.key, None)
        else:
            entries[record.key] = record.value
    found.dead_letters = _read(cluster, cluster.topic("dead-letter"))
    if cluster.elasticsearch:
        found.indexed = indexed_ids(cluster.elasticsearch, cluster.indices)
    return found


def indexed_ids(url: str, index: str) -> list[str]:
    """All document ids of an installation, however many, sorted; none where there is no index yet."""
    try:
        request(url, "POST", f"/{index}/_refresh?ignore_unavailable=true")
        path = f"/{index}/_search?ignore_unavailable=true&scroll=1m"
        answer = request(url, "POST", path, {"size": 5000, "_source": False, "sort": ["_doc"]})
        ids: list[str] = []
        while hits := answer["hits"]["hits"]:
            ids += [hit["_id"] for hit in hits]
            answer = request(url, "POST", "/_search/scroll", {"scroll": "1m", "scroll_id": answer["_scroll_id"]})
    except urllib.error.HTTPError as error:
        if error.code in {404, 503}:
            return []
        raise
    if "_scroll_id" in answer:
        request(url, "DELETE", "/_search/scroll", {"scroll_id": [answer["_scroll_id"]]})
    return sorted(ids)


def _read(cluster: Cluster, topic: str) -> list[Any]:
    return asyncio.run(read_committed(cluster.kafka.address, topic))


def _by_partition(records: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for record in records:
        found[record.partition].append(record)
    return found


def _record(record: Any) -> Record:
    position = Position(record.topic, record.partition, record.offset, is_file=False)
    return Record(record.value, position, record.timestamp * 1000, tuple(record.headers))


def ends_of(cluster: Cluster, topics: Iterable[str]) -> dict[Partition, int]:
    """End offsets of all partitions of these topics."""
    return asyncio.run(_ends(cluster.kafka.address, list(topics)))


async def _ends(address: str, topics: list[str]) -> dict[Partition, int]:
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=address, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, n) for topic in topics for n in consumer.partitions_for_topic(topic) or ()]
        ends = await consumer.end_offsets(partitions)
        return {(tp.topic, tp.partition): offset for tp, offset in ends.items()}
    finally:
        await consumer.stop()
