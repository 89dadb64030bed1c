from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamer.kafka import KafkaConnection, create_topics, plan_topics
from streamer.local.store import SqliteStore
from streamer.service.checkup import checkup, in_force
from streamer.service.configuration import load_settings
from tests.servers.topics import make_topic
from tests.service.test_run import free_port, streamer


@pytest.fixture
def configured(tmp_path):
    path = tmp_path / "streamer.yml"

    def write(**settings) -> Path:
        path.write_text(json.dumps({"sources": [{"file": "audit.log", "kind": "audit"}], **settings}, indent=1))
        return path

    return write


def test_every_setting_says_where_it_came_from(configured):
    path = configured(cluster="prod-1", elasticsearch={"api_key": "hush"})
    environment = {
        "STREAMER_HTTP__PORT": "99",
        "STREAMER_SOURCES": '[{"file": "b.log", "kind": "audit", "lateness": "1m"}]',
    }
    settings = load_settings(path, environment=environment)
    found = {one.name: (one.value, one.origin) for one in in_force(settings, path, environment)}
    assert found["cluster"] == ("prod-1", f"{path}:8:2")
    assert found["http.port"] == ("99", "environment STREAMER_HTTP__PORT")
    assert found["sources.0.file"] == ("b.log", "environment STREAMER_SOURCES")
    assert found["sources.0.lateness"][0] == "1m"
    assert found["drain"] == ("10s", "default")
    assert found["elasticsearch.api_key"][0] == "******"


async def test_files_and_store_are_looked_at(tmp_path, configured):
    (tmp_path / "audit.log").write_text("")
    store = tmp_path / "streamer.db"
    sources = [
        {"file": str(tmp_path / "audit.log"), "kind": "audit"},
        {"file": str(tmp_path / "later.log"), "kind": "audit", "follow": True},
        {"file": str(tmp_path / "never.log"), "kind": "audit"},
    ]
    settings = load_settings(configured(sources=sources, store=str(store)), environment={})
    findings = await checkup(settings)
    assert [finding.fine for finding in findings] == [True, True, False, True]
    SqliteStore(store).close()
    assert "this version can use" in (await checkup(settings))[-1].sentence
    store.write_bytes(b"something else" * 100)
    assert not (await checkup(settings))[-1].fine


async def test_servers_that_are_away_are_said(tmp_path, configured):
    kafka, elasticsearch = f"127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    path = configured(
        store=str(tmp_path / "streamer.db"),
        kafka={"bootstrap_servers": kafka},
        elasticsearch={"hosts": [elasticsearch]},
    )
    findings = await checkup(load_settings(path, environment={}))
    assert [finding.fine for finding in findings[-2:]] == [False, False]
    assert kafka in findings[-2].sentence
    assert elasticsearch in findings[-1].sentence


async def test_raw_topics_that_are_not_there_are_said_beside_our_own(tmp_path, configured, kafka_address, unique):
    raw, other = f"{unique}-audit", f"{unique}-logs"
    kafka = {"bootstrap_servers": kafka_address, "topic_prefix": f"{unique}.", "partitions": 1, "replication": 1}
    sources = [{"kafka": raw, "kind": "audit"}, {"kafka": other, "kind": "containers"}]
    path = configured(sources=sources, store=str(tmp_path / "streamer.db"), kafka=kafka)
    settings = load_settings(path, environment={})
    await create_topics(KafkaConnection(kafka_address), plan_topics(f"{unique}.", partitions=1, replication=1))
    await make_topic(kafka_address, raw)
    ours, missing = (await checkup(settings))[1:]
    assert ours.fine
    assert not missing.fine
    assert f"has no topic {other} that we may see" in missing.sentence
    assert missing.hint
    await make_topic(kafka_address, other)
    assert [finding.fine for finding in await checkup(settings)] == [True, True, True]


def test_doctor_finds_something_wrong_with_exit_code_1_and_nothing_with_0(tmp_path, configured):
    path = configured()
    found = streamer(tmp_path, "doctor", "--config", path, "--settings")
    assert found.returncode == 1
    assert "WRONG  audit.log cannot be read" in found.stdout
    assert f"sources.0.kind = audit  {path}" in found.stdout
    (tmp_path / "audit.log").write_text("")
    found = streamer(tmp_path, "doctor", "--config", path)
    assert found.returncode == 0, found.stdout
    assert "rules can be used" in found.stdout


@pytest.mark.parametrize(
    ("settings", "arguments", "message"),
    [
        ({}, (), "there is nothing to set up"),
        ({"kafka": {}}, ("--prune", "old"), "--prune: 'old' is no length of time"),
        ({"kafka": {}}, ("--prune", "1h"), "--prune takes a day or more"),
        (
            {"elasticsearch": {"hosts": ["nonsense"]}},
            (),
            "`elasticsearch.hosts`: write URLs with scheme, host and port",
        ),
    ],
)
def test_setup_that_cannot_be_done_is_a_sentence(tmp_path, configured, settings, arguments, message):
    done = streamer(tmp_path, "setup", "--config", configured(**settings), *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
