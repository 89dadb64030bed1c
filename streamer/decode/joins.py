"""Exact joins: fields that name the thing itself, so that steps of an attack are linked by identity and not by time.

Which pod a request is about; which workflow made a pod; which credential was issued; which binding allowed a request.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import orjson

from streamer.decode.line import dig, text_at

ISSUED: Final = "authentication.kubernetes.io/issued-credential-id"
REASON: Final = "authorization.k8s.io/reason"
_QUOTED: Final = r'("(?:[^"\\]|\\.)*+")'
_RBAC: Final = re.compile(
    rf"RBAC: allowed by (ClusterRoleBinding|RoleBinding) {_QUOTED} of (ClusterRole|Role) {_QUOTED} "
    rf"to (User|Group|ServiceAccount) {_QUOTED}",
)
_LONGEST_REASON: Final = 2_000
_WORKFLOW_LABEL: Final = "workflows.argoproj.io/workflow"


def issued_of(annotations: dict[str, Any]) -> dict[str, Any] | None:
    """``issued.*``: the credential that a token request was answered with, as its later use names it."""
    found = annotations.get(ISSUED)
    return {"credential_id": found} if found and isinstance(found, str) else None


def authorized_by_of(reason: Any) -> dict[str, Any] | None:
    """``authorized_by.*``: the RBAC binding, role and subject that allowed the request, as the API server says."""
    if not isinstance(reason, str) or len(reason) > _LONGEST_REASON:
        return None
    return _allowed_by(reason)


@lru_cache(maxsize=4096)
def _allowed_by(reason: str) -> dict[str, Any] | None:
    found = _RBAC.match(reason)
    if found is None:
        return None
    binding, subject = _named(found[1], found[2]), _named(found[5], found[6])
    return {"binding": binding, "role": {"kind": found[3], "name": _unquoted(found[4])}, "subject": subject}


def _named(kind: str, quoted: str) -> dict[str, str]:
    """A binding or subject; those of a namespace are written ``name/namespace``."""
    name = _unquoted(quoted)
    if kind in ("RoleBinding", "ServiceAccount"):
        name, _, namespace = name.rpartition("/")
        if name:
            return {"kind": kind, "name": name, "namespace": namespace}
        name = namespace
    return {"kind": kind, "name": name}


def _unquoted(quoted: str) -> str:
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        found = orjson.loads(quoted)
    except orjson.JSONDecodeError:
        return quoted[1:-1]
    return found if isinstance(found, str) else quoted[1:-1]


def pod_of(raw: dict[str, Any], ref: dict[str, Any]) -> dict[str, Any] | None:
    """``pod.*``: the pod that a request is about, be it the pod itself or its exec, log or binding.

    A binding names the pod's uid at every level of logging, and in its body the node.

    Args:
        raw: the audit event.
        ref: its reference to a pod.
    """
    answer = raw.get("responseObject")
    metadata = answer.get("metadata") if isinstance(answer, dict) and answer.get("kind") == "Pod" else None
    found = {
        "name": text_at(ref, "name") or text_at(metadata, "name"),
        "namespace": text_at(ref, "namespace") or text_at(metadata, "namespace"),
        "uid": text_at(ref, "uid") or text_at(metadata, "uid"),
    }
    if ref.get("subresource") == "binding":
        found["node_name"] = text_at(raw, "requestObject", "target", "name")
        found["uid"] = found["uid"] or text_at(raw, "requestObject", "metadata", "uid")
    return {name: value for name, value in found.items() if value} or None


def workflow_of(kind: str | None, named: dict[str, Any], metadata: dict[str, Any]) -> dict[str, str]:
    """``workload.workflow.*``: name and uid of the Argo workflow that an object is, or is a part of."""
    if kind == "Workflow":
        return {name: named[name] for name in ("name", "uid") if name in named}
    found: dict[str, str] = {}
    label = text_at(metadata, "labels", _WORKFLOW_LABEL)
    if label:
        found["name"] = label
    owners = metadata.get("ownerReferences")
    for owner in owners if isinstance(owners, list) else ():
        if dig(owner, "kind") == "Workflow":
            found |= {name: text for name in ("name", "uid") if (text := text_at(owner, name)) is not None}
            break
    return found
