"""Exact joins: the same id on both sides."""

from __future__ import annotations

import base64
import hashlib

import pytest

from streamer.model import Event
from tests.decode.given import audit, one, pod, write

REASON = "authorization.k8s.io/reason"
ISSUED = "authentication.kubernetes.io/issued-credential-id"
MUTATION = "mutation.webhook.admission.k8s.io/"
DER = bytes(range(256))


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "cluster-admin" to Group "dev"',
            {
                "binding": {"kind": "ClusterRoleBinding", "name": "b"},
                "role": {"kind": "ClusterRole", "name": "cluster-admin"},
                "subject": {"kind": "Group", "name": "dev"},
            },
        ),
        (
            'RBAC: allowed by RoleBinding "b/lab" of Role "r" to ServiceAccount "sa/kube-system"',
            {
                "binding": {"kind": "RoleBinding", "name": "b", "namespace": "lab"},
                "role": {"kind": "Role", "name": "r"},
                "subject": {"kind": "ServiceAccount", "name": "sa", "namespace": "kube-system"},
            },
        ),
        (
            r'RBAC: allowed by ClusterRoleBinding "a \"of\" b" of ClusterRole "r" to User "x\\y"',
            {
                "binding": {"kind": "ClusterRoleBinding", "name": 'a "of" b'},
                "role": {"kind": "ClusterRole", "name": "r"},
                "subject": {"kind": "User", "name": "x\\y"},
            },
        ),
        (
            'RBAC: allowed by RoleBinding "b" of Role "r" to User "u"',
            {
                "binding": {"kind": "RoleBinding", "name": "b"},
                "role": {"kind": "Role", "name": "r"},
                "subject": {"kind": "User", "name": "u"},
            },
        ),
        ("", None),
        ("allowed by webhook", None),
        ('RBAC: allowed by ClusterRoleBinding "' + "\\" * 1_000, None),
        ('RBAC: allowed by ClusterRoleBinding "' + "x" * 10_000_00, None),
        (5, None),
    ],
)
def test_the_binding_that_allowed_a_request_is_named(reason, expected):
    assert one(audit(annotations={REASON: reason})).fields.get("authorized_by") == expected


