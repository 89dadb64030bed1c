"""Which fields events have, by log source, as far as names are fixed: what rules can ask for and what not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from streamer.model import (
    AUDIT,
    CONTAINER_LOG,
    CONTAINER_SPEC,
    RBAC_RULE,
    RBAC_SUBJECT,
    SOURCE_HEALTH,
    WEBSERVER,
    LogSource,
)

SOURCES: Final = (AUDIT, CONTAINER_LOG, WEBSERVER, CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT, SOURCE_HEALTH)
"""The log sources that events have."""

_AUDIT: Final = (
    "kind apiVersion level auditID stage requestURI verb user.username user.uid user.groups user.extra "
    "impersonatedUser.username impersonatedUser.uid impersonatedUser.groups impersonatedUser.extra sourceIPs userAgent "
    "objectRef.resource objectRef.namespace objectRef.name objectRef.uid objectRef.apiGroup objectRef.apiVersion "
    "objectRef.resourceVersion objectRef.subresource responseStatus.metadata responseStatus.status "
    "responseStatus.message responseStatus.reason responseStatus.details responseStatus.code requestObject "
    "responseObject requestReceivedTimestamp stageTimestamp annotations authenticationMetadata metadata timestamp "
    "cluster source.ip outcome actor.name actor.kind actor.effective actor.namespace actor.pod actor.node "
    "actor.credential_id exec.command exec.container truncated body_unknown body_unrecorded issued.credential_id "
    "admission.mutated_by "
    "authorized_by.binding authorized_by.role authorized_by.subject pod.name pod.namespace pod.uid pod.node_name "
    "workload.kind workload.name workload.namespace workload.uid workload.generate_name workload.service_account "
    "workload.owner workload.workflow workload.labels workload.run_id workload.host_network workload.host_pid "
    "workload.host_ipc workload.host_paths workload.images workload.image_repositories workload.privileged "
    "workload.capabilities_added workload.command_lines workload.node_name workload.gpu"
)
_LINE: Final = (
    "cluster message stream truncated kubernetes.namespace kubernetes.pod kubernetes.container kubernetes.node "
    "kubernetes.labels log"
)
_ACCESS: Final = (
    "c-ip cs-method cs-uri cs-uri-stem cs-uri-query sc-status cs-user-agent cs-host cs-username cs-referer "
    "x-request-id source.ip outcome kubeflow.run_id kubeflow.namespace kubeflow.notebook kubeflow.action "
    "kubeflow.image response_flags response_details cs-bytes sc-bytes time-taken upstream.host upstream.cluster "
    "route_name auth_status"
)
_CONTAINER: Final = (
    "container.name container.type container.template container.image container.registry container.repository "
    "container.tag container.digest container.privileged container.allow_privilege_escalation container.run_as_user "
    "container.capabilities_added container.command_line container.env_names container.host_paths container.gpu"
)
_RULE: Final = "rule.verbs rule.resources rule.api_groups rule.resource_names rule.non_resource_urls"
_SUBJECT: Final = "subject.kind subject.name subject.namespace role.kind role.name"
_HEALTH: Final = (
    "cluster health.event health.kind health.source health.minute health.partition health.records health.undecodable "
    "health.undecodable_share"
)
_FIELDS: Final[Mapping[LogSource, str]] = {
    AUDIT: _AUDIT,
    CONTAINER_LOG: _LINE,
    WEBSERVER: f"{_ACCESS} {_LINE}",
    CONTAINER_SPEC: f"{_CONTAINER} {_AUDIT}",
    RBAC_RULE: f"{_RULE} {_AUDIT}",
    RBAC_SUBJECT: f"{_SUBJECT} {_AUDIT}",
    SOURCE_HEALTH: _HEALTH,
}


def sources_of(logsource: LogSource) -> tuple[LogSource, ...]:
    """The log sources of the events that a rule with this one sees."""
    return tuple(
        source
        for source in SOURCES
        if logsource.category in {"", source.category}
        and logsource.product in {"", source.product}
        and logsource.service in {"", source.service}
    )


def fields_of(sources: Iterable[LogSource]) -> frozenset[str]:
    """Every field with a fixed name that events of these log sources may have; below them anything may stand."""
    return frozenset(name for source in sources for name in _FIELDS[source].split())


def may_exist(field: str, known: frozenset[str]) -> bool:
    """Whether a dotted path leads to one of the known fields, into it, or to what holds it."""
    if any(name.startswith(f"{field}.") for name in known):
        return True
    end = len(field)
    while end > 0:
        if field[:end] in known:
            return True
        end = field.rfind(".", 0, end)
    return False
