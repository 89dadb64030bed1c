"""Processes of the service as somebody else's machines would run them: started, frozen, killed, counted."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
import yaml

from streamer.correlate import CorrelateLimits
from streamer.decode import Source
from streamer.service.configuration import load_settings
from streamer.service.settings import Settings
from streamer.service.sources import limits_of, source_of
from streamer.sigma import load_rules
from streamer.sigma.rules import RuleSet
from tests.chaos.broker import ProxiedKafka
from tests.chaos.workload import PARTITIONS, RULES
from tests.servers.process import mortal
from tests.servers.topics import make_topic

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("detect", "correlate", "index")


@dataclass(slots=True)
class Worker:
    """One process of the service."""

    name: str
    roles: tuple[str, ...]
    log: Path
    process: subprocess.Popen[bytes]
    started_s: float
    frozen: bool = False

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    @property
    def started(self) -> bool:
        """Whether it has come to its work; before, nobody in it listens to signals."""
        return b'"started"' in self.log.read_bytes()

    def wait_started(self, within_s: float = 60) -> bool:
        """Until it has come to its work; whether it did."""
        end_s = time.monotonic() + within_s
        while not self.started and self.alive and time.monotonic() < end_s:
            time.sleep(0.1)
        return self.started

    def kill(self) -> None:
        """``kill -9``."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP: it holds everything and does nothing."""
        os.kill(self.process.pid, signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        """SIGCONT: it goes on as if nothing had happened."""
        os.kill(self.process.pid, signal.SIGCONT)
        self.frozen = False

    def stop(self, within_s: float = 40) -> int:
        """SIGTERM, as an orchestrator does; the exit code."""
        if self.frozen:
            self.thaw()
        if not self.wait_started():
            self.kill()
            return 0
        self.process.terminate()
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def memory_mb(self) -> float:
        """The largest it has been in memory; 0 when it is gone."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0.0
        words = next((line.split() for line in status.splitlines() if line.startswith("VmHWM:")), ["", "0"])
        return int(words[1]) / 1024


@dataclass
class Cluster:
    """One installation on one Kafka, with as many processes as a scenario wants.

    Attributes:
        folder: settings and logs.
        name: prefix of its topics, namespace of its indices.
        partitions: of our own topics.
        proxied: whether its processes reach Kafka through the proxy.
        settings: more settings, over the usual ones.
    """

    folder: Path
    kafka: ProxiedKafka
    elasticsearch: str | None
    name: str
    partitions: int = 4
    proxied: bool = False
    rules: Path = RULES
    settings: dict[str, Any] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    switched_off: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    _started: int = 0

    @property
    def topics(self) -> dict[str, str]:
        """Raw topics by kind."""
        return {kind: f"{self.name}-raw-{kind}" for kind in PARTITIONS}

    def topic(self, name: str) -> str:
        """One of our own topics."""
        return f"{self.name}.{name}"

    @property
    def indices(self) -> str:
        """All its alert indices."""
        return f"logs-streamer.alerts-{self.name}-*"

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "streamer.yml"

    def set_up(self) -> None:
        """Make the raw topics, write the settings, ``streamer setup``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for kind, topic in self.topics.items():
            options = {"message_timestamp_type": "LogAppendTime"}
            asyncio.run(make_topic(self.kafka.address, topic, PARTITIONS[kind], **options))
        self.configure()
        command = [sys.executable, "-m", "streamer", "setup", "--config", str(self.config)]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"setup: {done.stdout}{done.stderr}")

    def configure(self) -> None:
        """Write the settings."""
        # The clock says nothing of events that are a year old: nothing may pass for idle.
        sources = [{"kafka": topic, "kind": kind, "idle_after": "12h"} for kind, topic in self.topics.items()]
        settings: dict[str, Any] = {
            "rules": [str(self.rules)],
            "sources": sources,
            "kafka": {
                "bootstrap_servers": self.kafka.proxied if self.proxied else self.kafka.address,
                "topic_prefix": f"{self.name}.",
                "partitions": self.partitions,
                "replication": 1,
            },
            "http": {"enabled": False},
            # Hours of events pass in a minute. That alerts are held back in a flood depends on who told them first.
            "limits": {"alerts": 10_000_000, "alerts_per_rule": 1_000_000},
            "store": str(self.folder / "unused.db"),
        }
        if self.elasticsearch:
            settings["elasticsearch"] = {"hosts": [self.elasticsearch], "namespace": self.name}
        self.config.write_text(yaml.safe_dump(settings | self.settings))

    def ruleset(self) -> RuleSet:
        """What runs."""
        return load_rules([self.rules]).ok()

    def sources(self) -> dict[str, Source]:
        """What the product makes of the settings, by topic."""
        settings = self._loaded()
        return {source.name: source_of(settings, source) for source in settings.sources}

    def limits(self) -> CorrelateLimits:
        """What the product makes of them: how much may be remembered and told."""
        return limits_of(self._loaded())

    def _loaded(self) -> Settings:
        return load_settings(self.config, environment={})

    def start(
        self,
        roles: Sequence[str] = (),
        *,
        crash: str = "",
        rogue: bool = False,
        without: str | None = None,
    ) -> Worker:
        """Start one process.

        Args:
            roles: what it does; by default everything that is configured.
            crash: ``POINT:COUNT``: it kills itself when it comes there for that many times.
            rogue: it takes the partitions of others without asking the group.
            without: a rule of the protocol that it breaks; by default the cluster's :attr:`switched_off`.
        """
        self._started += 1
        every = ROLES if self.elasticsearch else ROLES[:2]
        chosen = tuple(roles) or every
        name = f"w{self._started}"
        log = self.folder / f"{name}.log"
        command = [sys.executable, "-m", "tests.chaos.worker", "--config", str(self.config)]
        for role in chosen:
            command += ["--role", role]
        if rogue:
            command.append("--rogue")
        broken = self.switched_off if without is None else without
        if broken:
            command += ["--without", broken]
        environment = os.environ | self.environment | {"CHAOS_CRASH": crash, "PYTHONPATH": str(ROOT)}
        with log.open("ab") as file:
            process = subprocess.Popen(
                mortal(command),
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        worker = Worker(name, chosen, log, process, time.monotonic())
        self.workers.append(worker)
        return worker

    @property
    def living(self) -> list[Worker]:
        """Processes that run."""
        return [worker for worker in self.workers if worker.alive]

    def said(self, words: str) -> list[dict[str, Any]]:
        """Lines of all logs that hold the words."""
        found: list[dict[str, Any]] = []
        for worker in self.workers:
            lines = worker.log.read_bytes().splitlines()
            found += [_line(line) for line in lines if words.encode() in line]
        return found

    def unexpected(self) -> list[str]:
        """Tracebacks and exits that nobody asked for, one line each."""
        found = []
        for worker in self.workers:
            text = worker.log.read_text(errors="replace")
            if "Traceback" in text:
                found.append(f"{worker.name} told a traceback: {text[text.index('Traceback') :][-600:]}")
            code = worker.process.poll()
            if code not in (None, 0, -signal.SIGKILL):
                found.append(f"{worker.name} ended with {code}: {text[-600:]}")
        return found

    def __enter__(self) -> Self:
        """Set up."""
        self.set_up()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left running."""
        for worker in self.living:
            worker.kill()


def _line(line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {"event": line.decode(errors="replace")}
    return value if isinstance(value, dict) else {"event": value}
