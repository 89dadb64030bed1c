"""How many events per second does one process take from Kafka to the alerts topic, and how many do two?

The same backlog waits in the raw topic for one process and then, under another name, for two. Measured is the middle of
the run, from a tenth to nine tenths of the backlog, so that starting and rebalancing do not count. Broker and processes
share the machine's cores: on two cores the second process competes with the broker.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from aiokafka import AIOKafkaProducer

from benchmarks import corpus
from benchmarks.installation import PARTITIONS, Installation, cpu_seconds, rule_count
from tests.servers.kafka import KafkaServer


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        kafka = KafkaServer()
        stack.callback(kafka.close)
        kafka.start()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamer-throughput-")))
        rates = []
        for count in (1, 2):
            installation = Installation(folder, kafka.address, None, f"bench{count}")
            stack.callback(installation.stop)
            rates.append(asyncio.run(_rate(installation, arguments.events, count, kafka)))
            installation.stop()
    print(f"{rule_count()} rules, {os.cpu_count()} cores: two processes / one process = {rates[1] / rates[0]:.2f}")
    return 0


async def _rate(installation: Installation, events: int, count: int, kafka: KafkaServer) -> float:
    await installation.set_up()
    producer = AIOKafkaProducer(bootstrap_servers=installation.kafka, linger_ms=20)
    await producer.start()
    for number, line in enumerate(corpus.lines(events)):
        await producer.send(installation.raw_topic, line, partition=number % PARTITIONS)
    await producer.stop()
    installation.start(count)
    await _reached(installation, events // 10)
    begun, low = time.monotonic(), await installation.committed()
    before = [cpu_seconds(pid) for pid in (*installation.pids, kafka.pid)]
    await _reached(installation, events * 9 // 10)
    took, high = time.monotonic() - begun, await installation.committed()
    used = [cpu_seconds(pid) - had for pid, had in zip((*installation.pids, kafka.pid), before, strict=True)]
    shares = ", ".join(f"{one / took * 100:.0f} %" for one in used[:-1])
    rate = (high - low) / took
    print(
        f"{count} process(es): {rate:7.0f} events/s; CPU of streamer {shares}, of Kafka {used[-1] / took * 100:.0f} %"
    )
    return rate


async def _reached(installation: Installation, wanted: int) -> None:
    deadline = time.monotonic() + 900
    while await installation.committed() < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError("streamer does not get on")
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
