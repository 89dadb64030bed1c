"""Records that the engine fails on, or that end the process: one is set aside, the others are taken in."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamer.engine import Engine
from streamer.local import archive
from streamer.service.careful import ATTEMPTS, Attempt
from streamer.sigma import load_text
from tests.service.test_killed import settled
from tests.service.test_steps import Store, run
from tests.service.workload import RULES, audit_lines

ROOT = Path(__file__).parents[2]
POISON = "00000031-0000-4000-8000-000000000000"
"""Audit id of the record on which everything fails."""


class Failing(Engine):
    """Fails in the middle of a batch, with half of it taken in, where the poison is."""

    tries = 0

    def feed(self, records):
        for record in records:
            if any(poison.encode() in record.value for poison in POISONS):
                Failing.tries += 1
                super().feed(list(records)[: len(records) // 2])
                raise ZeroDivisionError("division by zero")
        return super().feed(records)

    def emptied(self, rules=None):
        return Failing(
            rules or self.rules, limits=self._limits, counters=self.counters, correlated=self.correlator.counters
        )


POISONS: list[str] = []


@pytest.fixture
def failing(monkeypatch):
    monkeypatch.setattr(Failing, "tries", 0)

    def make(*poisons: str) -> Failing:
        monkeypatch.setattr(sys.modules[__name__], "POISONS", list(poisons))
        return Failing(load_text({"rules.yml": RULES}).ok())

    return make


def write(path, lines) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def ids(store):
    return [document.id for step in store.steps for document in step.documents]


def letters(store):
    return [letter for step in store.steps for letter in step.dead_letters]


async def test_a_record_on_which_the_engine_fails_is_set_aside_and_the_others_are_taken_in(tmp_path, failing):
    lines = audit_lines(200)
    clean, hurt = Store(), Store()
    await run(write(tmp_path / "clean.log", [line for line in lines if POISON not in line]), clean)
    with capture_logs() as logs:
        steps = await run(write(tmp_path / "audit.log", lines), hurt, engine=failing(POISON))
    assert len(ids(hurt)) > 5
    assert ids(hurt) == ids(clean)
    (letter,) = [letter for letter in letters(hurt) if letter.reason == "correlation-failed"]
    assert POISON.encode() in letter.value
    assert "ZeroDivisionError" in letter.detail
    assert Failing.tries == ATTEMPTS + 1
    assert steps.engine.counters.dead_letters["correlation-failed"] == 1
    assert "a record cannot be correlated" in {entry["event"] for entry in logs}


async def test_the_letter_is_stored_with_the_position_that_passes_over_the_record(tmp_path, failing):
    store = Store()
    await run(write(tmp_path / "audit.log", audit_lines(60)), store, engine=failing(POISON))
    (step,) = [step for step in store.steps if any(one.reason == "correlation-failed" for one in step.dead_letters)]
    assert step.positions


async def test_several_such_records_in_one_step_are_all_set_aside(tmp_path, failing):
    lines = audit_lines(100)
    poisons = [f"{number:08d}-0000" for number in (3, 4, 50, 99)]
    store = Store()
    steps = await run(write(tmp_path / "audit.log", lines), store, engine=failing(*poisons))
    failed = [letter for letter in letters(store) if letter.reason == "correlation-failed"]
    expected = [line for line in lines if any(poison in line for poison in poisons)]
    assert [letter.value.decode() for letter in failed] == expected
    assert steps.has_ended()


async def test_a_failure_that_passes_costs_nothing(tmp_path):
    class Once(Engine):
        left = 1

        def feed(self, records):
            if Once.left:
                Once.left -= 1
                super().feed(records)
                raise MemoryError
            return super().feed(records)

    path = write(tmp_path / "audit.log", audit_lines(200))
    clean, hurt = Store(), Store()
    await run(path, clean)
    await run(path, hurt, engine=Once(load_text({"rules.yml": RULES}).ok()))
    assert ids(hurt) == ids(clean) != []
    assert hurt.entries == clean.entries
    assert not any(letter.reason == "correlation-failed" for letter in letters(hurt))


async def test_counters_go_on_over_an_engine_that_was_thrown_away(tmp_path, failing):
    engine = failing(POISON)
    counters, correlated = engine.counters, engine.correlator.counters
    steps = await run(write(tmp_path / "audit.log", audit_lines(60)), Store(), engine=engine)
    assert steps.engine is not engine
    assert steps.engine.counters is counters
    assert steps.engine.correlator.counters is correlated


async def test_an_undisturbed_run_leaves_no_announcement_behind(tmp_path):
    store = Store()
    await run(write(tmp_path / "audit.log", audit_lines(20)), store)
    assert any(key.startswith(b"attempt") for step in store.steps for key in step.state)
    assert not any(key.startswith(b"attempt") for key in store.entries)


def test_an_announcement_counts_the_deaths_at_one_place():
    first = Attempt(-1, 0).again(10)
    assert first == Attempt(10, 1)
    assert first.again(10).again(10) == Attempt(10, 3)
    assert first.again(11) == Attempt(11, 1)
    assert Attempt(10, 4, alone=12, culprits=(11,)).again(10) == Attempt(10, 5, None, (11, 12))


DEADLY = """
import os
import sys
from pathlib import Path
from streamer.engine import Engine
from streamer.service import run as service
from streamer.service.configuration import load_settings
from streamer.sigma import load_rules

