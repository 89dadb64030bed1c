from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
from pathlib import Path

import pytest

from streamer.ecs.templates import component_templates
from streamer.local.store import SqliteStore
from streamer.service.checkup import checkup, in_force
from streamer.service.checkup_elastic import elastic_findings
from streamer.service.configuration import load_settings
from streamer.service.installation import install
from tests.servers.elasticsearch import request
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
    assert [finding.fine for finding in findings[:4]] == [True, True, False, True]
    SqliteStore(store).close()
    assert "this version can use" in (await checkup(settings))[3].sentence
    store.write_bytes(b"something else" * 100)
    assert not (await checkup(settings))[3].fine


async def test_a_disk_that_the_store_may_fill_is_a_note(tmp_path, configured):
    def settings(alerts: int):
        store = str(tmp_path / "streamer.db")
        return load_settings(configured(store=store, retention={"alerts": alerts}), environment={})

    assert (await checkup(settings(10)))[-1].level == "ok"
    (finding,) = [found for found in await checkup(settings(10**12)) if found.level == "note"]
    assert "which may grow to 6000" in finding.sentence


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


async def test_elasticsearch_without_templates_is_wrong_and_setup_mends_it(configured, elasticsearch_url):
    settings = load_settings(configured(elasticsearch={"hosts": [elasticsearch_url]}), environment={})
    for name in ("_index_template/logs-streamer.alerts", "_component_template/streamer-alerts@*"):
        with contextlib.suppress(urllib.error.HTTPError):
            request(elasticsearch_url, "DELETE", f"/{name}")
    found = await elastic_findings(settings.elasticsearch)
    assert [finding.level for finding in found] == ["ok", "wrong", "note"]
    assert "has no template streamer-alerts@mappings" in found[1].sentence
    assert found[1].hint == "run `streamer setup`"
    await install(settings)
    assert [finding.level for finding in await elastic_findings(settings.elasticsearch)] == ["ok", "ok", "note"]


async def test_a_template_of_another_version_is_wrong(configured, elasticsearch_url):
    settings = load_settings(configured(elasticsearch={"hosts": [elasticsearch_url]}), environment={})
    await install(settings)
    older = component_templates()["streamer-alerts@mappings"]
    del older["template"]["mappings"]["properties"]["rule"]
    request(elasticsearch_url, "PUT", "/_component_template/streamer-alerts@mappings", older)
    (finding,) = [found for found in await elastic_findings(settings.elasticsearch) if not found.fine]
    assert finding.sentence == (
        "the template streamer-alerts@mappings in Elasticsearch is of another version: rule differs"
    )
    await install(settings)
    assert all(found.fine for found in await elastic_findings(settings.elasticsearch))


async def test_the_writers_role_may_write_and_without_it_the_privileges_are_named(
    configured, secured_elasticsearch, unique
):
    roles = json.loads((Path(__file__).parents[2] / "deploy/elasticsearch/roles.json").read_text())
    roles["watcher"] = {"cluster": ["monitor"], "indices": roles["streamer_reader"]["indices"]}
    for role in ("streamer_writer", "watcher"):
        secured_elasticsearch.define_role(role, roles[role])
        secured_elasticsearch.add_user(f"{unique}-{role}", "long enough", role)
    await asyncio.sleep(2.5)  # until the server has read both files

    async def found(user: str, password: str = "long enough"):
        group = {"hosts": [secured_elasticsearch.url], "username": user, "password": password}
        return await elastic_findings(load_settings(configured(elasticsearch=group), environment={}).elasticsearch)

    assert (await found(f"{unique}-streamer_writer"))[-1].sentence == (
        "alerts may be written to logs-streamer.alerts-default-*"
    )
    watcher = (await found(f"{unique}-watcher"))[-1]
    assert watcher.level == "wrong"
    assert "does not allow create_doc, auto_configure on logs-streamer.alerts-default-*" in watcher.sentence
    (refused,) = await found(f"{unique}-streamer_writer", "hush-hush")
    assert "refuses the credentials" in refused.sentence
    assert "hush-hush" not in str(refused)


def test_doctor_speaks_json(tmp_path, configured):
    found = streamer(tmp_path, "doctor", "--config", configured(), "--json", "--settings")
    told = json.loads(found.stdout)
    assert found.returncode == 1
    assert told["fine"] is False
    assert {"level": "wrong", "sentence": "audit.log cannot be read", "hint": "check the path and its permissions"} in (
        told["findings"]
    )
    assert {"name": "drain", "value": "10s", "origin": "default"} in told["settings"]


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
