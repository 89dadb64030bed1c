"""Exact joins: fields that name the thing itself, so that steps of an attack are linked by identity and not by time.

Which pod a request is about; which workflow made a pod; which credential was issued; which binding allowed a request;
which webhook configuration changed an object on its way in.
"""

from __future__ import annotations

import binascii
import hashlib
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
_MUTATION: Final = "mutation.webhook.admission.k8s.io/"
_MOST_MUTATIONS: Final = 64
_LONGEST_MUTATION: Final = 1_000
_LONGEST_CERTIFICATE: Final = 65_536
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


def issued_of(annotations: dict[str, Any]) -> dict[str, Any] | None:
    """``issued.*``: the credential that a token request was answered with, as its later use names it."""
    found = annotations.get(ISSUED)
    return {"credential_id": found} if found and isinstance(found, str) else None


def certificate_of(raw: dict[str, Any]) -> dict[str, Any] | None:
    """``issued.*`` of a certificate signing request: the credential id that users of the certificate will have.

    The signer writes the certificate into the request's status; only levels that keep bodies show it. The API server
    names a client certificate by the SHA-256 of its DER form (``k8s.io/apiserver`` ``request/x509``).
    """
    encoded = text_at(raw, "requestObject", "status", "certificate")
    if not encoded or len(encoded) > _LONGEST_CERTIFICATE:
        return None
    try:
        found = _PEM.search(binascii.a2b_base64(encoded))
        der = binascii.a2b_base64(found[1]) if found else b""
    except (binascii.Error, ValueError):
        return None
    return {"credential_id": f"X509SHA256={hashlib.sha256(der).hexdigest()}"} if der else None


def mutated_by(annotations: dict[str, Any]) -> list[str]:
    """``admission.mutated_by``: names of the webhook configurations that changed the object, at every level."""
    told = [value for name, value in annotations.items() if name.startswith(_MUTATION)]
    names = (_mutating(value) for value in told[:_MOST_MUTATIONS])
    return list(dict.fromkeys(name for name in names if name))


def _mutating(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > _LONGEST_MUTATION:
        return None
    try:
        told = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return text_at(told, "configuration") if dig(told, "mutated") is True else None


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
