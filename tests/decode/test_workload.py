"""Workloads: every kind with a pod template, patches, containers."""

from __future__ import annotations

import pytest

from streamer.model import CONTAINER_SPEC, UNKNOWN
from tests.decode.given import decode, one, pod, write

MINER = {
    "name": "m",
    "image": "docker.io/tensorflow/tensorflow:latest",
    "command": ["sh", "-c"],
    "args": ["curl x | sh"],
    "securityContext": {"privileged": True, "runAsUser": 0, "capabilities": {"add": ["SYS_ADMIN"]}},
    "resources": {"limits": {"nvidia.com/gpu": 1}},
    "env": [{"name": "TOKEN", "value": "secret"}],
    "volumeMounts": [{"name": "root"}, {"name": "tmp"}],
}


def template(*containers, labels=None, **spec):
    return {"metadata": {"labels": labels or {}}, "spec": {"containers": list(containers), **spec}}


BODIES = {
    "pods": pod(MINER),
    "podtemplates": {"template": template(MINER)},
    "cronjobs": {"spec": {"jobTemplate": {"spec": {"template": template(MINER)}}}},
    "workflows": {"spec": {"templates": [{"name": "t", "container": MINER}]}},
    "workflowtemplates": {"spec": {"templates": [{"name": "t", "script": MINER}]}},
    "clusterworkflowtemplates": {"spec": {"templates": [{"name": "t", "sidecars": [MINER]}]}},
    "cronworkflows": {
        "spec": {"workflowSpec": {"templates": [{"name": "t", "containerSet": {"containers": [MINER]}}]}}
    },
    "tfjobs": {"spec": {"tfReplicaSpecs": {"Worker": {"template": template(MINER)}}}},
    "rollouts": {"spec": {"template": template(MINER)}},
} | {
    resource: {"spec": {"template": template(MINER)}}
    for resource in (
        *("deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "replicationcontrollers", "notebooks"),
    )
}


@pytest.mark.parametrize("resource", sorted(BODIES))
def test_every_kind_with_a_pod_template_is_a_workload(resource):
    """[D2] every container of a written workload."""
    audit_event, container = decode(write(resource, BODIES[resource])).events
    workload = audit_event.fields["workload"]
    assert workload["images"] == ["docker.io/tensorflow/tensorflow:latest"]
    assert workload["image_repositories"] == ["tensorflow/tensorflow"]
    assert workload["privileged"] is True
    assert workload["gpu"] is True
    assert workload["capabilities_added"] == ["SYS_ADMIN"]
    assert workload["command_lines"] == ["sh -c curl x | sh"]
    assert container.logsource == CONTAINER_SPEC
    assert container.fields["container"]["privileged"] is True


def test_a_container_is_described_completely():
    volumes = [{"name": "root", "hostPath": {"path": "/"}}, {"name": "tmp", "emptyDir": {}}]
    container = decode(write("pods", pod(MINER, volumes=volumes))).events[1].fields["container"]
    assert container == {
        "type": "container",
        "name": "m",
        "image": "docker.io/tensorflow/tensorflow:latest",
        "registry": "docker.io",
        "repository": "tensorflow/tensorflow",
        "tag": "latest",
        "privileged": True,
        "run_as_user": 0,
        "capabilities_added": ["SYS_ADMIN"],
        "command_line": "sh -c curl x | sh",
        "env_names": ["TOKEN"],
        "host_paths": ["/"],
        "gpu": True,
    }


def test_pod_level_settings_are_seen():
    body = pod(
        {"name": "c"},
        hostNetwork=True,
        hostPID=True,
        hostIPC=False,
        serviceAccountName="builder",
        nodeName="n1",
        volumes=[{"name": "d", "hostPath": {"path": "/var/run/docker.sock"}}],
        securityContext={"runAsUser": 0},
    )
    audit_event, container = decode(write("pods", body)).events
    workload = audit_event.fields["workload"]
    assert (workload["host_network"], workload["host_pid"], workload["host_ipc"]) == (True, True, False)
    assert (workload["service_account"], workload["node_name"]) == ("builder", "n1")
    assert workload["host_paths"] == ["/var/run/docker.sock"]
    assert container.fields["container"]["run_as_user"] == 0
    assert container.fields["container"]["host_paths"] == []


def test_names_and_uids_come_from_the_answer_where_the_request_has_none():
    body = {"kind": "Workflow", "metadata": {"generateName": "seq-"}, "spec": {"templates": []}}
    answer = {"kind": "Workflow", "metadata": {"name": "seq-x1", "uid": "8d0e"}}
    workload = one(write("workflows", body, responseObject=answer)).fields["workload"]
    assert workload["kind"] == "Workflow"
    assert (workload["name"], workload["uid"], workload["generate_name"]) == ("seq-x1", "8d0e", "seq-")


def test_a_refusal_is_not_taken_for_the_object():
    answer = {"kind": "Status", "metadata": {"name": "x", "uid": "y"}, "code": 409}
    workload = one(write("pods", pod({"name": "c"}), responseObject=answer)).fields["workload"]
    assert (workload["name"], workload.get("uid")) == ("p", None)


def test_the_owner_is_the_controller_and_the_run_id_its_label():
    body = pod({"name": "main"})
    body["metadata"] |= {
        "labels": {"workflows.argoproj.io/workflow": "seq-x1", "pipeline/runid": "3f2c"},
        "ownerReferences": [
            {"kind": "Other", "name": "o"},
            {"kind": "Workflow", "name": "w", "uid": "8d", "controller": True},
        ],
    }
    workload = one(write("pods", body)).fields["workload"]
    assert workload["owner"] == {"kind": "Workflow", "name": "w", "uid": "8d"}
    assert workload["run_id"] == "3f2c"
    assert workload["labels"]["workflows.argoproj.io/workflow"] == "seq-x1"


def test_the_run_id_of_a_workflow_may_stand_on_its_pods():
    body = {"spec": {"podMetadata": {"labels": {"pipeline/runid": "3f2c"}}, "templates": [{"name": "t"}]}}
    assert one(write("workflows", body)).fields["workload"]["run_id"] == "3f2c"


def test_a_script_is_part_of_the_command_line_and_argos_container_is_called_main():
    script = {"image": "bash", "command": ["bash"], "source": "curl x"}
    body = {"spec": {"templates": [{"name": "t", "script": script, "initContainers": [{"name": "i"}]}]}}
    events = decode(write("workflows", body)).events
    first = events[1].fields["container"]
    assert (first["name"], first["template"], first["type"]) == ("main", "t", "script")
    assert first["command_line"] == "bash curl x"
    assert events[2].fields["container"]["type"] == "init"


def test_a_workflows_volumes_hold_for_all_its_templates():
    body = {
        "spec": {
            "volumes": [{"name": "v", "hostPath": {"path": "/etc"}}],
            "templates": [{"name": "t", "container": {"volumeMounts": [{"name": "v"}]}}],
        }
    }
    assert decode(write("workflows", body)).events[1].fields["container"]["host_paths"] == ["/etc"]


def test_argos_patch_of_the_pod_is_looked_into():
    patch = '{"containers":[{"name":"main","securityContext":{"privileged":true}}],"hostPID":true}'
    body = {"spec": {"podSpecPatch": patch, "templates": [{"name": "t", "container": {"image": "x"}}]}}
    workload = one(write("workflows", body)).fields["workload"]
    assert (workload["privileged"], workload["host_pid"]) == (True, True)


def test_an_ephemeral_container_is_told_without_the_pods_others():
    body = pod({"name": "old", "image": "x"}, ephemeralContainers=[{"name": "dbg", "image": "busybox"}])
    ref = {"subresource": "ephemeralcontainers", "name": "p"}
    events = decode(write("pods", body, verb="patch", ref=ref)).events
    assert [event.fields["container"]["name"] for event in events[1:]] == ["dbg"]
    assert events[1].fields["container"]["type"] == "ephemeral"


def test_a_patch_is_read_from_the_object_it_led_to_where_that_is_recorded():
    patch = {"spec": {"template": template({"name": "c", "image": "new"})}}
    answer = {
        "kind": "Deployment",
        "spec": {"template": template({"name": "c", "image": "new"}, {"name": "d", "image": "x"})},
    }
    event = one(write("deployments", patch, verb="patch", responseObject=answer))
    assert event.fields["workload"]["images"] == ["new", "x"]


def test_a_patch_alone_is_read_as_far_as_it_goes():
    patch = {
        "spec": {
            "template": {"spec": {"containers": [{"name": "c", "image": "new"}, {"$patch": "delete", "name": "d"}]}}
        }
    }
    events = decode(write("deployments", patch, verb="patch")).events
    assert [event.fields["container"]["image"] for event in events[1:]] == ["new"]


def test_a_json_patch_is_read_by_its_paths():
    patch = [
        {"op": "test", "path": "/spec/template/spec/containers/0/name", "value": "c"},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil/miner:1"},
        {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "side", "image": "y"}},
        {"op": "add", "path": "/spec/template/spec/hostPID", "value": True},
        {"op": "add", "path": "/metadata/labels/pipeline~1runid", "value": "3f2c"},
    ]
    events = decode(write("deployments", patch, verb="patch")).events
    workload = events[0].fields["workload"]
    assert workload["images"] == ["evil/miner:1", "y"]
    assert workload["host_pid"] is True
    assert workload["run_id"] == "3f2c"
    assert [event.fields["container"].get("name") for event in events[1:]] == [None, "side"]


