"""The body of a write: the object that was written, or of a patch as much of it as the log tells.

Create and update record the object in ``requestObject``. A patch records only the change there; the object it led to
stands in ``responseObject`` if the policy says so. Strategic merge and merge patches have the shape of the object; the
operations of a JSON patch are put in their places.
"""

from __future__ import annotations

from typing import Any, Final

from streamer.model import UNKNOWN, Unknown

_LISTS: Final = frozenset(
    {
        *("containers", "initContainers", "ephemeralContainers", "templates", "sidecars", "volumes", "volumeMounts"),
        *("env", "envFrom", "args", "command", "ports", "tolerations", "imagePullSecrets", "ownerReferences"),
        *("rules", "subjects", "verbs", "resources", "apiGroups", "resourceNames", "nonResourceURLs", "add", "drop"),
    }
)
_OPERATIONS: Final = 1_000
_PATH: Final = 64


def written_object(raw: dict[str, Any]) -> dict[str, Any] | Unknown | None:
    """What a create, update or patch wrote: an object, ``UNKNOWN`` where it was cut off, ``None`` if not recorded."""
    request, response = raw.get("requestObject"), raw.get("responseObject")
    result: dict[str, Any] | None = (
        response if isinstance(response, dict) and response.get("kind") != "Status" else None
    )
    if raw.get("verb") == "patch":
        if result is not None:
            return result
        if isinstance(request, list):
            return from_json_patch(request)
    if isinstance(request, dict):
        return request
    if result is not None:
        return result
    if request is UNKNOWN or (request is None and response is UNKNOWN):
        return Unknown.UNKNOWN
    return None


def from_json_patch(operations: list[Any]) -> dict[str, Any]:
    """The object that the ``add`` and ``replace`` operations of a JSON patch (RFC 6902) describe.

    List positions are not kept, only the order of the operations: what was added is seen, where it went is not.
    """
    root: dict[str, Any] = {}
    for number, operation in enumerate(operations[:_OPERATIONS]):
        if not isinstance(operation, dict) or operation.get("op") not in ("add", "replace"):
            continue
        path, value = operation.get("path"), operation.get("value")
        if not isinstance(path, str) or len(path) > 4096:
            continue
        if path in ("", "/"):
            if isinstance(value, dict):
                root = dict(value)
            continue
        segments = [segment.replace("~1", "/").replace("~0", "~") for segment in path.split("/")[1:]]
        if len(segments) <= _PATH:
            _put(root, segments, value, number)
    return {name: _settled(child, 1) for name, child in root.items()}


class _Elements(dict[str, Any]):
    """A list while it is being put together: elements under their index as written."""


def _put(root: dict[str, Any], segments: list[str], value: Any, number: int) -> None:
    node = root
    for depth, segment in enumerate(segments[:-1]):
        child = node.get(segment)
        if not isinstance(child, dict):
            is_list = segment in _LISTS and not isinstance(node, _Elements)
            child = _open_list(child) if is_list or segments[depth + 1] == "-" else {}
            node[segment] = child
        node = child
    last = segments[-1]
    if isinstance(node, _Elements) and last == "-":
        last = f"-{number}"
    node[last] = dict(value) if isinstance(value, dict) else value


def _open_list(existing: Any) -> _Elements:
    elements = existing if isinstance(existing, list) else []
    return _Elements((str(i), dict(e) if isinstance(e, dict) else e) for i, e in enumerate(elements))


def _settled(node: Any, depth: int) -> Any:
    """Lists as lists; values that the client wrote are left as they are below the patched path."""
    if depth > _PATH or not isinstance(node, dict):
        return node
    if isinstance(node, _Elements):
        return [_settled(child, depth + 1) for child in node.values()]
    return {name: _settled(child, depth + 1) for name, child in node.items()}
