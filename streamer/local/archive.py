"""What a store holds, for people: alerts and dead letters, read while a service may be writing them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from streamer.errors import StateError
from streamer.local.schema import open_readable, unreadable
from streamer.local.store import dead_letter_of
from streamer.model import DeadLetter


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """One alert as listed.

    Attributes:
        time_us: event time of the completing event.
        stored_us: when it was told.
        body: the alert document, JSON.
    """

    id: str
    time_us: int
    stored_us: int
    level: str
    title: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts to list; ``None`` and the empty string ask for nothing.

    Attributes:
        since_us: event time, included.
        until_us: event time, included.
        levels: any of these.
        rule: the rule's id, name or title.
        limit: the newest this many.
    """

    since_us: int | None = None
    levels: tuple[str, ...] = ()
    rule: str = ""
    limit: int = 1000
    until_us: int | None = None


def _query(path: Path, sql: str, values: Sequence[object]) -> list[tuple[object, ...]]:
    with closing(open_readable(path)) as database:
        try:
            return database.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise unreadable(path, error) from error


_ALERT = "SELECT id, time_us, stored_us, level, title, body FROM alerts"


def alerts(path: Path, wanted: Wanted = Wanted()) -> list[StoredAlert]:
    """Alerts in order of event time. Raises ``StateError`` for a file that is no store."""
    clauses, values = ["1"], list[object]()
    if wanted.since_us is not None:
        clauses.append("time_us >= ?")
        values.append(wanted.since_us)
    if wanted.until_us is not None:
        clauses.append("time_us <= ?")
        values.append(wanted.until_us)
    if wanted.levels:
        clauses.append(f"level IN ({','.join('?' * len(wanted.levels))})")
        values.extend(wanted.levels)
    if wanted.rule:
        clauses.append("(rule_id = ? OR rule = ? OR title = ?)")
        values.extend([wanted.rule] * 3)
    sql = f"{_ALERT} WHERE {' AND '.join(clauses)} ORDER BY time_us DESC, id DESC LIMIT ?"
    rows = _query(path, sql, [*values, wanted.limit])
    return [StoredAlert(*row) for row in reversed(rows)]  # type: ignore[arg-type]  # the columns' types


def alert(path: Path, prefix: str) -> StoredAlert:
    """The alert whose id begins with ``prefix``. Raises ``StateError`` if there is none, or more than one."""
    rows = _query(path, f"{_ALERT} WHERE substr(id, 1, ?) = ? LIMIT 2", (len(prefix), prefix))
    if not rows:
        raise StateError(f"{path} holds no alert {prefix}", hint="`streamer alerts` lists the ids")
    if len(rows) > 1:
        raise StateError(f"more than one alert begins with {prefix}", hint="write more of the id")
    return StoredAlert(*rows[0])  # type: ignore[arg-type]  # the columns' types


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """One record that could not be read, and when it was set aside."""

    number: int
    stored_us: int
    letter: DeadLetter


def dead_letters(path: Path, *, reason: str = "", since_us: int = 0, limit: int = 1000) -> list[StoredDeadLetter]:
    """Records set aside since then, oldest first, the newest ``limit`` of them. Raises ``StateError``."""
    rows = _query(
        path,
        "SELECT seq, stored_us, reason, detail, source, number, offset, is_file, value, size FROM dead_letters"
        " WHERE ? IN ('', reason) AND stored_us >= ? ORDER BY seq DESC LIMIT ?",
        (reason, since_us, limit),
    )
    return [StoredDeadLetter(row[0], row[1], dead_letter_of(row[2:])) for row in reversed(rows)]  # type: ignore[arg-type]
