"""The manifests are checked for structure and against the tables they repeat; no cluster is needed, none is claimed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamer.ecs.templates import INDEX_PREFIX
from streamer.elastic.inspection import WRITES
from streamer.kafka.access import ROLES, SETUP, needed, needed_by_all
from streamer.kafka.topics import plan_topics
from streamer.service import kafka_run
from streamer.service.configuration import load_settings
from streamer.service.mode import roles_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
MANIFESTS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.stem != "kustomization"
}
PODS = {name: MANIFESTS[name]["spec"]["template"] for name in ("deployment", "setup")}
STRIMZI = list(yaml.safe_load_all((ROOT / "deploy/kafka/strimzi.yaml").read_text()))


def container(name: str) -> dict[str, Any]:
    (only,) = PODS[name]["spec"]["containers"]
    return only


@pytest.fixture
def settings(tmp_path):
    """The settings in the config map."""
    path = tmp_path / "streamer.yml"
    path.write_text(MANIFESTS["configmap"]["data"]["streamer.yml"])
    return load_settings(path, environment={})


def test_kustomize_takes_every_manifest():
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert {Path(name).stem for name in listed} == set(MANIFESTS)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_more_rights_than_it_needs(name):
    pod, only = PODS[name]["spec"], container(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    inner = only["securityContext"]
    assert inner["readOnlyRootFilesystem"] is True
    assert inner["allowPrivilegeEscalation"] is False
    assert inner["capabilities"] == {"drop": ["ALL"]}
    assert only["resources"]["limits"]["memory"]
    assert not only["image"].endswith(":latest")


@pytest.mark.parametrize("name", PODS)
def test_a_pod_runs_as_the_user_of_the_image(name):
    user = PODS[name]["spec"]["securityContext"]["runAsUser"]
    assert f"USER {user}:" in (ROOT / "deploy/Dockerfile").read_text()


@pytest.mark.parametrize("name", PODS)
def test_every_mount_has_its_volume_and_secrets_are_for_the_group_only(name):
    volumes = {volume["name"]: volume for volume in PODS[name]["spec"]["volumes"]}
    assert {mount["name"] for mount in container(name)["volumeMounts"]} == set(volumes)
    for volume in volumes.values():
        assert volume.get("secret", {"defaultMode": 0o440})["defaultMode"] == 0o440


def test_the_service_needs_no_volume_that_stays():
    assert MANIFESTS["deployment"]["kind"] == "Deployment"
    kinds = {kind for volume in PODS["deployment"]["spec"]["volumes"] for kind in volume if kind != "name"}
    assert kinds == {"configMap", "secret", "emptyDir"}


def test_probes_ask_what_the_service_answers(settings):
    only = container("deployment")
    assert only["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert only["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert only["ports"][0]["containerPort"] == settings.http.port
    assert settings.http.host == "0.0.0.0"


def test_a_pod_is_given_the_time_to_end_each_of_its_roles_in_order():
    assert PODS["deployment"]["spec"]["terminationGracePeriodSeconds"] > len(ROLES) * kafka_run._LAST_S


def test_one_pod_at_a_time_goes():
    assert MANIFESTS["poddisruptionbudget"]["spec"]["maxUnavailable"] == 1
    assert MANIFESTS["deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}


@pytest.mark.parametrize("name", ["deployment", "poddisruptionbudget"])
def test_selectors_find_the_pods_of_the_service(name):
    labels = PODS["deployment"]["metadata"]["labels"]
    wanted = MANIFESTS[name]["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= labels.items()
    assert not wanted.items() <= PODS["setup"]["metadata"]["labels"].items()


def test_the_network_policy_lets_out_to_the_servers_of_the_settings(settings):
    policy = MANIFESTS["networkpolicy"]["spec"]
    out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    servers = [settings.kafka.bootstrap_servers, *settings.elasticsearch.hosts]
    assert {int(server.rpartition(":")[2]) for server in servers} <= out
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == [settings.http.port]


@pytest.mark.parametrize("name", PODS)
def test_every_secret_that_the_settings_name_is_mounted(settings, name):
    mounts = [mount["mountPath"] for mount in container(name)["volumeMounts"]]
    security, elastic = settings.kafka.security, settings.elasticsearch
    for file in (security.password_file, security.ca_file, elastic.api_key_file, elastic.ca_file):
        assert str(file.parent) in mounts


def test_no_secret_stands_in_the_settings(settings):
    assert settings.kafka.security.password is None
    assert settings.elasticsearch.api_key is None
    assert roles_of(settings) == ROLES


def test_the_topics_for_strimzi_are_the_planned_ones():
    topics = {entry["metadata"]["name"]: entry["spec"] for entry in STRIMZI if entry["kind"] == "KafkaTopic"}
    for plan in plan_topics("streamer."):
        spec = topics.pop(plan.name)
        assert (spec["partitions"], spec["replicas"]) == (plan.partitions, plan.replication)
        assert {name: str(value).lower() for name, value in spec["config"].items()} == plan.made_with
    assert topics == {}


@pytest.mark.parametrize(
    ("user", "access"),
    [
        ("streamer", needed_by_all(ROLES, "streamer.", ["k8s-audit", "k8s-logs"])),
        ("streamer-setup", needed(SETUP, "streamer.", [])),
    ],
)
def test_the_users_for_strimzi_may_do_what_they_need_and_no_more(user, access):
    (spec,) = [entry["spec"] for entry in STRIMZI if entry["metadata"]["name"] == user]
    kinds = {"topic": "topic", "group": "group", "transactionalId": "transactional-id"}
    allowed = {
        (kinds[acl["resource"]["type"]], acl["resource"]["name"], acl["resource"]["patternType"] == "prefix", operation)
        for acl in spec["authorization"]["acls"]
        for operation in acl["operations"]
    }
    assert allowed == {
        (each.resource, each.name, each.prefixed, operation) for each in access for operation in each.operations
    }


def test_the_writers_role_on_elasticsearch_can_neither_change_nor_delete_alerts():
    roles = json.loads((ROOT / "deploy/elasticsearch/roles.json").read_text())
    (writes,) = roles["streamer_writer"]["indices"]
    assert set(writes["privileges"]) == set(WRITES)
    assert writes["names"] == [f"{INDEX_PREFIX}*"]


def test_the_api_servers_side_of_the_webhook_is_a_kubeconfig():
    config = yaml.safe_load((ROOT / "deploy/audit/webhook.kubeconfig").read_text())
    assert config["current-context"] == config["contexts"][0]["name"]
    assert config["clusters"][0]["cluster"]["server"].startswith("https://")
