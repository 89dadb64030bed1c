"""The audit webhook of a running service: killed at any moment, the API server's second try gives every alert once."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamer.errors import SettingsError
from streamer.local import archive
from streamer.service.checkup import checkup
from streamer.service.configuration import load_settings
from tests.servers.certificates import Authority
from tests.service.test_run import ROOT, environment, eventually, free_port, running
from tests.service.workload import audit_line, write_world

TOKEN = "let me in"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"), 200)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


class ApiServer:
    """Posts the lines of an audit log, and tries again until it hears 200."""

    def __init__(self, port: int, authority: Authority) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=str(authority.ca_file))
        self.tries = 0

    def post(self, body: bytes) -> int:
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=self._context, timeout=20)
        try:
            connection.request("POST", "/", body, {"authorization": f"Bearer {TOKEN}"})
            return connection.getresponse().status
        finally:
            connection.close()

    def insist(self, body: bytes) -> None:
        def accepted() -> bool:
            self.tries += 1
            return self.post(body) == 200

        assert eventually(accepted)


def event_list(lines: list[bytes]) -> bytes:
    items = [orjson.loads(line) for line in lines]
    return orjson.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items})


def lists_of(audit: Path) -> list[bytes]:
    lines = [line for line in audit.read_bytes().splitlines() if not line.endswith(b"broken")]
    return [event_list(lines[start : start + 20]) for start in range(0, len(lines), 20)]


def configuration(folder: Path, authority: Authority, rules: Path) -> tuple[Path, int]:
    """A configuration file with one webhook, and its port."""
    certificate = authority.issue("webhook")
    (folder / "token").write_text(TOKEN)
    port = free_port()
    source: dict[str, Any] = {"webhook": f"127.0.0.1:{port}", "kind": "audit", "token_file": str(folder / "token")}
    source |= {"cert_file": str(certificate.cert_file), "key_file": str(certificate.key_file)}
    path = folder / "streamer.yml"
    store = str(folder / "streamer.db")
    settings = {"sources": [source], "rules": [str(rules)], "store": store, "http": {"enabled": False}}
    path.write_text(json.dumps(settings))
    return path, port


def told(store: Path) -> list[tuple[str, str]]:
    return [(alert.id, alert.title) for alert in archive.alerts(store)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, authority, world) -> list[tuple[str, str]]:
    """What a service tells that is never killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    audit, _, rules = world
    config, port = configuration(folder, authority, rules)
    server = ApiServer(port, authority)
    with running(folder, "run", "--config", config) as process:
        for body in lists_of(audit):
            server.insist(body)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    found = told(folder / "streamer.db")
    assert len(found) > 5
    return found


@pytest.mark.parametrize("point", ["before-begin", "before-commit", "after-commit"])
def test_killed_while_the_api_server_waits_nothing_is_lost_and_nothing_told_twice(
    tmp_path, authority, world, undisturbed, point
):
    audit, _, rules = world
    config, port = configuration(tmp_path, authority, rules)
    server = ApiServer(port, authority)
    kills = [f"{point}:{count}" for count in (1, 2, 3)]
    command = [sys.executable, "-m", "tests.service.killed", str(config), str(tmp_path / "delivered"), *kills]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, process_group=0) as process:
        try:
            for body in lists_of(audit):
                server.insist(body)
            assert server.tries > len(lists_of(audit)), "it was never killed"
            assert told(tmp_path / "streamer.db") == undisturbed
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_the_same_batch_again_tells_nothing_new(tmp_path, authority, world, undisturbed):
    audit, _, rules = world
    config, port = configuration(tmp_path, authority, rules)
    server = ApiServer(port, authority)
    with running(tmp_path, "run", "--config", config):
        for body in lists_of(audit):
            server.insist(body)
            assert server.post(body) == 200
        assert told(tmp_path / "streamer.db") == undisturbed


def test_bytes_that_are_no_events_are_kept_as_dead_letters_and_accepted(tmp_path, authority, world):
    _, _, rules = world
    config, port = configuration(tmp_path, authority, rules)
    server = ApiServer(port, authority)
    with running(tmp_path, "run", "--config", config):
        server.insist(b'{"kind": "Event", "auditID"')
        server.insist(b"\xff\xfe not text")
        letters = archive.dead_letters(tmp_path / "streamer.db")
        assert [letter.letter.value for letter in letters] == [
            b'{"kind": "Event", "auditID"',
            b"\xff\xfe not text",
        ]


def test_a_batch_larger_than_one_record_elsewhere_is_taken(tmp_path, authority, world):
    _, _, rules = world
    config, port = configuration(tmp_path, authority, rules)
    server = ApiServer(port, authority)
    lines = [
        audit_line(number, number, verb="delete", resource="nodes", user="eve", namespace="x" * 60).encode()
        for number in range(6000)
    ]
    body = event_list(lines)
    assert len(body) > 2_000_000
    with running(tmp_path, "run", "--config", config):
        server.insist(body)
        assert archive.dead_letters(tmp_path / "streamer.db") == []
        assert "Node deleted" in [title for _, title in told(tmp_path / "streamer.db")]


async def test_doctor_looks_at_certificate_and_token(tmp_path, authority, world):
    _, _, rules = world
    config, _ = configuration(tmp_path, authority, rules)
    settings = load_settings(config, environment={})
    assert (await checkup(settings))[0].level == "ok"
    (tmp_path / "token").write_text("")
    (finding, *_) = await checkup(settings)
    assert finding.level == "wrong"
    assert "is empty" in finding.sentence


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"cert_file": "c", "key_file": "k"}, "needs `client_ca_file` or `token_file`"),
        ({"token_file": "t"}, "needs `cert_file` and `key_file`"),
        ({"cert_file": "c", "key_file": "k", "token_file": "t", "kind": "containers"}, "`kind: audit`"),
        ({"cert_file": "c", "key_file": "k", "token_file": "t", "file": "x"}, "exactly one of"),
        ({"cert_file": "c", "key_file": "k", "token_file": "t", "webhook": "9443"}, "must match"),
    ],
)
def test_a_webhook_that_anybody_could_read_or_write_is_refused(tmp_path, source, words):
    path = tmp_path / "streamer.yml"
    path.write_text(json.dumps({"sources": [{"webhook": "0.0.0.0:9443", "kind": "audit"} | source]}))
    with pytest.raises(SettingsError, match=words):
        load_settings(path, environment={})
