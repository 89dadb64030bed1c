"""Runs the service in processes of their own that are killed at chosen moments, until one may live.

Called as a program: ``python -m tests.service.killed CONFIG DELIVERED POINT:COUNT ...``. For every ``POINT:COUNT`` it
forks a process that kills itself (SIGKILL, nothing is cleaned up) when it comes to that point for that many times; a
process that reaches the end before that may end. Then one process runs undisturbed. Forking saves the start of an
interpreter per kill; everything else is what ``streamer run`` does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from streamer.local.store import SqliteStore
from streamer.model import Document
from streamer.ports import Step
from streamer.service import run as service
from streamer.service.configuration import load_settings
from streamer.service.delivery import Courier
from streamer.service.telemetry import configure_log
from streamer.sigma import load_rules

POINTS = (
    "before-begin",
    "after-state",
    "after-positions",
    "before-commit",
    "after-commit",
    "before-delivery",
    "between-documents",
    "after-delivery",
    "after-mark",
)


class Deadline:
    """Counts how often each point was reached, and kills the process at the chosen one."""

    def __init__(self, point: str, count: int) -> None:
        self.point = point
        self.left = count

    def reached(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


class DeadlyCursor:
    """A cursor that dies between statements of a step's transaction."""

    def __init__(self, cursor, deadline: Deadline) -> None:
        self._cursor = cursor
        self._deadline = deadline

    def __getattr__(self, name: str):
        return getattr(self._cursor, name)

    def executemany(self, sql: str, rows):
        result = self._cursor.executemany(sql, rows)
        if "INTO state" in sql:
            self._deadline.reached("after-state")
        if "INTO positions" in sql:
            self._deadline.reached("after-positions")
        return result


class DeadlyStore(SqliteStore):
    """The store, with moments at which its process dies."""

    deadline = Deadline("", 0)

    def commit(self, step: Step) -> tuple[str, ...]:
        self.deadline.reached("before-begin")
        new = super().commit(step)
        self.deadline.reached("after-commit")
        return new

    def _write(self, cursor, step: Step) -> tuple[str, ...]:
        new = super()._write(DeadlyCursor(cursor, self.deadline), step)
        self.deadline.reached("before-commit")
        return new

    def delivered(self, sink: str, ids: Sequence[str]) -> None:
        self.deadline.reached("after-delivery")
        super().delivered(sink, ids)
        self.deadline.reached("after-mark")


class FileSink:
    """Appends what is delivered to a file."""

    name = "file"

    def __init__(self, path: Path, deadline: Deadline) -> None:
        self._path = path
        self._deadline = deadline

    async def start(self) -> None:
        pass

    async def deliver(self, documents: Sequence[Document]) -> Sequence[str]:
        self._deadline.reached("before-delivery")
        for document in documents:
            with self._path.open("ab") as file:
                file.write(orjson.dumps({"id": document.id, "body": orjson.loads(document.body)}) + b"\n")
            self._deadline.reached("between-documents")
        return [document.id for document in documents]

    async def stop(self) -> None:
        pass


def run_once(config: Path, delivered: Path, deadline: Deadline) -> None:
    """What ``streamer run --config`` does, with a sink that can be looked at."""
    settings = load_settings(config, environment={})
    configure_log("error")
    rules = load_rules([Path(path) for path in settings.rules]).ok()
    DeadlyStore.deadline = deadline
    service.open_store = lambda settings: DeadlyStore(settings.store, sinks=["file"])
    service.couriers_of = lambda settings, store: [
        Courier(
            FileSink(delivered, deadline),
            lambda limit: store.undelivered("file", 3),
            lambda ids: store.delivered("file", ids),
        )
    ]
    service.run(settings, rules)


def forked(config: Path, delivered: Path, point: str, count: int) -> int:
    """Run in a process of its own; returns how it ended (negative: the signal)."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run_once(config, delivered, Deadline(point, count))
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    config, delivered = Path(sys.argv[1]), Path(sys.argv[2])
    kills = 0
    for argument in sys.argv[3:]:
        point, _, count = argument.partition(":")
        ended = forked(config, delivered, point, int(count))
        if ended not in (0, -signal.SIGKILL):
            sys.exit(f"a run that was to be killed at {argument} ended with {ended}")
        kills += ended == -signal.SIGKILL
    ended = forked(config, delivered, "", 0)
    if ended != 0:
        sys.exit(f"the last run ended with {ended}")
    print(json.dumps({"kills": kills}))


if __name__ == "__main__":
    main()
