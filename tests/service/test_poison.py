"""A record that kills the process is found by how often a process died there, and set aside."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from streamer.service.roles.attempts import ATTEMPTS
from tests.servers.process import mortal
from tests.service.kafka_world import Installation, eventually, node_deleted

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("role", ["correlate", "detect"])
async def test_a_record_that_kills_the_process_is_set_aside_and_everything_else_is_told(
    kafka_address, unique, tmp_path, role
):
    installation = Installation(kafka_address, unique, tmp_path)
    await installation.set_up()
    config = tmp_path / "streamer.yml"
    config.write_text(json.dumps(plain(installation.settings())))
    await installation.write(*[node_deleted(n, user="mallory" if n == 5 else f"u{n}") for n in range(10)])
    if role == "correlate":
        async with installation.running("detect") as detecting:
            await eventually(lambda: detecting.detect.numbers.sent == 10, "not everything was detected")
    deaths = 0
    log = tmp_path / "log"
    while await died(config, role, log, installation):
        deaths += 1
        assert deaths < 3 * ATTEMPTS, tail(log)
    # Some deaths together, then some more with one record at a time.
    assert deaths == 2 * ATTEMPTS
    (letter,) = await installation.letters()
    assert letter["error"] == {"reason": "poison", "detail": "the process died each time it was fed"}
    assert letter["stage"] == role
    said = [json.loads(line) for line in log.read_bytes().splitlines()]
    assert len([line for line in said if line["event"] == "a record is set aside"]) == 1


async def told(installation: Installation, count: int) -> bool:
    users = [alert["user"]["name"] for alert in await installation.alerts()]
    return len(users) == len(set(users)) == count and "mallory" not in users


async def died(config: Path, role: str, log: Path, installation: Installation) -> bool:
    """Run until it dies (``True``) or has set the record aside and told everything."""
    command = mortal([sys.executable, "-m", "tests.service.poisoned", str(config), role])
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=said)
    ended = asyncio.create_task(process.wait())
    try:
        end_s = time.monotonic() + 60
        while not ended.done():
            if await installation.letters() and await told(installation, 9):
                process.terminate()
                assert await ended == 0
                return False
            assert time.monotonic() < end_s, tail(log)
        return True
    finally:
        if not ended.done():
            process.kill()
        await ended


def tail(log: Path) -> str:
    return log.read_text()[-3000:]


def plain(settings):
    """What of the settings is not the default, as a file may hold it."""
    kafka = settings.kafka
    return {
        "rules": list(settings.rules),
        "sources": [{"kafka": settings.sources[0].kafka, "kind": "audit", "lateness": "1s", "idle_after": "2s"}],
        "kafka": {
            "bootstrap_servers": kafka.bootstrap_servers,
            "topic_prefix": kafka.topic_prefix,
            "partitions": kafka.partitions,
            "replication": 1,
            "session": "2s",
        },
        "http": {"enabled": False},
        "watch_rules": False,
    }
