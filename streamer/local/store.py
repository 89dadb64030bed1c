"""The SQLite file that holds everything the embedded mode must not lose.

One step of the service is one transaction: changed state, positions, alerts told and records set aside are stored as a
whole or not at all, durably (write-ahead log, ``synchronous=FULL``). So after a crash at any moment the file holds the
state after some step, the positions where reading goes on from there, and exactly the alerts told up to there.

Alerts wait in an outbox per sink until the sink has them. What was delivered everywhere is removed after a while; what
was not is kept, however old.

One process writes a file at a time; a lock beside it says so. Reading it meanwhile is :mod:`streamer.local.archive`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from streamer.errors import ServerError
from streamer.local.schema import FileLock, open_writable, unreadable
from streamer.model import DeadLetter, Document, Position
from streamer.ports import Partition, Step

_T = TypeVar("_T")
_DAY_US: Final = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Retention:
    """How much that was told and delivered is kept for ``streamer alerts`` and ``streamer dead-letters``.

    Attributes:
        days: older alerts and dead letters are removed, by the time they were stored.
        alerts: more than this many, the oldest are removed.
        dead_letters: likewise; they hold the original bytes, up to the record limit each.
    """

    days: int = 90
    alerts: int = 100_000
    dead_letters: int = 10_000


class SqliteStore:
    """A :class:`streamer.ports.Store`; its methods may be called from any thread, one at a time.

    Args:
        path: the file, created if it does not exist.
        sinks: names of the sinks that must get every document. One that is new gets everything the file still holds.
        dead_letter_sinks: names of those that must get every dead letter.

    Attributes:
        identity: of this file, for ever; names what this installation writes elsewhere.

    Raises:
        StateError: another process uses the file, it has a newer schema, or it is no such file or damaged.
    """

    def __init__(self, path: Path, *, sinks: Sequence[str] = (), dead_letter_sinks: Sequence[str] = ()) -> None:
        self._path = path
        self._sinks = tuple(sinks)
        self._dead_letter_sinks = tuple(dead_letter_sinks)
        self._mutex = threading.Lock()
        self._lock = FileLock(path)
        try:
            self._database = open_writable(path)
            self.identity: str = self._transaction(lambda cursor: cursor.execute("SELECT id FROM identity").fetchone())[
                0
            ]
            self._transaction(self._enlist)
        except BaseException:
            self._lock.release()
            raise

    def _enlist(self, cursor: sqlite3.Cursor) -> None:
        for table, outbox, names in (
            ("alerts", "outbox", self._sinks),
            ("dead_letters", "dead_letter_outbox", self._dead_letter_sinks),
        ):
            for name in names:
                cursor.execute("INSERT OR IGNORE INTO sinks VALUES (?, ?)", (outbox, name))
                if cursor.rowcount:
                    cursor.execute(f"INSERT INTO {outbox} SELECT ?, seq FROM {table}", (name,))  # noqa: S608 (constants)

    def _transaction(self, work: Callable[[sqlite3.Cursor], _T]) -> _T:
        """Run ``work`` between BEGIN and COMMIT; a file that cannot be written now is a retriable error."""
        with self._mutex, closing(self._database.cursor()) as cursor:
            try:
                cursor.execute("BEGIN IMMEDIATE")
                result = work(cursor)
                cursor.execute("COMMIT")
            except sqlite3.OperationalError as error:
                self._roll_back()
                raise ServerError(
                    f"{self._path} cannot be written: {error}", hint="give its disk space; nothing is lost meanwhile"
                ) from error
            except sqlite3.DatabaseError as error:
                self._roll_back()
                raise unreadable(self._path, error) from error
            except BaseException:
                self._roll_back()
                raise
            return result

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            self._database.rollback()

    def load(self) -> tuple[dict[bytes, bytes], dict[Partition, object]]:
        """All state entries and positions."""
        return self._transaction(_load)

    def commit(self, step: Step) -> tuple[str, ...]:
        """Store a step atomically and durably; returns the ids of the documents that are new.

        A document whose id the file holds already is the same alert told again, and is not stored.

        Raises:
            ServerError: the file cannot be written now (disk full); nothing of the step is stored.
        """
        return self._transaction(lambda cursor: self._write(cursor, step))

    def _write(self, cursor: sqlite3.Cursor, step: Step) -> tuple[str, ...]:
        now_us = time.time_ns() // 1_000
        gone = [(key,) for key, value in step.state.items() if value is None]
        kept = [(key, value) for key, value in step.state.items() if value is not None]
        cursor.executemany("DELETE FROM state WHERE key = ?", gone)
        cursor.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", kept)
        cursor.executemany(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
            [(source, number, json.dumps(position)) for (source, number), position in step.positions.items()],
        )
        new = [document.id for document in step.documents if self._write_alert(cursor, document, now_us)]
        for letter in step.dead_letters:
            self._write_dead_letter(cursor, letter, now_us)
        return tuple(new)

    def _write_alert(self, cursor: sqlite3.Cursor, document: Document, now_us: int) -> bool:
        level, rule, rule_id, title = _listed(document.body)
        headers = json.dumps([[name, value.decode("latin-1")] for name, value in document.headers])
        listed = (document.id, document.time_us, now_us, level, rule, rule_id, title)
        cursor.execute(
            "INSERT OR IGNORE INTO alerts (id, time_us, stored_us, level, rule, rule_id, title,"
            " index_name, key, headers, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*listed, document.index, document.key, headers, document.body),
        )
        if not cursor.rowcount:
            return False
        seq = cursor.lastrowid
        cursor.executemany("INSERT INTO outbox VALUES (?, ?)", [(sink, seq) for sink in self._sinks])
        return True

    def _write_dead_letter(self, cursor: sqlite3.Cursor, letter: DeadLetter, now_us: int) -> None:
        place = letter.position
        cursor.execute(
            "INSERT INTO dead_letters (stored_us, reason, detail, source, number, offset, is_file, size, value)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                now_us, letter.reason, letter.detail, place.source, place.partition, place.offset, place.is_file,
                letter.size, letter.value,
            ),
        )  # fmt: skip
        seq = cursor.lastrowid
        cursor.executemany(
            "INSERT INTO dead_letter_outbox VALUES (?, ?)", [(sink, seq) for sink in self._dead_letter_sinks]
        )

    def undelivered(self, sink: str, limit: int) -> tuple[Document, ...]:
        """Documents not yet delivered to ``sink``, oldest first."""
        rows = self._transaction(
            lambda cursor: cursor.execute(
                "SELECT id, index_name, key, body, headers, time_us FROM outbox JOIN alerts USING (seq)"
                " WHERE sink = ? ORDER BY seq LIMIT ?",
                (sink, limit),
            ).fetchall()
        )
        return tuple(document_of(row) for row in rows)

    def delivered(self, sink: str, ids: Sequence[str]) -> None:
        """Mark documents as delivered to ``sink``."""
        marks = [(sink, document_id) for document_id in ids]
        self._transaction(
            lambda cursor: cursor.executemany(
                "DELETE FROM outbox WHERE sink = ? AND seq = (SELECT seq FROM alerts WHERE id = ?)", marks
            )
        )

    def undelivered_dead_letters(self, sink: str, limit: int) -> tuple[tuple[int, DeadLetter], ...]:
        """Dead letters not yet delivered to ``sink`` with their numbers, oldest first."""
        rows = self._transaction(
            lambda cursor: cursor.execute(
                "SELECT seq, reason, detail, source, number, offset, is_file, value, size"
                " FROM dead_letter_outbox JOIN dead_letters USING (seq) WHERE sink = ? ORDER BY seq LIMIT ?",
                (sink, limit),
            ).fetchall()
        )
        return tuple((row[0], dead_letter_of(row[1:])) for row in rows)

    def delivered_dead_letters(self, sink: str, numbers: Sequence[int]) -> None:
        """Mark dead letters as delivered to ``sink``."""
        marks = [(sink, number) for number in numbers]
        self._transaction(
            lambda cursor: cursor.executemany("DELETE FROM dead_letter_outbox WHERE sink = ? AND seq = ?", marks)
        )

    def waiting(self) -> dict[str, int]:
        """How many documents and dead letters wait for each sink."""
        return self._transaction(self._count)

    def _count(self, cursor: sqlite3.Cursor) -> dict[str, int]:
        counts = dict.fromkeys((*self._sinks, *self._dead_letter_sinks), 0)
        for outbox in ("outbox", "dead_letter_outbox"):
            rows = cursor.execute(f"SELECT sink, count(*) FROM {outbox} GROUP BY sink")  # noqa: S608 (constants)
            counts.update({sink: count for sink, count in rows if sink in counts})
        return counts

    def prune(self, retention: Retention) -> None:
        """Remove what was delivered to every sink of this run and is older, or more, than ``retention`` keeps."""
        before_us = time.time_ns() // 1_000 - retention.days * _DAY_US
        self._transaction(lambda cursor: self._prune(cursor, retention, before_us))

    def _prune(self, cursor: sqlite3.Cursor, retention: Retention, before_us: int) -> None:
        for table, outbox, keep, sinks in (
            ("alerts", "outbox", retention.alerts, self._sinks),
            ("dead_letters", "dead_letter_outbox", retention.dead_letters, self._dead_letter_sinks),
        ):
            named = ",".join("?" * len(sinks))
            cursor.execute(
                f"DELETE FROM {table} WHERE (stored_us < ? OR seq <= (SELECT max(seq) FROM {table}) - ?)"  # noqa: S608
                f" AND seq NOT IN (SELECT seq FROM {outbox} WHERE sink IN ({named}))",
                (before_us, keep, *sinks),
            )
            cursor.execute(f"DELETE FROM {outbox} WHERE seq NOT IN (SELECT seq FROM {table})")  # noqa: S608

    def close(self) -> None:
        """Close the file and let others use it."""
        with self._mutex:
            self._database.close()
        self._lock.release()


def _load(cursor: sqlite3.Cursor) -> tuple[dict[bytes, bytes], dict[Partition, object]]:
    state = dict(cursor.execute("SELECT key, value FROM state").fetchall())
    rows = cursor.execute("SELECT source, number, position FROM positions")
    return state, {(source, number): json.loads(position) for source, number, position in rows}


def _listed(body: bytes) -> tuple[str, str, str, str]:
    """Level, rule name, rule id and title of an alert, for lists; empty where the document does not say."""
    document: Mapping[str, Any] = orjson.loads(body)
    streamer_rule = document.get("streamer", {}).get("rule", {})
    rule = document.get("rule", {})
    title = str(rule.get("name", document.get("message", "")))
    return str(streamer_rule.get("level", "")), str(streamer_rule.get("name", "")), str(rule.get("id", "")), title


def document_of(row: tuple[Any, ...]) -> Document:
    """A document from (id, index, key, body, headers, time)."""
    document_id, index, key, body, headers, time_us = row
    pairs = tuple((name, value.encode("latin-1")) for name, value in json.loads(headers))
    return Document(id=document_id, index=index, key=key, body=body, headers=pairs, time_us=time_us)


def dead_letter_of(row: tuple[Any, ...]) -> DeadLetter:
    """A dead letter from (reason, detail, source, number, offset, is_file, value, size)."""
    reason, detail, source, number, offset, is_file, value, size = row
    return DeadLetter(reason, detail, Position(source, number, offset, bool(is_file)), value, size)
