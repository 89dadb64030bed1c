"""Every role as a process of its own, with exactly the documented access, over TLS, on servers that check it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import orjson
import pytest

from streamer.kafka.access import ROLES, SETUP, needed
from tests.servers.elasticsearch import ElasticsearchServer
from tests.servers.process import mortal
from tests.servers.secured_kafka import SecuredKafka
from tests.servers.topics import make_topic, produce, read_committed
from tests.service.workload import RULES

ROOT = Path(__file__).parents[2]
PATIENCE_S = 90.0
WRITER_AND_SETUP = json.loads((ROOT / "deploy/elasticsearch/roles.json").read_text())


def api_key(server: ElasticsearchServer, role: str) -> dict[str, str]:
    """A key that may do what a role of the documented file may do."""
    key: dict[str, str] = server.request(
        "POST", "/_security/api_key", {"name": role, "role_descriptors": {role: WRITER_AND_SETUP[role]}}
    )
    return key


def node_deleted(number: int) -> bytes:
    """An audit event of now for which there is one alert per user."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return orjson.dumps(
        {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": f"{number:08d}-0000-4000-8000-{time.time_ns() % 10**12:012d}",
            "stage": "ResponseComplete",
            "requestURI": "/api/v1/nodes/n",
            "verb": "delete",
            "user": {"username": f"user-{number}"},
            "objectRef": {"resource": "nodes", "name": "n", "apiVersion": "v1"},
            "responseStatus": {"code": 200},
            "requestReceivedTimestamp": stamp,
            "stageTimestamp": stamp,
        }
    )


