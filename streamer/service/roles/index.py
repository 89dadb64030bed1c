"""From the alerts topic into Elasticsearch: every alert once, however long the server is away.

Alerts are read ``read_committed`` and sent as bulk requests, several side by side. What is read and not decided is
bounded in bytes: beyond that, reading pauses. A partition's position moves over alerts that stand in the index or in
the dead-letter topic, never over one that waits; read again after a crash, an alert meets its first copy under the
same id.

* The server is away or busy: one request at a time tries again, with full jitter, without end.
* One index takes nothing (blocked, closed, not allowed): its alerts are parked and one of them tries again now and
  then, while other indices go on.
* Credentials are refused: said once, tried again slowly, with their files read anew.
* An alert is refused for good: to the dead-letter topic first, then its position moves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from streamer.ecs.bodies import document_of, shortened
from streamer.ecs.templates import INDEX_TEMPLATE
from streamer.elastic import Bulk
from streamer.errors import RecordError, ServerError, SettingsError
from streamer.kafka.alerts_reader import AlertsReader
from streamer.kafka.outlet import Outlet
from streamer.kafka.records import Fetched
from streamer.kafka.topics import ALERTS, DEAD_LETTERS
from streamer.service.doors import connection_of, elastic_connection_of, now_us
from streamer.service.roles.backlog import Backlog, Entry, Lane
from streamer.service.roles.burial import NO_ALERT, Burial
from streamer.service.roles.shipping import IndexOptions, Shipping
from streamer.service.roles.trouble import Trouble
from streamer.service.settings import Settings

_log = structlog.get_logger("streamer.index")
_POLL_S: Final = 0.5
_REJOIN_S: Final = 60.0
"""Reading that has failed for so long begins anew."""
_MOST_RECORDS: Final = 2_000
"""Read at once."""


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Where refused alerts go: the topic, the name of the alerts topic in their positions, the CloudEvents source."""

    topic: str
    alerts: str
    source: str


