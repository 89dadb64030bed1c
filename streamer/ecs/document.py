"""Alert → document: what leaves the system, encoded once for every door.

The same alert always gives the same document, except for what :data:`streamer.ecs.fields.VOLATILE` names (when and by
whom it was told). A document is built flat, one ECS name after the other, and nested at the end in the order of
:data:`streamer.ecs.fields.ALERT_FIELDS`; a field that is not in that table cannot leave.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

import orjson

from streamer.detect.redaction import cut, redact
from streamer.ecs import cloudevents, evidence, reason
from streamer.ecs.actors import Event, Flat, attributed
from streamer.ecs.attack import ATTACK_VERSION, FRAMEWORK, Attack, attack_of
from streamer.ecs.bodies import index_of
from streamer.ecs.conditions import condition_text
from streamer.ecs.entities import entities_of, union
from streamer.ecs.fields import ALERT_FIELDS
from streamer.ecs.members import Line, Member, Rules, key_values, line_of, marks_of
from streamer.ecs.safe import indexable_us, safe_value, timestamp
from streamer.ecs.templates import SCHEMA_VERSION
from streamer.model import Alert, Document, Firing, Notice
from streamer.sigma.rules import CorrelationRule, Level, RuleMeta, RuleSet

ECS_VERSION: Final = "9.4.0"
SEVERITY: Final[Mapping[Level, int]] = {"informational": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}
"""Elastic Security knows exactly these numbers."""
_RISK: Final[Mapping[Level, float]] = {
    "informational": 5.0,
    "low": 21.0,
    "medium": 47.0,
    "high": 73.0,
    "critical": 99.0,
}

MAX_TEXT: Final = 1_000
MAX_EVENT_IDS: Final = 100
MAX_TAGS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentContext:
    """Who tells, and when; nothing of it changes what is told.

    Attributes:
        instance: name of the process, for example the pod's.
        version: streamer's version.
        created_us: the clock when the alert is told, read by the caller.
        namespace: separates installations that share a server; part of the index name.
        replayed: told by a replay, not live.
    """

    instance: str
    version: str
    created_us: int
    namespace: str = "default"
    replayed: bool = False


class Documents:
    """Makes documents for one rule set."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules: Rules = rules.by_key()

    def alert(self, alert: Alert, context: DocumentContext) -> Document:
        """The document of an alert.

        Raises:
            KeyError: the alert's rule is not in the rule set.
        """
        firing = alert.firing
        meta = self._rules[firing.rule].meta
        line = line_of(firing, self._rules)
        attack = attack_of(meta.tags)
        told = [_told_by(member) for member in line.members]
        entities = union([event.flat for event in told]) | attributed(told)
        time_us = line.members[-1].match.time_us if line.members else firing.time_us
        flat: Flat = {
            **_frame(context, time_us),
            **_rule(meta),
            **_attack(attack),
            **entities,
            **_times(line, firing),
            **self._correlation(firing, line),
            **_told(alert),
            "event.id": alert.id,
            "streamer.alert.id": alert.id,
            "event.category": ["intrusion_detection", *entities.get("event.category", [])],
            "event.type": entities.get("event.type", ["info"]),
            "event.outcome": entities.get("event.outcome", "unknown"),
            "streamer.outcome": entities.get("streamer.outcome", "unknown"),
            "event.reason": reason.reason_of(firing, line, meta, self._rules),
            "streamer.steps": [self._step(step.rule, step.total, step.shown) for step in line.steps]
            + [{**self._step(rule, 0, 0), "absent": True} for rule in line.absent],
            "streamer.evidence": evidence.evidence_items(line.members, self._rules),
        }
        return _document(alert.id, flat, time_us, _key(firing, line, entities))

    def notice(self, notice: Notice, context: DocumentContext) -> Document:
        """The document of a notice: it looks like an alert of the type ``notice``, so that nobody overlooks it."""
        rule = self._rules.get(notice.rule or "")
        identity = hashlib.sha256(
            orjson.dumps(["n1", notice.kind, notice.rule, notice.time_us, redact(notice.detail)])
        ).hexdigest()[:32]
        title = f"streamer: {notice.kind.replace('-', ' ')}"
        moment = timestamp(indexable_us(notice.time_us))
        flat: Flat = {
            **_frame(context, notice.time_us),
            "message": title,
            "event.id": identity,
            "event.category": ["intrusion_detection"],
            "event.type": ["info"],
            "event.outcome": "unknown",
            "event.start": moment,
            "event.end": moment,
            "event.duration": 0,
            "event.severity": SEVERITY["medium"],
            "event.risk_score": _RISK["medium"],
            "event.reason": cut(redact(notice.detail), MAX_TEXT),
            "rule.id": f"streamer.{notice.kind}",
            "rule.name": title,
            "rule.category": "notice",
            "streamer.alert.id": identity,
            "streamer.alert.type": "notice",
            "streamer.alert.depth": 0,
            "streamer.alert.dedup_key": _digest(notice.kind, notice.rule or ""),
            "streamer.correlation.group_key": _json([notice.kind, notice.rule]),
            "streamer.correlation.rule_ids": [rule.meta.id or rule.meta.key] if rule else None,
            "streamer.rule.level": "medium",
            "streamer.rule.hash": f"notice-{notice.kind}",
            "streamer.decided.at": moment,
            "streamer.decided.by": "watermark",
            "streamer.provisional": False,
            "streamer.links.exact": 0,
            "streamer.links.by_time": 0,
            "streamer.outcome": "unknown",
            "streamer.notice.kind": notice.kind,
            "streamer.notice.top": [
                {"name": cut(redact(name), MAX_TEXT), "count": count} for name, count in notice.top
            ],
            "streamer.evidence": [],
        }
        return _document(identity, flat, notice.time_us, _json([notice.kind, notice.rule]))

    def _correlation(self, firing: Firing, line: Line) -> Flat:
        rule = self._rules[firing.rule]
        group_by = key_values(firing)
        flat: Flat = {
            "streamer.correlation.group_key": _group_key(firing),
            "streamer.correlation.count": line.total,
            "streamer.correlation.rule_ids": [
                self._rules[step.rule].meta.id or step.rule for step in line.steps if step.rule in self._rules
            ],
            "streamer.correlation.event_ids": [m.match.identity.hex() for m in line.members][:MAX_EVENT_IDS],
            "streamer.alert.dedup_key": _digest(firing.rule, *firing.key),
            "streamer.alert.type": "detection",
            "streamer.alert.depth": 1,
            "rule.category": "detection",
        }
        if isinstance(rule, CorrelationRule):
            flat |= {
                "streamer.alert.type": "correlation",
                "streamer.alert.depth": rule.rank + 1,
                "rule.category": "correlation",
                "streamer.correlation.type": rule.type,
                "streamer.correlation.group_by": group_by,
                "streamer.correlation.timespan_ms": rule.timespan_us // 1_000,
                "streamer.correlation.window.start": timestamp(indexable_us(firing.window_us[0])),
                "streamer.correlation.window.end": timestamp(indexable_us(firing.window_us[1])),
                "streamer.correlation.value": firing.value,
                "streamer.correlation.condition": cut(condition_text(rule, self._rules), MAX_TEXT),
            }
        return flat

    def _step(self, key: str, total: int, shown: int) -> dict[str, Any]:
        rule = self._rules.get(key)
        named = {"id": rule.meta.id or key, "name": rule.meta.name, "title": rule.meta.title} if rule else {"id": key}
        return {name: value for name, value in named.items() if value} | {"total": total, "shown": shown}


