"""One sentence about one event, for a person: who did what to which thing, and how it ended.

Sentences are made from fields that have already been through the allow-list and redaction, so nothing here can show
more than the evidence itself shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MAX_SUMMARY: Final = 280
"""Characters of a sentence."""

Fields = Mapping[str, Any]

_DID: Final = {
    "create": "created",
    "update": "updated",
    "patch": "patched",
    "delete": "deleted",
    "deletecollection": "deleted all",
    "get": "read",
    "list": "listed",
    "watch": "watched",
    "approve": "approved",
    "sign": "signed",
    "bind": "bound",
    "escalate": "escalated",
    "impersonate": "impersonated",
    "post": "sent POST to",
    "put": "sent PUT to",
    "head": "read",
}
_TO_DO: Final = {
    "create": "create",
    "update": "update",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "delete all",
    "get": "read",
    "list": "list",
    "watch": "watch",
    "post": "send POST to",
    "put": "send PUT to",
    "head": "read",
}
_MANY: Final = ("list", "watch", "deletecollection")

_ONE: Final = {
    "networkpolicies": "network policy",
    "podsecuritypolicies": "pod security policy",
    "ingresses": "ingress",
    "endpoints": "endpoints",
    "serviceaccounts": "service account",
    "configmaps": "config map",
    "clusterroles": "cluster role",
    "clusterrolebindings": "cluster role binding",
    "rolebindings": "role binding",
    "daemonsets": "daemon set",
    "statefulsets": "stateful set",
    "replicasets": "replica set",
    "cronjobs": "cron job",
    "persistentvolumes": "persistent volume",
    "persistentvolumeclaims": "persistent volume claim",
    "mutatingwebhookconfigurations": "mutating webhook configuration",
    "validatingwebhookconfigurations": "validating webhook configuration",
    "customresourcedefinitions": "custom resource definition",
    "certificatesigningrequests": "certificate signing request",
    "selfsubjectaccessreviews": "self subject access review",
    "selfsubjectrulesreviews": "self subject rules review",
    "subjectaccessreviews": "subject access review",
    "tokenreviews": "token review",
}

GATEWAYS: Final = {"istio-proxy": "gateway", "controller": "ingress"}
"""What to call the speaker of access lines, by container name."""


def look(fields: Fields, path: str) -> Any:
    """The value at a dotted path of nested dicts, or ``None``."""
    value: Any = fields
    for step in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def short_user(name: str) -> str:
    """A user name as people say it: ``ml-pipeline`` for ``system:serviceaccount:kubeflow:ml-pipeline``."""
    if name.startswith("system:serviceaccount:"):
        return name.rpartition(":")[2] or name
    if name.startswith("system:node:"):
        return f"node {name.removeprefix('system:node:')}"
    return name.removeprefix("system:") or name


def summary(kind: str, fields: Fields, outcome: str) -> str:
    """One sentence about an event of this kind; empty only if the event says nothing."""
    if kind == "container_log":
        container = _text(fields, "kubernetes.container.name")
        return _spaced("pod log", f"{container}:" if container else "", " ".join(_text(fields, "message").split()))
    if kind == "webserver":
        return _access(fields)
    if kind == "source_health":
        return _health(fields)
    return _audit(fields, outcome) + _details(kind, fields)


def _health(fields: Fields) -> str:
    """What streamer found about one of its own sources."""
    source = f"source {_text(fields, 'health.source')}"
    event = _text(fields, "health.event")
    if event == "heard":
        carried = "audit events" if _text(fields, "health.kind") == "audit" else "container lines"
        return f"{source} carried {carried}"
    if event == "counted":
        bad, all_of_them = look(fields, "health.undecodable"), look(fields, "health.records")
        return f"{source}: {bad} of {all_of_them} records of a minute could not be read"
    return f"{source} came to its end"


def _access(fields: Fields) -> str:
    container = _text(fields, "kubernetes.container.name")
    uri = _text(fields, "cs-uri-stem") or _text(fields, "cs-uri")
    status = fields.get("sc-status")
    return _spaced(
        GATEWAYS.get(container, container or "web"),
        _text(fields, "c-ip"),
        _text(fields, "cs-method"),
        uri,
        str(status) if isinstance(status, int) else "",
    )


def _audit(fields: Fields, outcome: str) -> str:
    verb = _text(fields, "verb")
    who = _who(fields)
    if outcome == "denied":
        act = f"was denied: {_TO_DO.get(verb, verb)}"
    elif outcome == "error":
        act = f"failed to {_TO_DO.get(verb, verb)}"
    else:
        act = _DID.get(verb, verb)
    code = look(fields, "responseStatus.code")
    ended = f" ({code})" if outcome in ("denied", "error") and isinstance(code, int) else ""
    special = _special(fields) if outcome not in ("denied", "error") else ""
    return (_spaced(who, special) if special else _spaced(who, act, _thing(fields))) + ended


def _who(fields: Fields) -> str:
    name = _text(fields, "user.username") or _text(fields, "actor.name")
    who = short_user(name) if name else "somebody"
    if name == "system:anonymous":
        who = _spaced("anonymous", _after("from", _text(fields, "source.ip")))
    other = _text(fields, "impersonatedUser.username")
    return f"{who} acting as {short_user(other)}" if other else who


def _thing(fields: Fields) -> str:
    """``pod x in y``, ``pods in y``, or the path for requests that name no resource."""
    resource = _text(fields, "objectRef.resource")
    if not resource:
        return _text(fields, "requestURI").partition("?")[0]
    name = _name(fields)
    many = not name and _text(fields, "verb") in _MANY
    noun = resource if many else one(resource)
    subresource = _text(fields, "objectRef.subresource")
    noun = f"{subresource} of {noun}" if subresource else noun
    everywhere = "in all namespaces" if many and resource in ("pods", "secrets", "configmaps") else ""
    namespace = _text(fields, "objectRef.namespace")
    if resource == "namespaces":
        namespace = ""
    return _spaced(noun, name, _after("in", namespace) or everywhere)


def one(resource: str) -> str:
    """One of a resource: ``pod`` for ``pods``."""
    if resource in _ONE:
        return _ONE[resource]
    if resource.endswith("ies"):
        return resource[:-3] + "y"
    return resource[:-1] if resource.endswith("s") and not resource.endswith("ss") else resource


def _name(fields: Fields) -> str:
    """The object's name; on create with ``generateName`` only the workload knows it."""
    return _text(fields, "objectRef.name") or _text(fields, "workload.name")


