"""The campaign is the same story whichever shipper brought its records."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from streamer.authoring.cases_shippers import event_list, vector_line
from streamer.sigma.rules import RuleSet
from tests.campaign.playing import CAMPAIGN, DEMO, play, shipped


def filebeat(record: dict[str, Any]) -> dict[str, Any]:
    kubernetes = record["kubernetes"]
    return {
        "@timestamp": record["@timestamp"],
        "stream": record["stream"],
        "message": record["log"].rstrip("\n"),
        "kubernetes": {
            "namespace": kubernetes["namespace_name"],
            "pod": {"name": kubernetes["pod_name"], "uid": kubernetes["pod_id"]},
            "container": {"name": kubernetes["container_name"]},
            "node": {"name": kubernetes["host"]},
        },
        "container": {"id": kubernetes["docker_id"], "image": {"name": kubernetes["container_image"]}},
    }


def fluent_bit_with_seconds(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "@timestamp": datetime.fromisoformat(record["@timestamp"]).timestamp()}


def azure(event: dict[str, Any]) -> dict[str, Any]:
    properties = {"pod": "kube-apiserver-1", "stream": "stdout", "log": json.dumps(event)}
    return {
        "records": [
            {
                "time": event["stageTimestamp"],
                "category": "kube-audit",
                "resourceId": "/SUBSCRIPTIONS/1/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/PROD-1",
                "properties": properties,
            }
        ]
    }


def inside_fluent_bit(event: dict[str, Any]) -> dict[str, Any]:
    kubernetes = {"pod_name": "kube-apiserver-1", "namespace_name": "kube-system", "container_name": "kube-apiserver"}
    return {
        "@timestamp": event["stageTimestamp"],
        "stream": "stdout",
        "log": json.dumps(event),
        "kubernetes": kubernetes,
    }


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return shipped()


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("containers", vector_line),
        ("containers", filebeat),
        ("containers", fluent_bit_with_seconds),
        ("audit", event_list),
        ("audit", azure),
        ("audit", inside_fluent_bit),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_campaign_is_one_critical_alert_from_any_shipper(
    what: str, changed: Callable[[dict[str, Any]], dict[str, Any]], rules: RuleSet
) -> None:
    contents = {name: (DEMO / name).read_bytes() for name in CAMPAIGN}
    for name in (name for name in CAMPAIGN if what in name):
        contents[name] = b"\n".join(rewritten(line, changed) for line in contents[name].splitlines())
    played = play(CAMPAIGN, "prod-1", rules, contents=contents)

    assert played.alerts("critical") == ["anonymous_run_miner"]
    assert [alert.links_exact for alert in played.output.alerts if alert.firing.rule in critical(rules)] == [8]


def rewritten(line: bytes, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return line
    return json.dumps(changed(record)).encode()


def critical(rules: RuleSet) -> set[str]:
    return {rule.meta.key for rule in rules.correlations if rule.meta.level == "critical"}
