"""An audit event (``audit.k8s.io``) → one event with derived fields, and the events expanded from its body.

The raw structure stays as it is, under its own names. Names that we derive are ours alone: what a record brought under
them is dropped first, so that no shipper and no client can write them.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from streamer.decode.gathering import Gathering, When
from streamer.decode.identity import audit_identity, derived_identity
from streamer.decode.joins import ISSUED, REASON, authorized_by_of, certificate_of, issued_of, mutated_by, pod_of
from streamer.decode.line import text_at
from streamer.decode.patches import is_partly_told, written_object
from streamer.decode.podspecs import kind_of
from streamer.decode.rbac import BINDINGS, ROLES, binding_subjects, role_rules
from streamer.decode.request import (
    LONG_RUNNING,
    actor_of,
    exec_of,
    is_long_running,
    outcome_of,
    resource_of,
    source_ip_of,
    subresource_of,
)
from streamer.decode.salvage import Cut, too_deep
from streamer.decode.stamps import micros
from streamer.decode.workload import unknown_workload, workload_of
from streamer.model import AUDIT, CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT, UNKNOWN, LogSource

_DERIVED: Final = frozenset(
    {
        *("cluster", "source", "outcome", "actor", "workload", "exec", "truncated", "body_unknown"),
        *("container", "rule", "subject", "role", "pod", "issued", "authorized_by", "admission", "body_unrecorded"),
    }
)
_API: Final = "audit.k8s.io/"
_TOO_BIG: Final = "skipped-too-big-size-object"
_CUT_FIELDS: Final = (
    *("level", "auditID", "stage", "requestURI", "verb", "user", "impersonatedUser", "sourceIPs", "userAgent"),
    *("objectRef", "responseStatus", "requestObject", "responseObject", "requestReceivedTimestamp"),
    *("stageTimestamp", "annotations"),
)
_WRITES: Final = ("create", "update", "patch")

_Element = tuple[LogSource, str, "str | int", dict[str, Any]]


def is_audit(value: dict[str, Any]) -> bool:
    """Whether an object is an audit event: by its header, or without one by what only audit events hold."""
    version = value.get("apiVersion")
    if isinstance(version, str):
        return version.startswith(_API) and value.get("kind", "Event") == "Event"
    if "kind" in value and value["kind"] != "Event":
        return False
    if "auditID" in value:
        return True
    return "verb" in value and ("requestURI" in value or "objectRef" in value or "user" in value)


def is_event_list(value: dict[str, Any]) -> bool:
    """Whether an object is a list of audit events, as the webhook backend posts it."""
    return value.get("kind") == "EventList" and isinstance(value.get("items"), list)


def add_audit(raw: dict[str, Any], stamp_us: int | None, cluster: str, gathering: Gathering) -> None:
    """Add the event, and what is expanded from it, to ``gathering``.

    Args:
        raw: the audit event, freshly decoded: it becomes the event's fields.
        stamp_us: the shipper's stamp, for an event without its own.
        cluster: canonical cluster name.
        gathering: where the events go; it knows the record and the source.
    """
    flags: list[str] = []
    raw = _completed(raw, flags)
    identity = audit_identity(cluster, raw, gathering.record.position, gathering.next_ordinal())
    if gathering.deep:
        _prune(raw, gathering.source.limits.depth - 1)
    _settle_bodies(raw, flags)
    if not _DERIVED.isdisjoint(raw):
        for name in _DERIVED:
            raw.pop(name, None)
    long_running = is_long_running(raw)
    stage = raw.get("stage")
    stage_only = stage == "RequestReceived" or (stage == "ResponseStarted" and not long_running)
    expanded = _written(raw, flags) if raw.get("verb") in _WRITES else []
    when = gathering.when(_time_of(raw, stamp_us, long_running=long_running), tuple(flags))
    _derive(raw, cluster, gathering.source.trusted_proxies, flags)
    gathering.add(AUDIT, when, identity, raw, stage_only=stage_only)
    _add_expanded(expanded, raw, identity, when, gathering, stage_only=stage_only)


def _written(raw: dict[str, Any], flags: list[str]) -> list[_Element]:
    """What a write is expanded to; ``workload`` and what is not known of the body are put into ``raw`` on the way."""
    body = written_object(raw)
    partly = is_partly_told(raw)
    cut = "body-unknown" in flags and not isinstance(body, dict)
    if raw.get("requestObject") is None and subresource_of(raw) not in LONG_RUNNING:  # those have no body
        raw["requestObject"] = UNKNOWN  # refused before it was read, or not recorded: either way nobody knows it
        if body is None:
            flags.append("body-unrecorded")
            raw["body_unrecorded"] = True
    if raw.get("objectRef") is UNKNOWN:
        raw["workload"] = UNKNOWN
    resource, subresource = resource_of(raw), subresource_of(raw)
    expanded: list[_Element] = []
    understood = True
    if not subresource or (resource, subresource) == ("pods", "ephemeralcontainers"):
        if isinstance(body, dict):
            expanded, understood = _expand(raw, body, complete=not partly)
        elif kind_of(resource, _text_of_group(raw)) is not None:
            raw["workload"] = unknown_workload(raw, resource)
    if (partly or not understood) and "body-unknown" not in flags:
        flags.append("body-unknown")
    raw["body_unknown"] = cut or partly or not understood
    return expanded


def _text_of_group(raw: dict[str, Any]) -> str:
    return text_at(raw, "objectRef", "apiGroup") or ""


def _add_expanded(
    expanded: list[_Element],
    raw: dict[str, Any],
    identity: bytes,
    when: When,
    gathering: Gathering,
    *,
    stage_only: bool,
) -> None:
    most = gathering.room // 2  # one event cannot crowd out the others of its record
    if len(expanded) > most:
        gathering.dead("too-many-events", f"more than {most} containers, rules or subjects in one event")
    for logsource, place, element, own in expanded[:most]:
        if gathering.full:
            return
        derived = derived_identity(identity, f"{logsource.category}/{place}", element)
        gathering.add(logsource, when, derived, {**raw, **own}, stage_only=stage_only)


def _completed(raw: dict[str, Any], flags: list[str]) -> dict[str, Any]:
    """An event whose end is missing: everything it does not hold is unknown, not absent."""
    if not isinstance(raw, Cut):
        return raw
    flags.append("truncated")
    return {name: UNKNOWN for name in _CUT_FIELDS if name not in raw} | raw


def _prune(raw: dict[str, Any], limit: int) -> None:
    for name, value in raw.items():
        if isinstance(value, dict | list) and too_deep(value, limit):
            raw[name] = UNKNOWN


def _settle_bodies(raw: dict[str, Any], flags: list[str]) -> None:
    """Bodies as objects, or unknown where they were cut, refused or made into text on the way."""
    annotations = raw.get("annotations")
    truncated = "truncated" in flags
    for name in ("requestObject", "responseObject"):
        body = raw.get(name)
        if isinstance(body, str):
            raw[name] = _from_text(body)
            truncated = truncated or _TOO_BIG in body[:64] or body.endswith("[Truncated...]")
    if isinstance(annotations, dict) and annotations.get("audit.k8s.io/truncated") == "true":
        truncated = True
        level = raw.get("level")
        if level != "Metadata":
            for name in ("requestObject",) if level == "Request" else ("requestObject", "responseObject"):
                if raw.get(name) is None:
                    raw[name] = UNKNOWN
    if truncated and "truncated" not in flags:
        flags.append("truncated")
    if UNKNOWN in raw.values():
        flags.append("body-unknown")


def _from_text(body: str) -> Any:
    """A body that a shipper made into a string of JSON."""
    if body[:1] not in ("{", "["):
        return UNKNOWN
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return UNKNOWN
    return UNKNOWN if too_deep(found, 100) else found


def _time_of(raw: dict[str, Any], stamp_us: int | None, *, long_running: bool) -> int | None:
    names = ("stageTimestamp", "requestReceivedTimestamp", "timestamp")
    if long_running:
        names = ("requestReceivedTimestamp", "stageTimestamp", "timestamp")
    for name in names:
        found = micros(raw.get(name))
        if found is not None:
            return found
    return stamp_us


def _derive(raw: dict[str, Any], cluster: str, trusted_proxies: int, flags: list[str]) -> None:
    raw["cluster"] = cluster
    raw["outcome"] = outcome_of(raw)
    raw["actor"] = actor_of(raw)
    raw["truncated"] = "truncated" in flags
    if "body_unknown" not in raw:
        raw["body_unknown"] = "body-unknown" in flags
    _add_joins(raw)
    address = source_ip_of(raw, trusted_proxies)
    if address is not None:
        raw["source"] = {"ip": address}
    command = exec_of(raw)
    if command is not None:
        raw["exec"] = command


def _add_joins(raw: dict[str, Any]) -> None:
    annotations = raw.get("annotations")
    if isinstance(annotations, dict) and annotations:
        reason = annotations.get(REASON)
        if reason and (allowed_by := authorized_by_of(reason)) is not None:
            raw["authorized_by"] = allowed_by
        if ISSUED in annotations and (issued := issued_of(annotations)) is not None:
            raw["issued"] = issued
        if mutating := mutated_by(annotations):
            raw["admission"] = {"mutated_by": mutating}
    ref = raw.get("objectRef")
    if not isinstance(ref, dict):
        return
    resource = ref.get("resource")
    if resource == "pods" and (pod := pod_of(raw, ref)) is not None:
        raw["pod"] = pod
    elif resource == "certificatesigningrequests" and (issued := certificate_of(raw)) is not None:
        raw["issued"] = issued


def _expand(raw: dict[str, Any], body: dict[str, Any], *, complete: bool) -> tuple[list[_Element], bool]:
    """Own fields of every event expanded from a body, and whether all of the body was understood."""
    resource = resource_of(raw)
    if resource in ROLES:
        return [(RBAC_RULE, "rules", index, {"rule": rule}) for index, rule in enumerate(role_rules(body))], True
    if resource in BINDINGS:
        pairs = enumerate(binding_subjects(body))
        return [
            (RBAC_SUBJECT, "subjects", index, {"subject": subject, "role": role}) for index, (subject, role) in pairs
        ], True
    workload = workload_of(raw, body, resource, subresource_of(raw), complete=complete)
    if workload is None:
        return [], True
    raw["workload"] = workload.fields
    elements: list[_Element] = [
        (CONTAINER_SPEC, "containers", place, {"container": container}) for place, container in workload.containers
    ]
    return elements, workload.complete
