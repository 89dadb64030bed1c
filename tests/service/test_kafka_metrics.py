"""What /metrics and /readyz say in the Kafka mode, asked over HTTP while it works."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.servers.process import free_ports
from tests.service.kafka_world import Installation, eventually, node_deleted, secret_read


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def numbers(port: int) -> Mapping[str, float]:
    try:
        _, text = await asyncio.to_thread(get, port, "/metrics")
    except urllib.error.URLError:
        return {}
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


async def test_metrics_and_readiness_tell_what_the_roles_do(kafka_address: str, unique: str, tmp_path: Path):
    (port,) = free_ports(1)
    more = {"http": {"port": port}}
    installation = Installation(kafka_address, unique, tmp_path, more=more)
    await installation.set_up()
    async with installation.running():
        await installation.write(*[secret_read(number, user="eve", namespace=f"n{number}") for number in range(3)])
        await installation.write(node_deleted(9), "no json")
        told = await eventually(lambda: has(port, "streamer_alerts_total"), "no alert was counted")
        await eventually(installation.messages, "no alert was told")
        status, body = await asyncio.to_thread(get, port, "/readyz")
        assert status == 200, body
        said = json.loads(body)
        assert said["partitions restored"] is True
        assert said["correlate"] == "3 of 3 partitions run"
        assert said["detect"] == "2 raw partitions"
        assert (await asyncio.to_thread(get, port, "/livez")) == (200, '{"loop":true}')
        found = await eventually(lambda: settled(port), "not everything was counted")
    assert told
    assert found["streamer_records_total"] == 5
    assert found['streamer_dead_letters_total{reason="not-json"}'] == 1
    assert found['streamer_events_total{logsource="audit"}'] == 4
    assert found['streamer_matches_total{rule="10000000-0000-4000-8000-000000000003"}'] == 1
    assert found["streamer_detections_sent_total"] >= 4
    assert found["streamer_takeovers_total"] == 3
    assert found["streamer_transactions_total"] > 3
    assert found['streamer_partitions{state="running"}'] == 3
    assert found['streamer_lag_records{role="detect"}'] == 0
    assert found['streamer_lag_seconds{role="detect"}'] == 0
    assert found["streamer_watermark_seconds"] > 1_764_000_000
    assert found["streamer_watermark_lag_seconds"] < 120
    assert found['streamer_rule_sample_events_total{rule="10000000-0000-4000-8000-000000000002"}'] > 0
    assert any(name.startswith("streamer_state_entries{") and value > 0 for name, value in found.items())
    assert any(name.startswith("streamer_source_watermark_seconds{") for name in found)
    assert found["streamer_rules_refused"] == 0


async def has(port: int, family: str) -> bool:
    return any(name.startswith(family) and value for name, value in (await numbers(port)).items())


async def settled(port: int) -> Mapping[str, float] | None:
    """The numbers, once all records were read and judged."""
    found = await numbers(port)
    is_settled = found.get("streamer_records_total") == 5 and "streamer_watermark_seconds" in found
    return found if is_settled and found.get('streamer_lag_records{role="detect"}') == 0 else None


async def test_a_process_without_partitions_is_live_and_says_what_it_waits_for(
    kafka_address: str, unique: str, tmp_path: Path
):
    (port,) = free_ports(1)
    installation = Installation(kafka_address, unique, tmp_path, more={"http": {"port": port}})
    await installation.set_up()
    installation.more |= {
        "kafka": {
            "bootstrap_servers": f"127.0.0.1:{free_ports(1)[0]}",
            "topic_prefix": f"{unique}.",
            "partitions": 3,
            "replication": 1,
        }
    }
    async with installation.running():
        status, body = await eventually(lambda: asked(port), "it does not listen")
        assert status == 503
        assert json.loads(body)["started"] is False
        assert (await asyncio.to_thread(get, port, "/livez"))[0] == 200


async def asked(port: int) -> tuple[int, str] | None:
    try:
        return await asyncio.to_thread(get, port, "/readyz")
    except urllib.error.URLError:
        return None
