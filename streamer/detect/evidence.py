"""What an alert may show of one event: fields from an allow-list, and one sentence.

An alert travels further than the log it came from: to a topic, an index, a pager. So nothing is copied that is not
named here, no body ever, names of environment variables but never their values, and every text passes through
:mod:`streamer.detect.redaction`. What an analyst needs beyond that is one step away: the evidence names the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streamer.detect import sentences
from streamer.detect.redaction import clean, cut, redact, redact_uri
from streamer.model import UNKNOWN, Event, Evidence, Outcome

MAX_NAME: Final = 256
"""Characters of a name, an address, an image."""
MAX_TEXT: Final = 1_024
"""Characters of a command line, a log line, a URI."""
MAX_ITEMS: Final = 16
"""Elements of a list."""
MAX_BYTES: Final = 8_192
"""Characters of all fields of one event together; what stands later in the allow-list is left out first."""

_TEXT: Final = "text"
_URI: Final = "uri"
_NAME: Final = "name"

_AUDIT: Final = (
    "cluster verb requestURI:uri userAgent:text user.username user.uid user.groups impersonatedUser.username "
    "impersonatedUser.uid impersonatedUser.groups actor.name actor.kind actor.effective actor.pod.name actor.pod.uid "
    "actor.credential_id source.ip sourceIPs objectRef.resource objectRef.subresource objectRef.namespace "
    "objectRef.name objectRef.uid objectRef.apiGroup objectRef.apiVersion responseStatus.code responseStatus.reason "
    "outcome auditID level stage requestReceivedTimestamp stageTimestamp truncated exec.command:text "
    "pod.name pod.uid issued.credential_id admission.mutated_by authorized_by.binding.kind authorized_by.binding.name "
    "authorized_by.binding.namespace authorized_by.role.name authorized_by.subject.name actor.node.name body_unknown "
    "body_unrecorded "
)
_WORKLOAD: Final = (
    "workload.kind workload.name workload.namespace workload.uid workload.service_account workload.owner.kind "
    "workload.owner.name workload.owner.uid workload.run_id workload.images workload.image_repositories "
    "workload.privileged workload.host_network workload.host_pid workload.host_ipc workload.host_paths "
    "workload.capabilities_added workload.node_name workload.command_lines:text "
    "workload.workflow.name workload.workflow.uid "
)
_CONTAINER: Final = (
    "container.name container.type container.image container.registry container.repository container.tag "
    "container.digest container.privileged container.allow_privilege_escalation container.run_as_user "
    "container.capabilities_added container.host_paths container.gpu container.command_line:text container.env_names "
)
_POD: Final = (
    "cluster kubernetes.namespace kubernetes.pod.name kubernetes.pod.uid kubernetes.pod.ip "
    "kubernetes.container.name kubernetes.container.id kubernetes.container.image kubernetes.node.name stream "
)
_ACCESS: Final = (
    "c-ip cs-method cs-uri-stem:uri cs-uri-query:query cs-uri:uri sc-status cs-host cs-user-agent:text x-request-id "
    "outcome source.ip kubeflow.run_id kubeflow.namespace kubeflow.notebook kubeflow.action "
    "kubeflow.image response_flags auth_status upstream.cluster cs-username cs-referer:uri "
)
_RBAC: Final = "rule.verbs rule.resources rule.api_groups rule.resource_names rule.non_resource_urls "
_HEALTH: Final = (
    "cluster health.event health.kind health.source health.partition health.records health.undecodable "
    "health.undecodable_share"
)
_SUBJECT: Final = "subject.kind subject.name subject.namespace role.kind role.name "


def _allow(table: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    """``a.b:kind`` words as (path, kind of text)."""
    entries = []
    for word in table.split():
        path, _, kind = word.partition(":")
        entries.append((tuple(path.split(".")), kind or _NAME))
    return tuple(entries)


ALLOWED: Final[Mapping[str, tuple[tuple[tuple[str, ...], str], ...]]] = {
    "audit": _allow(_AUDIT + _WORKLOAD),
    "container_spec": _allow(_CONTAINER + _AUDIT + _WORKLOAD),
    "rbac_rule": _allow(_RBAC + "role.kind role.name " + _AUDIT),
    "rbac_subject": _allow(_SUBJECT + _AUDIT),
    "container_log": _allow(_POD + "message:text"),
    "webserver": _allow(_ACCESS + _POD),
    "source_health": _allow(_HEALTH),
}
"""Per kind of event the fields that may be shown, the most telling first."""

ANNOTATIONS: Final = (
    "authorization.k8s.io/decision",
    "authorization.k8s.io/reason",
    "authentication.kubernetes.io/issued-credential-id",
    "pod-security.kubernetes.io/enforce-policy",
)
"""Audit annotations that may be shown: written by the API server, never by a client."""

_OUTCOMES: Final[Mapping[str, Outcome]] = {"success": "success", "denied": "denied", "error": "error"}


def kind_of(event: Event) -> str:
    """A key of :data:`ALLOWED`."""
    category = event.logsource.category
    return category if category in ALLOWED else "audit"


def evidence_of(event: Event) -> Evidence:
    """What an alert may show of ``event``. Never raises, whatever the fields hold; the same event gives the same."""
    kind = kind_of(event)
    shown = _Shown(event.fields)
    for path, text in ALLOWED[kind]:
        shown.take(path, text)
    if kind not in ("container_log", "webserver", "source_health"):
        shown.take_annotations()
    fields = shown.fields
    outcome = _outcome(kind, fields)
    audit_id = fields.get("auditID")
    return Evidence(
        kind=kind,
        outcome=outcome,
        summary=cut(sentences.summary(kind, fields, outcome), sentences.MAX_SUMMARY),
        fields=fields,
        audit_id=audit_id if isinstance(audit_id, str) else None,
    )


class _Shown:
    """Copies allowed fields until the budget is spent."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self._source = source
        self._left = MAX_BYTES
        self.fields: dict[str, Any] = {}

    def take(self, path: tuple[str, ...], text: str) -> None:
        """Copy the value at ``path``, if there is one that may be shown and there is room."""
        value: Any = self._source
        for step in path:
            if not isinstance(value, dict):
                return
            value = value.get(step)
            if value is None:
                return
        safe = _safe(value, text)
        if safe is None:
            return
        size = _size(safe)
        if size > self._left:
            return
        self._left -= size
        target = self.fields
        for step in path[:-1]:
            target = target.setdefault(step, {})
        target[path[-1]] = safe

    def take_annotations(self) -> None:
        """Copy the allowed annotations; their names hold dots and are single keys."""
        for name in ANNOTATIONS:
            self.take(("annotations", name), _TEXT)


