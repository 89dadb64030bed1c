"""The pieces of pod templates: parts with their settings and containers, and how one object is laid over another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

CONTAINER_LISTS: Final = (
    ("containers", "container"),
    ("initContainers", "init"),
    ("ephemeralContainers", "ephemeral"),
)
_JOINED_LISTS: Final = frozenset({"env", "envFrom", "volumeMounts", "volumes", "ports", "tolerations"})


@dataclass(frozen=True, slots=True)
class Placed:
    """One container and where it stands.

    Attributes:
        place: name of its list, below the Argo template's name where there is one.
        type: ``container``, ``init``, ``ephemeral``, ``sidecar`` or ``script``.
        name: container name; ``main`` for Argo's own container, as the pod will have it.
        spec: the container as written.
        template: Argo template's name.
    """

    place: str
    type: str
    name: str | None
    spec: dict[str, Any]
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One pod template.

    Attributes:
        settings: of the pod.
        containers: of the pod.
        metadata: of the pod.
        whole: settings of the workflow it is a template of, which hold where it has none; shared by all its templates.
    """

    settings: dict[str, Any]
    containers: tuple[Placed, ...]
    metadata: dict[str, Any]
    whole: dict[str, Any] | None = None


class Parts(NamedTuple):
    """All pod templates of an object.

    Attributes:
        complete: ``False`` where there may be more than was read; then nothing may be said to be absent.
    """

    parts: list[Part]
    complete: bool = True


def part_of(spec: dict[str, Any], metadata: dict[str, Any], place: str = "") -> Part:
    """The part that a pod's spec is."""
    placed = tuple(
        Placed(f"{place}/{name}" if place else name, kind, name_of(container), container)
        for name, kind in CONTAINER_LISTS
        for container in objects(spec.get(name))
    )
    return Part(spec, placed, metadata)


def overlaid(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``patch`` laid over it as Kubernetes would, lists with keys of their own joined."""
    result = dict(base)
    for name, value in patch.items():
        below = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(below, dict):
            result[name] = overlaid(below, value)
        elif isinstance(value, list) and isinstance(below, list) and name in _JOINED_LISTS:
            result[name] = [*below, *value]
        else:
            result[name] = value
    return result


def mapping(value: Any) -> dict[str, Any]:
    """An object, empty for everything else."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list but for those that a patch deletes."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict) and item.get("$patch") != "delete"]


def name_of(container: dict[str, Any]) -> str | None:
    """A container's name, if it has one."""
    name = container.get("name")
    return name if isinstance(name, str) and name else None
