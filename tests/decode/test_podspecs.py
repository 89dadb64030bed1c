"""Pod templates in custom resources, wherever they keep them."""

from __future__ import annotations

import orjson
import pytest

from streamer.decode.podspecs import KINDS, parts_of
from streamer.model import UNKNOWN
from tests.decode.given import decode, one, write

MINER = {"name": "m", "image": "evil/miner:1", "command": ["xmrig"], "securityContext": {"privileged": True}}
POD = {"containers": [MINER], "hostNetwork": True, "serviceAccountName": "sa"}
TEMPLATE = {"metadata": {"labels": {"pipeline/runid": "run-1"}}, "spec": POD}
WORKFLOW = {"entrypoint": "t", "templates": [{"name": "t", "container": MINER}]}

BODIES = {
    ("serving.kserve.io", "inferenceservices", "containers"): {"predictor": POD},
    ("serving.kserve.io", "inferenceservices", "model"): {
        "predictor": {"model": {"modelFormat": {"name": "x"}, **MINER}, "hostNetwork": True}
    },
    ("serving.kserve.io", "servingruntimes", ""): POD,
    ("ray.io", "rayclusters", "head"): {"headGroupSpec": {"rayStartParams": {}, "template": TEMPLATE}},
    ("ray.io", "rayclusters", "worker"): {"workerGroupSpecs": [{"groupName": "g", "template": TEMPLATE}]},
    ("ray.io", "rayjobs", ""): {"rayClusterSpec": {"headGroupSpec": {"template": TEMPLATE}}},
    ("kubeflow.org", "pytorchjobs", ""): {"pytorchReplicaSpecs": {"Master": {"template": TEMPLATE}}},
    ("kubeflow.org", "tfjobs", ""): {"tfReplicaSpecs": {"Worker": {"template": TEMPLATE}}},
    ("kubeflow.org", "mpijobs", ""): {"mpiReplicaSpecs": {"Launcher": {"template": TEMPLATE}}},
    ("kubeflow.org", "notebooks", ""): {"template": TEMPLATE},
    ("kubeflow.org", "experiments", ""): {"trialTemplate": {"trialSpec": {"spec": {"template": TEMPLATE}}}},
    ("kubeflow.org", "scheduledworkflows", "object"): {"workflow": {"spec": WORKFLOW}},
    ("kubeflow.org", "scheduledworkflows", "text"): {"workflow": {"spec": orjson.dumps(WORKFLOW).decode()}},
    ("argoproj.io", "rollouts", ""): {"template": TEMPLATE},
    ("argoproj.io", "workflows", ""): WORKFLOW,
    ("argoproj.io", "workflowtemplates", ""): WORKFLOW,
    ("argoproj.io", "cronworkflows", ""): {"schedule": "* * * * *", "workflowSpec": WORKFLOW},
    ("argoproj.io", "sensors", ""): {
        "triggers": [{"template": {"k8s": {"source": {"resource": {"kind": "Workflow", "spec": WORKFLOW}}}}}]
    },
    ("argoproj.io", "experiments", ""): {"templates": [{"name": "canary", "template": TEMPLATE}]},
    ("serving.knative.dev", "services", ""): {"template": TEMPLATE},
    ("sparkoperator.k8s.io", "sparkapplications", ""): {"driver": MINER},
    ("tekton.dev", "taskruns", ""): {"taskSpec": {"steps": [MINER]}},
    ("jobset.x-k8s.io", "jobsets", ""): {
        "replicatedJobs": [{"name": "w", "template": {"spec": {"template": TEMPLATE}}}]
    },
    ("machinelearning.seldon.io", "seldondeployments", ""): {"predictors": [{"componentSpecs": [{"spec": POD}]}]},
    ("batch.volcano.sh", "jobs", ""): {"tasks": [{"name": "w", "template": TEMPLATE}]},
    ("nobody.knows.example", "things", ""): {"a": [{"b": {"c": {"podTemplate": TEMPLATE}}}]},
}


