"""Who a caller of the API server is: groups, bound pod, address and agent, as real ones come for such a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streamer.authoring.cases_fields import digest, made_suffix, made_uuid, number

DEFAULT_USER: Final = "alice@example.com"

_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
_AGENTS: Final = {
    "system:kube-scheduler": "kube-scheduler/v1.34.1 (linux/amd64) kubernetes/93248f9/scheduler",
    "system:kube-controller-manager": "kube-controller-manager/v1.34.1 (linux/amd64) kubernetes/93248f9",
    "system:apiserver": "kube-apiserver/v1.34.1 (linux/amd64) kubernetes/93248f9",
    "system:anonymous": "curl/8.5.0",
    "system:serviceaccount:kubeflow:ml-pipeline": "apiserver/v0.0.0 (linux/amd64) kubernetes/$Format",
    "system:serviceaccount:kubeflow:ml-pipeline-scheduledworkflow": "controller/v0.0.0 kubernetes/$Format",
    "system:serviceaccount:kubeflow:argo": "workflow-controller/v0.0.0 argo-workflows/v3.1.6 argo-controller",
    "system:serviceaccount:kubeflow:jupyter-web-app-service-account": "OpenAPI-Generator/11.0.0/python",
    "system:serviceaccount:kubeflow:centraldashboard": "kubernetes-client/javascript",
}


def user_of(form: Mapping[str, Any]) -> dict[str, Any]:
    """The ``user`` of an audit event for ``user``, ``groups``, ``pod``, ``pod_uid`` and ``credential_id``."""
    name = str(form.get("user", DEFAULT_USER))
    user: dict[str, Any] = {"username": name}
    if name.startswith(_SERVICE_ACCOUNT):
        user["uid"] = made_uuid("account", name)
    user["groups"] = list(form["groups"]) if isinstance(form.get("groups"), list) else _groups(name)
    extra = _extra(form, name)
    if extra:
        user["extra"] = {f"authentication.kubernetes.io/{key}": [value] for key, value in extra.items()}
    return user


def _groups(name: str) -> list[str]:
    if name == "system:anonymous":
        return ["system:unauthenticated"]
    if name.startswith(_SERVICE_ACCOUNT):
        namespace = name.split(":")[2]
        return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    if name.startswith("system:node:"):
        return ["system:nodes", "system:authenticated"]
    if name == "system:apiserver":
        return ["system:authenticated", "system:masters"]
    return ["system:authenticated"]


def _extra(form: Mapping[str, Any], name: str) -> dict[str, str]:
    if name in {"system:anonymous", "system:apiserver"}:
        return {}
    if not name.startswith(_SERVICE_ACCOUNT):
        return {"credential-id": str(form.get("credential_id", f"X509SHA256={digest('certificate', name)}"))}
    extra = {"credential-id": str(form.get("credential_id", f"JTI={made_uuid('token', name)}"))}
    _, _, namespace, account = [*name.split(":"), "", ""][:4]
    in_manager = namespace == "kube-system" and account.endswith("-controller")
    pod = form.get("pod", "" if in_manager else f"{account}-{digest(name)[:9]}-{made_suffix(5, name)}")
    if pod:
        extra |= {
            "node-name": "node-1",
            "pod-name": str(pod),
            "pod-uid": str(form.get("pod_uid") or made_uuid("pod", namespace, pod)),
        }
    return extra


def reason_of(name: str) -> str:
    """Why the authorizer let such a caller do it."""
    if name == "system:apiserver" or name.startswith("system:node:"):
        return ""
    if name == "system:anonymous":
        return _allowed("public-access", "Group", "system:unauthenticated")
    if name.startswith(_SERVICE_ACCOUNT):
        namespace, _, account = name.removeprefix(_SERVICE_ACCOUNT).partition(":")
        role = f"system:controller:{account}" if namespace == "kube-system" else account
        return _allowed(role, "ServiceAccount", f"{account}/{namespace}")
    return _allowed(name if name.startswith("system:") else "developers", "User", name)


def _allowed(role: str, kind: str, subject: str) -> str:
    return f'RBAC: allowed by ClusterRoleBinding "{role}" of ClusterRole "{role}" to {kind} "{subject}"'


def address_of(name: str) -> str:
    """Where such a caller calls from: programs from inside the cluster, people from outside (RFC 5737)."""
    if name == "system:apiserver":
        return "::1"
    if name.startswith("system:serviceaccount:"):
        return f"10.244.0.{128 + number(120, 'address', name)}"
    if name.startswith("system:") and name != "system:anonymous":
        return "10.0.0.10"
    return f"203.0.113.{16 + number(100, 'address', name)}"


def agent_of(name: str) -> str:
    """What such a caller calls itself."""
    if name.startswith("system:node:"):
        return "kubelet/v1.34.1 (linux/amd64) kubernetes/93248f9"
    if name.startswith("system:serviceaccount:kube-system:") and name.endswith("-controller"):
        account = name.rpartition(":")[2]
        return f"{_AGENTS['system:kube-controller-manager']}/system:serviceaccount:kube-system:{account}"
    if name.startswith("system:serviceaccount:"):
        return _AGENTS.get(name, f"{name.rpartition(':')[2]}/v0.0.0 (linux/amd64) kubernetes/$Format")
    return _AGENTS.get(name, "kubectl/v1.34.1 (linux/amd64) kubernetes/93248f9")
