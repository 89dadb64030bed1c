"""The pure partition core run again over the recorded detections: what a partition must have told, in this order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from streamer.correlate import CorrelateLimits
from streamer.ecs import DocumentContext, Documents
from streamer.ecs.fields import VOLATILE
from streamer.errors import RecordError
from streamer.model import Alert, Document, Firing
from streamer.sigma.rules import RuleSet
from streamer.stages.partition import PartitionCore
from tests.chaos.oracle import Told, identity_of

_CONTEXT = DocumentContext(instance="oracle", version="0", created_us=0)


@dataclass(slots=True)
class Offline:
    """What one partition tells when nothing happens to it.

    Attributes:
        documents: alerts and notices in the order told.
        alerts: of them the alerts.
        firings: every firing, alerting or not.
        state: entries after the last record.
        set_aside: records that could not be read.
    """

    documents: list[Document] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    firings: dict[Told, Firing] = field(default_factory=dict)
    state: dict[bytes, bytes] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    set_aside: int = 0


@dataclass(frozen=True, slots=True)
class Core:
    """How the core of a partition is made."""

    rules: RuleSet
    partition: int
    partitions: int
    limits: CorrelateLimits | None = None

    def make(self) -> PartitionCore:
        """A new one."""
        return PartitionCore(self.rules, partition=self.partition, partitions=self.partitions, limits=self.limits)


def run_again(made: Core, log: Sequence[tuple[int, bytes]], position: int) -> Offline:
    """Feed everything below ``position`` to a new core."""
    core = made.make()
    documents = Documents(made.rules)
    found = Offline()
    for offset, value in log:
        if offset >= position:
            break
        try:
            output = core.feed(offset, value)
        except RecordError:
            found.set_aside += 1
            continue
        found.alerts += output.alerts
        found.documents += [documents.alert(alert, _CONTEXT) for alert in output.alerts]
        found.documents += [documents.notice(notice, _CONTEXT) for notice in output.notices]
        found.firings |= {identity_of(firing): firing for firing in output.firings}
    found.state = core.snapshot()
    return found


def same_state(made: Core, entries: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """What a core that is restored from these entries would store."""
    core = made.make()
    core.restore(dict(entries))
    return core.snapshot()


def lasting(body: bytes) -> dict[str, Any]:
    """A document without what may differ between two runs: when and by whom it was told."""
    document: dict[str, Any] = orjson.loads(body)
    for path in VOLATILE:
        *parents, leaf = path.split(".")
        level: Any = document
        for parent in parents:
            level = level.get(parent, {})
        level.pop(leaf, None)
    document.pop("data_stream", None)
    return document
