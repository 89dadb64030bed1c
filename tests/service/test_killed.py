"""Killed at any moment and started again, the embedded mode loses nothing, doubles nothing and changes nothing."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from streamer.ecs.fields import VOLATILE
from streamer.local import archive
from tests.service.killed import POINTS
from tests.service.workload import write_world

ROOT = Path(__file__).parents[2]


def settled(body: dict) -> dict:
    """The document without what may differ between two runs."""
    for path in VOLATILE:
        *parents, leaf = path.split(".")
        level = body
        for parent in parents:
            level = level.get(parent, {})
        level.pop(leaf, None)
    return body


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return write_world(folder, 800)


def configured(folder: Path, world, batch_records: int) -> Path:
    audit, containers, rules = world
    config = folder / "streamer.yml"
    config.write_text(
        json.dumps(
            {
                "rules": [str(rules)],
                "sources": [{"file": str(audit), "kind": "audit"}, {"file": str(containers), "kind": "containers"}],
                "store": str(folder / "streamer.db"),
                "limits": {"batch_records": batch_records},
                "http": {"enabled": False},
            }
        )
    )
    return config


def run(folder: Path, world, kills: list[str], *, batch_records: int = 25):
    """Run to the end through these kills: stored alerts, delivered documents, dead letters, number of kills."""
    config = configured(folder, world, batch_records)
    delivered = folder / "delivered.ndjson"
    command = [sys.executable, "-m", "tests.service.killed", str(config), str(delivered), *kills]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    store = folder / "streamer.db"
    alerts = [(alert.id, settled(orjson.loads(alert.body))) for alert in archive.alerts(store)]
    letters = [found.letter for found in archive.dead_letters(store)]
    return (
        alerts,
        [orjson.loads(line) for line in delivered.read_bytes().splitlines()],
        letters,
        json.loads(done.stdout)["kills"],
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, world):
    return run(tmp_path_factory.mktemp("undisturbed"), world, [])


def test_an_undisturbed_run_tells_every_alert_once(undisturbed):
    alerts, delivered, letters, kills = undisturbed
    assert kills == 0
    assert len(alerts) > 50
    assert len(letters) > 3
    assert {alert["message"] for _, alert in alerts} >= {
        "Node deleted",
        "Pod of a user mines",
        "First secret in a namespace",
    }
    assert sorted(document["id"] for document in delivered) == sorted(alert for alert, _ in alerts)


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_every_point_and_started_again_the_alerts_are_the_same(tmp_path, world, undisturbed, seed):
    chance = random.Random(seed)
    points = [f"{point}:{chance.randrange(1, 5)}" for point in POINTS * 4]
    chance.shuffle(points)
    alerts, delivered, letters, kills = run(tmp_path, world, points)
    assert kills >= 20
    assert alerts == undisturbed[0]
    assert letters == undisturbed[2]
    # Delivery is at least once, under the same id: whoever receives a document twice knows it.
    told = {document["id"]: settled(document["body"]) for document in delivered}
    assert told == dict(alerts)
    assert len(delivered) <= len(alerts) + 3 * kills
