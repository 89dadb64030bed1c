from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest

from streamer.errors import ServerError, StateError
from streamer.local import archive
from streamer.local.schema import SCHEMA_VERSION
from streamer.local.store import Retention, SqliteStore
from streamer.model import DeadLetter, Document, Position
from streamer.ports import Step


def document(number, *, level="high", time_us=None, title="A title"):
    body = {
        "message": title,
        "rule": {"id": f"rule-{number % 3}", "name": title},
        "streamer": {"rule": {"level": level}},
    }
    return Document(
        id=f"{number:032x}",
        index="logs-streamer.alerts-default-2026.11.24",
        key=b'["c1"]',
        body=json.dumps(body).encode(),
        headers=(("ce_id", f"{number:032x}".encode()), ("bytes", b"\xff\x00")),
        time_us=number if time_us is None else time_us,
    )


def letter(line, reason="not-json"):
    return DeadLetter(reason, "this is no JSON", Position("audit.log", 0, line, is_file=True), b"\xff{", 2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "streamer.db"


@pytest.fixture
def open_store(path):
    opened = []

    def open_one(**options):
        store = SqliteStore(path, **options)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store._database.close()


def test_a_step_is_there_after_opening_again(path):
    store = SqliteStore(path)
    positions = {("audit.log", 0): {"inode": 1, "offset": 2}, ("k8s-audit", 3): 17}
    store.commit(Step(state={b"a": b"1", b"b": b"2"}, positions=positions))
    store.commit(Step(state={b"a": None, b"b": b"3"}, positions={("k8s-audit", 3): 18}))
    store.close()
    again = SqliteStore(path)
    assert again.load() == ({b"b": b"3"}, positions | {("k8s-audit", 3): 18})
    again.close()


def test_every_sink_gets_every_document_once_and_in_order(open_store):
    store = open_store(sinks=["kafka", "elasticsearch"])
    documents = [document(number) for number in (3, 1, 2)]
    assert store.commit(Step(state={}, positions={}, documents=tuple(documents))) == tuple(one.id for one in documents)
    assert store.undelivered("kafka", 2) == tuple(documents[:2])
    store.delivered("kafka", [documents[1].id])
    assert store.undelivered("kafka", 10) == (documents[0], documents[2])
    assert store.undelivered("elasticsearch", 10) == tuple(documents)
    assert store.waiting() == {"kafka": 2, "elasticsearch": 3}


def test_a_document_told_again_is_not_stored_again(open_store):
    store = open_store(sinks=["kafka"])
    store.commit(Step(state={}, positions={}, documents=(document(1),)))
    store.delivered("kafka", [document(1).id])
    assert store.commit(Step(state={}, positions={}, documents=(document(1), document(2)))) == (document(2).id,)
    assert store.undelivered("kafka", 10) == (document(2),)


def test_a_new_sink_gets_what_the_file_still_holds(path, open_store):
    store = open_store(sinks=["kafka"])
    store.commit(Step(state={}, positions={}, documents=(document(1), document(2))))
    store.delivered("kafka", [document(1).id, document(2).id])
    store.close()
    store = open_store(sinks=["kafka", "elasticsearch"])
    assert store.undelivered("kafka", 10) == ()
    assert len(store.undelivered("elasticsearch", 10)) == 2
    store.close()
    store = open_store(sinks=["elasticsearch"])
    assert len(store.undelivered("elasticsearch", 10)) == 2


def test_dead_letters_have_an_outbox_of_their_own(path, open_store):
    store = open_store(dead_letter_sinks=["dead-letter"])
    store.commit(Step(state={}, positions={}, dead_letters=(letter(1), letter(2))))
    (first, one), (_, two) = store.undelivered_dead_letters("dead-letter", 10)
    assert (one, two) == (letter(1), letter(2))
    store.delivered_dead_letters("dead-letter", [first])
    assert [found for _, found in store.undelivered_dead_letters("dead-letter", 10)] == [letter(2)]
    assert [found.letter for found in archive.dead_letters(path)] == [letter(1), letter(2)]
    assert archive.dead_letters(path, reason="too-deep") == []


def test_a_step_is_stored_as_a_whole_or_not_at_all(open_store):
    store = open_store()
    broken = Document("x", "i", b"", b"this is no JSON", (), 0)
    with pytest.raises(ValueError, match="invalid literal"):
        store.commit(Step(state={b"a": b"1"}, positions={("f", 0): 1}, documents=(document(1), broken)))
    assert store.load() == ({}, {})
    assert store.commit(Step(state={}, positions={}, documents=(document(1),)))


def test_two_processes_never_use_one_file(path, open_store):
    open_store()
    with pytest.raises(StateError, match=f"in use by another streamer \\(process {os.getpid()}\\)"):
        SqliteStore(path)


def test_a_file_whose_owner_was_killed_can_be_opened(path):
    code = f"""
        from pathlib import Path
        from streamer.local.store import SqliteStore
        from streamer.ports import Step
        import time
        store = SqliteStore(Path({str(path)!r}))
        store.commit(Step(state={{b"a": b"1"}}, positions={{}}))
        print("ready", flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(StateError, match="in use"):
            SqliteStore(path)
        process.send_signal(signal.SIGKILL)
    store = SqliteStore(path)
    assert store.load() == ({b"a": b"1"}, {})
    store.close()


def test_a_newer_schema_is_refused_and_nothing_is_changed(path, open_store):
    open_store().close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    with pytest.raises(StateError, match="newer streamer"):
        SqliteStore(path)
    with pytest.raises(StateError, match="newer streamer"):
        archive.alerts(path)


def test_other_files_are_refused(path, tmp_path):
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StateError, match="cannot be used as a store"):
        SqliteStore(path)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE t (a)")
    database.close()
    with pytest.raises(StateError, match="another program"):
        SqliteStore(other)
    with pytest.raises(StateError, match="no store at"):
        archive.alerts(tmp_path / "nothing.db")
    with pytest.raises(StateError, match="cannot be"):
        SqliteStore(tmp_path / "no-such-folder" / "streamer.db")


def test_a_full_disk_is_retriable_and_stores_nothing(open_store):
    store = open_store()
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages + 5}")
    large = Step(state={b"a": os.urandom(100_000)}, positions={("f", 0): 1})
    with pytest.raises(ServerError, match="full") as caught:
        store.commit(large)
    assert caught.value.retriable
    assert store.load() == ({}, {})
    store._database.execute("PRAGMA max_page_count = 100000")
    store.commit(large)
    assert store.load()[1] == {("f", 0): 1}


def test_old_and_many_delivered_alerts_are_removed_and_undelivered_ones_kept(path, open_store):
    store = open_store(sinks=["kafka"])
    store.commit(Step(state={}, positions={}, documents=tuple(document(number) for number in range(10))))
    store.delivered("kafka", [document(number).id for number in range(8)])
    store.prune(Retention(alerts=4))
    assert [one.id for one in archive.alerts(path)] == [document(number).id for number in (6, 7, 8, 9)]
    store._database.execute("UPDATE alerts SET stored_us = ?", (time.time_ns() // 1000 - 91 * 86_400_000_000,))
    store.prune(Retention(days=90))
    assert [one.id for one in archive.alerts(path)] == [document(8).id, document(9).id]
    assert len(store.undelivered("kafka", 10)) == 2


def test_alerts_are_listed_by_time_level_and_rule_while_the_store_is_in_use(path, open_store):
    store = open_store()
    levels = ["low", "high", "critical"]
    documents = tuple(document(number, level=levels[number % 3], title=f"T{number}") for number in (5, 1, 4, 2, 3, 0))
    store.commit(Step(state={}, positions={}, documents=documents))
    listed = archive.alerts(path)
    assert [one.time_us for one in listed] == [0, 1, 2, 3, 4, 5]
    assert (listed[2].level, listed[2].title, listed[2].body) == (
        "critical",
        "T2",
        document(2, level="critical", title="T2").body,
    )
    assert [one.time_us for one in archive.alerts(path, archive.Wanted(since_us=4))] == [4, 5]
    assert [one.time_us for one in archive.alerts(path, archive.Wanted(levels=("high", "critical")))] == [1, 2, 4, 5]
    assert [one.time_us for one in archive.alerts(path, archive.Wanted(rule="rule-1"))] == [1, 4]
    assert [one.time_us for one in archive.alerts(path, archive.Wanted(rule="T3"))] == [3]
    assert [one.time_us for one in archive.alerts(path, archive.Wanted(limit=2))] == [4, 5]


def test_one_alert_is_found_by_the_beginning_of_its_id(path, open_store):
    store = open_store()
    other = Document("ff" * 16, "i", b"", document(1).body, (), 1)
    store.commit(Step(state={}, positions={}, documents=(document(1), document(2), other)))
    assert archive.alert(path, "ff").id == other.id
    with pytest.raises(StateError, match="more than one"):
        archive.alert(path, "0000")
    with pytest.raises(StateError, match="holds no alert"):
        archive.alert(path, "abc")


def test_a_store_has_an_identity_for_ever(path, open_store):
    store = open_store()
    identity = store.identity
    store.close()
    assert open_store().identity == identity
    assert len(identity) == 16