def alert_document(alert: Alert, rules: RuleSet, context: DocumentContext) -> Document:
    """:meth:`Documents.alert` for one alert; whoever makes many keeps a :class:`Documents`."""
    return Documents(rules).alert(alert, context)


def notice_document(notice: Notice, rules: RuleSet, context: DocumentContext) -> Document:
    """:meth:`Documents.notice` for one notice."""
    return Documents(rules).notice(notice, context)


def _told_by(member: Member) -> Event:
    match = member.match
    flat = entities_of(match.evidence) if match.evidence is not None else {}
    if match.cluster:
        flat["orchestrator.cluster.name"] = safe_value(match.cluster)
    if match.position is not None:
        flat["streamer.source.topic"] = match.position.source
        flat["streamer.source.partition"] = match.position.partition
        flat["streamer.source.offset"] = match.position.offset
    return Event(match.evidence.fields if match.evidence is not None else {}, flat)


def _frame(context: DocumentContext, time_us: int) -> Flat:
    moment = indexable_us(time_us)
    return {
        "@timestamp": timestamp(moment),
        "ecs.version": ECS_VERSION,
        "event.kind": "alert",
        "event.module": "streamer",
        "event.dataset": "streamer.alerts",
        "event.created": timestamp(context.created_us),
        "event.ingested": timestamp(context.created_us),
        "data_stream.type": "logs",
        "data_stream.dataset": "streamer.alerts",
        "data_stream.namespace": context.namespace,
        "observer.vendor": "streamer",
        "observer.product": "streamer",
        "observer.type": "correlation-engine",
        "observer.version": context.version,
        "observer.name": context.instance,
        "orchestrator.type": "kubernetes",
        "streamer.schema_version": SCHEMA_VERSION,
        "streamer.engine.instance": context.instance,
        "streamer.engine.version": context.version,
        "streamer.engine.latency_ms": (context.created_us - moment) // 1_000,
        "streamer.engine.replayed": context.replayed,
    }