def test_a_binding_and_its_use_have_one_name():
    ref = {"apiGroup": "rbac.authorization.k8s.io", "name": "b"}
    written = one(write("clusterrolebindings", {"metadata": {"name": "b"}}, ref=ref))
    used = one(
        audit(annotations={REASON: 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to User "alice"'})
    )
    assert written.fields["objectRef"]["name"] == used.fields["authorized_by"]["binding"]["name"]


def test_a_token_has_one_id_when_it_is_issued_and_when_it_is_used():
    ref = {"resource": "serviceaccounts", "namespace": "lab", "name": "sa", "subresource": "token"}
    issued = one(audit(verb="create", objectRef=ref, level="Metadata", annotations={ISSUED: "JTI=7a07"}))
    extra = {"authentication.kubernetes.io/credential-id": ["JTI=7a07"]}
    used = one(audit(user={"username": "system:serviceaccount:lab:sa", "extra": extra}))
    assert issued.fields["issued"]["credential_id"] == used.fields["actor"]["credential_id"] == "JTI=7a07"


def signed(certificate: object) -> Event:
    ref = {"resource": "certificatesigningrequests", "name": "mallory", "subresource": "status"}
    return one(audit(verb="update", objectRef=ref, requestObject={"status": {"certificate": certificate}}))


def test_a_certificate_has_one_id_when_it_is_signed_and_when_it_is_used():
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(DER) + b"-----END CERTIFICATE-----\n"
    extra = {"authentication.kubernetes.io/credential-id": [f"X509SHA256={hashlib.sha256(DER).hexdigest()}"]}
    used = one(audit(user={"username": "mallory", "extra": extra}))
    assert (
        signed(base64.b64encode(pem).decode()).fields["issued"]["credential_id"]
        == used.fields["actor"]["credential_id"]
    )


@pytest.mark.parametrize("certificate", [None, "", "%", 5, "QUJD", base64.b64encode(b"-----BEGIN CERTIFICATE-----")])
def test_no_certificate_is_issued_where_none_can_be_read(certificate):
    text = certificate.decode() if isinstance(certificate, bytes) else certificate
    assert "issued" not in signed(text).fields


def test_the_webhook_configurations_that_changed_an_object_are_named_at_every_level():
    told = {
        f"{MUTATION}round_0_index_0": '{"configuration":"injector","webhook":"a.example","mutated":true}',
        f"{MUTATION}round_0_index_1": '{"configuration":"other","webhook":"b.example","mutated":false}',
        f"{MUTATION}round_1_index_0": '{"configuration":"injector","webhook":"a.example","mutated":true}',
        "patch.webhook.admission.k8s.io/round_0_index_0": '{"configuration":"injector","patch":[]}',
    }
    made = one(audit(verb="create", level="Metadata", objectRef={"resource": "pods"}, annotations=told))
    assert made.fields["admission"]["mutated_by"] == ["injector"]


@pytest.mark.parametrize("value", ["", "{", "[]", '{"mutated":true}', '{"configuration":5,"mutated":true}', 7])
def test_a_mutation_that_cannot_be_read_names_no_configuration(value):
    assert "admission" not in one(audit(annotations={f"{MUTATION}round_0_index_0": value})).fields


@pytest.mark.parametrize("annotations", [None, [], {ISSUED: ""}, {ISSUED: ["x"]}, {}])
def test_no_token_is_issued_where_none_is_named(annotations):
    assert "issued" not in one(audit(annotations=annotations)).fields


def test_a_pod_has_one_uid_in_its_binding_its_creation_and_its_calls():
    """The binding says it at Metadata, where names of generated pods are not known at their creation."""
    ref = {"resource": "pods", "namespace": "lab", "name": "p-x1", "uid": "uid-1", "subresource": "binding"}
    bound = one(audit(verb="create", level="Metadata", objectRef=ref, user={"username": "system:kube-scheduler"}))
    answer = {"kind": "Pod", "metadata": {"name": "p-x1", "namespace": "lab", "uid": "uid-1"}}
    made = one(write("pods", pod({"name": "c"}), responseObject=answer))
    extra = {
        "authentication.kubernetes.io/pod-name": ["p-x1"],
        "authentication.kubernetes.io/pod-uid": ["uid-1"],
        "authentication.kubernetes.io/node-name": ["n1"],
    }
    called = one(audit(user={"username": "system:serviceaccount:lab:sa", "extra": extra}))
    assert bound.fields["pod"] == {"name": "p-x1", "namespace": "lab", "uid": "uid-1"}
    assert made.fields["pod"] == bound.fields["pod"]
    assert called.fields["actor"]["pod"] == {"name": "p-x1", "uid": "uid-1"}
    assert called.fields["actor"]["node"] == {"name": "n1"}


def test_a_recorded_binding_names_the_node():
    ref = {"resource": "pods", "namespace": "lab", "name": "p", "uid": "u", "subresource": "binding"}
    body = {"kind": "Binding", "target": {"kind": "Node", "name": "node-7"}}
    fields = one(audit(verb="create", objectRef=ref, requestObject=body)).fields
    assert fields["pod"]["node_name"] == "node-7"
    assert "workload" not in fields


@pytest.mark.parametrize(
    "ref", [None, [], {"resource": "nodes", "name": "n"}, {"resource": "pods"}, {"resource": ["pods"]}]
)
def test_other_requests_are_about_no_named_pod(ref):
    assert one(audit(objectRef=ref)).fields.get("pod") in (None, {"namespace": "lab"})


def test_a_workflow_its_pods_and_their_run_are_joined():
    body = {
        "kind": "Workflow",
        "metadata": {"generateName": "seq-", "labels": {"pipeline/runid": "run-1"}},
        "spec": {"templates": [{"name": "t", "container": {"image": "x"}}]},
    }
    answer = {"kind": "Workflow", "metadata": {"name": "seq-x1", "uid": "wf-1"}}
    made = one(write("workflows", body, responseObject=answer, ref={"apiGroup": "argoproj.io"}))
    step = pod({"name": "main"})
    step["metadata"] |= {
        "labels": {"workflows.argoproj.io/workflow": "seq-x1", "pipeline/runid": "run-1"},
        "ownerReferences": [{"kind": "Workflow", "name": "seq-x1", "uid": "wf-1", "controller": True}],
    }
    pod_made = one(write("pods", step))
    for event in (made, pod_made):
        assert event.fields["workload"]["workflow"] == {"name": "seq-x1", "uid": "wf-1"}
        assert event.fields["workload"]["run_id"] == "run-1"
    assert pod_made.fields["workload"]["owner"]["uid"] == made.fields["workload"]["uid"]


def test_nobody_but_us_writes_the_joins():
    forged = {
        name: {"credential_id": "x", "binding": {"name": "x"}}
        for name in ("issued", "authorized_by", "pod", "admission")
    }
    fields = one(audit(objectRef={"resource": "nodes"}, annotations={}, **forged, body_unrecorded=True)).fields
    assert fields.keys().isdisjoint({*forged, "body_unrecorded"})
