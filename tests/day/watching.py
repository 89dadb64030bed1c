"""Messages through the engine with all shipped rules, and what was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from streamer.decode import Source
from streamer.ecs import DocumentContext, Documents
from streamer.engine import Engine, Output
from streamer.model import Alert, DeadLetter, Position, Record
from streamer.sigma import load_rules
from streamer.sigma.rules import RuleSet
from tests.day.cluster import NAME
from tests.day.ink import Kind
from tests.day.shipping import LATENESS_US, Message

RULES = Path(__file__).resolve().parents[2] / "rules"
KINDS: tuple[Kind, ...] = ("audit", "containers")
LEVELS = ("critical", "high", "medium", "low", "informational")
_BATCH = 256
_BATCH_US = 2_000_000
"""What arrives within so long is read together."""


@dataclass
class Seen:
    """What was told of a stream.

    Attributes:
        told_us: for every alert, when the message arrived that caused it.
        read: how many messages.
    """

    rules: RuleSet
    alerts: list[Alert] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    told_us: list[int] = field(default_factory=list)
    failures: list[Any] = field(default_factory=list)
    notices: list[Any] = field(default_factory=list)
    firings: Counter[str] = field(default_factory=Counter)
    read: int = 0

    def add(self, output: Output, arrived_us: int) -> None:
        """Take over what one call of the engine told."""
        self.alerts += output.alerts
        self.told_us += [arrived_us] * len(output.alerts)
        self.dead += output.dead_letters
        self.failures += output.failures
        self.notices += output.notices

    def name(self, alert: Alert) -> str:
        """The rule's name."""
        meta = self.rules.meta(alert.firing.rule)
        return str(meta.name or meta.key)

    def level(self, alert: Alert) -> str:
        """The rule's level."""
        return str(self.rules.meta(alert.firing.rule).level)

    def document(self, alert: Alert) -> dict[str, Any]:
        """What leaves the system for an alert."""
        context = DocumentContext(instance="day", version="0", created_us=alert.firing.decided_us)
        found: dict[str, Any] = orjson.loads(Documents(self.rules).alert(alert, context).body)
        return found

    def clusters(self, alert: Alert) -> set[str]:
        """The clusters that an alert is about."""
        return set(clusters_of(alert))


def clusters_of(alert: Alert) -> Iterator[str]:
    """Clusters of all events below an alert."""
    waiting = [alert.firing]
    while waiting:
        for step in waiting.pop().steps:
            for member in step.members:
                if member.firing is not None:
                    waiting.append(member.firing)
                else:
                    yield member.cluster


def shipped_rules(allow: Path | None = None) -> RuleSet:
    """The rules as delivered; those that do not load are left out (their own tests tell of them)."""
    loaded = load_rules([RULES], allow=allow)
    return loaded.rules


def watch(messages: Iterable[Message], rules: RuleSet, *, past: Iterable[Message] = ()) -> Seen:
    """Both sources as files, which end (a topic would fall silent); what happened in ``past`` is learned, not told."""
    engine = Engine(rules)
    for kind in KINDS:
        engine.expect((kind, 0), Source(kind, kind, cluster=NAME, lateness_us=LATENESS_US), is_file=True)
    seen = Seen(rules)
    offsets: Counter[str] = Counter()
    last = 0
    for batch in _batches(past):
        engine.feed(_records(batch, offsets))
        engine.forget_changes()
    for batch in _batches(messages):
        records = _records(batch, offsets)
        seen.read += len(records)
        seen.add(engine.feed(records), batch[-1].at)
        last = batch[-1].at
        engine.forget_changes()
    for kind in KINDS:
        seen.add(engine.end((kind, 0)), last)
    seen.firings = engine.counters.firings
    return seen


def _batches(messages: Iterable[Message]) -> Iterator[Sequence[Message]]:
    batch: list[Message] = []
    for message in messages:
        if batch and (len(batch) >= _BATCH or message.at - batch[0].at > _BATCH_US):
            yield batch
            batch = []
        batch.append(message)
    if batch:
        yield batch


def _records(batch: Sequence[Message], offsets: Counter[str]) -> list[Record]:
    found: list[Record] = []
    for message in batch:
        position = Position(message.kind, 0, offsets[message.kind], is_file=True)
        offsets[message.kind] += 1
        found.append(Record(message.value, position, message.at, (("cluster", message.cluster.encode()),)))
    return found
