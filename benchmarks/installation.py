"""``streamer run`` as processes on a real Kafka, for the benchmarks that measure the whole."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError

from streamer.sigma import load_rules
from tests.servers.process import mortal

ROOT = Path(__file__).resolve().parents[1]
PARTITIONS = 24
PLANTED = "203.0.113.66"
_RULE = f"""\
title: A planted event
id: 6f6f4f8e-3f0c-4a3f-9d5b-0f9d7c1f2a10
name: planted_event
logsource: {{product: kubernetes, service: audit}}
detection: {{planted: {{sourceIPs: "{PLANTED}"}}, condition: planted}}
level: medium
"""
_TICKS = os.sysconf("SC_CLK_TCK")


def rule_count() -> int:
    """How many rules are shipped."""
    rules = load_rules([ROOT / "rules"]).ok()
    return len(rules.detections) + len(rules.correlations)


def cpu_seconds(pid: int) -> float:
    """User and system time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class Installation:
    """One installation of the service: its topics, its configuration, its processes."""

    def __init__(self, folder: Path, kafka: str, elasticsearch: str | None, name: str = "bench") -> None:
        self.folder = folder
        self.kafka = kafka
        self.elasticsearch = elasticsearch
        self.name = name
        self.raw_topic = f"{name}-audit"
        self.alerts_topic = f"{name}.alerts"
        self.alerts_index = f"logs-streamer.alerts-{name}-*"
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def pids(self) -> list[int]:
        """The running processes."""
        return [process.pid for process in self._running]

    @property
    def detect_group(self) -> str:
        """The consumer group that reads the raw topics."""
        return f"{self.name}.detect"

    async def set_up(self) -> None:
        """Raw topic, configuration, ``streamer setup``."""
        admin: Any = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        settings = {"message.timestamp.type": "LogAppendTime"}
        await admin.create_topics([NewTopic(self.raw_topic, PARTITIONS, 1, topic_configs=settings)])
        await admin.close()
        configuration: dict[str, Any] = {
            "cluster": "bench",
            "rules": ["shipped", str(self._rule())],
            "sources": [{"kafka": self.raw_topic, "kind": "audit"}],
            "kafka": {
                "bootstrap_servers": self.kafka,
                "topic_prefix": f"{self.name}.",
                "partitions": PARTITIONS,
                "replication": 1,
            },
            "http": {"enabled": False},
            "log": {"level": "warning"},
        }
        if self.elasticsearch:
            configuration["elasticsearch"] = {"hosts": [self.elasticsearch], "namespace": self.name}
        self._file.write_text(yaml.safe_dump(configuration))
        await asyncio.to_thread(subprocess.run, self._command("setup"), cwd=ROOT, check=True, capture_output=True)

    def start(self, count: int = 1) -> None:
        """``streamer run``, so many processes."""
        for _ in range(count):
            with (self.folder / f"{self.name}.log").open("ab") as log:
                command = mortal(self._command("run"))
                self._running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log))

    async def committed(self) -> int:
        """Raw records that the detect role has finished."""
        admin: Any = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(self.detect_group)
        except GroupCoordinatorNotAvailableError:  # nobody has joined a group on this broker yet
            return 0
        finally:
            await admin.close()
        return sum(max(0, entry.offset) for entry in offsets.values())

    async def ready(self, timeout_s: float = 90) -> None:
        """Until its members have joined and every partition had time to be restored."""
        begun = time.monotonic()
        admin: Any = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            while time.monotonic() - begun < timeout_s:
                groups = {group for group, _ in await admin.list_consumer_groups()}
                if {f"{self.name}.correlate", self.detect_group} <= groups:
                    await asyncio.sleep(8)
                    return
                await asyncio.sleep(0.5)
        finally:
            await admin.close()
        log = (self.folder / f"{self.name}.log").read_text(errors="replace")[-3000:]
        raise RuntimeError(f"streamer did not start:\n{log}")

    def stop(self) -> None:
        """End all processes."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
        self._running.clear()

    def _rule(self) -> Path:
        """A rule that alerts for every planted event, one by one."""
        path = self.folder / "planted.yml"
        path.write_text(_RULE)
        return path

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.name}.yml"

    def _command(self, verb: str) -> list[str]:
        return [sys.executable, "-m", "streamer", verb, "--config", str(self._file)]
