"""One run: raw records go in at a pace, something happens to the processes, then all comes to an end and is checked."""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.chaos.broker import ProxiedKafka
from tests.chaos.checker import Findings, Installed, check
from tests.chaos.cluster import Cluster, Worker
from tests.chaos.door import ElasticDoor
from tests.chaos.feed import Shipper, Subscriber
from tests.chaos.recorded import ends_of, indexed_ids, read_all
from tests.chaos.records import START_S
from tests.chaos.tellings import Listener
from tests.chaos.workload import REST_S, Workload, closing
from tests.servers.elasticsearch import ElasticsearchServer

LATENESS_S = 10
CLOSE_EVERY_S = 3.0
SHOWN = ("lost", "doubled", "wrong")


@dataclass
class Servers:
    """The Kafka and the Elasticsearch of a run; the latter may be missing."""

    kafka: ProxiedKafka
    elasticsearch: ElasticsearchServer | None = None


@dataclass(frozen=True)
class Plan:
    """How large a run is and what it runs on.

    Attributes:
        size: raw records.
        rate: of them per second; 0: as fast as Kafka takes them.
        burst: how many go out at once in the beginning.
        door: whether Elasticsearch is reached through a door that can refuse.
        proxied: whether Kafka is reached through the proxy.
        within_s: how long everything may take to come through once the chaos is over.
        switched_off: a rule of the protocol that the processes break.
        environment: more variables for the processes.
    """

    size: int = 4000
    rate: float = 0
    burst: int = 0
    seed: int = 1
    partitions: int = 4
    door: bool = False
    proxied: bool = False
    within_s: float = 120
    switched_off: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Result:
    """What a run has shown."""

    scenario: str
    plan: Plan
    findings: Findings = field(default_factory=Findings)
    problems: list[str] = field(default_factory=list)
    kills: int = 0
    recoveries_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    through_s: float = 0.0
    memory_mb: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Nothing lost, doubled or wrong, and nothing else the matter."""
        return self.findings.ok and not self.problems

    def figures(self) -> dict[str, Any]:
        """As they stand in the documentation."""
        found = self.findings
        recovery = sorted(self.recoveries_s)
        return {
            "scenario": self.scenario,
            "seed": self.plan.seed,
            "ok": self.ok,
            "raw": found.raw,
            "detections": found.matches,
            "firings": found.firings,
            "alerts": found.alerts,
            "kills": self.kills,
            "lost": len(found.lost),
            "doubled": len(found.doubled),
            "wrong": len(found.wrong),
            "set_aside": found.set_aside,
            "recovery_p50_s": round(statistics.median(recovery), 2) if recovery else None,
            "recovery_p99_s": round(recovery[min(len(recovery) - 1, int(len(recovery) * 0.99))], 2)
            if recovery
            else None,
            "raw_per_s": round(found.raw / self.through_s) if self.through_s else None,
            "memory_mb": round(self.memory_mb),
            "seconds": round(self.seconds),
            "problems": self.problems,
            **self.notes,
        }

    def line(self) -> str:
        """The figures on one line, and what was found if something was."""
        shown = {
            name: value
            for name, value in self.figures().items()
            if name != "ok" and (name in SHOWN or value not in (None, [], "", 0))
        }
        text = f"{'ok  ' if self.ok else 'FAIL'} " + " ".join(f"{name}={value}" for name, value in shown.items())
        for name in ("lost", "doubled", "wrong"):
            text += "".join(f"\n       {name}: {each}" for each in getattr(self.findings, name)[:5])
        return text


class Play:
    """A run in progress. Use as a context: whatever happens, no process is left behind."""

    def __init__(self, servers: Servers, plan: Plan, name: str) -> None:
        self.servers, self.plan = servers, plan
        self.chance = random.Random(plan.seed)
        self.workload = Workload(plan.size, plan.seed)
        self.result = Result(name, plan)
        self._folder = Path(tempfile.mkdtemp(prefix="streamer-chaos-"))
        self.door: ElasticDoor | None = None
        url = servers.elasticsearch.url if servers.elasticsearch else None
        if plan.door and servers.elasticsearch:
            self.door = ElasticDoor(servers.elasticsearch.port)
            url = self.door.url
        self.cluster = Cluster(
            self._folder,
            servers.kafka,
            url,
            f"{name.replace('-', '')[:20]}{time.time_ns():x}",
            partitions=plan.partitions,
            proxied=plan.proxied,
            settings=dict(plan.settings),
            switched_off=plan.switched_off,
            environment=dict(plan.environment),
        )
        address = servers.kafka.address
        self.shipper = Shipper(address, self.cluster.topics, self.workload.records(), rate=plan.rate, burst=plan.burst)
        self.subscriber = Subscriber(address, self.cluster.topic("alerts"), plan.partitions)
        self.listener = Listener(address, self.cluster.topic("detections"))
        self._killed_ms: list[int] = []
        self._closings = 1
        self._closed_s = 0.0
        self._begun_s = time.monotonic()

    def __enter__(self) -> Self:
        """Set up, and begin to ship."""
        if self.door:
            self.door.start()
        self.cluster.set_up()
        self._begun_s = time.monotonic()
        for outsider in (self.subscriber, self.listener, self.shipper):
            outsider.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left running."""
        for worker in self.cluster.living:
            worker.kill()
        for outsider in (self.shipper, self.subscriber, self.listener):
            outsider.end()
        if self.door:
            self.door.stop()

    @property
    def folder(self) -> Path:
        """Where the logs are."""
        return self._folder

    def kill(self, worker: Worker) -> None:
        """``kill -9``, counted."""
        self.look_at(worker)
        worker.kill()
        self.died()

    def died(self) -> None:
        """A process has just been killed, by us or by itself."""
        self.result.kills += 1
        self._killed_ms.append(int(time.time() * 1000))

    def look_at(self, worker: Worker) -> None:
        """Note how large it has been."""
        self.result.memory_mb = max(self.result.memory_mb, worker.memory_mb())

    def wait(self, until: Callable[[], bool], why: str, within_s: float) -> bool:
        """Whether it came; a problem if not."""
        end_s = time.monotonic() + within_s
        while not until():
            if time.monotonic() > end_s:
                self.result.problems.append(why)
                return False
            time.sleep(0.2)
        return True

    @property
    def final_us(self) -> int:
        """The watermark when everything has been read."""
        return int((START_S + self.workload.seconds + REST_S - LATENESS_S) * 1_000_000)

    def is_through(self) -> bool:
        """Whether all raw records have been read and all ranks have come to the end.

        A partition that was read to its end before it moved to another process tells nothing more until something
        comes, or until it counts as idle, which nothing does here. So something comes.
        """
        if not self.shipper.done.is_set():
            return False
        if time.monotonic() - self._closed_s > CLOSE_EVERY_S:
            self._closed_s = time.monotonic()
            last = Shipper(
                self.servers.kafka.address, self.cluster.topics, closing(self.workload.seconds + REST_S, self._closings)
            )
            last.start()
            last.done.wait(20)
            last.stop()
            self._closings += 1
        return not self._missing()

    def _missing(self) -> list[str]:
        ends = ends_of(self.cluster, self.cluster.topics.values())
        # What the highest rank has come to is nobody else's concern, so nobody is told.
        ranks = max(rule.rank for rule in self.cluster.ruleset().correlations) - 1
        return self.listener.account.missing(ends, self.plan.partitions, self.final_us, ranks)

    def finish(self) -> Result:
        """Let everything come through, end all processes, and check."""
        result = self.result
        self.result.notes["in_trouble"] = f"{self.shipper.sent / self.plan.size:.0%} of the records"
        self.shipper.hurry()
        through = self.wait(self.shipper.done.is_set, "not everything was shipped", 600)
        through = through and self.wait(self.is_through, "not everything came through", self.plan.within_s)
        if not through:
            result.problems += self._missing()
        result.through_s = time.monotonic() - self._begun_s
        if through and self.cluster.elasticsearch:
            self.wait(self._is_indexed, "not every alert was indexed", self.plan.within_s)
        time.sleep(1.5)  # what would come twice comes now
        for worker in self.cluster.living:
            self.look_at(worker)
        for worker in self.cluster.living:
            code = worker.stop()
            if code:
                result.problems.append(f"{worker.name} ended with {code} when asked to end")
        time.sleep(0.5)
        self.subscriber.stop()
        self.listener.stop()
        result.problems += self.cluster.unexpected()
        partitions = self.plan.partitions
        recoveries = (self.listener.account.recovery_s(at_ms, partitions) for at_ms in self._killed_ms)
        result.recoveries_s = [each for each in recoveries if each is not None]
        cluster = self.cluster
        installed = Installed(cluster.ruleset(), cluster.sources(), partitions, cluster.limits())
        result.findings = check(installed, read_all(self.cluster), self.subscriber.sightings)
        result.seconds = time.monotonic() - self._begun_s
        if result.ok:
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            result.notes["logs"] = str(self._folder)
        return result

    def _is_indexed(self) -> bool:
        assert self.cluster.elasticsearch
        told = {sighting.id for sighting in self.subscriber.sightings.seen}
        return told <= set(indexed_ids(self.cluster.elasticsearch, self.cluster.indices))
