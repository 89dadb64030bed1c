"""The loop: read, run the engine, store, and read again.

One step, in this order:

1. Read a batch. Nothing else is in flight, so the positions in it are where a restart goes on.
2. Run the engine on it. What it tells is turned into documents. A record that the engine cannot take is set aside
   (:mod:`streamer.service.careful`).
3. Store changed state, positions, documents and dead letters in one transaction. A crash before this moment reads the
   batch again, one after it never does: the alerts of a step exist if and only if its positions do.
4. Wake the sinks. They take documents from the store, never from here: what was told survives a crash before delivery.

The transactional protocol of several processes replaces the store and the sinks behind :class:`streamer.ports.Store`;
this loop stays.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog

from streamer.correlate import RestoreReport
from streamer.decode import Source
from streamer.ecs import DocumentContext, Documents
from streamer.engine import Engine, Output
from streamer.errors import ServerError
from streamer.model import DeadLetter, Document, Notice
from streamer.ports import Batch, Partition, Step, Store
from streamer.service.careful import CarefulEngine
from streamer.service.patience import Backoff, Outage
from streamer.service.reload import say_reloaded
from streamer.service.sources import Feeds
from streamer.sigma.rules import RuleSet

_log = structlog.get_logger("streamer.service")
TURN_S: Final = 0.5
"""A turn of the loop takes no longer than this when nothing happens; stopping waits for the end of a turn."""
IDLE_EVERY_S: Final = 1.0


class Steps:
    """Runs steps until stopped, or until all input has ended.

    Args:
        engine: knows nothing yet; :meth:`restore` gives it what the store holds.
        feeds: started at the positions the store holds.
        store: where steps go.
        sources: by source name.
        context: makes the context of documents told at a wall-clock time (microseconds).
        told: called after every step with the documents that were new in it.

    Attributes:
        turned_s: when the loop last turned (monotonic clock).
        stored: how many steps were stored.
        storing: whether the store can be written.
    """

    def __init__(
        self,
        engine: Engine,
        feeds: Feeds,
        store: Store,
        *,
        sources: Mapping[str, Source],
        context: Callable[[int], DocumentContext],
        told: Callable[[Sequence[Document]], None],
    ) -> None:
        self.turned_s = time.monotonic()
        self.stored = 0
        self.storing = Outage("the store", _log)
        self._careful = CarefulEngine(engine, store, sources=sources, write=self._write)
        self._maker = Documents(engine.rules)
        self._new_rules: RuleSet | None = None
        self._feeds = feeds
        self._store = store
        self._sources = sources
        self._context = context
        self._told = told
        self._expected: set[Partition] = set()
        self._ended: set[Partition] = set()
        self._idle_s = 0.0

    @property
    def engine(self) -> Engine:
        """The engine in use: another one after new rules, or after it failed."""
        return self._careful.engine

    @property
    def is_restoring(self) -> bool:
        """Whether an engine is being made from what is stored, or for new rules; the loop waits for it."""
        return self._careful.is_restoring

    def restore(self, entries: Mapping[bytes, bytes]) -> RestoreReport:
        """Take over what the store holds, before the first step. Raises ``StateError``."""
        return self._careful.restore(entries)

    def use(self, rules: RuleSet) -> None:
        """Go on with these rules as soon as the running step is stored."""
        self._new_rules = rules

    def expect_partitions(self) -> None:
        """Declare to the engine what the readers read; partitions may be added while running."""
        for partition in sorted(self._feeds.partitions() - self._expected):
            self._careful.expect(partition, is_file=self._feeds.is_file(partition))
            self._expected.add(partition)

    async def run(self, stop: asyncio.Event) -> None:
        """Step after step. Raises ``StateError`` for input or state that cannot be continued."""
        while not stop.is_set() and not self.has_ended():
            self.turned_s = time.monotonic()
            await self._change_rules()
            self._feeds.prefer(self.engine.next_partition())
            batches = await self._feeds.read(TURN_S)
            self.expect_partitions()
            output = await self._careful.take(batches)
            self._ended |= {partition for batch in batches for partition in batch.ended}
            self._go_on_with_the_clock(output)
            notices = self._feeds.take_notices(_now_us())
            if any(batch.records or batch.ended or batch.positions for batch in batches) or notices or _tells(output):
                await self._commit(self._step(batches, output, notices))

    def has_ended(self) -> bool:
        """Whether nothing will ever come any more."""
        return bool(self._expected) and self._ended >= self._expected

    async def _change_rules(self) -> None:
        """Exchange the rules between two steps. What that changes in the state is stored with the next step."""
        rules, self._new_rules = self._new_rules, None
        if rules is None:
            return
        before = self.engine.rules.by_key()
        report = await self._careful.reload(rules)
        self._maker = Documents(rules)
        say_reloaded(before, rules.by_key(), report)

    def _go_on_with_the_clock(self, output: Output) -> None:
        """Partitions that have been silent for long enough no longer hold the watermark."""
        if time.monotonic() - self._idle_s < IDLE_EVERY_S:
            return
        self._idle_s = time.monotonic()
        for partition in sorted(self._expected - self._ended):
            idle_after_s = self._sources[partition[0]].idle_after_us / 1_000_000
            quiet_for_s = self._feeds.quiet_for_s(partition)
            if quiet_for_s and quiet_for_s >= idle_after_s:
                output.join(self.engine.idle(partition, _now_us()))

    def _step(self, batches: Iterable[Batch], output: Output, notices: Sequence[Notice]) -> Step:
        positions: dict[Partition, object] = {}
        for batch in batches:
            positions.update(batch.positions)
        return Step(
            state=self._careful.changes(),
            positions=positions,
            documents=self._documents(output, notices),
            dead_letters=tuple(output.dead_letters) + _failures(output),
        )

    def _documents(self, output: Output, notices: Sequence[Notice]) -> tuple[Document, ...]:
        if not (output.alerts or output.notices or notices):
            return ()
        context = self._context(_now_us())
        alerts = [self._maker.alert(alert, context) for alert in output.alerts]
        told = [self._maker.notice(notice, context) for notice in (*output.notices, *notices)]
        return (*alerts, *told)

    async def _commit(self, step: Step) -> None:
        """Store the step, and tell what is new in it."""
        new = await self._store_step(step)
        self.stored += 1
        self._careful.stored()
        self._feeds.stored(step.positions)
        ids = frozenset(new)
        self._told([document for document in step.documents if document.id in ids])

    async def _write(self, entries: Mapping[bytes, bytes | None]) -> None:
        """Store entries that belong to no step."""
        await self._store_step(Step(state=entries, positions={}))

    async def _store_step(self, step: Step) -> Sequence[str]:
        """However long that takes: a full disk stops reading and loses nothing."""
        backoff = Backoff(longest_s=5.0)
        while True:
            try:
                new = await asyncio.to_thread(self._store.commit, step)
                break
            except ServerError as error:
                self.storing.gone(error)
                self.turned_s = time.monotonic()
                await asyncio.sleep(backoff.after(error))
        self.storing.back()
        return new


def _now_us() -> int:
    return time.time_ns() // 1_000


def _tells(output: Output) -> bool:
    return bool(output.alerts or output.notices or output.dead_letters or output.failures)


def _failures(output: Output) -> tuple[DeadLetter, ...]:
    """A rule that failed on an event stands beside the records that could not be read; the other rules went on."""
    return tuple(
        DeadLetter("rule-failed", f"rule {failure.rule}: {failure.error}", failure.position, b"", 0)
        for failure in output.failures
    )
