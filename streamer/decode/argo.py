"""Argo Workflows: one part per template, with the texts laid over that patch the pods in the end.

A ``podSpecPatch`` is YAML or JSON in a string. It can make any container of the workflow privileged, so it is laid over
the containers it names; one that cannot be read leaves everything it could have changed unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

from streamer.decode.line import dig
from streamer.decode.plain_yaml import read_yaml
from streamer.decode.pod_parts import CONTAINER_LISTS, Part, Parts, Placed, mapping, name_of, objects, overlaid

_LISTS: Final = (("initContainers", "init"), ("sidecars", "sidecar"))
_RUNS: Final = frozenset({"container", "script", "containerSet", "dag", "steps", "sidecars", "initContainers"})
_OVERLAYS: Final = 2_000_000
"""Characters of patches that may be laid over containers in one workflow: a large patch times many templates."""

_YAML_TEXTS: Final = 50


class _Patch(NamedTuple):
    """A ``podSpecPatch``: the pod's settings, its containers by name, and the length of its text."""

    settings: dict[str, Any]
    containers: dict[str, dict[str, Any]]
    size: int


class _Reading:
    """What reading one workflow may still cost, and whether all of it was understood."""

    def __init__(self) -> None:
        self.complete = True
        self._overlays = _OVERLAYS
        self._texts = _YAML_TEXTS

    def affords(self, patch: _Patch) -> bool:
        self._overlays -= patch.size
        return self._overlays >= 0

    def patch(self, holder: dict[str, Any]) -> _Patch:
        """The patch that a workflow or a template holds."""
        text = holder.get("podSpecPatch")
        if text is None or text == "":
            return _Patch({}, {}, 0)
        spec = self._read(text)
        if not isinstance(spec, dict):
            self.complete = False
            return _Patch({}, {}, 0)
        found = {
            name: container
            for kind, _ in CONTAINER_LISTS
            for container in objects(spec.get(kind))
            if (name := name_of(container)) is not None
        }
        lists = {kind for kind, _ in CONTAINER_LISTS}
        settings = {name: value for name, value in spec.items() if name not in lists}
        return _Patch(settings, found, len(text))

    def _read(self, text: Any) -> Any:
        if not isinstance(text, str):
            return None
        if text.lstrip()[:1] == "{":
            try:
                return orjson.loads(text)
            except orjson.JSONDecodeError:
                pass
        self._texts -= 1
        if self._texts < 0:
            return None
        try:
            return read_yaml(text)
        except ValueError:
            return None


def is_workflow(spec: dict[str, Any]) -> bool:
    """Whether an object is the spec of a workflow: among its templates is one that Argo could run."""
    templates = spec.get("templates")
    return isinstance(templates, list) and any(isinstance(one, dict) and not _RUNS.isdisjoint(one) for one in templates)


def workflow_parts(spec: dict[str, Any], place: str = "") -> Parts:
    """One part for the workflow's own settings, one for each of its templates."""
    reading = _Reading()
    whole = reading.patch(spec)
    shared = overlaid(spec, whole.settings)
    parts = [Part(shared, (), mapping(spec.get("podMetadata")))]
    known: set[str | None] = set()
    for index, template in enumerate(_templates(spec)):
        name = name_of(template)
        where = f"{place}templates/{name if name is not None else index}"
        own = reading.patch(template)
        placed = tuple(_laid(container, whole, own, reading) for container in _containers(template, where, name))
        settings = overlaid(template, own.settings) if own.settings else template
        parts.append(Part(settings, placed, mapping(template.get("metadata")), shared))
        names = {container.name for container in placed}
        parts += _patched_only(own, names, f"{where}/podSpecPatch", name)
        known |= names
    parts += _patched_only(whole, known, f"{place}podSpecPatch", None)
    return Parts(parts, reading.complete)


def _templates(spec: dict[str, Any]) -> list[dict[str, Any]]:
    templates = [*objects(spec.get("templates"))]
    templates += [inline for template in templates[:] for inline in _inline_templates(template)]
    defaults = spec.get("templateDefaults")
    if isinstance(defaults, dict):
        templates.append(defaults)
    return templates


def _inline_templates(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Templates written inside the tasks of a dag or the steps of a list; Argo does not let them hold further ones."""
    steps = template.get("steps")
    groups = [dig(template, "dag", "tasks"), *(steps if isinstance(steps, list) else ())]
    for task in (task for group in groups for task in objects(group)):
        if isinstance(task.get("inline"), dict):
            yield {"name": name_of(task), **task["inline"]}


def _containers(template: dict[str, Any], place: str, name: str | None) -> Iterator[Placed]:
    for member in ("container", "script"):
        container = template.get(member)
        if isinstance(container, dict):
            yield Placed(f"{place}/{member}", member, name_of(container) or "main", container, name)
    for member, kind in _LISTS:
        for one in objects(template.get(member)):
            yield Placed(f"{place}/{member}", kind, name_of(one), one, name)
    for one in objects(dig(template, "containerSet", "containers")):
        yield Placed(f"{place}/containerSet", "container", name_of(one), one, name)


def _laid(placed: Placed, whole: _Patch, own: _Patch, reading: _Reading) -> Placed:
    """A container with the workflow's patch and its template's laid over it, in Argo's order."""
    spec = placed.spec
    for patch in (whole, own):
        over = patch.containers.get(placed.name) if placed.name is not None else None
        if over is None:
            continue
        if reading.affords(patch):
            spec = overlaid(spec, over)
        else:
            reading.complete = False
    return placed if spec is placed.spec else Placed(placed.place, placed.type, placed.name, spec, placed.template)


def _patched_only(patch: _Patch, known: set[str | None], place: str, template: str | None) -> list[Part]:
    """Containers that only a patch knows, as a part of their own."""
    placed = tuple(
        Placed(f"{place}/containers", "container", name, one, template)
        for name, one in patch.containers.items()
        if name not in known
    )
    return [Part({}, placed, {})] if placed else []
