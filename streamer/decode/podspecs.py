"""Where the pod templates are: every kind of object that makes pods, and the containers in it.

An object becomes a list of *parts*, each with its containers and the pod-level settings that hold for them. Argo
Workflows have one part per template; everything else mostly has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from streamer.decode.line import dig

KINDS: Final[dict[str, str]] = {
    "pods": "Pod",
    "deployments": "Deployment",
    "replicasets": "ReplicaSet",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "jobs": "Job",
    "cronjobs": "CronJob",
    "replicationcontrollers": "ReplicationController",
    "podtemplates": "PodTemplate",
    "workflows": "Workflow",
    "workflowtemplates": "WorkflowTemplate",
    "clusterworkflowtemplates": "ClusterWorkflowTemplate",
    "cronworkflows": "CronWorkflow",
    "notebooks": "Notebook",
}
"""Resource name → kind, for the kinds whose objects make pods."""

_CONTAINER_LISTS: Final = (
    ("containers", "container"),
    ("initContainers", "init"),
    ("ephemeralContainers", "ephemeral"),
)
_ARGO_LISTS: Final = (("initContainers", "init"), ("sidecars", "sidecar"))


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
    """Settings of one pod template, and its containers."""

    settings: dict[str, Any]
    containers: tuple[Placed, ...]
    metadata: dict[str, Any]


def parts_of(resource: str, subresource: str, body: dict[str, Any]) -> list[Part]:
    """All pod templates in a written object; empty for an object without any."""
    spec = _object(body.get("spec"))
    if resource == "pods":
        if subresource == "ephemeralcontainers":
            holder = spec if "ephemeralContainers" in spec else body
            return [_part({"ephemeralContainers": holder.get("ephemeralContainers")}, body)]
        return [_part(spec, body)]
    if resource == "podtemplates":
        return [_of_template(body.get("template"))]
    if resource == "cronjobs":
        return [_of_template(dig(spec, "jobTemplate", "spec", "template"))]
    if resource in ("workflows", "workflowtemplates", "clusterworkflowtemplates"):
        return list(_of_workflow(spec))
    if resource == "cronworkflows":
        return list(_of_workflow(_object(spec.get("workflowSpec"))))
    if resource in KINDS or isinstance(dig(spec, "template", "spec", "containers"), list):
        return [_of_template(spec.get("template"))]
    return [
        _of_template(_object(replica).get("template"))
        for name, replicas in spec.items()
        if name.endswith("ReplicaSpecs") and isinstance(replicas, dict)
        for replica in replicas.values()
    ]


def _of_template(template: Any) -> Part:
    template = _object(template)
    return _part(_object(template.get("spec")), template)


def _part(spec: dict[str, Any], holder: dict[str, Any]) -> Part:
    placed = tuple(
        Placed(name, kind, _name(container), container)
        for name, kind in _CONTAINER_LISTS
        for container in _objects(spec.get(name))
    )
    return Part(spec, placed, _object(holder.get("metadata")))


def _of_workflow(spec: dict[str, Any]) -> Iterator[Part]:
    """One part for the workflow's own settings, one for each of its templates."""
    yield Part(spec, (), _object(spec.get("podMetadata")))
    if "podSpecPatch" in spec:
        yield _of_pod_spec_patch(spec["podSpecPatch"], "podSpecPatch", None)
    templates = [*_objects(spec.get("templates"))]
    templates += [inline for template in templates[:] for inline in _inline_templates(template)]
    defaults = spec.get("templateDefaults")
    if isinstance(defaults, dict):
        templates.append(defaults)
    for index, template in enumerate(templates):
        name = _name(template)
        place = f"templates/{name if name is not None else index}"
        placed: list[Placed] = []
        for member, kind in (("container", "container"), ("script", "script")):
            container = template.get(member)
            if isinstance(container, dict):
                placed.append(Placed(f"{place}/{member}", kind, _name(container) or "main", container, name))
        for member, kind in _ARGO_LISTS:
            found = _objects(template.get(member))
            placed += [Placed(f"{place}/{member}", kind, _name(one), one, name) for one in found]
        found = _objects(dig(template, "containerSet", "containers"))
        placed += [Placed(f"{place}/containerSet", "container", _name(one), one, name) for one in found]
        yield Part(template, tuple(placed), _object(template.get("metadata")))
        if "podSpecPatch" in template:
            yield _of_pod_spec_patch(template["podSpecPatch"], f"{place}/podSpecPatch", name)


def _inline_templates(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Templates written inside the tasks of a dag or the steps of a list; Argo does not let them hold further ones."""
    steps = template.get("steps")
    groups = [dig(template, "dag", "tasks"), *(steps if isinstance(steps, list) else ())]
    for task in (task for group in groups for task in _objects(group)):
        if isinstance(task.get("inline"), dict):
            yield {"name": _name(task), **task["inline"]}


def _of_pod_spec_patch(patch: Any, place: str, template: str | None) -> Part:
    """Argo lays this text over the pod's spec; only its JSON form is read."""
    try:
        spec = orjson.loads(patch) if isinstance(patch, str) and patch.lstrip()[:1] == "{" else {}
    except orjson.JSONDecodeError:
        spec = {}
    part = _part(_object(spec), {})
    placed = tuple(Placed(f"{place}/{p.place}", p.type, p.name, p.spec, template) for p in part.containers)
    return Part(part.settings, placed, {})


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict) and item.get("$patch") != "delete"]


def _name(container: dict[str, Any]) -> str | None:
    name = container.get("name")
    return name if isinstance(name, str) and name else None