def _special(fields: Fields) -> str:
    """What a request really does where verb and resource do not say it."""
    resource = _text(fields, "objectRef.resource")
    subresource = _text(fields, "objectRef.subresource")
    where = _spaced(_name(fields), _after("in", _text(fields, "objectRef.namespace")))
    if (resource, subresource) == ("pods", "exec"):
        command = _text(fields, "exec.command")
        return f"ran `{command}` in pod {where}" if command else f"opened a shell in pod {where}"
    if (resource, subresource) == ("pods", "attach"):
        return f"attached to pod {where}"
    if (resource, subresource) == ("pods", "portforward"):
        return f"forwarded a port of pod {where}"
    if (resource, subresource) == ("pods", "log"):
        return f"read the log of pod {where}"
    if (resource, subresource) == ("pods", "binding"):
        return f"placed pod {where}"
    if (resource, subresource) == ("pods", "ephemeralcontainers"):
        return f"put a debug container into pod {where}"
    if (resource, subresource) == ("serviceaccounts", "token"):
        return f"got a token of service account {where}"
    if subresource == "proxy":
        return f"reached through the proxy of {one(resource)} {where}"
    return ""


def _details(kind: str, fields: Fields) -> str:
    parts: list[str] = []
    if kind == "container_spec":
        parts = _container(fields)
    elif kind == "rbac_rule":
        verbs = _list(fields, "rule.verbs")
        on = _list(fields, "rule.resources") or _list(fields, "rule.non_resource_urls")
        parts = [_spaced("allows", verbs, _after("on", on))] if verbs or on else []
    elif kind == "rbac_subject":
        subject = _spaced(_text(fields, "subject.kind"), _slashed(fields, "subject.namespace", "subject.name"))
        role = _spaced(_text(fields, "role.kind"), _text(fields, "role.name"))
        parts = [_spaced("gives", role, _after("to", subject))] if subject or role else []
    elif _text(fields, "verb") in ("create", "update", "patch"):
        parts = _workload(fields)
    return "".join(f" · {part}" for part in parts if part)


def _container(fields: Fields) -> list[str]:
    return [
        _after("container", _text(fields, "container.name")),
        _after("image", _text(fields, "container.image")),
        "privileged" if look(fields, "container.privileged") is True else "",
        _after("host path", _list(fields, "container.host_paths")),
        _after("capability", _list(fields, "container.capabilities_added")),
        _of_owner(fields),
        _after("runs", _text(fields, "container.command_line")),
    ]


def _workload(fields: Fields) -> list[str]:
    host = [
        name
        for name, path in (("network", "host_network"), ("PIDs", "host_pid"), ("IPC", "host_ipc"))
        if look(fields, f"workload.{path}") is True
    ]
    return [
        _after("image", _list(fields, "workload.images")),
        "privileged" if look(fields, "workload.privileged") is True else "",
        _after("host", ", ".join(host)),
        _after("host path", _list(fields, "workload.host_paths")),
        _after("capability", _list(fields, "workload.capabilities_added")),
        _of_owner(fields),
        _after("runs", _list(fields, "workload.command_lines")),
    ]


def _of_owner(fields: Fields) -> str:
    """What a controller made it for."""
    kind, name = _text(fields, "workload.owner.kind"), _text(fields, "workload.owner.name")
    return f"of {kind} {name}" if kind and name else ""


def _text(fields: Fields, path: str) -> str:
    value = look(fields, path)
    return value if isinstance(value, str) else ""


def _list(fields: Fields, path: str, limit: int = 3) -> str:
    value = look(fields, path)
    items = [str(item) for item in value] if isinstance(value, list) else [value] if isinstance(value, str) else []
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def _slashed(fields: Fields, *paths: str) -> str:
    return "/".join(part for part in (_text(fields, path) for path in paths) if part)


def _after(word: str, text: str) -> str:
    return f"{word} {text}" if text else ""


def _spaced(*parts: str) -> str:
    return " ".join(part for part in parts if part)