def test_an_unknown_body_leaves_a_workload_with_unknown_fields():
    """[D5] unknown, not absent."""
    event = one(write("daemonsets", "skipped-too-big-size-object", ref={"name": "kube-proxy"}))
    workload = event.fields["workload"]
    assert (workload["kind"], workload["name"], workload["namespace"]) == ("DaemonSet", "kube-proxy", "lab")
    assert workload["privileged"] is UNKNOWN
    assert workload["images"] is UNKNOWN


@pytest.mark.parametrize("code", [201, 403])
def test_a_body_that_nobody_recorded_is_unknown_and_the_event_says_so(code):
    """[D5] unknown, not absent; a policy that records no bodies is no body that was cut off."""
    event = one(write("pods", None, level="Metadata") | {"responseStatus": {"code": code}})
    assert event.fields["requestObject"] is UNKNOWN
    assert event.fields["workload"]["kind"] == "Pod"
    assert event.fields["workload"]["privileged"] is UNKNOWN
    assert event.flags == ("body-unrecorded",)
    assert (event.fields["body_unrecorded"], event.fields["body_unknown"]) == (True, False)


def test_other_objects_are_no_workloads():
    assert "workload" not in one(write("configmaps", {"data": {"a": "b"}})).fields
    assert "workload" not in one(write("services", {"spec": {"type": "NodePort"}})).fields


