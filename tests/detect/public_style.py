"""Rules in the style of public rule sets, each with an event it means and the nearest one that it does not.

The rules are our own, about behaviours that everybody's rules are about; their fields are those of public rules, which
are not always the fields of audit events.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.decode.given import audit, pod, write

RBAC = {"apiGroup": "rbac.authorization.k8s.io", "name": "b"}
APPS = {"apiGroup": "apps", "name": "web"}
HOST_PATH = [{"name": "root", "hostPath": {"path": "/"}}]
SCRATCH = [{"name": "tmp", "emptyDir": {}}]
SHELL = "/api/v1/namespaces/lab/pods/p/exec?command=%2Fbin%2Fsh&container=c&stdin=true"


class Behaviour(NamedTuple):
    """A rule's selection, an event that it means, and events near it that it does not."""

    selection: str
    fires: tuple[dict[str, Any], ...]
    silent: tuple[dict[str, Any], ...]


def about(resource: str, verb: str, **fields: Any) -> dict[str, Any]:
    """A request at level Metadata."""
    ref = {"resource": resource, "namespace": "lab", "name": "x", "apiVersion": "v1", **fields.pop("ref", {})}
    return audit(verb=verb, level="Metadata", objectRef=ref, **fields)


def connected(verb: str, subresource: str, uri: str = SHELL) -> dict[str, Any]:
    """A request that lasts, as it begins."""
    return about("pods", verb, ref={"subresource": subresource}, requestURI=uri, stage="ResponseStarted")


def privileged(**security: Any) -> dict[str, Any]:
    return write("pods", pod({"name": "c", "image": "x", "securityContext": security}))


