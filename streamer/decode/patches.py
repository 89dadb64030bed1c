"""The body of a write: the object that was written, or of a patch as much of it as the log tells.

Create and update record the object in ``requestObject``. A patch records only the change there; the object it led to
stands in ``responseObject`` if the policy says so. Strategic merge and merge patches have the shape of the object; the
operations of a JSON patch are put in their places.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from streamer.decode.line import dig
from streamer.model import UNKNOWN, Unknown

_LISTS: Final = frozenset(
    {
        *("containers", "initContainers", "ephemeralContainers", "templates", "sidecars", "volumes", "volumeMounts"),
        *("env", "envFrom", "args", "command", "ports", "tolerations", "imagePullSecrets", "ownerReferences"),
        *("rules", "subjects", "verbs", "resources", "apiGroups", "resourceNames", "nonResourceURLs", "add", "drop"),
    }
)
_OPERATIONS: Final = 10_000  # as many as the API server takes
_SEGMENTS: Final = 64
_PATH_LENGTH: Final = 4_096


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


def is_partly_told(raw: dict[str, Any]) -> bool:
    """Whether a JSON patch wrote values that it does not hold: copied or moved from elsewhere in the object."""
    request, response = raw.get("requestObject"), raw.get("responseObject")
    if not isinstance(request, list) or raw.get("verb") != "patch":
        return False
    if isinstance(response, dict) and response.get("kind") != "Status":
        return False
    return len(request) > _OPERATIONS or any(dig(operation, "op") in ("copy", "move") for operation in request)


def from_json_patch(operations: list[Any]) -> dict[str, Any]:
    """The object that the ``add`` and ``replace`` operations of a JSON patch (RFC 6902) describe.

    List positions are not kept, only the order of the operations: what was added is seen, where it went is not. What
    was copied or moved is not told by a patch (:func:`is_partly_told`).
    """
    root = _Node()
    for number, operation in enumerate(operations[:_OPERATIONS]):
        if not isinstance(operation, dict) or operation.get("op") not in ("add", "replace"):
            continue
        path, value = operation.get("path"), operation.get("value")
        if not isinstance(path, str) or len(path) > _PATH_LENGTH:
            continue
        if path in ("", "/"):
            root = _Node(value) if isinstance(value, dict) else root
            continue
        segments = [segment.replace("~1", "/").replace("~0", "~") for segment in path.split("/")[1:]]
        if 0 < len(segments) <= _SEGMENTS:
            _put(root, segments, value, number)
    return {name: _settled(child) for name, child in root.items()}


class _Node(dict[str, Any]):
    """An object on a patched path: ours to change, unlike the values that the client wrote."""


class _Elements(_Node):
    """A list on a patched path: elements under their index as written."""


def _put(root: _Node, segments: list[str], value: Any, number: int) -> None:
    node = root
    for segment, following in pairwise(segments):
        child = node.get(segment)
        if not isinstance(child, _Node):
            if isinstance(child, dict):
                child = _Node(child)
            elif isinstance(child, list):
                child = _Elements((str(index), element) for index, element in enumerate(child))
            elif following == "-" or (segment in _LISTS and not isinstance(node, _Elements)):
                child = _Elements()
            else:
                child = _Node()
            node[segment] = child
        node = child
    last = segments[-1]
    if isinstance(node, _Elements) and last == "-":
        last = f"-{number}"
    node[last] = value


def _settled(node: Any) -> Any:
    """Patched paths as plain objects and lists; they are never deeper than a path may be long."""
    if isinstance(node, _Elements):
        return [_settled(child) for child in node.values()]
    if isinstance(node, _Node):
        return {name: _settled(child) for name, child in node.items()}
    return node
