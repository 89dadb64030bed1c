"""``workload.*`` and ``container.*``: one view of everything that makes pods, whatever kind of object it was."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamer.decode.images import parse_image
from streamer.decode.joins import workflow_of
from streamer.decode.line import dig, text_at
from streamer.decode.pod_parts import Part, Placed
from streamer.decode.podspecs import kind_of, parts_of
from streamer.model import UNKNOWN

_NO_SETTINGS: Final[dict[str, Any]] = {}
_RUN_ID: Final = "pipeline/runid"
_BODY_FIELDS: Final = (
    "service_account",
    "owner",
    "workflow",
    "labels",
    "run_id",
    "host_network",
    "host_pid",
    "host_ipc",
    "host_paths",
    "images",
    "image_repositories",
    "privileged",
    "capabilities_added",
    "command_lines",
    "node_name",
    "gpu",
)


@dataclass(frozen=True, slots=True)
class Workload:
    """What a write says of pods.

    Attributes:
        fields: the ``workload`` fields of the audit event.
        containers: per container its ``container`` fields, with a unique place.
        complete: ``False`` where more may have been written than could be read.
    """

    fields: dict[str, Any]
    containers: tuple[tuple[str, dict[str, Any]], ...]
    complete: bool = True


def unknown_workload(raw: dict[str, Any], resource: str) -> dict[str, Any]:
    """``workload`` of a write whose body was cut off: what the envelope tells, and everything else unknown."""
    fields = _named(raw, {}, kind_of(resource, _group(raw)))
    return fields | dict.fromkeys(_BODY_FIELDS, UNKNOWN)


def workload_of(
    raw: dict[str, Any], body: dict[str, Any], resource: str, subresource: str, *, complete: bool = True
) -> Workload | None:
    """The workload that a body describes; ``None`` if the object makes no pods.

    Args:
        raw: the audit event.
        body: the object that was written.
        resource: of the object.
        subresource: of the object.
        complete: ``False`` where the body does not hold all that was written: then what it lacks is unknown.
    """
    group = _group(raw)
    parts, understood = parts_of(resource, subresource, group, body)
    complete = complete and understood
    if not parts:
        return None if complete else Workload(unknown_workload(raw, resource), (), complete=False)
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    fields = _named(raw, body, kind_of(resource, group))
    fields |= _metadata_fields(raw, metadata, parts)
    workflow = workflow_of(fields.get("kind"), fields, metadata)
    if workflow:
        fields["workflow"] = workflow
    fields |= _settings_fields(parts)
    views = _views(parts)
    fields |= _container_sums([view for _, view in views])
    if not complete:
        _leave_open(fields)
    return Workload(fields, tuple(views), complete)


def _views(parts: list[Part]) -> list[tuple[str, dict[str, Any]]]:
    """Every container's fields, with its place."""
    views: list[tuple[str, dict[str, Any]]] = []
    seen: set[str] = set()
    shared: dict[int, dict[str, str]] = {}
    for part in parts:
        whole = _NO_SETTINGS if part.whole is None else part.whole
        settings = part.settings if "securityContext" in part.settings else whole
        if id(whole) not in shared:
            shared[id(whole)] = _host_volumes(whole)
        volumes = ChainMap(_host_volumes(part.settings), shared[id(whole)])
        for index, placed in enumerate(part.containers):
            place = f"{placed.place}/{placed.name}" if placed.name else f"{placed.place}/{index}"
            if place in seen:
                place = f"{place}#{len(views)}"
            seen.add(place)
            views.append((place, container_fields(placed, settings, volumes)))
    return views


def _leave_open(fields: dict[str, Any]) -> None:
    """What is not seen in a body that was read in part is unknown, never absent."""
    for name in _BODY_FIELDS:
        value = fields.get(name)
        if isinstance(value, list):
            fields[name] = [*value, UNKNOWN]
        elif value is None or value is False:
            fields[name] = UNKNOWN