def _rule(meta: RuleMeta) -> Flat:
    return {
        "message": meta.title,
        "tags": list(meta.tags[:MAX_TAGS]),
        "event.severity": SEVERITY[meta.level],
        "event.risk_score": _RISK[meta.level],
        "event.url": meta.references[0] if meta.references else None,
        "rule.id": meta.id or meta.name or meta.key,
        "rule.uuid": meta.id,
        "rule.name": meta.title,
        "rule.description": cut(meta.description, MAX_TEXT),
        "rule.version": meta.version,
        "rule.ruleset": _rule_path(meta).rpartition("/")[0],
        "rule.reference": list(meta.references[:10]),
        "rule.author": meta.author,
        "rule.license": meta.license,
        "streamer.rule.level": meta.level,
        "streamer.rule.status": meta.status,
        "streamer.rule.path": _rule_path(meta),
        "streamer.rule.hash": meta.meaning,
        "streamer.rule.falsepositives": [cut(text, MAX_TEXT) for text in meta.falsepositives[:10]],
    }


def _rule_path(meta: RuleMeta) -> str:
    """The path within the rule folder: equal on every machine."""
    parts = PurePath(meta.place.path).parts
    for index in range(len(parts) - 1, -1, -1):
        if parts[index] in ("rules", "_rules"):
            return "/".join(parts[index + 1 :])
    return parts[-1] if parts else ""


def _attack(attack: Attack) -> Flat:
    if not attack:
        return {}
    return {
        "threat.framework": FRAMEWORK,
        "threat.tactic.id": [tactic.id for tactic in attack.tactics],
        "threat.tactic.name": [tactic.name for tactic in attack.tactics],
        "threat.tactic.reference": [tactic.reference for tactic in attack.tactics],
        "threat.technique.id": [item.id for item in attack.techniques],
        "threat.technique.name": [item.name or item.id for item in attack.techniques],
        "threat.technique.reference": [item.reference for item in attack.techniques],
        "threat.technique.subtechnique.id": [item.id for item in attack.subtechniques],
        "threat.technique.subtechnique.name": [item.name or item.id for item in attack.subtechniques],
        "threat.technique.subtechnique.reference": [item.reference for item in attack.subtechniques],
        "streamer.attack.version": ATTACK_VERSION,
    }


def _times(line: Line, firing: Firing) -> Flat:
    times = [member.match.time_us for member in line.members] or [firing.window_us[0], firing.window_us[1]]
    first, last = indexable_us(min(times)), indexable_us(max(times))
    return {
        "event.start": timestamp(first),
        "event.end": timestamp(last),
        "event.duration": (last - first) * 1_000,
    }


def _told(alert: Alert) -> Flat:
    firing = alert.firing
    marks = marks_of(firing)
    return {
        "streamer.decided.at": timestamp(indexable_us(firing.decided_us)),
        "streamer.decided.by": firing.decided,
        "streamer.provisional": "provisional" in marks,
        "streamer.marks": list(marks),
        "streamer.links.exact": alert.links_exact,
        "streamer.links.by_time": alert.links_by_time,
    }


def _group_key(firing: Firing) -> str:
    """The canonical key as JSON text, redacted where a value would give a secret away."""
    values = key_values(firing)
    shown = [orjson.dumps(values[name]).decode() for name in firing.key_names if name in values]
    return cut("[" + ",".join(shown) + "]", 4 * MAX_TEXT)


def _key(firing: Firing, line: Line, entities: Flat) -> str:
    """Kafka key: alerts about one thing keep their order; of lone events, those of one cluster and user do."""
    lone = len(line.members) == 1 and firing.key[-1:] == (_json(line.members[0].match.identity.hex()),)
    if lone or not firing.key_names:
        return _json([entities.get("orchestrator.cluster.name", ""), entities.get("user.name", "")])
    return _group_key(firing)


def _document(identity: str, flat: Flat, time_us: int, key: str) -> Document:
    return Document(
        id=identity,
        index=index_of(flat["data_stream.namespace"], flat["@timestamp"]),
        key=key.encode(),
        body=orjson.dumps(nested(flat)),
        headers=cloudevents.headers(flat),
        time_us=time_us,
    )


def nested(flat: Flat) -> dict[str, Any]:
    """The document as it leaves: only known fields that have a value, in the order of the field table."""
    body: dict[str, Any] = {}
    for field in ALERT_FIELDS:
        value = flat.get(field.name)
        if value is None or (value in ("", []) and not field.required):
            continue
        *parents, leaf = field.name.split(".")
        level = body
        for parent in parents:
            level = level.setdefault(parent, {})
        level[leaf] = value
    return body


def _digest(*parts: str) -> str:
    joined = "\0".join(str(len(part)) + ":" + part for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
