"""The entities of an alert in ECS names: what one event says, and the union over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from streamer.detect.sentences import look
from streamer.ecs.actors import ATTRIBUTED, Flat
from streamer.ecs.safe import address, whole
from streamer.model import Evidence

WAY_IN: Final = ("url.original", "http.request.method", "http.response.status_code")
"""Where the completing event does not have these, the earliest that has them speaks: that is where it came from."""

RELATED: Final = ("related.ip", "related.user", "related.hosts", "related.hash")

_OUTCOMES: Final = {"success": "success", "denied": "failure", "error": "failure"}
_PROVIDERS: Final = {"container_log": "container.log", "webserver": "container.log", "source_health": "streamer.health"}
_TYPES: Final = {
    "create": "creation",
    "update": "change",
    "patch": "change",
    "delete": "deletion",
    "deletecollection": "deletion",
}
_IAM: Final = ("roles", "clusterroles", "rolebindings", "clusterrolebindings", "serviceaccounts")
_AUDIT: Final = (
    "level",
    "stage",
    "verb",
    "requestURI",
    "userAgent",
    "auditID",
    "user.username",
    "user.uid",
    "impersonatedUser.username",
    "objectRef.resource",
    "objectRef.subresource",
    "objectRef.namespace",
    "objectRef.name",
    "objectRef.uid",
    "objectRef.apiGroup",
    "objectRef.apiVersion",
    "responseStatus.code",
)
MAX_RELATED: Final = 50


def entities_of(evidence: Evidence) -> Flat:
    """What one event says, in ECS names; only fields that have a value."""
    if evidence.kind == "container_log":
        flat = _pod(evidence.fields)
    elif evidence.kind == "webserver":
        flat = _access(evidence.fields)
    elif evidence.kind == "source_health":
        flat = {"orchestrator.cluster.name": look(evidence.fields, "cluster")}
    else:
        flat = _audit(evidence.fields)
    flat["event.provider"] = _PROVIDERS.get(evidence.kind, "kubernetes.audit")
    flat["event.category"] = _category(evidence)
    flat["event.type"] = _type(evidence)
    if evidence.outcome != "unknown":
        flat["streamer.outcome"] = evidence.outcome
        flat["event.outcome"] = _OUTCOMES[evidence.outcome]
    return {name: value for name, value in flat.items() if value not in (None, "", [])}


def union(members: Sequence[Flat]) -> Flat:
    """One value per field over events in the order of their time; lists for ``related.*``, categories and types.

    A field comes from the completing (the last) event. Where that has none: from the earliest that has one for
    :data:`WAY_IN`, from the latest for all others. Who did it and where from is not decided here, but by
    :mod:`streamer.ecs.actors`.
    """
    merged: Flat = {}
    for flat in members:
        for name, value in flat.items():
            if name not in ATTRIBUTED and (name not in WAY_IN or name not in merged):
                merged[name] = value
    if members:
        merged.update({name: members[-1][name] for name in WAY_IN if name in members[-1]})
    for name in (*RELATED, "event.category", "event.type"):
        values = {value: None for flat in members for value in _listed(flat.get(name))}
        if values:
            merged[name] = list(values)[:MAX_RELATED]
    return merged


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _pod(fields: Mapping[str, Any]) -> Flat:
    image = look(fields, "kubernetes.container.image")
    node = look(fields, "kubernetes.node.name")
    return {
        "orchestrator.cluster.name": fields.get("cluster"),
        "orchestrator.namespace": look(fields, "kubernetes.namespace"),
        "kubernetes.namespace": look(fields, "kubernetes.namespace"),
        "kubernetes.pod.name": look(fields, "kubernetes.pod.name"),
        "kubernetes.pod.uid": look(fields, "kubernetes.pod.uid"),
        "kubernetes.pod.ip": address(look(fields, "kubernetes.pod.ip")),
        "kubernetes.node.name": node,
        "kubernetes.container.name": look(fields, "kubernetes.container.name"),
        "container.id": look(fields, "kubernetes.container.id"),
        "container.name": look(fields, "kubernetes.container.name"),
        "host.name": node,
        "related.hosts": _listed(node),
        **_image(image),
    }


def _access(fields: Mapping[str, Any]) -> Flat:
    client = fields.get("c-ip")
    query = fields.get("cs-uri-query")
    stem = fields.get("cs-uri-stem")
    uri = f"{stem}?{query}" if stem and query else stem or fields.get("cs-uri")
    method = fields.get("cs-method")
    pod = _pod(fields)
    return {
        **pod,
        "source.ip": address(client),
        "source.address": client,
        "client.ip": address(client),
        "user_agent.original": fields.get("cs-user-agent"),
        "url.original": uri,
        "http.request.method": method,
        "http.response.status_code": whole(fields.get("sc-status")),
        "event.action": method.lower() if isinstance(method, str) else None,
        "related.ip": _listed(address(client)),
        "related.hosts": _listed(pod["host.name"]) + _listed(fields.get("cs-host")),
    }


def _audit(fields: Mapping[str, Any]) -> Flat:
    resource = look(fields, "objectRef.resource")
    subresource = look(fields, "objectRef.subresource")
    namespace = look(fields, "objectRef.namespace") or look(fields, "workload.namespace")
    user = look(fields, "user.username")
    other = look(fields, "impersonatedUser.username")
    source = look(fields, "source.ip")
    verb = fields.get("verb")
    node = look(fields, "workload.node_name")
    group = look(fields, "objectRef.apiGroup")
    version = look(fields, "objectRef.apiVersion")
    subject = look(fields, "subject.name")
    name = look(fields, "objectRef.name") or look(fields, "workload.name")
    uid = look(fields, "objectRef.uid") or look(fields, "workload.uid")
    addresses = [address(item) for item in [*_listed(fields.get("sourceIPs")), *_listed(source)]]
    flat: Flat = {f"kubernetes.audit.{path}": look(fields, path) for path in _AUDIT}
    flat["kubernetes.audit.responseStatus.code"] = whole(look(fields, "responseStatus.code"), bits=31)
    flat |= {
        "event.action": f"{verb}/{subresource}" if verb and subresource else verb,
        "orchestrator.cluster.name": fields.get("cluster"),
        "orchestrator.namespace": namespace,
        "orchestrator.api_version": f"{group}/{version}" if group and version else version,
        "orchestrator.resource.id": uid,
        "orchestrator.resource.name": name,
        "orchestrator.resource.type": resource,
        "orchestrator.resource.parent.type": look(fields, "workload.owner.kind"),
        "kubernetes.namespace": namespace,
        "user.id": look(fields, "user.uid"),
        "user.name": user,
        "user.domain": _account_namespace(user),
        "user.group.name": look(fields, "user.groups"),
        "user.effective.id": look(fields, "impersonatedUser.uid"),
        "user.effective.name": other,
        "user.target.name": subject,
        "source.ip": address(source),
        "source.address": source,
        "client.ip": address(source),
        "user_agent.original": fields.get("userAgent"),
        "url.original": fields.get("requestURI"),
        "http.response.status_code": whole(look(fields, "responseStatus.code")),
        "streamer.actor.name": look(fields, "actor.name") or user,
        "streamer.actor.kind": look(fields, "actor.kind"),
        "host.name": node,
        "related.ip": [item for item in addresses if item],
        "related.user": [item for item in (user, other, subject) if item],
        "related.hosts": _listed(node),
    }
    if resource == "pods":
        flat |= {"kubernetes.pod.name": name, "kubernetes.pod.uid": uid, "kubernetes.node.name": node}
    return flat | _process(fields) | _containers(fields)


def _process(fields: Mapping[str, Any]) -> Flat:
    command = look(fields, "exec.command")
    if not isinstance(command, str) or not command:
        return {}
    words = command.split()[:32]
    return {"process.command_line": command, "process.args": words, "process.name": words[0].rpartition("/")[2]}


def _containers(fields: Mapping[str, Any]) -> Flat:
    """The container of an expanded event, else the workload's containers together."""
    container = fields.get("container")
    if isinstance(container, Mapping):
        line = container.get("command_line")
        return {
            **_image(container.get("image")),
            "container.name": container.get("name"),
            "container.security_context.privileged": container.get("privileged"),
            **({"process.command_line": line} if line else {}),
        }
    images = look(fields, "workload.images")
    flat = _image(images[0]) if isinstance(images, list) and images else {}
    return {**flat, "container.security_context.privileged": look(fields, "workload.privileged")}


