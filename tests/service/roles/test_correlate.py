"""What the loop that reads the detections hands out, and to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from streamer.kafka import DetectionsReader, KafkaConnection
from streamer.service.roles.composing import Composer, Topics
from streamer.service.roles.correlate import CorrelateRole
from streamer.service.roles.numbers import CorrelateNumbers
from streamer.service.roles.owned import Shared
from streamer.sigma.rules import RuleSet


class Record:
    """As the client has it."""

    def __init__(self, offset: int) -> None:
        self.offset, self.key, self.value, self.timestamp, self.headers = offset, b"", b"%d" % offset, 0, ()


class Client:
    """Stands for the group member inside the reader: something happens while ``at`` is awaited."""

    def __init__(self, at: str, meanwhile: Callable[[], None]) -> None:
        self.assigned = frozenset[Any]()
        self.offset = 0
        self._at = at
        self._meanwhile = meanwhile

    async def fetch(self, _timeout_s: float, _most: int) -> Mapping[Any, list[Any]]:
        await self._happens("fetch")
        self.offset += 2
        return {tp: [Record(self.offset - 2), Record(self.offset - 1)] for tp in self.assigned}

    async def position(self, _tp: Any) -> int:
        await self._happens("position")
        return self.offset

    async def commit(self, _positions: Any) -> None:
        await self._happens("commit")

    def resume(self, positions: Mapping[Any, int]) -> None:
        (self.offset,) = positions.values()

    async def _happens(self, at: str) -> None:
        await asyncio.sleep(0)
        if at == self._at:
            self._at = ""
            self._meanwhile()


def role_of(reader: DetectionsReader) -> CorrelateRole:
    topics = Topics.of("t.")
    rules = RuleSet((), ())
    shared = Shared(
        reader,
        cast("Any", None),
        cast("Any", None),
        lambda rules, number: Composer(rules, topics, number, source="/t", context=cast("Any", None)),
        CorrelateNumbers(),
        "here",
        asyncio.Lock(),
    )
    return CorrelateRole(reader, cast("Any", None), shared, rules, topics=topics, partitions=1)


@pytest.mark.parametrize("at", ["fetch", "position", "commit"])
async def test_what_was_read_before_a_partition_was_resumed_elsewhere_never_reaches_it(at):
    def resume(offset: int) -> None:
        owned._resumed = owned._assignments
        owned.inbox.clear()
        reader.resume(0, offset)

    def assigned_anew() -> None:
        role._assigned(frozenset({0}))
        resume(500)

    reader = DetectionsReader(KafkaConnection("nowhere:1"), topic="t.detections", group="t.g")
    client = Client(at, assigned_anew)
    reader._member = cast("Any", client)
    role = role_of(reader)
    role._started = True
    role._ending.set()  # the partition's own task ends at once: the test takes its part
    role._assigned(frozenset({0}))
    client.assigned = frozenset({reader._tp(0)})
    owned = role.owned[0]
    resume(1_000)
    await role._turn()
    await role._turn()
    waiting = [record.offset for record in owned.inbox.take(10)]
    assert waiting == list(range(500, 500 + len(waiting)))
    assert len(waiting) >= 2
    await asyncio.gather(*role._tasks.values())
