"""One line that a container wrote, in one vocabulary whatever brought it here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from streamer.decode.stamps import Stamp, parse

_CRI: Final = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt][\d:.]{8,40}(?:[Zz]|[+-]\d\d:\d\d)) (stdout|stderr) ([FP])(?::[^ ]*+)?(?: |\Z)", re.ASCII
)
_KUBECTL: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(?:Z|[+-]\d\d:\d\d)) ", re.ASCII)
_POD_FILE: Final = re.compile(r"/pods/([^/_]+)_([^/_]+)_([^/_]+)/([^/]+)/[^/]*\Z")
_CONTAINER_FILE: Final = re.compile(r"/containers/([^/_]+)_([^/_]+)_([^/]+)-[0-9a-f]{12,64}\.log\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """What a container wrote, or one piece of it.

    Attributes:
        text: without its line end.
        stamp: the runtime's or shipper's time.
        stream: ``stdout``, ``stderr`` or empty.
        kubernetes: ``namespace``, ``pod.name``, ``pod.uid``, ``container.name`` ..., nested; only what is known.
        cluster: as the envelope tells it.
        partial: more of the same line follows.
        truncated: something of it was cut off.
        content: the message where the shipper delivered it as an object.
    """

    text: str
    stamp: Stamp | None = None
    stream: str = ""
    kubernetes: dict[str, Any] = field(default_factory=dict)
    cluster: str | None = None
    partial: bool = False
    truncated: bool = False
    content: dict[str, Any] | None = None


def cri_line(text: str, kubernetes: dict[str, Any], cluster: str | None = None) -> Line | None:
    """A line as the container runtime writes it into its file, or ``None`` if it is none."""
    found = _CRI.match(text)
    if found is None:
        return None
    stamp = parse(found[1])
    if stamp is None:
        return None
    return Line(text[found.end() :], stamp, found[2], kubernetes, cluster, partial=found[3] == "P")


def stamped_line(text: str, kubernetes: dict[str, Any]) -> Line | None:
    """A line as ``kubectl logs --timestamps`` prints it, stamped to the nanosecond, or ``None`` if it is none."""
    found = _KUBECTL.match(text)
    stamp = parse(found[1]) if found else None
    if found is None or stamp is None:
        return None
    return Line(text[found.end() :], stamp, "", kubernetes)


def kubernetes_of_path(path: Any) -> dict[str, Any]:
    """Pod and container from the name of the file that the kubelet gave the container's log."""
    if not isinstance(path, str) or len(path) > 4096:
        return {}
    found = _POD_FILE.search(path)
    if found:
        return {
            "namespace": found[1],
            "pod": {"name": found[2], "uid": found[3]},
            "container": {"name": found[4]},
        }
    found = _CONTAINER_FILE.search(path)
    if found:
        return {"namespace": found[2], "pod": {"name": found[1]}, "container": {"name": found[3]}}
    return {}


def dig(value: Any, *path: str) -> Any:
    """The value at a path of keys, ``None`` where the path leaves the objects."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def text_at(value: Any, *path: str) -> str | None:
    """The non-empty string at a path of keys, else ``None``."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value if value and isinstance(value, str) else None
