"""The layout of the store's file, who may open it, and what is said when it cannot be opened."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Final

from streamer.errors import StateError

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x53747265
"""Written into the file's header, so that no other program's database is taken for a store."""

_TABLES: Final = """
CREATE TABLE identity (id TEXT NOT NULL);
INSERT INTO identity VALUES (lower(hex(randomblob(8))));
CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
    source TEXT, number INTEGER, position TEXT NOT NULL, PRIMARY KEY (source, number)
) WITHOUT ROWID;
CREATE TABLE alerts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    time_us INTEGER NOT NULL, stored_us INTEGER NOT NULL,
    level TEXT NOT NULL, rule TEXT NOT NULL, rule_id TEXT NOT NULL, title TEXT NOT NULL,
    index_name TEXT NOT NULL, key BLOB NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX alerts_by_time ON alerts (time_us);
CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, stored_us INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    source TEXT NOT NULL, number INTEGER NOT NULL, offset INTEGER NOT NULL, is_file INTEGER NOT NULL,
    size INTEGER NOT NULL, value BLOB NOT NULL
);
CREATE TABLE sinks (outbox TEXT, name TEXT, PRIMARY KEY (outbox, name)) WITHOUT ROWID;
CREATE TABLE outbox (sink TEXT, seq INTEGER, PRIMARY KEY (sink, seq)) WITHOUT ROWID;
CREATE TABLE dead_letter_outbox (sink TEXT, seq INTEGER, PRIMARY KEY (sink, seq)) WITHOUT ROWID;
"""


def unreadable(path: Path, error: sqlite3.Error) -> StateError:
    """The sentence for a file that SQLite cannot use."""
    return StateError(
        f"{path} cannot be used as a store: {error}",
        hint="name another file with --store, or restore this one from a backup",
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Autocommit: transactions begin and end where the code says so. The store guards threads by itself.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=30
    )


def _check(path: Path, database: sqlite3.Connection) -> bool:
    """Whether the file holds a store already; raises ``StateError`` if it holds something else."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not application and not tables:
        return False
    if application != APPLICATION_ID:
        raise StateError(f"{path} is a database of another program", hint="name another file with --store")
    if version > SCHEMA_VERSION:
        raise StateError(
            f"{path} was written by a newer streamer (schema {version}, this one knows {SCHEMA_VERSION})",
            hint="run the newer streamer, or name another file with --store",
        )
    return True


def open_writable(path: Path) -> sqlite3.Connection:
    """The store's file, created if it is not there. Raises ``StateError``."""
    try:
        database = _connect(path, "rwc")
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    try:
        known = _check(path, database)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        if not known:
            # The number that says "this is a store" comes last: a half-made file is made again.
            marks = f"PRAGMA user_version = {SCHEMA_VERSION}; PRAGMA application_id = {APPLICATION_ID};"
            database.executescript(f"BEGIN; {_TABLES} {marks} COMMIT;")
    except sqlite3.Error as error:
        database.close()
        raise unreadable(path, error) from error
    except BaseException:
        database.close()
        raise
    return database


def open_readable(path: Path) -> sqlite3.Connection:
    """The store's file for reading, also while a service writes it. Raises ``StateError``."""
    if not path.exists():
        raise StateError(f"there is no store at {path}", hint="name the file that `streamer run` uses with --store")
    try:
        database = _connect(path, "ro")
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    try:
        known = _check(path, database)
    except sqlite3.Error as error:
        database.close()
        raise unreadable(path, error) from error
    except BaseException:
        database.close()
        raise
    if not known:
        database.close()
        raise StateError(f"{path} holds no alerts yet: it is empty")
    return database


class FileLock:
    """Held by the one process that writes a store; the system lets it go when that process dies, however it dies."""

    def __init__(self, store: Path) -> None:
        path = store.with_name(store.name + ".lock")
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(self._descriptor, 32).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise StateError(
                f"{store} is in use by another streamer (process {owner or 'unknown'})",
                hint="stop that one first, or name another file with --store",
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let another process have the store."""
        os.close(self._descriptor)
