"""Fields derived from the envelope of an audit event: who, from where, with what result, which command."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from streamer.decode.line import dig
from streamer.model import UNKNOWN, Outcome, Unknown

LONG_RUNNING: Final = frozenset({"exec", "attach", "portforward", "proxy", "log"})
"""Subresources whose requests last as long as somebody stays connected."""

_POD_NAME: Final = "authentication.kubernetes.io/pod-name"
_POD_UID: Final = "authentication.kubernetes.io/pod-uid"
_NODE_NAME: Final = "authentication.kubernetes.io/node-name"
_CREDENTIAL: Final = "authentication.kubernetes.io/credential-id"
_ACCOUNT: Final = "system:serviceaccount:"
_COMMAND: Final = frozenset({"command", "cmd", "container"})


def is_long_running(raw: dict[str, Any]) -> bool:
    """Whether ``ResponseStarted`` already stands for this request."""
    return raw.get("verb") in ("watch", "proxy") or subresource_of(raw) in LONG_RUNNING


def subresource_of(raw: dict[str, Any]) -> str:
    """Subresource, empty where there is none."""
    ref = raw.get("objectRef")
    found = ref.get("subresource") if isinstance(ref, dict) else None
    return found if isinstance(found, str) else ""


def resource_of(raw: dict[str, Any]) -> str:
    """Resource, empty where there is none."""
    found = dig(raw.get("objectRef"), "resource")
    return found if isinstance(found, str) else ""


def outcome_of(raw: dict[str, Any]) -> Outcome:
    """What came of the request, from the response code and the authorizer's decision."""
    annotations, status = raw.get("annotations"), raw.get("responseStatus")
    if isinstance(annotations, dict) and annotations.get("authorization.k8s.io/decision") == "forbid":
        return "denied"
    code = status.get("code") if isinstance(status, dict) else None
    if not isinstance(code, int) or isinstance(code, bool):
        return "unknown"
    return outcome_of_status(code)


def outcome_of_status(code: int) -> Outcome:
    """What an HTTP status means."""
    if code in (401, 403):
        return "denied"
    if code == 101 or 200 <= code < 400:
        return "success"
    return "error" if 400 <= code < 600 else "unknown"


def source_ip_of(raw: dict[str, Any], trusted_proxies: int) -> str | Unknown | None:
    """The address that the last trusted hop saw. All earlier entries can be written by the client."""
    addresses = raw.get("sourceIPs")
    if addresses is UNKNOWN:
        return Unknown.UNKNOWN
    if not isinstance(addresses, list) or not addresses:
        return None
    found = addresses[max(len(addresses) - 1 - trusted_proxies, 0)]
    return found if found and isinstance(found, str | Unknown) else None


def actor_of(raw: dict[str, Any]) -> dict[str, Any] | Unknown:
    """``actor.*``: who authenticated; an impersonated identity beside it, never instead."""
    user, impersonating = raw.get("user"), raw.get("impersonatedUser")
    if not isinstance(user, dict):
        return UNKNOWN if user is UNKNOWN else {}
    actor: dict[str, Any] = {}
    name = user.get("username")
    if isinstance(name, str):
        actor["name"] = name
        actor["kind"] = _kind_of(name)
        if name.startswith(_ACCOUNT):
            actor["namespace"] = name[len(_ACCOUNT) :].partition(":")[0]
    elif name is UNKNOWN:
        actor["name"] = actor["kind"] = UNKNOWN
    effective = name
    if impersonating is not None:
        effective = UNKNOWN if impersonating is UNKNOWN else dig(impersonating, "username") or name
    if isinstance(effective, str | Unknown):
        actor["effective"] = effective
    extra = user.get("extra")
    if isinstance(extra, dict) and extra:
        _add_credential(extra, actor)
    elif extra is UNKNOWN:
        actor["pod"] = actor["node"] = actor["credential_id"] = UNKNOWN
    return actor


def _add_credential(extra: dict[str, Any], actor: dict[str, Any]) -> None:
    name, uid = _first(extra.get(_POD_NAME)), _first(extra.get(_POD_UID))
    if name or uid:
        actor["pod"] = {key: value for key, value in (("name", name), ("uid", uid)) if value}
    if _NODE_NAME in extra and (node := _first(extra[_NODE_NAME])):
        actor["node"] = {"name": node}
    credential = _first(extra.get(_CREDENTIAL))
    if credential:
        actor["credential_id"] = credential


def exec_of(raw: dict[str, Any]) -> dict[str, Any] | Unknown | None:
    """``exec.*``: the command line of an exec, or of a run through the node's kubelet, from the request's address."""
    uri = raw.get("requestURI")
    if raw.get("objectRef") is UNKNOWN:
        return Unknown.UNKNOWN
    subresource = subresource_of(raw)
    if subresource == "exec" and uri is UNKNOWN:
        return Unknown.UNKNOWN
    if not subresource or subresource not in ("exec", "proxy", "attach"):
        return None
    if not isinstance(uri, str):
        return _exec_of_body(raw.get("requestObject"))
    path, _, query = uri.partition("?")
    path = unquote(path) if "%" in path else path
    if subresource == "proxy" and "/run" not in path and "/exec" not in path:
        return None
    command: list[str] = []
    container = None
    for name, value in parameters(query, _COMMAND):
        if name == "container":
            container = value
        else:
            command.append(value)
    found: dict[str, Any] = {}
    if command:
        found["command"] = " ".join(command)
    if container:
        found["container"] = container
    return found or None


def _exec_of_body(body: Any) -> dict[str, Any] | None:
    """What an exec runs, where the log knows no addresses and holds the options as a body instead."""
    words, container = dig(body, "command"), dig(body, "container")
    found: dict[str, Any] = {}
    if isinstance(words, list) and words:
        found["command"] = " ".join(word for word in words if isinstance(word, str))
    if container and isinstance(container, str):
        found["container"] = container
    return found or None


def parameters(query: str, names: frozenset[str]) -> list[tuple[str, str]]:
    """Decoded query parameters with these names in order, however many others stand before them."""
    found: list[tuple[str, str]] = []
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        if "%" in name or "+" in name:
            name = _decoded(name)
        if name in names:
            found.append((name, _decoded(value)))
    return found


def _decoded(text: str) -> str:
    return unquote(text.replace("+", " "))


def _kind_of(username: str) -> str:
    if username == "system:anonymous":
        return "anonymous"
    if username.startswith(_ACCOUNT):
        return "service_account"
    if username.startswith("system:node:"):
        return "node"
    return "system" if username.startswith("system:") else "user"


def _first(value: Any) -> str | None:
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) and value else None