def test_thousands_of_templates_and_volumes_take_linear_time():
    templates = [{"name": f"t{i}", "container": {"volumeMounts": [{"name": "v1"}]}} for i in range(4000)]
    volumes = [{"name": f"v{i}", "hostPath": {"path": "/"}} for i in range(8000)]
    events = decode(write("workflows", {"spec": {"volumes": volumes, "templates": templates}})).events
    assert len(events) == 4001


def test_templates_inside_tasks_and_steps_are_seen():
    dag = {"name": "d", "dag": {"tasks": [{"name": "a", "inline": {"container": {"image": "one"}}}, {"name": "b"}]}}
    steps = {"name": "s", "steps": [[{"name": "c", "inline": {"script": {"image": "two", "source": "x"}}}], None]}
    events = decode(write("workflows", {"spec": {"templates": [dag, steps]}})).events
    assert events[0].fields["workload"]["images"] == ["one", "two"]
    assert [event.fields["container"]["image"] for event in events[1:]] == ["one", "two"]


def test_a_workflows_user_holds_for_the_templates_that_name_none():
    own = {"name": "o", "container": {"image": "i"}, "securityContext": {"runAsUser": 7}}
    spec = {"securityContext": {"runAsUser": 0}, "templates": [{"name": "t", "container": {"image": "i"}}, own]}
    events = decode(write("workflows", {"spec": spec})).events
    assert [event.fields["container"]["run_as_user"] for event in events[1:]] == [0, 7]
