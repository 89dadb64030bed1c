"""Lines of Kubeflow's own back ends."""

from __future__ import annotations

import pytest

from streamer.decode.access_kubeflow import parse_backend
from streamer.model import WEBSERVER
from tests.decode.given import decode, fluent_bit

GLOG = "I0101 00:00:00.123456       7 interceptor.go:29] "
FLASK = "2026-01-01 00:00:00,123 | apps.common.routes.post | INFO | "
BODY = "{'name': 'nb', 'namespace': 'lab', 'image': 'evil/miner:1', 'cpu': '0.5', 'gpus': {'num': 'none'}}"
NOTEBOOK = (
    "{'apiVersion': 'kubeflow.org/v1', 'kind': 'Notebook', 'metadata': {'name': 'nb', 'namespace': 'lab'}, "
    "'spec': {'template': {'spec': {'containers': [{'name': 'nb', 'image': 'evil/miner:1'}]}}}}"
)
CREATED = {"action": "CreateNotebook", "notebook": "nb", "namespace": "lab", "image": "evil/miner:1"}
ASKED = (
    "User: eve@example.org, ResourceAttributes: &ResourceAttributes{Namespace:lab,Verb:create,Group:g,Resource:runs,}"
)


@pytest.mark.parametrize(
    ("line", "method", "uri", "user", "kubeflow"),
    [
        (
            GLOG + "/api.RunService/CreateRun handler starting",
            "POST",
            "/api.RunService/CreateRun",
            None,
            {"action": "CreateRun"},
        ),
        (GLOG + "Upload pipeline called", "POST", None, None, {"action": "UploadPipeline"}),
        ("Upload pipeline called", "POST", None, None, {"action": "UploadPipeline"}),
        (GLOG + ASKED, None, None, "eve@example.org", {"action": "create runs", "namespace": "lab"}),
        (FLASK + "Handling request for user: eve@example.org", None, None, "eve@example.org", {}),
        (FLASK + "Got body: " + BODY, None, None, None, CREATED),
        ("Got body: " + BODY.replace("'", '"'), None, None, None, CREATED),
        (FLASK + "Creating Notebook: " + NOTEBOOK, None, None, None, CREATED),
        (FLASK + "Skipping authentication check", None, None, None, {"action": "SkipAuthentication"}),
    ],
)
def test_a_line_that_tells_of_a_request_is_read(line, method, uri, user, kubeflow):
    access = parse_backend(line)
    assert access is not None
    assert (access.method, access.uri, access.user, access.kubeflow) == (method, uri, user, kubeflow)


@pytest.mark.parametrize(
    "line",
    ["", GLOG, GLOG + "/api.RunService/CreateRun handler finished", FLASK + "Successfully created Notebook", "/x y"],
)
def test_other_lines_are_none(line):
    assert parse_backend(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "Got body: " + "'image': '" * 100_000,
        "User: x, ResourceAttributes: " + "Verb:a " * 100_000,
        "/" + "a" * 300_000,
        "I0101 00:00:00." + "1" * 100_000,
    ],
)
def test_hostile_lines_take_linear_time(line):
    parse_backend(line)


def test_the_back_ends_are_known_by_their_containers():
    kubernetes = {
        "pod_name": "ml-pipeline-6f5",
        "namespace_name": "kubeflow",
        "container_name": "ml-pipeline-api-server",
    }
    line = GLOG + "/api.RunService/CreateRun handler starting"
    _, request = decode(fluent_bit(line, kubernetes=kubernetes), kind="containers").events
    assert request.logsource == WEBSERVER
    assert request.fields["kubeflow"] == {"action": "CreateRun"}
    assert request.fields["cs-uri-stem"] == "/api.RunService/CreateRun"
    victim = {**kubernetes, "namespace_name": "lab"}
    assert len(decode(fluent_bit(line, kubernetes=victim), kind="containers").events) == 1


def test_an_ingress_is_known_by_its_namespace_too():
    line = '203.0.113.7 - - [01/Jan/2026:00:00:01 +0000] "GET / HTTP/1.1" 200 5 "-" "-"'
    kubernetes = {"pod_name": "ingress-nginx-controller-7x", "container_name": "controller"}
    for namespace, count in (("ingress-nginx", 2), ("kube-system", 2), ("lab", 1)):
        record = fluent_bit(line, kubernetes={**kubernetes, "namespace_name": namespace})
        assert len(decode(record, kind="containers").events) == count
