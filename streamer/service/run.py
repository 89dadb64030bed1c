"""Wiring: build, start, run, drain, stop. Nothing else is decided here.

What lives how long::

    store ─────────────────────────────────────────────────────────────────
      http ──────────────────────────────────────────────────────────────
      couriers, one per sink ──────────────────────────── drained ──
        feeds started ─ engine restored ─ steps … until stopped ─

The store is opened first and closed last: everything that must survive passes through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final

import structlog

from streamer.engine import Engine
from streamer.errors import ServerError
from streamer.local.store import SqliteStore
from streamer.model import Document
from streamer.ports import Partition, Step
from streamer.service.doors import context_of, couriers_of, feeds_of, open_store, refuse_wrong_topics, retention_of
from streamer.service.http import STUCK_S, HttpServer, application, listen
from streamer.service.mode import Role, roles_of
from streamer.service.patience import Outage, until_it_works, until_set
from streamer.service.reload import RuleWatch
from streamer.service.rule_files import RuleFiles
from streamer.service.settings import Settings
from streamer.service.sources import Feeds, limits_of, source_of
from streamer.service.steps import Steps
from streamer.service.telemetry import drop_unread_failures, registry_of
from streamer.sigma.rules import RuleSet

_log = structlog.get_logger("streamer.service")
_LAST_STEP_S: Final = 30.0
"""A stopping service waits no longer than this for its running step."""
_COUNT_EVERY_S: Final = 10.0
_PRUNE_EVERY_S: Final = 3600.0

Told = Callable[[Sequence[Document]], None]


def run(
    settings: Settings, rules: RuleSet, told: Told = lambda documents: None, *, roles: Collection[str] = ()
) -> None:
    """Run the service until its input ends or a signal stops it; blocks.

    Args:
        settings: what to read and where to tell it.
        rules: loaded already; problems of rule files are the caller's to show.
        told: called with the documents of every step after they are stored; not in the Kafka mode.
        roles: what this process does in the Kafka mode; everything without them.

    Raises:
        StateError: the store, a stored position or state in Kafka cannot be continued.
        SettingsError: sources that do not go together, or a file, a secret or an address that cannot be had.
    """
    taken = roles_of(settings, roles)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_signal(lambda stop: _serve(settings, rules, told, taken, stop)))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 (not everywhere)
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _until_signal(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(drop_unread_failures)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await work(stop)


async def _serve(settings: Settings, rules: RuleSet, told: Told, roles: Collection[Role], stop: asyncio.Event) -> None:
    if not roles:
        await serve(settings, rules, told, stop)
        return
    from streamer.service import kafka_run  # noqa: PLC0415 (the embedded mode starts faster without it)

    await kafka_run.serve(settings, rules, roles, stop)


async def serve(settings: Settings, rules: RuleSet, told: Told, stop: asyncio.Event) -> None:
    """The embedded mode, until ``stop`` is set or the input ends; raises as :func:`run`."""
    store = open_store(settings)
    try:
        await _Service(settings, rules, told, store).run(stop)
    finally:
        store.close()


class _Service:
    """The parts of one running service."""

    def __init__(self, settings: Settings, rules: RuleSet, told: Told, store: SqliteStore) -> None:
        self._settings = settings
        self._store = store
        self._told = told
        self._watch = RuleWatch(RuleFiles.of(settings), rules, watching=settings.watch_rules)
        entries, positions = _beginning(store)
        self._entries = entries
        self._feeds = Feeds(feeds_of(settings, positions))
        self._couriers = couriers_of(settings, store)
        self._sources = {source.name: source_of(settings, source) for source in settings.sources}
        self._started = False
        self._waiting: dict[str, int] = {}
        self._steps = Steps(
            Engine(rules, limits=limits_of(settings)),
            self._feeds,
            store,
            sources=self._sources,
            context=lambda created_us: context_of(settings, created_us),
            told=self._tell,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Everything, in the order of the module's docstring."""
        http = self._http()
        parts = [asyncio.create_task(courier.run(), name=courier.name) for courier in self._couriers]
        parts.append(asyncio.create_task(self._keep_house(), name="housekeeping"))
        parts.append(asyncio.create_task(self._follow_rules(), name="rules"))
        if http is not None:
            parts.append(asyncio.create_task(http.run(), name="http"))
        try:
            await self._until_done(stop, parts)
            await self._drain(parts[: len(self._couriers)])
        finally:
            await self._feeds.stop()
            if http is not None:
                http.stop()
            for task in parts:
                if task.get_name() != "http":
                    task.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            _log.info("stopped", steps=self._steps.stored)

    async def _until_done(self, stop: asyncio.Event, parts: Sequence[asyncio.Task[None]]) -> None:
        """Until the input ends or ``stop`` is set; a part that fails, or ends, fails the service."""
        work = asyncio.create_task(self._work(stop), name="steps")
        stopping = asyncio.create_task(until_set(stop), name="stop")
        try:
            await asyncio.wait({work, stopping, *parts}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done() and self._started:
                # A running step is finished. Waiting for a server that is away, before the first, is not.
                await asyncio.wait({work}, timeout=_LAST_STEP_S)
            for task in (work, *parts):
                if task.done():
                    task.result()
            if not (work.done() or stopping.done()):
                raise RuntimeError("a part of the service ended by itself")
        finally:
            for task in (work, stopping):
                task.cancel()
            await asyncio.gather(work, stopping, return_exceptions=True)

    async def _work(self, stop: asyncio.Event) -> None:
        kafka = self._settings.kafka
        if kafka is not None:
            await until_it_works(lambda: refuse_wrong_topics(kafka), Outage("Kafka", _log))
        await self._feeds.start()
        self._steps.expect_partitions()
        self._restore()
        self._started = True
        await self._steps.run(stop)

    def _restore(self) -> None:
        """Take over the stored state, and say what became of it."""
        if not self._entries:
            _log.info("started with an empty state", rules=_size(self._steps.engine.rules))
            return
        report = self._steps.restore(self._entries)
        self._entries = {}
        rules = _size(self._steps.engine.rules)
        _log.info("state restored", kept=len(report.kept), dropped=len(report.dropped), rules=rules)
        for rule in sorted(report.dropped):
            _log.warning("the meaning of a rule has changed: it starts anew", rule=rule)

    async def _follow_rules(self) -> None:
        """Hand new rules to the steps."""
        with self._watch.on_hangup():
            async for rules in self._watch:
                self._steps.use(rules)

    async def _drain(self, deliveries: Sequence[asyncio.Task[None]]) -> None:
        """Deliver what is possible; what is not waits in the store for the next start."""
        for courier in self._couriers:
            courier.close()
        if deliveries:
            await asyncio.wait(deliveries, timeout=self._settings.drain / 1_000_000)
        left = {name: count for name, count in (await asyncio.to_thread(self._store.waiting)).items() if count}
        if left:
            _log.warning("some documents are delivered after the next start", waiting=left)

    async def _keep_house(self) -> None:
        """Count what waits and remove what is old."""
        pruned_s = float("-inf")
        while True:
            # A store that cannot be written now is said by the steps.
            with contextlib.suppress(ServerError):
                self._waiting = await asyncio.to_thread(self._store.waiting)
                if time.monotonic() - pruned_s >= _PRUNE_EVERY_S:
                    await asyncio.to_thread(self._store.prune, retention_of(self._settings))
                    pruned_s = time.monotonic()
            await asyncio.sleep(_COUNT_EVERY_S)

    def _tell(self, documents: Sequence[Document]) -> None:
        for courier in self._couriers:
            courier.wake()
        self._told(documents)

    def _http(self) -> HttpServer | None:
        http = self._settings.http
        if not http.enabled:
            return None
        listening = listen(http.host, http.port)
        _log.info("listening", host=http.host, port=listening.getsockname()[1])
        registry = registry_of(
            self._steps.engine.counters,
            self._steps.engine.correlator.counters,
            {
                "streamer_waiting_documents": lambda: self._waiting,
                "streamer_watermark_seconds": self._watermark_s,
                "streamer_state_entries": self._state_entries,
            },
        )
        registry.register(self._watch)
        notes = {"rules": self._watch.note}
        return HttpServer(application(self._live, self._ready, registry, notes), listening)

    def _state_entries(self) -> float:
        return self._steps.engine.correlator.entries()

    def _watermark_s(self) -> float:
        watermark_us = self._steps.engine.clocks.watermark()
        return float("nan") if watermark_us is None else watermark_us / 1_000_000

    def _live(self) -> Mapping[str, bool]:
        # Making an engine anew from a large state takes its time, in a thread.
        is_made_anew = not self._started or self._steps.is_restoring
        return {"loop": is_made_anew or time.monotonic() - self._steps.turned_s < STUCK_S}

    def _ready(self) -> Mapping[str, bool]:
        checks = {"started": self._started, "store": not self._steps.storing.is_on}
        checks |= {feed.outage.what: not feed.outage.is_on for feed in self._feeds.feeds}
        return checks | {courier.name: courier.connected and not courier.outage.is_on for courier in self._couriers}


def _beginning(store: SqliteStore) -> tuple[Mapping[bytes, bytes], Mapping[Partition, object]]:
    """State and positions to go on from.

    Where all input of a store had ended, all windows are closed: another run over new input begins with an empty
    state, and says so. Its alerts and how far its files were read are kept.
    """
    entries, positions = store.load()
    if not positions or not all(_ended(position) for position in positions.values()):
        return entries, positions
    store.commit(Step(state=dict.fromkeys(entries), positions={}))
    _log.info("the input of this store had ended: its state begins anew, its alerts are kept")
    reopened = {
        partition: {name: value for name, value in position.items() if name != "ended"}
        for partition, position in positions.items()
        if isinstance(position, dict) and "inode" in position
    }
    return {}, reopened


def _ended(position: object) -> bool:
    return isinstance(position, dict) and position.get("ended") is True


def _size(rules: RuleSet) -> int:
    return len(rules.detections) + len(rules.correlations)
