"""The bundled attack and its harmless twins as two clusters shipping to the same two raw topics."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from tests.e2e.service import ROOT
from tests.servers.topics import make_topic

DEMO = ROOT / "streamer" / "_demo"
STORIES = {"attacked": ("baseline", "campaign"), "harmless": ("baseline", "twins")}
"""What happened in each cluster: folders of the bundled data."""
PARTITIONS = 3

_OWNER = re.compile(rb'"(?:auditID|pod_id|uid)":"([^"]+)"')
_STAMP = re.compile(rb'"(?:stageTimestamp|@timestamp)":"([^"]+)"')


def records(kind: str) -> Iterator[tuple[str, bytes]]:
    """(cluster, record) of one raw topic in the order of their stamps, as shippers would have sent them."""
    stamped: list[tuple[bytes, str, bytes]] = []
    for cluster, folders in STORIES.items():
        for folder in folders:
            last = b""
            for line in (DEMO / folder / f"{kind}.ndjson").read_bytes().splitlines():
                found = _STAMP.search(line)
                last = found[1] if found else last
                stamped.append((last, cluster, line))
    for _, cluster, line in sorted(stamped, key=lambda entry: entry[0]):
        yield cluster, line


async def ship(address: str, topics: dict[str, str]) -> int:
    """Create the raw topics and produce everything with a plain producer; how many records there were."""
    count = 0
    producer = AIOKafkaProducer(bootstrap_servers=address, compression_type="lz4")
    await producer.start()
    try:
        for kind, topic in topics.items():
            await make_topic(address, topic, PARTITIONS, message_timestamp_type="LogAppendTime")
            for cluster, line in records(kind):
                # Keyed as shippers key: lines of one pod, and stages of one request, stay in order.
                owner = _OWNER.search(line)
                headers = [("cluster", cluster.encode())]
                await producer.send(topic, line, owner[1] if owner else b"", headers=headers)
                count += 1
        await producer.flush()
    finally:
        await producer.stop()
    return count


def replayed(cluster: str) -> list[dict[str, Any]]:
    """What ``streamer replay`` tells of the same records from files: the alerts that must come out of the service."""
    files = [DEMO / folder / f"{kind}.ndjson" for folder in STORIES[cluster] for kind in ("audit", "containers")]
    command = [sys.executable, "-m", "streamer", "replay", "--json", "--cluster", cluster, *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def schema() -> Path:
    """The published JSON Schema of an alert."""
    return ROOT / "docs" / "schemas" / "alert-v1.schema.json"