feed = Engine.feed

def deadly(self, records):
    for record in records:
        if any(poison.encode() in record.value for poison in sys.argv[2:]):
            os._exit(7)
    return feed(self, records)

Engine.feed = deadly
settings = load_settings(Path(sys.argv[1]), environment={})
service.run(settings, load_rules([Path(path) for path in settings.rules]).ok())
"""


def deadly_runs(folder: Path, lines: list[str], *poisons: str) -> list[int]:
    """Run, die, and run again until a run ends well; returns how each ended."""
    folder.mkdir()
    audit, rules, config = folder / "audit.log", folder / "rules.yml", folder / "streamer.yml"
    write(audit, lines)
    rules.write_text(RULES)
    config.write_text(
        json.dumps(
            {
                "rules": [str(rules)],
                "sources": [{"file": str(audit), "kind": "audit"}],
                "store": str(folder / "streamer.db"),
                "limits": {"batch_records": 20},
                "http": {"enabled": False},
            }
        )
    )
    ended = []
    while not ended or (ended[-1] and len(ended) < 30):
        command = [sys.executable, "-c", DEADLY, str(config), *poisons]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
        assert done.returncode in (0, 7), done.stderr.decode()
        ended.append(done.returncode)
    return ended


def told(folder: Path) -> list[dict]:
    bodies = [settled(json.loads(alert.body)) for alert in archive.alerts(folder / "streamer.db")]
    for body in bodies:
        for evidence in body["streamer"]["evidence"]:
            evidence.pop("source", None)
        body["streamer"].pop("source", None)
    return bodies


def test_a_record_that_ends_the_process_is_set_aside_after_three_attempts(tmp_path):
    lines = audit_lines(120)
    assert deadly_runs(tmp_path / "clean", [line for line in lines if POISON not in line]) == [0]
    # The step of the record dies unannounced, for others were stored before; then three times announced, once alone.
    assert deadly_runs(tmp_path / "hurt", lines, POISON) == [7] * (ATTEMPTS + 2) + [0]
    found = [one.letter for one in archive.dead_letters(tmp_path / "hurt" / "streamer.db")]
    (letter,) = [letter for letter in found if letter.reason == "correlation-failed"]
    assert POISON.encode() in letter.value
    assert "the process ended" in letter.detail
    clean, hurt = told(tmp_path / "clean"), told(tmp_path / "hurt")
    assert len(hurt) == len(clean) > 5
    assert [body["message"] for body in hurt] == [body["message"] for body in clean]


def test_two_such_records_in_one_step_are_both_set_aside(tmp_path):
    poisons = ["00000005-0000", "00000009-0000"]
    # The first step of all: announced from the beginning. One more death for the second.
    assert deadly_runs(tmp_path / "hurt", audit_lines(40), *poisons) == [7] * (ATTEMPTS + 2) + [0]
    found = [one.letter for one in archive.dead_letters(tmp_path / "hurt" / "streamer.db")]
    failed = [letter.value.decode() for letter in found if letter.reason == "correlation-failed"]
    assert len(failed) == 2
    assert all(any(poison in value for poison in poisons) for value in failed)


async def test_the_store_is_asked_only_when_the_engine_failed(tmp_path):
    class Silent(Store):
        def load(self):
            raise AssertionError("a step that goes well needs nothing from the store")

    await asyncio.wait_for(run(write(tmp_path / "audit.log", audit_lines(60)), Silent()), 30)
