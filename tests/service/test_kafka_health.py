"""The health of sources in the Kafka mode on a real Kafka, with the shipped rules."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from streamer.sigma import load_rules
from tests.service.kafka_world import Installation, eventually
from tests.service.workload import START_S, audit_line

RULES = Path(__file__).parents[2] / "rules" / "kubernetes" / "sources"
SILENT = "Source of logs fell silent"
UNREADABLE = "Share of records that cannot be read rose"


class Watched(Installation):
    """With the shipped rules about sources."""

    def settings(self):
        self.more["rules"] = [str(RULES)]
        return super().settings()

    def loaded(self):
        return load_rules([RULES]).ok()


@pytest.fixture
async def installation(kafka_address: str, unique: str, tmp_path: Path) -> Watched:
    made = Watched(kafka_address, unique, tmp_path)
    await made.set_up()
    return made


def minutes(first: int, count: int, ago_s: float) -> list[str]:
    """Audit events, one a minute."""
    begun_s = time.time() - START_S - ago_s
    what = {"verb": "get", "resource": "pods", "user": "u", "namespace": "n"}
    return [audit_line(number, begun_s + 60 * number, **what) for number in range(first, first + count)]


async def test_a_topic_that_falls_silent_is_told_once_by_the_clock(installation):
    """[T4] [G4] over two raw partitions, nothing arriving any more, and a restart after it."""
    lines = minutes(0, 12, ago_s=3_000)
    async with installation.running():
        await installation.write(*lines[::2])
        await installation.write(*lines[1::2])
        await eventually(installation.alerts, "silence was not told")
    async with installation.running() as service:
        await eventually(lambda: all(service._ready().values()), "it did not get ready")
        await asyncio.sleep(4)
    (alert,) = await installation.alerts()
    assert alert["message"] == SILENT
    assert alert["event"]["reason"].startswith(f"source {installation.raw} carried audit events")


async def test_records_that_cannot_be_read_are_told_when_their_minute_is_over(installation):
    async with installation.running():
        await installation.write(*['{"kind": "Event", "broken'] * 20)
        left_s = 60 - time.time() % 60
        await asyncio.sleep(left_s + 1)
        await installation.write(*minutes(0, 1, ago_s=0))  # to the other partition
        await installation.write(*minutes(1, 1, ago_s=60))
        await eventually(installation.alerts, "it was not told")
    (alert,) = await installation.alerts()
    assert alert["message"] == UNREADABLE
    assert "20 of 20 records of a minute could not be read" in alert["event"]["reason"]
