"""The container files are checked for structure: no container engine is needed, and none is claimed to have run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamer.service.configuration import load_settings
from streamer.service.mode import roles_of

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_the_compose_file_has_the_whole_chain_of_servers() -> None:
    assert set(SERVICES) == {"kafka", "elasticsearch", "kibana", "setup", "streamer"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_memory_limit_and_a_pinned_image(name: str) -> None:
    service = SERVICES[name]

    assert "mem_limit" in service
    tag = service["image"].rpartition(":")[2]
    assert tag == "local" or re.fullmatch(r"\d+\.\d+\.\d+", tag), "an image without an exact version changes by itself"


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "setup"])
def test_every_long_running_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_bound_to_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_elasticsearch_and_kibana_have_the_same_version() -> None:
    versions = {SERVICES[name]["image"].rpartition(":")[2] for name in ("elasticsearch", "kibana")}

    assert len(versions) == 1


def test_what_a_service_depends_on_exists_and_can_become_healthy() -> None:
    for service in SERVICES.values():
        for name, wish in service.get("depends_on", {}).items():
            assert name in SERVICES
            if wish["condition"] == "service_healthy":
                assert SERVICES[name]["healthcheck"]["test"]


def test_mounted_files_and_the_container_file_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / "deploy" / source).is_file()
            else:
                assert source in COMPOSE["volumes"]
        if "build" in service:
            context = ROOT / "deploy" / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).is_file()


def test_everything_the_container_file_copies_exists() -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source


def test_the_image_runs_without_root_and_stops_on_the_signal_the_service_drains_on() -> None:
    user = re.findall(r"^USER (\d+)", DOCKERFILE, flags=re.MULTILINE)

    assert user
    assert user[-1] != "0"
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE


def test_the_mounted_configuration_is_one_the_service_accepts() -> None:
    settings = load_settings(ROOT / "deploy/streamer.yml", environment={})

    assert settings.cluster == "demo"
    assert roles_of(settings) == ("detect", "correlate", "index")


def test_the_topics_are_made_before_the_service_starts_and_fit_the_one_broker() -> None:
    settings = load_settings(ROOT / "deploy/streamer.yml", environment={})

    assert SERVICES["streamer"]["depends_on"]["setup"]["condition"] == "service_completed_successfully"
    assert settings.kafka is not None
    assert settings.kafka.replication == 1


def test_the_service_keeps_nothing_on_a_disk_of_its_own() -> None:
    assert SERVICES["streamer"]["read_only"] is True
    assert all(volume.endswith(":ro") for volume in SERVICES["streamer"]["volumes"])