def _safe(value: Any, text: str) -> Any:
    """The value as it may be shown; ``None`` where there is nothing to show (absent, unknown, an object)."""
    if isinstance(value, str):
        if text == _TEXT:
            return cut(redact(value), MAX_TEXT) or None
        if text == _URI:
            return cut(redact_uri(value, drop=("command",)), MAX_TEXT) or None
        if text == "query":
            return cut(redact_uri("?" + value, drop=("command",)).removeprefix("?"), MAX_TEXT) or None
        # Names are not texts: redaction would take the tag of an image called `token-miner:latest` for a secret.
        return cut(clean(value[: 4 * MAX_NAME]), MAX_NAME) or None
    if value is None or value is UNKNOWN or isinstance(value, dict):
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else None
    if isinstance(value, float):
        return value if value - value == 0 else None  # neither infinite nor NaN: JSON knows neither
    if isinstance(value, (list, tuple)):
        items = [_safe(item, text) for item in value[:MAX_ITEMS] if not isinstance(item, (list, tuple))]
        return [item for item in items if item is not None] or None
    return None


def _size(value: Any) -> int:
    """Roughly the characters that JSON needs."""
    if isinstance(value, list):
        return sum(map(_size, value))
    return len(value) + 4 if isinstance(value, str) else 8


def _outcome(kind: str, fields: Mapping[str, Any]) -> Outcome:
    """As the decoder says; for access lines from the status where it does not."""
    told = fields.get("outcome")
    if isinstance(told, str):
        return _OUTCOMES.get(told, "unknown")
    status = fields.get("sc-status")
    if kind == "webserver" and isinstance(status, int):
        if status in (401, 403):
            return "denied"
        return "error" if status >= 400 else "success"
    return "unknown"