class Secured:
    """One installation on secured servers, with a user and a file of settings for each role.

    Args:
        folder: of settings, secrets and logs.
        kafka: with TLS, logins and access lists.
        elasticsearch: with TLS and API keys.
        prefix: of its topics and users.
    """

    def __init__(self, folder: Path, kafka: SecuredKafka, elasticsearch: ElasticsearchServer, prefix: str) -> None:
        self.folder = folder
        self.kafka = kafka
        self.elasticsearch = elasticsearch
        self.prefix = f"{prefix}."
        self.namespace = prefix
        self.raw = f"{prefix}-audit"
        self.keys: dict[str, dict[str, str]] = {}
        (folder / "rules.yml").write_text(RULES)

    def user(self, role: str) -> str:
        return f"{self.namespace}-{role}"

    async def prepare(self) -> None:
        """Users with their access and secrets, and the raw topic."""
        await make_topic(self.kafka.address, self.raw, 2, message_timestamp_type="LogAppendTime")
        for role in (*ROLES, SETUP):
            self.secret(f"{role}.password", f"first-{role}")
            await self.kafka.add_scram_user(self.user(role), f"first-{role}")
            access = needed(role, self.prefix, [self.raw])
            await self.kafka.allow(*(each.command(f"User:{self.user(role)}") for each in access))
            self.keys[role] = api_key(self.elasticsearch, "streamer_setup" if role == SETUP else "streamer_writer")
            self.secret(f"{role}.key", self.keys[role]["encoded"])
            self.configuration(role).write_text(json.dumps(self.settings(role)))

    def secret(self, name: str, value: str) -> Path:
        """A file with a secret, replaced at once as a mounted secret is."""
        file = self.folder / name
        new = file.with_suffix(".new")
        new.write_text(value + "\n")
        new.replace(file)
        return file

    def configuration(self, role: str) -> Path:
        return self.folder / f"{role}.yml"

    def settings(self, role: str) -> dict[str, Any]:
        security = {
            "protocol": "SASL_SSL",
            "username": self.user(role),
            "password_file": str(self.folder / f"{role}.password"),
            "ca_file": str(self.kafka.authority.ca_file),
        }
        kafka = {"bootstrap_servers": self.kafka.doors["SASL_SSL"], "topic_prefix": self.prefix}
        assert self.elasticsearch.authority is not None
        return {
            "sources": [{"kafka": self.raw, "kind": "audit", "lateness": "1s", "idle_after": "2s"}],
            "rules": [str(self.folder / "rules.yml")],
            "kafka": kafka | {"partitions": 2, "replication": 1, "security": security},
            "elasticsearch": {
                "hosts": [self.elasticsearch.url],
                "namespace": self.namespace,
                "api_key_file": str(self.folder / f"{role}.key"),
                "ca_file": str(self.elasticsearch.authority.ca_file),
            },
            "http": {"enabled": False},
        }

    def once(self, role: str, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "streamer", verb, "--config", str(self.configuration(role)), *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """One process per role."""
        processes = []
        try:
            for role in ROLES:
                command = [sys.executable, "-m", "streamer", "run", "--config", str(self.configuration(role))]
                with (self.folder / f"{role}.log").open("ab") as log:
                    command = mortal([*command, "--role", role])
                    processes.append(subprocess.Popen(command, cwd=ROOT, stderr=log, stdin=subprocess.DEVNULL))
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def logs(self) -> str:
        return "\n".join((self.folder / f"{role}.log").read_text()[-3000:] for role in ROLES)

    async def tell(self, number: int) -> None:
        await produce(self.kafka.address, self.raw, [node_deleted(number)], partition=number % 2)

    def indexed(self) -> list[str]:
        """Users in the alerts that stand in the index."""
        pattern = f"/logs-streamer.alerts-{self.namespace}-*"
        self.elasticsearch.request("POST", f"{pattern}/_refresh")
        try:
            found = self.elasticsearch.request("POST", f"{pattern}/_search", {"size": 100})
        except HTTPError as error:
            if error.code != 503:  # an index that was made a moment ago cannot be searched yet
                raise
            return []
        return sorted(hit["_source"]["user"]["name"] for hit in found["hits"]["hits"])

    def until_indexed(self, users: list[str]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        found: list[str] = []
        while time.monotonic() < deadline:
            found = self.indexed()
            if found == users:
                return
            time.sleep(0.3)
        raise AssertionError(f"indexed: {found}\n{self.logs()}")


@pytest.fixture
async def secured(
    tmp_path: Path, secured_kafka: SecuredKafka, keyed_elasticsearch: ElasticsearchServer, unique: str
) -> Secured:
    made = Secured(tmp_path, secured_kafka, keyed_elasticsearch, unique)
    await made.prepare()
    return made


async def test_each_role_works_with_exactly_its_access_and_with_rotated_secrets(secured: Secured):
    done = secured.once(SETUP, "setup")
    assert done.returncode == 0, done.stderr
    for role in ROLES:
        looked = secured.once(role, "doctor", "--role", role)
        assert looked.returncode == 0, looked.stdout
        assert f"may do what {role} needs" in looked.stdout
    with secured.running():
        await secured.tell(1)
        secured.until_indexed(["user-1"])

        for role in ROLES:
            await secured.kafka.add_scram_user(secured.user(role), f"second-{role}")
            secured.secret(f"{role}.password", f"second-{role}")
        secured.secret("index.key", api_key(secured.elasticsearch, "streamer_writer")["encoded"])
        secured.elasticsearch.request("DELETE", "/_security/api_key", {"ids": [secured.keys["index"]["id"]]})
        secured.kafka.kill()  # so that every connection is made anew
        secured.kafka.start()

        await secured.tell(2)
        secured.until_indexed(["user-1", "user-2"])
        told = await read_committed(secured.kafka.address, f"{secured.prefix}alerts")
        assert len(told) == 2
    for secret in ("first-", "second-", secured.keys["index"]["encoded"]):
        assert secret not in secured.logs()


async def test_the_service_may_neither_create_topics_nor_change_alerts(secured: Secured):
    done = secured.once("detect", "setup")
    assert done.returncode == 2
    assert "refuses to create the topic" in done.stderr
    assert "Traceback" not in done.stderr
    assert secured.once(SETUP, "setup").returncode == 0
    with secured.running():
        await secured.tell(1)
        secured.until_indexed(["user-1"])
    pruned = secured.once("index", "setup", "--prune", "1d")
    assert pruned.returncode == 2
    assert "refuses the credentials" in pruned.stderr or "does not allow" in pruned.stderr
    assert secured.indexed() == ["user-1"]
