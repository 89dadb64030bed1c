from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from streamer.decode import Source
from streamer.ecs import DocumentContext
from streamer.engine import Engine
from streamer.errors import ServerError
from streamer.local.files import FileInput, FilesReader
from streamer.service.patience import Outage
from streamer.service.sources import Feed, Feeds, _log
from streamer.service.steps import Steps
from streamer.sigma import load_text
from tests.service.workload import RULES, audit_lines


class Store:
    """Keeps steps in memory; refuses as often as it is told."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.steps = []
        self.ids: set[str] = set()
        self.entries = {}

    def commit(self, step):
        if self.refusals:
            self.refusals -= 1
            raise ServerError("streamer.db cannot be written: database or disk is full")
        self.steps.append(step)
        self.entries = {key: value for key, value in {**self.entries, **step.state}.items() if value is not None}
        new = tuple(document.id for document in step.documents if document.id not in self.ids)
        self.ids.update(new)
        return new

    def load(self):
        return dict(self.entries), {}


async def run(path, store, *, told=lambda documents: None, engine=None):
    engine = engine or Engine(load_text({"rules.yml": RULES}).ok())
    feed = Feed(FilesReader([FileInput(str(path))]), frozenset({str(path)}), True, {}, Outage("files", _log))
    feeds = Feeds([feed])
    await feeds.start()
    steps = Steps(
        engine,
        feeds,
        store,
        sources={str(path): Source(str(path), "audit")},
        context=lambda now_us: DocumentContext(instance="i", version="v", created_us=now_us),
        told=told,
    )
    steps.expect_partitions()
    async with asyncio.timeout(30):
        await steps.run(asyncio.Event())
    await feeds.stop()
    return steps


async def test_every_document_is_told_after_its_step_was_stored(tmp_path):
    path = tmp_path / "audit.log"
    path.write_text("".join(f"{line}\n" for line in audit_lines(200)))
    store, told = Store(), []

    def tell(documents):
        assert [document.id for document in store.steps[-1].documents] == [document.id for document in documents]
        told.extend(documents)

    await run(path, store, told=tell)
    assert {document.id for document in told} == store.ids
    assert len(told) > 10


async def test_a_full_disk_stops_reading_and_loses_nothing(tmp_path):
    path = tmp_path / "audit.log"
    path.write_text("".join(f"{line}\n" for line in audit_lines(100)))
    undisturbed, disturbed = Store(), Store(refusals=3)
    await run(path, undisturbed)
    with capture_logs() as logs:
        steps = await run(path, disturbed)
    assert disturbed.ids == undisturbed.ids
    assert [step.positions for step in disturbed.steps] == [step.positions for step in undisturbed.steps]
    assert [entry["event"] for entry in logs] == ["not available; trying again until it is", "available again"]
    assert steps.stored == len([step for step in undisturbed.steps if step.positions])
