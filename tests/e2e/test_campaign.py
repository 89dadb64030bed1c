"""The main job for real: raw topics in, one alert that tells the whole chain out, whatever is killed on the way."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.e2e.campaign import STORIES, replayed, schema, ship
from tests.e2e.service import Installation
from tests.servers.elasticsearch import ElasticsearchServer
from tests.servers.indices import ids_in, search
from tests.servers.kafka import KafkaServer
from tests.servers.topics import headers_of, ids_of, read_committed

CHAIN = "Pipeline run by a visitor without login mines cryptocurrency"
LOUD = {"high", "critical"}


@pytest.fixture(scope="module")
def expected() -> dict[str, list[dict[str, Any]]]:
    """By cluster: the alerts that a replay of the same records from files tells."""
    return {cluster: replayed(cluster) for cluster in STORIES}


@pytest.fixture(scope="module")
def expected_ids(expected: dict[str, list[dict[str, Any]]]) -> list[str]:
    return sorted(alert["event"]["id"] for alerts in expected.values() for alert in alerts)


@pytest.fixture(scope="module")
def raw_topics(kafka_address: str) -> dict[str, str]:
    """The two raw topics with everything that happened in both clusters."""
    mark = f"{time.time_ns():x}"
    topics = {"audit": f"k8s-audit-{mark}", "containers": f"k8s-logs-{mark}"}
    assert asyncio.run(ship(kafka_address, topics)) > 1500
    return topics


@pytest.fixture
def installation(
    tmp_path: Path, kafka_address: str, elasticsearch_url: str, raw_topics: dict[str, str], unique: str
) -> Iterator[Installation]:
    made = Installation(tmp_path / "service", kafka_address, elasticsearch_url, unique, raw_topics)
    made.set_up()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
    kafka_address: str,
    elasticsearch_url: str,
    raw_topics: dict[str, str],
    expected_ids: list[str],
) -> Installation:
    """An installation that told everything in one go, and ended when asked to."""
    folder = tmp_path_factory.mktemp("undisturbed") / "service"
    made = Installation(folder, kafka_address, elasticsearch_url, f"u{time.time_ns():x}", raw_topics)
    made.set_up()
    with made:
        wait_until_told(made, expected_ids)
        time.sleep(1)
        assert made.stop() == 0
    return made


def wait_for(what: Callable[[], bool], why: str, within_s: float = 120) -> None:
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, why
        time.sleep(0.2)


def told(installation: Installation) -> list[Any]:
    return asyncio.run(read_committed(installation.kafka, installation.alerts_topic))


def indexed(installation: Installation) -> list[str]:
    assert installation.elasticsearch
    return ids_in(installation.elasticsearch, installation.alerts_index)


def wait_until_told(installation: Installation, ids: list[str]) -> None:
    """All of them stand on the topic and in the index."""
    wait_for(lambda: set(ids) <= set(indexed(installation)), "not every alert was indexed")
    wait_for(lambda: set(ids) <= set(ids_of(told(installation))), "not every alert stands on the topic")


def documents_of(installation: Installation) -> dict[str, Any]:
    """What lasts of every document, by id; the topic and the index must hold the same."""
    on_topic = {headers_of(record)["ce_id"]: json.loads(record.value) for record in told(installation)}
    assert installation.elasticsearch
    in_index = {hit["_id"]: hit["_source"] for hit in search(installation.elasticsearch, installation.alerts_index)}
    assert on_topic == in_index
    return {identity: lasting(document) for identity, document in on_topic.items()}


def lasting(document: dict[str, Any]) -> dict[str, Any]:
    """A document without what may differ between two runs: when and by whom it was decided."""
    kept = json.loads(json.dumps(document))
    for volatile in ("created", "ingested"):
        del kept["event"][volatile]
    del kept["observer"], kept["data_stream"], kept["streamer"]["engine"], kept["streamer"]["decided"]["at"]
    return kept


def test_the_chain_is_found_by_an_analyst_and_by_a_subscriber(undisturbed, expected):
    # What an analyst would ask: the critical ones of that morning in that cluster.
    query = {
        "bool": {
            "filter": [
                {"range": {"@timestamp": {"gte": "2026-11-23T10:00:00Z", "lt": "2026-11-23T10:30:00.000000001Z"}}},
                {"term": {"event.severity": 99}},
                {"term": {"orchestrator.cluster.name": "attacked"}},
                {"term": {"threat.technique.id": "T1496"}},
                {"term": {"kubernetes.namespace": "kubeflow"}},
            ]
        }
    }
    (hit,) = search(undisturbed.elasticsearch, f"logs-*{undisturbed.name}*", query)
    alert = hit["_source"]
    assert hit["_index"] == f"logs-streamer.alerts-{undisturbed.name}-2026.11.23"
    assert alert["message"] == alert["rule"]["name"] == CHAIN
    (replay,) = [alert for alert in expected["attacked"] if alert["message"] == CHAIN]
    assert alert["streamer"]["links"] == replay["streamer"]["links"]
    assert alert["streamer"]["links"]["exact"] >= 4
    kinds = [member["event"]["kind"] for member in alert["streamer"]["evidence"]]
    assert {"webserver", "audit", "container_log"} <= set(kinds)
    times = [member["event"]["time"] for member in alert["streamer"]["evidence"]]
    assert times == sorted(times)
    # What a subscriber reads is the same document, with headers that need no parsing.
    (record,) = [record for record in told(undisturbed) if headers_of(record)["ce_id"] == hit["_id"]]
    assert json.loads(record.value) == alert
    headers = headers_of(record)
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_type"] == "io.streamer.alert.v1"
    assert headers["ce_subject"] == alert["rule"]["id"]
    assert headers["content-type"] == "application/json"
    assert headers["streamer_severity"] == "99"


def test_exactly_the_alerts_of_a_replay_come_out_and_the_harmless_twins_are_quiet(undisturbed, expected_ids):
    assert indexed(undisturbed) == expected_ids
    assert sorted(ids_of(told(undisturbed))) == expected_ids
    harmless = {"term": {"orchestrator.cluster.name": "harmless"}}
    twins = search(undisturbed.elasticsearch, undisturbed.alerts_index, harmless)
    assert not [hit for hit in twins if hit["_source"]["streamer"]["rule"]["level"] in LOUD]


def test_every_alert_fits_the_published_schema(undisturbed):
    published = json.loads(schema().read_text())
    checker = jsonschema.FormatChecker()
    validator = jsonschema.validators.validator_for(published)(published, format_checker=checker)
    records = told(undisturbed)
    assert records
    for record in records:
        validator.validate(json.loads(record.value))


@pytest.mark.parametrize("round_", range(3))
def test_killed_at_random_moments_and_started_again_it_tells_the_same_and_nothing_twice(
    installation, undisturbed, expected_ids, round_
):
    dice = random.Random(f"{installation.name}{round_}")
    for start in range(5):
        before = installation.takeovers
        installation.start()
        wait_for(lambda before=before: installation.takeovers > before, "it did not begin to read")
        # Reading takes about a second, what is still open is decided some seconds later.
        time.sleep(dice.uniform(0.0, 0.5) if start < 3 else dice.uniform(1.5, 5.0))
        assert installation.running, installation.log.read_text()
        installation.kill()
    with installation:
        wait_until_told(installation, expected_ids)
        time.sleep(1)
        installation.stop()
    assert indexed(installation) == expected_ids
    assert sorted(ids_of(told(installation))) == expected_ids
    assert documents_of(installation) == documents_of(undisturbed)


def test_processes_of_their_own_per_role_are_killed_and_tell_the_same_and_nothing_twice(
    installation, undisturbed, expected_ids
):
    dice = random.Random(installation.name)
    by_role = {role: installation.start(role) for role in ("detect", "correlate", "index")}
    by_role["another correlate"] = installation.start("correlate")
    wait_for(lambda: installation.takeovers > 0, "nothing was taken over")
    for _ in range(6):
        time.sleep(dice.uniform(0.2, 1.5))
        name = dice.choice(sorted(by_role))
        by_role[name].kill()
        by_role[name].wait()
        by_role[name] = installation.start(name.split()[-1])
    with installation:
        wait_until_told(installation, expected_ids)
        time.sleep(1)
        assert installation.stop() == 0
    assert indexed(installation) == expected_ids
    assert sorted(ids_of(told(installation))) == expected_ids
    assert documents_of(installation) == documents_of(undisturbed)


def test_two_processes_share_the_partitions_and_tell_the_same(installation, expected_ids):
    with installation:
        installation.start()
        wait_until_told(installation, expected_ids)
        time.sleep(1)
        # Before they stop: whoever stops last is given everything once more.
        shares = [line["partitions"] for line in installation.said('"partitions assigned"')][-2:]
        assert installation.stop() == 0
    assert sorted(number for share in shares for number in share) == [0, 1, 2]
    assert all(shares)
    assert sorted(ids_of(told(installation))) == expected_ids


def test_elasticsearch_may_come_later_than_the_service(
    installation, elasticsearch_server: ElasticsearchServer, expected_ids
):
    elasticsearch_server.kill()
    with installation:
        wait_for(
            lambda: sorted(ids_of(told(installation))) == expected_ids,
            "the topic must not wait for Elasticsearch",
        )
        assert len(installation.said("does not answer")) == 1
        elasticsearch_server.start()
        wait_for(lambda: indexed(installation) == expected_ids, "what waited must be indexed")
        wait_for(lambda: bool(installation.said("available again")), "that it is back must be said")
        assert installation.stop() == 0


def test_kafka_may_come_later_than_the_service(installation, kafka_server: KafkaServer, expected_ids):
    kafka_server.kill()
    with installation:
        wait_for(lambda: bool(installation.said("does not answer")), "it must say that Kafka is away")
        time.sleep(5)
        assert installation.running
        said = [line["what"] for line in installation.said("does not answer")]
        assert len(said) == len(set(said)), "each part says it once"
        kafka_server.start()
        wait_until_told(installation, expected_ids)
        assert installation.stop() == 0
    assert sorted(ids_of(told(installation))) == expected_ids


def test_the_servers_may_be_killed_in_the_middle(
    installation, kafka_server: KafkaServer, elasticsearch_server: ElasticsearchServer, expected_ids
):
    with installation:
        time.sleep(1.5)
        kafka_server.kill()
        elasticsearch_server.kill()
        kafka_server.spawn()
        elasticsearch_server.spawn()
        kafka_server.wait_ready()
        elasticsearch_server.wait_ready()
        wait_until_told(installation, expected_ids)
        time.sleep(1)
        installation.stop()
    assert indexed(installation) == expected_ids
    assert sorted(ids_of(told(installation))) == expected_ids
