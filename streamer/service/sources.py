"""All readers of a service as one, and how long each partition has had nothing to say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

import structlog

from streamer.correlate import CorrelateLimits
from streamer.decode import DecodeLimits, Source
from streamer.errors import ServerError
from streamer.model import Notice
from streamer.ports import Batch, Partition, Reader
from streamer.service.patience import Backoff, Outage, until_it_works
from streamer.service.quiet import Quiet
from streamer.service.settings import Settings, SourceSettings

WEBHOOK_BYTES: Final = 16_000_000
"""Bytes of one request to a webhook; an API server's largest batch has 10 MB by default."""
_log = structlog.get_logger("streamer.sources")


@runtime_checkable
class Choosing(Protocol):
    """A reader that can be told what to read next; one that merges files is."""

    def prefer(self, partition: Partition | None) -> None:
        """Read from this partition next, if it has anything."""
        ...


@runtime_checkable
class Lossy(Protocol):
    """A reader whose log may lose records before they are read."""

    def take_gaps(self) -> Sequence[object]:
        """What was lost since the last call; ``str`` of each is a sentence for a person."""
        ...


@runtime_checkable
class Acknowledging(Protocol):
    """A reader whose records were lent to it: somebody waits to hear that they are safe."""

    def acknowledge(self, positions: Mapping[Partition, object]) -> None:
        """A step with these positions was stored."""
        ...


def source_of(settings: Settings, source: SourceSettings) -> Source:
    """What the engine must know about a source."""
    return Source(
        name=source.name,
        kind=source.kind,
        cluster=source.cluster or settings.cluster,
        cluster_aliases=settings.aliases,
        lateness_us=source.lateness,
        max_clock_lead_us=source.max_clock_lead,
        idle_after_us=source.idle_after,
        trusted_proxies=source.trusted_proxies,
        access_log_containers=source.access_logs,
        limits=DecodeLimits(record_bytes=_record_bytes(settings, source)),
    )


def limits_of(settings: Settings) -> CorrelateLimits:
    """How much all rules of one process may remember and tell."""
    limits = settings.limits
    return CorrelateLimits(
        entries_per_key=limits.state_entries_per_key,
        entries_per_rule=limits.state_entries_per_rule,
        entries=limits.state_entries,
        alerts_per_rule=limits.alerts_per_rule,
        alerts=limits.alerts,
    )


def _record_bytes(settings: Settings, source: SourceSettings) -> int:
    """A request to a webhook is one record, with all the events of an API server's batch in it."""
    return max(settings.limits.record_bytes, WEBHOOK_BYTES if source.webhook else 0)


@dataclass(slots=True)
class Feed:
    """One reader, restarted where the last step ended whenever its server was away.

    Attributes:
        reader: the door.
        names: the sources it reads.
        is_file: whether these are files (or standard input), whose records have no append time.
        positions: where reading goes on after the last step that was stored.
        outage: whether its server is away.
        backoff: how it is waited for.
        quiet: how long its partitions have had nothing to say.
    """

    reader: Reader
    names: frozenset[str]
    is_file: bool
    positions: dict[Partition, object]
    outage: Outage
    backoff: Backoff = field(default_factory=Backoff)
    quiet: Quiet = field(default_factory=Quiet)
    running: bool = False

    def stored(self, positions: Mapping[Partition, object]) -> None:
        """Positions of a step that was stored; those of other readers are not for this one."""
        self.positions.update({key: value for key, value in positions.items() if key[0] in self.names})
        if isinstance(self.reader, Acknowledging):
            self.reader.acknowledge(self.positions)

    async def start(self) -> None:
        """Start reading at the stored positions; raises what the reader raises."""
        try:
            await self.reader.start(self.positions)
        except ServerError:
            await self.reader.stop()
            raise
        self.running = True

    async def read(self, timeout_s: float) -> Batch | None:
        """The next batch; ``None`` while the server is away."""
        try:
            if not self.running:
                await self.start()
            batch = await self.reader.read(timeout_s)
        except ServerError as error:
            self.outage.gone(error)
            self.running = False
            await self.reader.stop()
            # Not longer than a turn of the loop, which also has to see that it must stop.
            await asyncio.sleep(min(self.backoff.after(error), 2.0))
            return None
        self.outage.back()
        self.backoff.reset()
        return batch

    def listen(self, batch: Batch | None) -> None:
        """After a read. A partition at work, or whose server is away, is not quiet: it holds the watermark."""
        read = batch or Batch()
        heard = {(record.position.source, record.position.partition) for record in read.records}
        self.quiet.listen(read.at_end, heard, time.monotonic())


class Feeds:
    """Several readers side by side. One that waits does not hold up another.

    A reader is asked for its next batch only after its last one was stored: so nothing is in flight that a restart
    would have to take back.
    """

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self.feeds = tuple(feeds)
        self._pending: dict[asyncio.Task[Batch | None], Feed] = {}

    async def start(self) -> None:
        """Start all; waits for servers that are away. Raises ``StateError`` and ``SettingsError``."""
        for feed in self.feeds:
            await until_it_works(feed.start, feed.outage)

    def partitions(self) -> frozenset[Partition]:
        """All partitions of all readers."""
        return frozenset().union(*(feed.reader.partitions() for feed in self.feeds))

    def is_file(self, partition: Partition) -> bool:
        """Whether a partition is a file."""
        return any(feed.is_file for feed in self.feeds if partition[0] in feed.names)

    def take_notices(self, now_us: int) -> list[Notice]:
        """What was lost before it could be read, since the last call; each is said in the log as well."""
        gaps = [str(gap) for feed in self.feeds if isinstance(feed.reader, Lossy) for gap in feed.reader.take_gaps()]
        for gap in gaps:
            _log.warning("records were lost before they were read", detail=gap)
        return [Notice("records-lost", None, now_us, gap) for gap in gaps]

    async def read(self, timeout_s: float) -> list[Batch]:
        """Batches of the readers that have one, after ``timeout_s`` at the latest."""
        busy = {id(feed) for feed in self._pending.values()}
        for feed in self.feeds:
            if id(feed) not in busy:
                self._pending[asyncio.create_task(feed.read(timeout_s))] = feed
        done, _ = await asyncio.wait(self._pending, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        batches: list[Batch] = []
        # In the order configured, not in the order of a set.
        for task, feed in list(self._pending.items()):
            if task in done:
                del self._pending[task]
                batch = task.result()
                feed.listen(batch)
                if batch is not None:
                    batches.append(batch)
        return batches

    def quiet_for_s(self, partition: Partition) -> float:
        """How long the reader has stood at the end of this partition; 0 if it does not."""
        now_s = time.monotonic()
        return max((feed.quiet.quiet_for_s(partition, now_s) or 0.0 for feed in self.feeds), default=0.0)

    def stored(self, positions: Mapping[Partition, object]) -> None:
        """A step with these positions was stored."""
        for feed in self.feeds:
            feed.stored(positions)

    def prefer(self, partition: Partition | None) -> None:
        """Read from this partition next where the reader has a choice: it holds the others back."""
        for feed in self.feeds:
            if isinstance(feed.reader, Choosing):
                feed.reader.prefer(partition)

    async def stop(self) -> None:
        """Stop all readers; a batch that was being read will be read again."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)
        await asyncio.gather(*(feed.reader.stop() for feed in self.feeds), return_exceptions=True)