BEHAVIOURS = {
    "change_admission_controller": Behaviour(
        "verb: [create, delete, patch, replace, update]\n"
        "objectRef.apiGroup: admissionregistration.k8s.io\n"
        "objectRef.resource: [mutatingwebhookconfigurations, validatingwebhookconfigurations]",
        tuple(
            about("mutatingwebhookconfigurations", verb, ref={"apiGroup": "admissionregistration.k8s.io"})
            for verb in ("create", "patch", "delete")
        ),
        (
            about("mutatingwebhookconfigurations", "list", ref={"apiGroup": "admissionregistration.k8s.io"}),
            about("validatingadmissionpolicies", "create", ref={"apiGroup": "admissionregistration.k8s.io"}),
        ),
    ),
    "cronjob_modification": Behaviour(
        "objectRef.apiGroup: batch\nobjectRef.resource: [cronjobs, jobs]\n"
        "verb: [create, delete, patch, replace, update]",
        (about("cronjobs", "create", ref={"apiGroup": "batch"}), about("jobs", "patch", ref={"apiGroup": "batch"})),
        (
            about("cronjobs", "get", ref={"apiGroup": "batch"}),
            about("cronjobs", "update", ref={"apiGroup": "batch", "subresource": "status"}),
            about("jobs", "create", ref={"apiGroup": "batch.volcano.sh"}),
        ),
    ),
    "deployment_deleted": Behaviour(
        "verb: delete\nobjectRef.resource: deployments",
        (about("deployments", "delete", ref=APPS),),
        (about("deployments", "get", ref=APPS), about("replicasets", "delete", ref=APPS)),
    ),
    "events_deleted": Behaviour(
        "verb: delete\nobjectRef.resource: events",
        (about("events", "delete"),),
        (about("events", "create"), about("pods", "delete")),
    ),
    "exec_into_container": Behaviour(
        "verb: create\nobjectRef.resource: pods\nobjectRef.subresource: exec",
        (connected("create", "exec"), connected("get", "exec")),
        (
            connected("get", "log", "/api/v1/namespaces/lab/pods/p/log"),
            connected("create", "portforward"),
            about("pods", "get"),
        ),
    ),
    "hostpath_mount": Behaviour(
        "verb: create\nobjectRef.resource: pods\nhostPath: '*'",
        (write("pods", pod({"name": "c"}, volumes=HOST_PATH)),),
        (
            write("pods", pod({"name": "c"}, volumes=SCRATCH)),
            write("pods", None, level="Metadata"),
            about("pods", "create", ref={"subresource": "binding"}),
        ),
    ),
    "pod_in_system_namespace": Behaviour(
        "verb: create\nobjectRef.resource: pods\nobjectRef.namespace: kube-system",
        (about("pods", "create", ref={"namespace": "kube-system"}),),
        (
            about("pods", "create"),
            about("pods", "create", ref={"namespace": "kube-system", "subresource": "binding"}),
            about("pods", "create", ref={"namespace": "kube-system-2"}),
        ),
    ),
    "potential_enumeration_activity": Behaviour(
        "responseStatus.code: ALLOW\nrequestURI|contains: ['%2fbin%2fsh', /bin/sh]",
        (connected("get", "exec"),),
        (
            connected("get", "exec", SHELL.replace("%2Fbin%2Fsh", "ls")),
            connected("get", "exec")
            | {"annotations": {"authorization.k8s.io/decision": "forbid"}, "responseStatus": {"code": 403}},
            about("pods", "list"),
        ),
    ),
    "privileged_pod_creation": Behaviour(
        "verb: create\nobjectRef.resource: pods\ncapabilities: '*'",
        (privileged(capabilities={"add": ["SYS_ADMIN"]}),),
        (privileged(capabilities={"drop": ["ALL"]}), privileged(runAsNonRoot=True)),
    ),
    "rbac_permisions_listing": Behaviour(
        "verb: create\napiGroup: authorization.k8s.io\nobjectRef.resource: selfsubjectrulesreviews",
        (about("selfsubjectrulesreviews", "create", ref={"apiGroup": "authorization.k8s.io"}),),
        (
            about("selfsubjectaccessreviews", "create", ref={"apiGroup": "authorization.k8s.io"}),
            about("subjectaccessreviews", "create", ref={"apiGroup": "authorization.k8s.io"}),
        ),
    ),
    "rolebinding_modification": Behaviour(
        "objectRef.apiGroup: rbac.authorization.k8s.io\nobjectRef.resource: [clusterrolebindings, rolebindings]\n"
        "verb: [create, delete, patch, replace, update]",
        (about("clusterrolebindings", "create", ref=RBAC), about("rolebindings", "delete", ref=RBAC)),
        (about("rolebindings", "list", ref=RBAC), about("roles", "create", ref=RBAC)),
    ),
    "secrets_enumeration": Behaviour(
        "verb: list\nobjectRef.resource: secrets",
        (about("secrets", "list"),),
        (about("secrets", "get"), about("configmaps", "list")),
    ),
    "secrets_modified_or_deleted": Behaviour(
        "objectRef.resource: secrets\nverb: [create, delete, patch, replace, update]",
        (about("secrets", "create"), about("secrets", "delete"), about("secrets", "patch")),
        (about("secrets", "get"), about("secrets", "watch"), about("configmaps", "delete")),
    ),
    "serviceaccount_creation": Behaviour(
        "verb: create\nobjectRef.resource: serviceaccounts",
        (about("serviceaccounts", "create"),),
        (
            about("serviceaccounts", "create", ref={"subresource": "token"}),
            about("serviceaccounts", "get"),
        ),
    ),
    "sidecar_injection": Behaviour(
        "verb: patch\napiGroup: apps\nobjectRef.resource: deployments",
        (about("deployments", "patch", ref=APPS),),
        (
            about("deployments", "patch", ref={**APPS, "subresource": "scale"}),
            about("deployments", "update", ref={**APPS, "subresource": "status"}),
            about("deployments", "get", ref=APPS),
            about("statefulsets", "patch", ref=APPS),
        ),
    ),
    "unauthorized_unauthenticated_actions": Behaviour(
        "responseStatus.code: [401, 403]",
        (about("pods", "list", responseStatus={"code": 403}), about("pods", "list", responseStatus={"code": 401})),
        (
            about("pods", "list"),
            about("pods", "get", responseStatus={"code": 404}),
            about("pods", "create", responseStatus={"code": 409}),
        ),
    ),
}

GATEWAY_LINES = {
    "path": '"GET /manager/html?x=1 HTTP/1.1" 200',
    "login": '"POST /login HTTP/1.1" 401',
    "query": '"GET /?q=union+select HTTP/1.1" 200',
    "home": '"GET / HTTP/1.1" 200',
}
WEB_BEHAVIOURS: dict[str, tuple[str, set[str]]] = {
    "method and status": ("cs-method: POST\nsc-status: [401, 403]", {"login"}),
    "the whole address": ("c-uri|contains: /manager/", {"path"}),
    "an address by its path": ("cs-uri-path|startswith: /manager", {"path"}),
    "a path asked for in the query": ("cs-uri-query|contains: /manager/html", {"path"}),
    "a query": ("cs-uri-query|contains|all: [union, select]", {"query"}),
    "user agents by another name": ("c-useragent|contains: mozilla", set(GATEWAY_LINES)),
    "host and user agent": ("cs-host: kubeflow.example\ncs-user-agent|startswith: Mozilla", set(GATEWAY_LINES)),
    "keywords": ("", {"query"}),
}
