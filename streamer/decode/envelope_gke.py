"""Google's LogEntry (GKE, by Pub/Sub): audit entries in the words of ``audit.k8s.io``, container entries as lines.

Google's audit entries know no level, no stage and no request address, and their id is chosen by the logging service:
log name, insert id and time stand in for the request's identity.
"""

from __future__ import annotations

from typing import Any, Final

from streamer.decode.envelope import Inner, Opened
from streamer.decode.line import dig, text_at
from streamer.decode.stamps import parse

_HTTP: Final = {0: 200, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 409, 10: 409, 14: 503, 16: 401}
_LABEL: Final = "k8s-pod/"
_OF_NAMESPACES: Final = frozenset({"status", "finalize"})
_NO_RESOURCE: Final = 2
"""Dots in the method of a request for no resource: ``io.k8s.get``."""


def open_log_entry(value: dict[str, Any]) -> Opened | None:
    """The one entry of the envelope; audit entries of other services are skipped. ``None`` for other envelopes."""
    if not isinstance(value.get("logName"), str) or "insertId" not in value:
        return None
    stamp = parse(value.get("timestamp"))
    labels = dig(value, "resource", "labels")
    cluster = text_at(labels, "cluster_name")
    payload = value.get("protoPayload")
    if isinstance(payload, dict):
        if payload.get("serviceName") != "k8s.io":
            return Opened((), 1)
        return Opened((Inner(_audit(value, payload), stamp, cluster),))
    content = value.get("textPayload", value.get("jsonPayload"))
    if not isinstance(content, str | dict):
        return Opened((), 1)
    stream = value["logName"].rpartition("%2F")[2].rpartition("/")[2]
    return Opened((Inner(content, stamp, cluster, _kubernetes(value, labels), stream),))


def _audit(entry: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
    code = dig(payload, "status", "code") or 0
    method, resource = text_at(payload, "methodName") or "", text_at(payload, "resourceName") or ""
    event = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "auditID": f"{entry['logName']} {entry['insertId']}",
        "requestReceivedTimestamp": entry.get("timestamp"),
        "stageTimestamp": entry.get("timestamp"),
        "verb": method.rpartition(".")[2] or None,
        "user": {"username": text_at(payload, "authenticationInfo", "principalEmail") or "system:anonymous"},
        "sourceIPs": [dig(payload, "requestMetadata", "callerIp")],
        "userAgent": dig(payload, "requestMetadata", "callerSuppliedUserAgent"),
        "objectRef": _object_ref(resource),
        "requestURI": f"/{resource.lstrip('/')}" if method.count(".") == _NO_RESOURCE else None,
        "responseStatus": {"code": _HTTP.get(code, 500) if isinstance(code, int) else 500},
        "annotations": entry.get("labels"),
        "requestObject": _body(payload.get("request")),
        "responseObject": _body(payload.get("response")),
    }
    return {name: value for name, value in event.items() if value is not None}


def _body(body: Any) -> Any:
    """A body without the type that Google's encoding adds to it."""
    if not isinstance(body, dict) or "@type" not in body:
        return body
    rest = {name: value for name, value in body.items() if name != "@type"}
    kind = text_at(body, "@type")
    if kind is None or "kind" in rest:
        return rest
    return {"kind": kind.rpartition(".")[2].rpartition("/")[2]} | rest


def _object_ref(resource_name: str) -> dict[str, str]:
    """``core/v1/namespaces/n/pods/p/exec`` → its parts."""
    parts = resource_name.split("/", 8)
    ref: dict[str, str] = {}
    if len(parts) < 3:
        return ref
    if parts[0] != "core":
        ref["apiGroup"] = parts[0]
    ref["apiVersion"], rest = parts[1], parts[2:]
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
        ref["namespace"], rest = rest[1], rest[2:]
    elif rest[0] == "namespaces" and len(rest) > 1:
        ref["namespace"] = rest[1]
    return ref | dict(zip(("resource", "name", "subresource"), rest, strict=False))


def _kubernetes(entry: dict[str, Any], labels: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    namespace, pod = text_at(labels, "namespace_name"), text_at(labels, "pod_name")
    container = text_at(labels, "container_name")
    if namespace:
        found["namespace"] = namespace
    if pod:
        found["pod"] = {"name": pod}
    if container:
        found["container"] = {"name": container}
    own = entry.get("labels")
    if isinstance(own, dict):
        pod_labels = {
            name.removeprefix(_LABEL): text
            for name, text in own.items()
            if name.startswith(_LABEL) and isinstance(text, str)
        }
        if pod_labels:
            found["labels"] = pod_labels
    return found
