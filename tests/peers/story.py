"""Short stories for the engine: who did what at which second, told as Kubernetes audit events.

Rules are Sigma YAML. An event's kind is the name of the object it touches, so that a rule for kind ``a`` is one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from streamer.decode import Source
from streamer.engine import Engine
from streamer.model import Alert, Firing, Position, Record
from streamer.sigma import load_text
from streamer.sigma.rules import RuleSet

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = 1_000_000
TEN_YEARS = 10 * 365 * 86_400
START_US = int(EPOCH.timestamp()) * SECOND


def stamp(at: float) -> str:
    """Seconds since the story began as an audit stamp."""
    return (EPOCH + timedelta(microseconds=round(at * SECOND))).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Act:
    """One request.

    Attributes:
        kind: name of the object touched; what rules look at.
        at: seconds since the story began.
        user: who.
        id: audit id; made from the place in the story if empty.
        more: further members of the audit event.
    """

    kind: str
    at: float
    user: str = "alice"
    id: str = ""
    stage: str = "ResponseComplete"
    more: dict[str, Any] = field(default_factory=dict)

    def value(self, number: int) -> bytes:
        """The audit event as it would stand in a log."""
        event: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "RequestResponse",
            "auditID": self.id or f"00000000-0000-4000-8000-{number:012d}",
            "stage": self.stage,
            "requestURI": f"/api/v1/namespaces/default/configmaps/{self.kind}",
            "verb": "get",
            "user": {"username": self.user, "groups": ["system:authenticated"]},
            "sourceIPs": ["192.0.2.7"],
            "userAgent": "kubectl/v1.31.0",
            "objectRef": {
                "resource": "configmaps",
                "namespace": "default",
                "name": self.kind,
                "apiVersion": "v1",
            },
            "requestReceivedTimestamp": stamp(self.at),
            "stageTimestamp": stamp(self.at),
        }
        if self.stage != "RequestReceived":
            event["responseStatus"] = {"metadata": {}, "code": 200}
        event.update(self.more)
        return json.dumps(event).encode()


@dataclass
class Ending:
    """What was told by the end."""

    rules: RuleSet
    alerts: list[Alert] = field(default_factory=list)
    firings: list[Firing] = field(default_factory=list)

    def alerts_of(self, name: str) -> list[Alert]:
        """Alerts of the rule with this name."""
        return [alert for alert in self.alerts if self.rules.meta(alert.firing.rule).name == name]

    def seconds(self, name: str) -> list[float]:
        """Times of a rule's firings, in seconds of the story."""
        times = [f.time_us for f in self.firings if self.rules.meta(f.rule).name == name]
        return [(time - START_US) / SECOND for time in times]


def rule(name: str, kind: str, *, more: str = "") -> str:
    """A detection for one kind of act."""
    return f"""\
title: Somebody did {kind}
name: {name}
status: test
logsource: {{category: application, product: kubernetes, service: audit}}
detection:
    selection:
        objectRef.name: {kind}
    condition: selection
level: low
{more}"""


def rules_of(*documents: str) -> RuleSet:
    """A rule set of YAML documents, one file each; refuses what the product refuses."""
    return load_text({f"rules/{number}.yml": text for number, text in enumerate(documents)}).ok()


def records(acts: Iterable[Act], *, topic: bool = False) -> list[Record]:
    """The acts in order of arrival: lines of a file, or records of a topic appended when they happened."""
    made: list[Record] = []
    for number, act in enumerate(acts, start=1):
        position = Position("story.log", 0, number, is_file=not topic)
        appended = START_US + round(act.at * SECOND) if topic else None
        made.append(Record(act.value(number), position, append_time_us=appended))
    return made


def run(
    documents: Sequence[str], acts: Iterable[Act], *, topic: bool = False, ends: bool = True, lateness: float = 10
) -> Ending:
    """Tell the story to an engine, record by record."""
    rules = rules_of(*documents)
    engine = Engine(rules)
    source = Source("story.log", "audit", lateness_us=round(lateness * SECOND))
    engine.expect(("story.log", 0), source, is_file=not topic)
    ending = Ending(rules)
    for record in records(acts, topic=topic):
        output = engine.feed([record])
        ending.alerts += output.alerts
        ending.firings += output.firings
    if ends:
        output = engine.end(("story.log", 0))
        ending.alerts += output.alerts
        ending.firings += output.firings
    return ending


def count(documents: Sequence[str], acts: Iterable[Act], *, of: str = "the_rule") -> int:
    """How many alerts the rule under test raises."""
    return len(run(documents, acts).alerts_of(of))
