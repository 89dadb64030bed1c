"""Every field of an alert document, once: from this table come the Elasticsearch mapping and the JSON Schema.

One line per field: its name, its type, what it holds. Types are those that every Elasticsearch server has. A type
followed by ``[]`` holds several values; a line whose name ends in ``!`` is in every alert. ECS names have their ECS
meaning; ``kubernetes.*`` follows Elastic's Kubernetes integration; everything of our own stands under ``streamer.*``.

``kw`` keyword, ``flat`` flattened (maps whose keys are not ours: a field per key would explode the mapping),
``off`` kept in the document and not indexed, the rest as Elasticsearch calls them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_ALERT: Final = """
@timestamp!                 date_nanos  event time of the completing event, never processing time
message!                    text     the rule's title; Elastic Security takes it for the rule's name
tags                        kw[]     the rule's tags as written
labels                      flat     reserved for labels set by the operator
ecs.version!                kw       version of the Elastic Common Schema that the ECS names follow
event.id!                   kw       the alert's id: equal to `_id` and to the header `ce_id`
event.kind!                 kw       always `alert`
event.category!             kw[]     ECS categories of the members, always with `intrusion_detection`
event.type!                 kw[]     ECS types of the members
event.action                kw       verb of the completing event, with the subresource: `create`, `get/exec`
event.outcome!              kw       `success`, `failure` or `unknown`
event.module!               kw       always `streamer`
event.dataset!              kw       always `streamer.alerts`
event.provider              kw       log of the completing event: `kubernetes.audit` or `container.log`
event.created!              date     when streamer told the alert; differs between two runs
event.ingested!             date     when the document was made for indexing; differs between two runs
event.start!                date_nanos  first contributing event
event.end!                  date_nanos  last contributing event
event.duration!             long     nanoseconds between the two
event.severity!             long     1 informational, 21 low, 47 medium, 73 high, 99 critical
event.risk_score!           float    0 to 100, from the level
event.reason!               kw       one sentence: who did what, to which thing
event.url                   kw       first reference of the rule
data_stream.type!           kw       always `logs`
data_stream.dataset!        kw       always `streamer.alerts`
data_stream.namespace!      kw       namespace of the installation, part of the index name
observer.vendor!            kw       always `streamer`
observer.product!           kw       always `streamer`
observer.type!              kw       always `correlation-engine`
observer.version!           kw       version that told the alert
observer.name!              kw       instance that told the alert
organization.id             kw       reserved for tenants
rule.id!                    kw       Sigma id of the rule, or its name where it has no id
rule.uuid                   kw       Sigma id of the rule
rule.name!                  kw       title of the rule
rule.description            kw       what the rule says about itself
rule.version                kw       date or version the rule gives
rule.category!              kw       `detection`, `correlation` or `notice`
rule.ruleset                kw       folder of the rule file
rule.reference              kw[]     references of the rule
rule.author                 kw       author of the rule
rule.license                kw       licence of the rule
threat.framework            kw       `MITRE ATT&CK` where the rule has ATT&CK tags
threat.tactic.id            kw[]     in the order of the kill chain
threat.tactic.name          kw[]     same order
threat.tactic.reference     kw[]     same order
threat.technique.id         kw[]     techniques, without sub-techniques
threat.technique.name       kw[]     same order
threat.technique.reference  kw[]     same order
threat.technique.subtechnique.id         kw[]  sub-techniques
threat.technique.subtechnique.name       kw[]  same order
threat.technique.subtechnique.reference  kw[]  same order
orchestrator.type!          kw       always `kubernetes`
orchestrator.cluster.id     kw       reserved: UID of the namespace kube-system
orchestrator.cluster.name   kw       cluster of the members
orchestrator.cluster.url    kw       reserved
orchestrator.cluster.version      kw  reserved
orchestrator.namespace      kw       namespace of the object or of the pod
orchestrator.api_version    kw       API group and version of the object
orchestrator.resource.id    kw       UID of the object
orchestrator.resource.name  kw       name of the object
orchestrator.resource.type  kw       resource of the object, plural as in the audit log
orchestrator.resource.parent.type  kw  kind of the object's owner
orchestrator.resource.ip    ip[]     reserved
kubernetes.namespace        kw       namespace of the pod
kubernetes.pod.name         kw       pod
kubernetes.pod.uid          kw       UID of the pod
kubernetes.pod.ip           ip       address of the pod
kubernetes.node.name        kw       node
kubernetes.container.name   kw       container
kubernetes.audit.auditID    kw       audit id of the latest audit member
kubernetes.audit.level      kw       audit level
kubernetes.audit.stage      kw       audit stage
kubernetes.audit.verb       kw       verb
kubernetes.audit.requestURI        kw  path and query, secrets redacted
kubernetes.audit.userAgent         kw  user agent, never to be trusted
kubernetes.audit.user.username     kw  authenticated user
kubernetes.audit.user.uid          kw  UID of the authenticated user
kubernetes.audit.impersonatedUser.username  kw  impersonated user
kubernetes.audit.objectRef.resource         kw  resource
kubernetes.audit.objectRef.subresource      kw  subresource
kubernetes.audit.objectRef.namespace        kw  namespace
kubernetes.audit.objectRef.name             kw  name
kubernetes.audit.objectRef.uid              kw  UID
kubernetes.audit.objectRef.apiGroup         kw  API group
kubernetes.audit.objectRef.apiVersion       kw  API version
kubernetes.audit.responseStatus.code        integer  HTTP status of the API server
user.id                     kw       UID of the authenticated user
user.name                   kw       who authenticated; this and the following are the actor's
user.domain                 kw       namespace, where the user is a service account
user.group.name             kw[]     groups of the authenticated user
user.roles                  kw[]     reserved
user.effective.id           kw       UID of the impersonated user
user.effective.name         kw       impersonated user
user.target.id              kw       reserved
user.target.name            kw       subject of an RBAC change
source.ip                   ip       address the actor came from; never that of a workload inside a cluster
source.address              kw       the same as written
source.port                 long     reserved
source.geo.country_iso_code kw       reserved
source.geo.location         geo_point  reserved
source.as.number            long     reserved
source.as.organization.name kw       reserved
client.ip                   ip       equal to source.ip
user_agent.original         kw       user agent, never to be trusted
host.name                   kw       node
host.id                     kw       reserved
cloud.provider              kw       reserved
cloud.account.id            kw       reserved
cloud.region                kw       reserved
container.id                kw       id of the container in the runtime
container.name              kw       container
container.image.name        kw       image without tag and digest
container.image.tag         kw[]     tag of the image
container.image.hash.all    kw[]     digest of the image
container.runtime           kw       reserved
container.security_context.privileged  boolean  whether the container, or any of the workload's, is privileged
process.name                kw       program that exec ran
process.args                kw[]     command that exec ran, word by word
process.command_line        kw       command of exec or of the container, secrets redacted
http.request.method         kw       method of the access line
http.response.status_code   long     status of the access line or of the API server
url.original                kw       URI, secrets redacted
related.ip                  ip[]     every address of every member
related.user                kw[]     every user of every member, impersonated ones too
related.hosts               kw[]     nodes and host names of every member
related.hash                kw[]     image digests of every member
streamer.schema_version!    kw       version of this document's schema
streamer.alert.id!          kw       the alert's id
streamer.alert.type!        kw       `detection`, `correlation` or `notice`
streamer.alert.depth!       long     1 for a detection, one more per level of correlation
streamer.alert.parents      kw[]     reserved
streamer.alert.dedup_key!   kw       hash of rule and group key, equal for every alert of one rule and key
streamer.correlation.type        kw  correlation type of the rule
streamer.correlation.group_by    flat  field to value
streamer.correlation.group_key!  kw  the key as canonical JSON
streamer.correlation.timespan_ms      long  timespan of the rule
streamer.correlation.window.start     date_nanos  first event time of window or chain
streamer.correlation.window.end       date_nanos  last event time of window or chain
streamer.correlation.count       long  contributing events, those included that evidence does not show
streamer.correlation.value       double  the count, or the result of an aggregate
streamer.correlation.condition   kw  the rule's condition in words
streamer.correlation.rule_ids    kw[]  rules whose matches contributed
streamer.correlation.event_ids   kw[]  identities of the contributing events, at most 100
streamer.rule.level!        kw       Sigma level
streamer.rule.status        kw       Sigma status
streamer.rule.path          kw       rule file
streamer.rule.hash!         kw       changes whenever the rule's meaning changes
streamer.rule.falsepositives  kw[]   when the rule errs, as its author says
streamer.attack.version     kw       version of ATT&CK that the names follow
streamer.incident.id        kw       reserved
streamer.decided.at!        date_nanos  event time that decided it
streamer.decided.by!        kw       `arrival` of the last event, or `watermark`: nothing earlier could come any more
streamer.provisional!       boolean  decided early; what it says may still change
streamer.marks              kw[]     `provisional`, `cut` (rests on time after the log ended), `cold_start`, `shortened`
streamer.links.exact!       long     joins along the chain by something that names the thing itself
streamer.links.by_time!     long     joins along the chain by time only
streamer.steps              off      per rule that contributed: name, title, how many events, whether absence was asked
streamer.actor.name         kw       who authenticated; equal to user.name
streamer.actor.kind         kw       `user`, `service_account`, `node`, `system` or `anonymous`
streamer.actor.through      kw[]     workloads that carried it out or were used for it after that
streamer.outcome!           kw       `success`, `denied`, `error` or `unknown`
streamer.source.topic       kw       topic or file of the completing event
streamer.source.partition   integer  its partition
streamer.source.offset      long     its offset, or line counted from 1
streamer.engine.instance!   kw       instance that told the alert; differs between two runs
streamer.engine.version!    kw       version that told the alert
streamer.engine.latency_ms! long     event.created minus @timestamp; differs between two runs
streamer.engine.replayed!   boolean  told by a replay
streamer.matched            flat     reserved
streamer.notice.kind        kw       notices only: what happened
streamer.notice.top         off      notices only: the largest contributors
streamer.evidence!          off      the contributing events in the order of their time, bounded
"""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a document.

    Attributes:
        name: dotted path.
        type: ``kw``, ``flat``, ``off`` or an Elasticsearch type name.
        many: holds a list.
        required: in every document.
        text: what it holds, one sentence.
    """

    name: str
    type: str
    many: bool
    required: bool
    text: str


def _parse(table: str) -> tuple[Field, ...]:
    fields = []
    for line in table.strip().splitlines():
        name, kind, text = line.split(maxsplit=2)
        fields.append(Field(name.rstrip("!"), kind.removesuffix("[]"), kind.endswith("[]"), name.endswith("!"), text))
    return tuple(fields)


ALERT_FIELDS: Final = _parse(_ALERT)

VOLATILE: Final = ("event.created", "event.ingested", "streamer.engine", "observer")
"""Paths that differ between two runs over the same records; everything else is equal byte for byte."""
