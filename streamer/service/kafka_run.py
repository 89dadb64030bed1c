"""Wiring of the Kafka mode: build, start, drain, stop. Nothing else is decided here.

What lives how long::

    http ──────────────────────────────────────────────────────────────────
      detect ───────────────── stopped, its positions committed
      correlate ────────────────────── its steps finished and committed
      index ─────────────────────────────────── what was told is drained

There is no store: state, positions and alerts are in Kafka, and whoever is given a partition reads them there.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, Final

import structlog

from streamer.correlate.flood import divided
from streamer.errors import SettingsError
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.detections import DetectionsReader
from streamer.kafka.ledger import KafkaLedger
from streamer.kafka.outlet import Outlet
from streamer.kafka.raw_group import RawGroupReader, ReadLimits
from streamer.kafka.transactions import Points
from streamer.service.doors import BATCH_BYTES, connection_of, context_of, now_us, refuse_wrong_topics
from streamer.service.http import STUCK_S, HttpServer, application, listen
from streamer.service.kafka_metrics import kafka_registry
from streamer.service.mode import Role
from streamer.service.patience import Outage, end, until_it_works, until_set
from streamer.service.reload import RuleWatch
from streamer.service.roles.composing import Composer, Topics
from streamer.service.roles.correlate import CorrelateRole
from streamer.service.roles.detect import DetectRole
from streamer.service.roles.findings import Sender
from streamer.service.roles.index import IndexRole, index_role
from streamer.service.roles.numbers import CorrelateNumbers, DetectNumbers
from streamer.service.roles.owned import Shared
from streamer.service.roles.raw_partitions import RawPartitions
from streamer.service.roles.rebuild import Rebuild, Rebuilding, rebuilt
from streamer.service.rule_files import RuleFiles
from streamer.service.settings import KafkaSettings, Settings
from streamer.service.sources import limits_of, source_of
from streamer.sigma.rules import RuleSet
from streamer.stages.detection import DetectStage
from streamer.stages.partition import PartitionCore

_log = structlog.get_logger("streamer.service")
_LAST_S: Final = 30.0
"""A stopping service waits no longer than this for one of its roles."""
_HTTP_S: Final = 5.0
"""How long the server may take to answer what was asked before it ends."""
_READ_RECORDS: Final = 2_000
"""Records of the detections handed out at once, over all partitions."""


async def serve(
    settings: Settings, rules: RuleSet, roles: Collection[Role], stop: asyncio.Event, *, points: Points | None = None
) -> None:
    """Run the roles until ``stop`` is set.

    Args:
        settings: all sources are topics.
        rules: to begin with.
        roles: what this process does.
        stop: set to end in order.
        points: awaited with the name of each point that a ledger passes; for tests.

    Raises:
        SettingsError: topics, secrets or addresses that cannot work.
        StateError: state in Kafka that cannot be continued.
    """
    await _Service(settings, rules, roles, points).run(stop)


class _Service:
    """The roles of one running process."""

    def __init__(self, settings: Settings, rules: RuleSet, roles: Collection[Role], points: Points | None) -> None:
        if settings.kafka is None:
            raise SettingsError("the roles need the group `kafka`")
        self._settings = settings
        self._kafka = settings.kafka
        self._connection = connection_of(settings.kafka)
        self._topics = Topics.of(settings.kafka.topic_prefix)
        self._watch = RuleWatch(RuleFiles.of(settings), rules, watching=settings.watch_rules)
        self._process = uuid.uuid4().hex
        self._careful = asyncio.Lock()
        self._outage = Outage("Kafka", _log)
        self._started = False
        self.detect = self._detect_role(rules) if "detect" in roles else None
        self.correlate = self._correlate_role(rules, points) if "correlate" in roles else None
        self.index = index_role(settings) if "index" in roles else None

    async def run(self, stop: asyncio.Event) -> None:
        """Everything, in the order of the module's docstring."""
        http = self._http()
        beside = [asyncio.create_task(self._follow_rules(), name="rules")]
        if http is not None:
            beside.append(asyncio.create_task(http.run(), name="http"))
        stopping = asyncio.create_task(until_set(stop), name="stop")
        try:
            if await self._topics_are_right(stopping):
                await self._run_roles(stopping, beside)
        finally:
            if http is not None:
                http.stop()
            await end(stopping, beside[0])
            if http is not None:
                await asyncio.wait(beside[1:], timeout=_HTTP_S)
                await end(*beside[1:])
            _log.info("stopped")

    # -- roles ------------------------------------------------------------------------------------------------------

    async def _topics_are_right(self, stopping: asyncio.Task[None]) -> bool:
        """Wait for Kafka, refuse wrong topics; ``False`` if stopped before."""
        looking = asyncio.create_task(
            until_it_works(lambda: refuse_wrong_topics(self._kafka, embedded=False), self._outage)
        )
        await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if looking.done():
            looking.result()
            return True
        await end(looking)
        return False

    async def _run_roles(self, stopping: asyncio.Task[None], beside: Sequence[asyncio.Task[None]]) -> None:
        """Run until stopped; a role that fails, or ends, fails the service. Then end one after the other."""
        self._started = True
        running: list[tuple[asyncio.Task[None], asyncio.Event]] = []
        for name, work in self._works():
            ending = asyncio.Event()
            running.append((asyncio.create_task(work(ending), name=name), ending))
        _log.info("started", roles=[task.get_name() for task, _ in running])
        try:
            tasks = {task for task, _ in running}
            await asyncio.wait({*tasks, stopping, *beside}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task, ending in running:
                ending.set()
                await asyncio.wait({task}, timeout=_LAST_S)
                await end(task)
        for task in (*(task for task, _ in running), *beside):
            if task.done() and not task.cancelled():
                task.result()
        if not stopping.done():
            raise RuntimeError("a part of the service ended by itself")

    def _works(self) -> list[tuple[str, Any]]:
        """In the order in which they end: nobody writes to one that has ended."""
        there = (("detect", self.detect), ("correlate", self.correlate), ("index", self.index))
        return [(name, role.run) for name, role in there if role is not None]

    async def _follow_rules(self) -> None:
        """Hand new rules to the roles that use rules."""
        with self._watch.on_hangup():
            async for rules in self._watch:
                for role in (self.detect, self.correlate):
                    if role is not None:
                        role.reload(rules)

    # -- building ---------------------------------------------------------------------------------------------------

    def _detect_role(self, rules: RuleSet) -> DetectRole:
        settings, kafka, numbers = self._settings, self._kafka, DetectNumbers()
        sources = {source.name: source_of(settings, source) for source in settings.sources}
        means = Rebuilding(self._connection, self._topics.detections, kafka.partitions, numbers, now_us)

        def again(rebuild: Rebuild) -> Coroutine[Any, Any, int | None]:
            return rebuilt(rebuild, means)

        return DetectRole(
            RawGroupReader(
                self._connection,
                list(sources),
                group=f"{kafka.topic_prefix}detect",
                now_us=now_us,
                session_s=kafka.session / 1_000_000,
                limits=ReadLimits(records=settings.limits.batch_records, bytes=BATCH_BYTES),
            ),
            Sender(
                Outlet(self._connection, name="detections"),
                self._topics,
                partitions=kafka.partitions,
                source=self._letters,
                numbers=numbers,
            ),
            DetectStage(rules, partitions=kafka.partitions),
            RawPartitions(sources, again, process=self._process, careful=self._careful),
            sources=sources,
            numbers=numbers,
        )

    def _correlate_role(self, rules: RuleSet, points: Points | None) -> CorrelateRole:
        kafka, connection = self._kafka, self._connection
        limits = divided(limits_of(self._settings), kafka.partitions)
        reader = DetectionsReader(
            connection,
            topic=self._topics.detections,
            group=f"{kafka.topic_prefix}correlate",
            session_s=kafka.session / 1_000_000,
            max_records=_READ_RECORDS,
        )
        shared = Shared(
            reader=reader,
            ledger=lambda number: _ledger(connection, kafka, number, points),
            core=lambda rules, number: PartitionCore(
                rules, partition=number, partitions=kafka.partitions, limits=limits
            ),
            composer=lambda rules, number: Composer(
                rules, self._topics, number, source=self._letters, context=lambda: context_of(self._settings, now_us())
            ),
            numbers=CorrelateNumbers(),
            process=self._process,
            careful=self._careful,
        )
        outlet = Outlet(connection, name="how far the partitions are")
        return CorrelateRole(reader, outlet, shared, rules, topics=self._topics, partitions=kafka.partitions)

    @property
    def _letters(self) -> str:
        return f"/streamer/{self._settings.cluster}"

    # -- being looked at --------------------------------------------------------------------------------------------

    def _http(self) -> HttpServer | None:
        http = self._settings.http
        if not http.enabled:
            return None
        listening = listen(http.host, http.port)
        _log.info("listening", host=http.host, port=listening.getsockname()[1])
        registry = kafka_registry(self.detect, self.correlate, self.index)
        registry.register(self._watch)
        notes = {"rules": self._watch.note}
        for role in (self.detect, self.correlate):
            if role is not None:
                notes[role.name] = role.note
        if self.index is not None:
            notes["index"] = _note_of(self.index)
        return HttpServer(application(self._live, self._ready, registry, notes), listening)

    def _live(self) -> Mapping[str, bool]:
        turned = [role.turned_s for role in (self.detect, self.correlate, self.index) if role is not None]
        return {"loop": not self._started or time.monotonic() - min(turned) < STUCK_S}

    def _ready(self) -> Mapping[str, bool]:
        checks: dict[str, bool] = {"started": self._started}
        for role in (self.detect, self.correlate):
            if role is not None:
                checks |= role.ready()
        if self.index is not None:
            checks["indexing"] = not self.index.problems()
        return checks


def _ledger(connection: KafkaConnection, kafka: KafkaSettings, number: int, points: Points | None) -> KafkaLedger:
    return KafkaLedger(connection, prefix=kafka.topic_prefix, partition=number, points=points)


def _note_of(index: IndexRole) -> Any:
    return lambda: "; ".join(index.problems().values()) or "indexing"
