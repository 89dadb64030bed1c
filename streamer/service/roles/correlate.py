"""The role that correlates: the partitions of the detections that the group gives to this process.

One loop reads and hands out; a partition that is sick, full or restoring is paused and holds up no other. One task
tells everybody how far the partitions are: by a plain producer and after their commits, never inside a transaction,
because an open one over all partitions would hold back every reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import structlog

from streamer.errors import ServerError
from streamer.kafka.detections import DetectionsReader
from streamer.kafka.outlet import Outlet
from streamer.ports import Message
from streamer.service.patience import Backoff, Outage, end
from streamer.service.roles.composing import Topics
from streamer.service.roles.numbers import add_counters
from streamer.service.roles.owned import OwnedPartition, Shared
from streamer.sigma.rules import RuleSet
from streamer.stages import wire
from streamer.stages.outcome import CoreCounters
from streamer.stages.partition import PartitionCore
from streamer.stages.wire import RanksTold, RankTold

_log = structlog.get_logger("streamer.correlate")
TURN_S: Final = 0.25
TELL_EVERY_S: Final = 0.25
"""How often at most all partitions are told how far ours are."""
REPEAT_S: Final = 5.0
"""How often what has not changed is told again."""
SHOW_EVERY_S: Final = 5.0
_LAST_S: Final = 20.0
"""A stopping role waits no longer than this for the steps in flight."""


class CorrelateRole:
    """Runs the partitions of one process.

    Args:
        reader: the group's consumer.
        outlet: for telling how far the partitions are.
        shared: what partitions are made of.
        rules: the rules to begin with.
        topics: our own topics.
        partitions: how many the detections have.

    Attributes:
        outage: whether the detections can be read.
        telling: whether others can be told.
        owned: partitions that were ever given to this process, by number.
        turned_s: when the loop last turned (monotonic clock).
    """

    name = "correlate"

    def __init__(
        self,
        reader: DetectionsReader,
        outlet: Outlet,
        shared: Shared,
        rules: RuleSet,
        *,
        topics: Topics,
        partitions: int,
    ) -> None:
        self.outage = Outage("reading the detections", _log)
        self.telling = Outage("telling how far the partitions are", _log)
        self.owned: dict[int, OwnedPartition] = {}
        self.turned_s = time.monotonic()
        self.numbers = shared.numbers
        self.rules = rules
        self._reader = reader
        self._outlet = outlet
        self._shared = shared
        self._topics = topics
        self._partitions = partitions
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._paused: set[int] = set()
        self._joined = False
        self._started = False
        self._ending = asyncio.Event()
        self._backoff = Backoff()
        self._shown_s = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped; then the steps in flight are finished and committed. Raises ``StateError``."""
        telling = asyncio.create_task(self._tell(stop), name="ranks")
        try:
            while not stop.is_set():
                self.turned_s = time.monotonic()
                await self._turn()
                for task in (telling, *self._tasks.values()):
                    if task.done():
                        task.result()
        finally:
            await self._end()
            await end(telling)
            await self._reader.stop()
            await self._outlet.stop()

    def reload(self, rules: RuleSet) -> None:
        """Go on with other rules."""
        self.rules = rules
        for partition in self.owned.values():
            partition.reload(rules)

    def ready(self) -> Mapping[str, bool]:
        """Whether the group has given us partitions, and whether they are restored."""
        ours = [partition for partition in self.owned.values() if partition.is_assigned]
        return {
            "partitions assigned": self._joined,
            "partitions restored": self._joined and all(partition.is_running for partition in ours),
            "reading the detections": not self.outage.is_on,
        }

    def note(self) -> str:
        """One line for people: how many partitions run, and how far the others are."""
        ours = sorted((p for p in self.owned.values() if p.is_assigned), key=lambda partition: partition.number)
        waiting = [f"{partition.number} {partition.status}" for partition in ours if not partition.is_running]
        running = len(ours) - len(waiting)
        return f"{running} of {len(ours)} partitions run" + (f"; {', '.join(waiting)}" if waiting else "")

    def lags(self) -> Mapping[int, int]:
        """Records of the detections that have still to be taken in, by partition."""
        ours = [partition for partition in self.owned.values() if partition.is_assigned]
        return {each.number: (self._reader.lag(each.number) or 0) + len(each.inbox) for each in ours}

    def cores(self) -> list[PartitionCore]:
        """The cores of the partitions that are ours and restored."""
        ours = [partition for partition in self.owned.values() if partition.is_assigned]
        return [partition.life.core for partition in ours if partition.life is not None]

    def counters(self) -> CoreCounters:
        """What was counted by all cores there ever were."""
        found = CoreCounters()
        add_counters(found, self.numbers.past)
        for partition in self.owned.values():
            if partition.life is not None:
                add_counters(found, partition.life.core.counters)
        return found

    async def _turn(self) -> None:
        """Read once and hand out."""
        try:
            if not self._started:
                await self._reader.start(self._assigned, self._revoked)
                self._started = True
            self._make_room()
            arrived = await self._reader.poll(TURN_S)
        except ServerError as error:
            await self._recover(error)
            return
        self.outage.back()
        self._backoff.reset()
        # Handed out before anything is awaited: a partition that is resumed elsewhere meanwhile would take these for
        # the records at its new position.
        for number, records in arrived.items():
            if number in self.owned:
                self.owned[number].receive(records)
                self._pause_if_full(number)
        await self._show_positions()

    async def _show_positions(self) -> None:
        """Let those who watch the group see how far the ledgers are."""
        if time.monotonic() - self._shown_s < SHOW_EVERY_S:
            return
        self._shown_s = time.monotonic()
        ours = [partition for partition in self.owned.values() if partition.is_assigned]
        positions = {each.number: each.committed for each in ours if each.committed is not None}
        # Nothing is ever read from them, and the next ones are coming.
        with contextlib.suppress(ServerError):
            await self._reader.commit(positions)

    async def _recover(self, error: ServerError) -> None:
        self.outage.gone(error)
        self._revoked(frozenset(self.owned))
        self._started = False
        await self._reader.stop()
        # Not longer than a few turns of the loop, which also has to see that it must stop.
        await asyncio.sleep(min(self._backoff.after(error), 2.0))

    def _assigned(self, numbers: frozenset[int]) -> None:
        """Called by the client within a rebalance: nothing here waits for anything."""
        self._joined = True
        for number in sorted(numbers):
            self._paused.discard(number)
            if number not in self.owned:
                self.owned[number] = OwnedPartition(number, self._shared, self.rules)
                work = self.owned[number].run(self._ending)
                self._tasks[number] = asyncio.create_task(work, name=f"partition {number}")
            self.owned[number].assign()
        _log.info("partitions assigned", partitions=sorted(numbers))

    def _revoked(self, numbers: frozenset[int]) -> None:
        for number in numbers & self.owned.keys():
            self._paused.discard(number)
            self.owned[number].revoke()

    def _pause_if_full(self, number: int) -> None:
        if self.owned[number].inbox.is_full and number not in self._paused:
            self._reader.pause(number)
            self._paused.add(number)

    def _make_room(self) -> None:
        for number in sorted(self._paused):
            if self.owned[number].inbox.has_room:
                self._paused.discard(number)
                self._reader.unpause(number)

    async def _tell(self, stop: asyncio.Event) -> None:
        """Tell how far our partitions are, whenever it has changed, and now and then in any case."""
        last: Mapping[int, RankTold] = {}
        last_s = 0.0
        backoff = Backoff(longest_s=5.0)
        while not stop.is_set():
            await asyncio.sleep(TELL_EVERY_S)
            running = {number: each.told for number, each in sorted(self.owned.items()) if each.told is not None}
            told = {number: each for number, each in running.items() if each.watermarks}
            claims = {number: replace(each, rules=()) for number, each in told.items()}
            if not told or (claims == last and time.monotonic() - last_s < REPEAT_S):
                continue
            try:
                if not self._outlet.open:
                    await self._outlet.restart()
                value = wire.encode(RanksTold(told))
                everyone = range(self._partitions)
                await self._outlet.send_all([Message(self._topics.detections, to, b"", value) for to in everyone])
            except ServerError as error:
                self.telling.gone(error)
                await asyncio.sleep(backoff.after(error))
                continue
            self.telling.back()
            backoff.reset()
            for number in told:
                self.owned[number].rules_were_told()
            last, last_s = claims, time.monotonic()

    async def _end(self) -> None:
        """Let the steps in flight end; what cannot be committed in time is done again by the next owner."""
        self._ending.set()
        for partition in self.owned.values():
            partition.inbox.wake()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=_LAST_S)
            await end(*self._tasks.values())
