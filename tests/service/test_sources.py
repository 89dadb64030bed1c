from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from streamer.decode.source import ACCESS_LOG_CONTAINERS
from streamer.errors import ServerError, StateError
from streamer.model import Position, Record
from streamer.ports import Batch
from streamer.service.patience import Backoff, Outage
from streamer.service.settings import Settings
from streamer.service.sources import Feed, Feeds, _log, source_of


def record(source: str, offset: int) -> Record:
    return Record(b"x", Position(source, 0, offset, is_file=False))


class Reader:
    """Gives prepared batches; an error in their place is raised."""

    def __init__(self, name: str, *batches: Batch | Exception) -> None:
        self.name = name
        self.batches = list(batches)
        self.starts: list[dict] = []
        self.running = False
        self.preferred = None

    async def start(self, positions) -> None:
        self.starts.append(dict(positions))
        self.running = True

    def partitions(self):
        return frozenset({(self.name, 0)}) if self.running else frozenset()

    async def read(self, timeout_s: float) -> Batch:
        if not self.batches:
            await asyncio.sleep(timeout_s)
            return Batch()
        batch = self.batches.pop(0)
        if isinstance(batch, Exception):
            raise batch
        return batch

    async def stop(self) -> None:
        self.running = False

    def prefer(self, partition) -> None:
        self.preferred = partition

    def take_gaps(self):
        return ("ten records expired",)


def feed_of(reader: Reader, positions=None) -> Feed:
    feed = Feed(reader, frozenset({reader.name}), False, {}, Outage("reading", _log), Backoff(0.001, 0.01))
    feed.stored(positions or {})
    return feed


def test_whose_lines_are_requests_is_said_per_source():
    settings = Settings(
        sources=[
            {"kafka": "gateways", "kind": "containers", "access_logs": ["edge/my-gateway/*"]},
            {"kafka": "others", "kind": "containers", "access_logs": []},
            {"kafka": "usual", "kind": "containers"},
        ],
        kafka={},
    )
    declared = [source_of(settings, source).access_log_containers for source in settings.sources]
    assert declared == [("edge/my-gateway/*",), (), ACCESS_LOG_CONTAINERS]


async def test_a_reader_starts_at_its_own_positions_only():
    reader = Reader("a")
    feeds = Feeds([feed_of(reader, {("a", 0): 5, ("b", 0): 6})])
    await feeds.start()
    assert reader.starts == [{("a", 0): 5}]


async def test_a_server_that_was_away_is_read_from_the_last_stored_step():
    reader = Reader(
        "a",
        Batch((record("a", 1),), {("a", 0): 2}),
        ServerError("gone"),
        ServerError("gone"),
        Batch((record("a", 2),), {("a", 0): 3}),
    )
    feeds = Feeds([feed_of(reader)])
    await feeds.start()
    (first,) = await feeds.read(1)
    feeds.stored(first.positions)
    found = []
    with capture_logs() as logs:
        while not found:
            found = await feeds.read(1)
    assert found[0].records[0].position.offset == 2
    assert reader.starts == [{}, {("a", 0): 2}, {("a", 0): 2}]
    assert [entry["event"] for entry in logs] == ["not available; trying again until it is", "available again"]


async def test_a_reader_that_waits_does_not_hold_up_another():
    slow, fast = Reader("slow"), Reader("fast", *[Batch((record("fast", n),)) for n in range(3)])
    feeds = Feeds([feed_of(slow), feed_of(fast)])
    await feeds.start()
    async with asyncio.timeout(0.5):
        found = [batch for _ in range(3) for batch in await feeds.read(10)]
    assert [batch.records[0].position.offset for batch in found] == [0, 1, 2]
    await feeds.stop()


async def test_state_that_cannot_be_continued_is_not_retried():
    feeds = Feeds([feed_of(Reader("a", StateError("cut")))])
    await feeds.start()
    with pytest.raises(StateError, match="cut"):
        await feeds.read(1)


async def test_a_partition_is_quiet_while_its_reader_stands_at_the_end_and_not_while_it_is_away():
    end = frozenset({("a", 0)})
    reader = Reader(
        "a", Batch(at_end=end), Batch(at_end=end), Batch((record("a", 1),), at_end=end), ServerError("gone")
    )
    feeds = Feeds([feed_of(reader)])
    await feeds.start()
    assert feeds.quiet_for_s(("a", 0)) == 0
    await feeds.read(1)
    await asyncio.sleep(0.02)
    await feeds.read(1)
    assert feeds.quiet_for_s(("a", 0)) >= 0.02
    await feeds.read(1)
    assert 0 < feeds.quiet_for_s(("a", 0)) < 0.02
    with capture_logs():
        await feeds.read(1)
    assert feeds.quiet_for_s(("a", 0)) == 0


async def test_what_was_lost_is_told_as_a_notice():
    feeds = Feeds([feed_of(Reader("a"))])
    with capture_logs() as logs:
        (notice,) = feeds.take_notices(17)
    assert (notice.kind, notice.time_us, notice.detail) == ("records-lost", 17, "ten records expired")
    assert len(logs) == 1


async def test_readers_that_can_choose_are_told_what_holds_the_others_back():
    reader = Reader("a")
    Feeds([feed_of(reader)]).prefer(("a", 0))
    assert reader.preferred == ("a", 0)
