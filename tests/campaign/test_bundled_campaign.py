"""The bundled campaign tells its story in one alert; its benign twins stay quiet."""

from __future__ import annotations

import ipaddress
import re
from itertools import pairwise
from typing import Any

import orjson
import pytest

from streamer.engine import Output
from tests.campaign.build import DEMO, built
from tests.campaign.playing import CAMPAIGN, TWINS, Played, leaves, play, shipped

FOR_DOCUMENTATION = ["203.0.113.0/24", "198.51.100.0/24"]
IN_CLUSTER = ["10.0.0.10/32", "10.244.0.0/16"]


@pytest.fixture(scope="module")
def campaign() -> Played:
    return play(CAMPAIGN, "prod-1", shipped())


@pytest.fixture(scope="module")
def twins() -> Played:
    return play(TWINS, "research-1", shipped())


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {path.relative_to(DEMO).as_posix(): path.read_bytes() for path in sorted(DEMO.rglob("*.ndjson"))}


def test_the_committed_data_is_what_the_generator_writes(files: dict[str, bytes]) -> None:
    assert built() == files


def test_the_data_is_small_enough_to_travel_in_the_package(files: dict[str, bytes]) -> None:
    assert sum(map(len, files.values())) < 1_500_000


def test_the_whole_campaign_is_one_critical_alert(campaign: Played) -> None:
    assert campaign.alerts("critical") == ["anonymous_run_miner"]
    alert = flagship(campaign.output, campaign)

    assert (alert.links_exact, alert.links_by_time) == (8, 2)


def test_the_critical_alert_shows_every_step_from_the_visit_to_the_miner(campaign: Played) -> None:
    """[A4] an alert carries its evidence, the steps of the correlations below it included."""
    steps = [
        (campaign.rules.meta(rule).name, member.evidence.summary if member.evidence else "")
        for rule, member in leaves(flagship(campaign.output, campaign).firing)
    ]

    assert [name for name, _ in steps] == [
        "kubeflow_visit",
        "kubeflow_run_posted",
        "kubeflow_run_polled",
        "kubeflow_workflow_created",
        "workflow_pod_created",
        "hardware_inventory",
        "workflow_pod_created",
        "privileged_container",
        "container_started",
        "pod_bound",
        "miner_output_line",
        "miner_output_line",
    ]
    told = dict(steps)
    assert "203.0.113.7 GET /pipeline/ 200" in told["kubeflow_visit"]
    assert "POST /pipeline/apis/v1beta1/runs 200" in told["kubeflow_run_posted"]
    assert "sequential-pipeline-x7k2p" in told["kubeflow_workflow_created"]
    assert "tensorflow/tensorflow:latest" in told["container_started"]
    assert any("pool.example:3333" in sentence for name, sentence in steps if name == "miner_output_line")


def test_the_pod_that_is_shown_is_the_pod_that_mines(campaign: Played) -> None:
    pods = set()
    for _, member in leaves(flagship(campaign.output, campaign).firing):
        pods |= set(re.findall(r"sequential-pipeline-x7k2p-\d+", member.evidence.summary if member.evidence else ""))

    assert len(pods) == 1


def test_other_alerts_point_at_the_intrusion_and_at_nothing_else(campaign: Played) -> None:
    assert set(campaign.alerts("high")) == {
        "anonymous_run_started",
        "miner_command",
        "miner_in_pod",
        "new_privileged_image",
    }
    assert set(campaign.alerts("medium", "low", "informational")) == {
        "gpu_asked_for_by_newcomer",
        "privileged_container_started",
    }


def test_without_the_baseline_nothing_is_called_new(campaign: Played) -> None:
    """[C8] no firing of `first_seen` during `learn`; the chain is told all the same."""
    bare = play(CAMPAIGN[2:], "prod-1", campaign.rules)

    assert "new_privileged_image" not in bare.alerts()
    assert bare.alerts("critical") == ["anonymous_run_miner"]


def test_one_record_is_broken_and_becomes_a_dead_letter(campaign: Played) -> None:
    assert [letter.position.source for letter in campaign.output.dead_letters] == ["campaign/audit.ndjson"]


def test_one_record_stands_twice_and_changes_nothing(files: dict[str, bytes], campaign: Played) -> None:
    """[I5] duplicates by identity change nothing."""
    lines = files["campaign/audit.ndjson"].splitlines()
    once = {**files, "campaign/audit.ndjson": b"\n".join(dict.fromkeys(lines))}

    assert len(set(lines)) == len(lines) - 1
    assert told(play(CAMPAIGN, "prod-1", campaign.rules, contents=once).output) == told(campaign.output)


def test_some_records_are_out_of_order(files: dict[str, bytes]) -> None:
    for name in ("campaign/audit.ndjson", "campaign/containers.ndjson"):
        stamps = [stamp_of(line) for line in files[name].splitlines()]
        known = [stamp for stamp in stamps if stamp]

        assert sum(later < earlier for earlier, later in pairwise(known)) > 5


def test_the_size_of_batches_does_not_matter(campaign: Played) -> None:
    """[G3] the same alerts with the same ids."""
    assert told(play(CAMPAIGN, "prod-1", campaign.rules, batch=1).output) == told(campaign.output)


def test_restarts_in_the_middle_change_nothing(campaign: Played) -> None:
    """[G1] no miss across any crash, [G3] the same alerts with the same ids."""
    assert told(play(CAMPAIGN, "prod-1", campaign.rules, batch=20, restart_every=7).output) == told(campaign.output)


def test_the_benign_twins_raise_nothing_of_level_high_or_above(twins: Played) -> None:
    assert twins.alerts("high", "critical") == []
    assert twins.output.dead_letters == []


def test_the_twins_do_what_makes_them_twins(twins: Played) -> None:
    """A new GPU image, the sample's name and runs through the gateway: all of it is there, and all of it is quiet."""
    fired = {twins.rules.meta(firing.rule).name for firing in twins.output.firings}

    assert {"image_first_seen", "run_by_visitor", "authenticating_proxy_speaks", "workflow_pod_placed"} <= fired
    assert "change_without_login" not in fired


def test_no_rule_fails_on_any_event(campaign: Played, twins: Played) -> None:
    assert campaign.output.failures == []
    assert twins.output.failures == []


def test_all_addresses_are_in_the_cluster_or_for_documentation_and_all_names_end_in_example(
    files: dict[str, bytes],
) -> None:
    text = b"\n".join(files.values()).decode()
    addresses = set(re.findall(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", text))
    fit = [ipaddress.ip_network(net) for net in (*FOR_DOCUMENTATION, *IN_CLUSTER)]

    assert [one for one in addresses if not any(ipaddress.ip_address(one) in net for net in fit)] == []
    assert set(re.findall(r"[\w.-]+@([\w.-]+)", text)) - {"sha256"} <= {
        "corp.example",
        "research.example",
        "eth-pool.example",
    }


def flagship(output: Output, played: Played) -> Any:
    return next(alert for alert in output.alerts if played.rules.meta(alert.firing.rule).level == "critical")


def told(output: Output) -> set[tuple[str, str]]:
    return {(alert.id, alert.firing.rule) for alert in output.alerts}


def stamp_of(line: bytes) -> str:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return ""
    return str(record.get("stageTimestamp") or record["@timestamp"])