class IndexRole:
    """Reads alerts, indexes them, commits.

    Args:
        reader: the alerts topic.
        bulk: Elasticsearch.
        outlet: Kafka, for dead letters.
        dead_letters: how those are named.
        options: bounds.

    Attributes:
        bulk: its ``verdicts``, ``requests``, ``in_flight`` and ``shortened`` are counters.
        backlog: its ``bytes`` and ``open`` say what waits.
        burial: its ``letters`` counts what was set aside, by reason.
        turned_s: when the reading loop last turned (monotonic clock).
        shipping: its ``retries`` counts alerts sent again; ``connected`` says whether Elasticsearch has answered once.
        missed: offsets of the alerts topic that expired before they were indexed.
    """

    def __init__(
        self,
        reader: AlertsReader,
        bulk: Bulk,
        outlet: Outlet,
        *,
        dead_letters: DeadLetters,
        options: IndexOptions | None = None,
    ) -> None:
        options = options or IndexOptions()
        self.bulk = bulk
        self.backlog = Backlog()
        self.burial = Burial(
            outlet,
            topic=dead_letters.topic,
            alerts=dead_letters.alerts,
            source=dead_letters.source,
            decided=self.backlog.decide,
        )
        self.shipping = Shipping(self.backlog, bulk, self.burial, options)
        self.turned_s = time.monotonic()
        self.missed = 0
        self._reader = reader
        self._options = options
        self._reading = Trouble("reading alerts", _log)
        self._paused: frozenset[int] = frozenset()
        self._full = False
        self._committed_s = 0.0

    def problems(self) -> dict[str, str]:
        """What keeps the role from being ready, by name, a sentence each; empty when all is well."""
        now_s = time.monotonic()
        troubles = [self._reading, self.shipping.server, self.burial.trouble, *self.shipping.indices.values()]
        found = {each.what: each.why(now_s, self._options.unready_after_s) for each in troubles}
        problems = {what: why for what, why in found.items() if why is not None}
        if not self.shipping.connected and "indexing" not in problems:
            problems["indexing"] = f"{self.bulk.where} has not answered yet"
        return problems

    def oldest_age_s(self) -> float:
        """Seconds since the broker took the oldest alert that was read and is not decided; 0 if there is none."""
        oldest_us = self.backlog.oldest_us()
        return 0.0 if oldest_us is None else max(0.0, time.time() - oldest_us / 1_000_000)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish what is in flight, commit and leave.

        Raises:
            SettingsError: a secret cannot be read at the start.
        """
        reading = asyncio.create_task(self._read(), name="index reading")
        sending = asyncio.create_task(self.shipping.run(), name="index sending")
        burying = asyncio.create_task(self.burial.run(), name="index dead letters")
        stopping = asyncio.create_task(_wait_for(stop), name="index stop")
        parts = (reading, sending, burying)
        try:
            await asyncio.wait({*parts, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part.done():
                    part.result()
            await _end(reading, sending)
            await self._drain()
        finally:
            await _end(*parts, stopping)
            await self.shipping.abandon()
            await self._leave()

    # Reading

    async def _read(self) -> None:
        started = False
        while True:
            self.turned_s = time.monotonic()
            try:
                if not started:
                    await self._reader.start(self._assigned, self._revoked)
                    started = True
                self._press()
                polled = await self._reader.poll(_POLL_S)
                self._look_for_gaps()
                self._take(polled)
                if time.monotonic() - self._committed_s >= self._options.commit_every_s:
                    await self._commit()
            except ServerError as error:
                now_s = time.monotonic()
                wait_s = self._reading.struck(error, now_s)
                started = started and error.retriable and self._reading.since_s(now_s) < _REJOIN_S
                await asyncio.sleep(wait_s)
            else:
                self._reading.over()

    def _look_for_gaps(self) -> None:
        for gap in self._reader.take_gaps():
            number = gap.partition[1]
            if gap.recreated:
                self.backlog.revoke([number])  # its offsets begin anew
                self.backlog.assign([number])
                _log.error("the alerts topic was deleted and made anew; all of it is indexed", partition=number)
            else:
                self.missed += gap.found - gap.wanted
                _log.error("alerts expired before they were indexed", partition=number, records=gap.found - gap.wanted)

    def _assigned(self, partitions: frozenset[int]) -> None:
        """All that is ours now. What was ours before keeps its alerts; read again, they are passed over."""
        self.backlog.revoke(self.backlog.partitions - partitions)
        self.backlog.assign(partitions)
        self._paused = frozenset()
        self.shipping.changed.set()

    def _revoked(self, partitions: frozenset[int]) -> None:
        """The group is being rearranged; what has gone is known with the next assignment."""

    def _press(self) -> None:
        """Pause while too much waits, resume when half of it is gone."""
        most = self._options.memory_bytes
        self._full = self.backlog.bytes >= (most // 2 if self._full else most)
        wanted = self.backlog.partitions if self._full else frozenset()
        self._reader.pause(wanted - self._paused)
        self._reader.unpause(self._paused - wanted)
        self._paused = wanted

    def _take(self, polled: Mapping[int, Sequence[Fetched]]) -> None:
        now_s = time.monotonic()
        for partition, records in polled.items():
            lane = self.backlog.lane(partition)
            for record in records:
                if lane is not None and record.offset > lane.read:
                    self._accept(lane, record, now_s)
        if polled:
            self.shipping.changed.set()

    def _accept(self, lane: Lane, record: Fetched, now_s: float) -> None:
        value = record.value or b""
        entry = Entry(lane, record.offset, None, value, record.append_time_us, now_s)
        try:
            entry.document = document_of(value)
        except RecordError as error:
            self.backlog.add(entry)
            self.burial.bury(entry, NO_ALERT, error.message)
        else:
            self.backlog.add(entry)

    async def _commit(self) -> None:
        self._committed_s = time.monotonic()
        positions = self.backlog.positions()
        if positions:
            await self._reader.commit(positions)
            self.backlog.committed(positions)

    # Ending

    async def _drain(self) -> None:
        """Finish what is in flight, and the letters it leads to."""
        try:
            async with asyncio.timeout(self._options.drain_s):
                await self.shipping.finish()
                await self.burial.written()
        except TimeoutError:
            _log.warning("stopped before everything in flight had an answer; it is sent again after the next start")

    async def _leave(self) -> None:
        try:
            await asyncio.wait_for(self._commit(), self._options.drain_s)
        except (ServerError, TimeoutError) as error:
            _log.warning("the last positions are not stored; these alerts are sent again", error=str(error))
        await self._reader.stop()
        await self.bulk.close()
        await self.burial.stop()


def index_role(settings: Settings) -> IndexRole:
    """The role as the settings want it; both servers must be configured.

    Raises:
        SettingsError: a server is not configured, or a secret cannot be read.
    """
    kafka, elasticsearch = settings.kafka, settings.elasticsearch
    if kafka is None or elasticsearch is None:
        raise SettingsError("indexing needs both `kafka` and `elasticsearch`")
    connection, prefix = connection_of(kafka), kafka.topic_prefix
    names = DeadLetters(f"{prefix}{DEAD_LETTERS}", f"{prefix}{ALERTS}", f"/streamer/{settings.cluster}")
    return IndexRole(
        AlertsReader(connection, topic=names.alerts, group=f"{prefix}index", now_us=now_us, max_records=_MOST_RECORDS),
        Bulk(elastic_connection_of(elasticsearch), template=INDEX_TEMPLATE, shorten=shortened),
        Outlet(connection, name="dead letters of indexing"),
        dead_letters=names,
        options=IndexOptions(drain_s=settings.drain / 1_000_000),
    )


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