def container_fields(placed: Placed, settings: dict[str, Any], volumes: Mapping[str, str]) -> dict[str, Any]:
    """``container.*`` of one container, with what the pod's settings say where the container says nothing."""
    spec = placed.spec
    security = spec.get("securityContext")
    security = security if isinstance(security, dict) else {}
    fields: dict[str, Any] = {"type": placed.type}
    if placed.name:
        fields["name"] = placed.name
    if placed.template:
        fields["template"] = placed.template
    image = text_at(spec, "image")
    if image:
        parsed = parse_image(image)
        fields |= {"image": image, "registry": parsed.registry, "repository": parsed.repository}
        if parsed.tag:
            fields["tag"] = parsed.tag
        if parsed.digest:
            fields["digest"] = parsed.digest
    fields["privileged"] = security.get("privileged") is True
    escalation = security.get("allowPrivilegeEscalation")
    if isinstance(escalation, bool):
        fields["allow_privilege_escalation"] = escalation
    run_as = security.get("runAsUser", dig(settings, "securityContext", "runAsUser"))
    if isinstance(run_as, int) and not isinstance(run_as, bool):
        fields["run_as_user"] = run_as
    fields["capabilities_added"] = _strings(dig(security, "capabilities", "add"))
    written = [spec.get("source"), spec.get("script")]
    words = [*_strings(spec.get("command")), *_strings(spec.get("args")), *_strings(written)]
    if words:
        fields["command_line"] = " ".join(words)
    fields["env_names"] = [name for entry in _items(spec.get("env")) if (name := text_at(entry, "name"))]
    mounted = (text_at(mount, "name") or "" for mount in _items(spec.get("volumeMounts")))
    fields["host_paths"] = _unique(volumes[name] for name in mounted if name in volumes)
    fields["gpu"] = _asks_for_gpu(spec.get("resources"))
    return fields


def _group(raw: dict[str, Any]) -> str:
    return text_at(raw, "objectRef", "apiGroup") or ""


def _named(raw: dict[str, Any], body: dict[str, Any], kind: str | None) -> dict[str, Any]:
    """Kind, name, namespace and uid. The API server's answer knows names and uids that the request did not."""
    answer = raw.get("responseObject")
    answer = answer if isinstance(answer, dict) and answer.get("kind") != "Status" else None
    ref = raw.get("objectRef")
    found = {
        "kind": text_at(body, "kind") or kind,
        "name": text_at(answer, "metadata", "name") or text_at(ref, "name") or text_at(body, "metadata", "name"),
        "namespace": text_at(ref, "namespace")
        or text_at(answer, "metadata", "namespace")
        or text_at(body, "metadata", "namespace"),
        "uid": text_at(answer, "metadata", "uid") or text_at(ref, "uid") or text_at(body, "metadata", "uid"),
        "generate_name": text_at(body, "metadata", "generateName"),
    }
    return {name: value for name, value in found.items() if value}


def _metadata_fields(raw: dict[str, Any], metadata: dict[str, Any], parts: list[Part]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    labels = metadata.get("labels")
    if isinstance(labels, dict) and labels:
        fields["labels"] = labels
    answer = dig(raw, "responseObject", "metadata")
    owners = _items(metadata.get("ownerReferences")) or _items(dig(answer, "ownerReferences"))
    if owners:
        owner = next((one for one in owners if one.get("controller") is True), owners[0])
        fields["owner"] = {
            name: value for name in ("kind", "name", "uid") if (value := text_at(owner, name)) is not None
        }
    for holder in (metadata, *(part.metadata for part in parts)):
        run_id = text_at(holder, "labels", _RUN_ID)
        if run_id:
            fields["run_id"] = run_id
            break
    return fields


def _settings_fields(parts: list[Part]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: any(part.settings.get(key) is True for part in parts)
        for name, key in (("host_network", "hostNetwork"), ("host_pid", "hostPID"), ("host_ipc", "hostIPC"))
    }
    for part in parts:
        account = text_at(part.settings, "serviceAccountName") or text_at(part.settings, "serviceAccount")
        if account:
            fields.setdefault("service_account", account)
        node = text_at(part.settings, "nodeName")
        if node:
            fields.setdefault("node_name", node)
    fields["host_paths"] = _unique(path for part in parts for path in _host_volumes(part.settings).values())
    return fields


def _container_sums(views: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "images": _unique(view["image"] for view in views if "image" in view),
        "image_repositories": _unique(view["repository"] for view in views if "repository" in view),
        "privileged": any(view["privileged"] for view in views),
        "capabilities_added": _unique(name for view in views for name in view["capabilities_added"]),
        "command_lines": [view["command_line"] for view in views if "command_line" in view],
        "gpu": any(view["gpu"] for view in views),
    }


def _host_volumes(settings: dict[str, Any]) -> dict[str, str]:
    """Volume name → path on the node."""
    return {
        name: path
        for volume in _items(settings.get("volumes"))
        if (path := text_at(volume, "hostPath", "path")) and (name := text_at(volume, "name") or path)
    }


def _asks_for_gpu(resources: Any) -> bool:
    for side in ("limits", "requests"):
        wanted = dig(resources, side)
        if isinstance(wanted, dict) and any("gpu" in name.rpartition("/")[2] for name in wanted):
            return True
    return False


def _items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