def _image(image: Any) -> Flat:
    """``registry/name:tag@sha256:…`` taken apart."""
    if not isinstance(image, str) or not image:
        return {}
    name, _, digest = image.partition("@")
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:  # the colon belongs to the registry's port, or there is none
        head, tag = name, ""
    digests = [digest] if digest else []
    return {
        "container.image.name": head,
        "container.image.tag": [tag] if tag else [],
        "container.image.hash.all": digests,
        "related.hash": digests,
    }


def _account_namespace(user: Any) -> str | None:
    if isinstance(user, str) and user.startswith("system:serviceaccount:"):
        return user.split(":")[2] or None
    return None


def _category(evidence: Evidence) -> list[str]:
    resource = look(evidence.fields, "objectRef.resource")
    if evidence.kind == "webserver":
        return ["web"]
    if evidence.kind == "container_log":
        return ["process"]
    if evidence.kind == "source_health":
        return ["host"]
    if evidence.kind in ("rbac_rule", "rbac_subject") or resource in _IAM:
        return ["iam"]
    if look(evidence.fields, "objectRef.subresource") in ("exec", "attach"):
        return ["process"]
    return ["configuration"]


def _type(evidence: Evidence) -> list[str]:
    if evidence.kind == "webserver":
        return ["access"]
    if evidence.kind in ("container_log", "source_health"):
        return ["info"]
    return [_TYPES.get(str(evidence.fields.get("verb")), "access")]