@pytest.mark.parametrize(("group", "resource", "form"), sorted(BODIES))
def test_a_pod_template_is_found_in_every_kind(group, resource, form):
    """[D2] every container of a written workload."""
    body = {"metadata": {"name": "x"}, "spec": BODIES[group, resource, form]}
    audit_event, container = decode(write(resource, body, ref={"apiGroup": group})).events
    workload = audit_event.fields["workload"]
    assert (workload["images"], workload["privileged"]) == (["evil/miner:1"], True)
    assert workload["command_lines"] == ["xmrig"]
    assert container.fields["container"]["image"] == "evil/miner:1"
    assert audit_event.fields["body_unknown"] is False
    if POD in BODIES[group, resource, form].values() or "TEMPLATE" in form:
        assert workload["host_network"] is True


@pytest.mark.parametrize("resource", ["pytorchjobs", "rollouts", "notebooks"])
def test_labels_of_the_pods_tell_the_run(resource):
    spec = BODIES["kubeflow.org" if resource != "rollouts" else "argoproj.io", resource, ""]
    workload = one(write(resource, {"spec": spec}, ref={"apiGroup": "x.example"})).fields["workload"]
    assert (workload["run_id"], workload["service_account"], workload["host_network"]) == ("run-1", "sa", True)


@pytest.mark.parametrize("resource", sorted(KINDS))
def test_every_known_kind_whose_body_is_missing_has_unknown_fields(resource):
    """[D5] unknown, not absent."""
    workload = one(write(resource, None, level="Metadata")).fields["workload"]
    assert (workload["kind"], workload["images"]) == (KINDS[resource], UNKNOWN)


def test_a_knative_service_is_told_from_a_service():
    ref = {"apiGroup": "serving.knative.dev"}
    assert one(write("services", None, level="Metadata", ref=ref)).fields["workload"]["kind"] == "Service"
    assert "workload" not in one(write("services", None, level="Metadata")).fields


@pytest.mark.parametrize(
    ("group", "body"),
    [
        ("networking.istio.io", {"http": [{"route": [{"destination": {"host": "x"}}]}]}),
        ("argoproj.io", {"source": {"kustomize": {"images": ["a=b"]}, "repoURL": "x"}}),
        ("cert-manager.io", {"secretName": "x", "template": {"metadata": {}}}),
        ("apiextensions.k8s.io", {"versions": [{"schema": {"properties": {"containers": [{"image": "x"}]}}}]}),
        ("x.example", {"image": "only/a:name"}),
    ],
)
def test_a_custom_resource_without_pods_is_no_workload(group, body):
    assert "workload" not in one(write("things", {"spec": body}, ref={"apiGroup": group})).fields


def test_what_stands_beyond_the_bounds_of_the_search_is_unknown():
    """[D5] a template hidden behind fifty thousand nodes is not absent."""
    hidden = {"spec": {"a": [[] for _ in range(50_000)], "z": {"z": {"template": TEMPLATE}}}}
    event = one(write("things", hidden, ref={"apiGroup": "x.example"}))
    assert event.fields["body_unknown"] is True
    assert event.fields["workload"]["privileged"] is UNKNOWN
    assert event.fields["workload"]["images"] is UNKNOWN
    deep: dict[str, object] = {"template": TEMPLATE}
    for _ in range(30):
        deep = {"a": deep}
    assert one(write("things", {"spec": deep}, ref={"apiGroup": "x.example"})).fields["body_unknown"] is True


def test_hostile_objects_take_linear_time():
    long = "k" * 100_000
    wide = {f"{long}{n}": {"image": "x", "command": []} for n in range(15)}
    assert len(parts_of("things", "", "x.example", {"spec": {long: wide}}).parts) == 15
    many = [{"containers": [{"name": "c"}]} for _ in range(40_000)]
    assert len(parts_of("things", "", "x.example", {"spec": many}).parts) == 40_000
