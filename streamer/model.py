"""The nouns, in the order in which data passes through them: Record → Event → Match → Firing → Alert.

All times are integers: microseconds since the Unix epoch, UTC (``*_us``). Finer stamps are cut for time and kept for
identity. Nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, TypeAlias

Scalar: TypeAlias = str | int | float | bool
"""A JSON scalar other than null. ``True`` is no number: compare with :mod:`streamer.correlate.keys`, not ``==``."""

Decided: TypeAlias = Literal["arrival", "watermark"]
Outcome: TypeAlias = Literal["success", "denied", "error", "unknown"]


class Unknown(Enum):
    """The value of a field that was cut off on the way: neither present nor absent (three-valued logic)."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        """Short, for test output."""
        return "UNKNOWN"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a record came from, unique for ever within one installation.

    Attributes:
        source: topic name, file path, ``-`` for standard input.
        partition: Kafka partition; 0 for files.
        offset: Kafka offset; line number counted from 1 for files.
        is_file: whether this is a place in a file (no append time, lines) or in a topic.
    """

    source: str
    partition: int
    offset: int
    is_file: bool

    def __str__(self) -> str:
        """``file:line`` or ``topic[partition]@offset``."""
        if self.is_file:
            return f"{self.source}:{self.offset}"
        return f"{self.source}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Record:
    """The bytes that arrived and where from.

    Attributes:
        value: the bytes, one Kafka message value or one line of a file without its line end.
        position: where they stood.
        append_time_us: when the broker appended them; ``None`` for files.
        headers: Kafka headers.
    """

    value: bytes
    position: Position
    append_time_us: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class LogSource:
    """Sigma's log source of an event; an attribute an event does not have is the empty string."""

    category: str = ""
    product: str = ""
    service: str = ""


AUDIT: Final = LogSource("application", "kubernetes", "audit")
CONTAINER_LOG: Final = LogSource("container_log", "kubernetes")
WEBSERVER: Final = LogSource("webserver", "kubernetes")
CONTAINER_SPEC: Final = LogSource("container_spec", "kubernetes")
RBAC_RULE: Final = LogSource("rbac_rule", "kubernetes")
RBAC_SUBJECT: Final = LogSource("rbac_subject", "kubernetes")
SOURCE_HEALTH: Final = LogSource("source_health", "streamer")
"""What streamer says of its own sources."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        logsource: what rules may look at it.
        time_us: event time (SEMANTICS: time); already corrected for stamps ahead of the append time.
        identity: 16 bytes of hash; equal for every telling of the same event.
        cluster: canonical cluster name.
        fields: the raw structure under its own names plus derived fields, nested dicts. A value may be ``UNKNOWN``.
        position: the record it was read from.
        index: number of this event within its record, from 0, derived events included.
        stage_only: an audit stage that does not stand for the request; seen only by rules that test ``stage``.
        flags: ``clock-ahead`` (stamp replaced by append time), ``no-time``, ``truncated``, ``body-unknown``,
            ``body-unrecorded`` (a write whose body the policy did not record).
        stamp_us: the stamp as written, where it differs from ``time_us``; ``None`` otherwise.
        has_stamp: whether the record itself carried a time (only such records move a file's watermark).
    """

    logsource: LogSource
    time_us: int
    identity: bytes
    cluster: str
    fields: dict[str, Any]
    position: Position
    index: int = 0
    stage_only: bool = False
    flags: tuple[str, ...] = ()
    stamp_us: int | None = None
    has_stamp: bool = True


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What could not be read.

    Attributes:
        reason: stable kebab-case word, counted by metrics, for example ``not-json``, ``too-large``, ``too-deep``.
        detail: one sentence for a person.
        position: where it stood.
        value: the original bytes, cut to the limit of the decoder.
        size: how many bytes there were.
    """

    reason: str
    detail: str
    position: Position
    value: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an alert may show of one event: an allow-list of fields, never a body, never a secret.

    Attributes:
        kind: ``audit``, ``container_log``, ``webserver``, ``container_spec``, ``rbac_rule``, ``rbac_subject`` or
            ``source_health``.
        outcome: success, denied, error or unknown.
        summary: one sentence, bounded, already free of secrets and control characters.
        fields: nested allow-listed fields (dotted paths as nested dicts), bounded in size.
        audit_id: ``auditID`` of an audit event.
    """

    kind: str
    outcome: Outcome
    summary: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    audit_id: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """One rule accepted one event; or, as the match of a correlation, one firing.

    Attributes:
        rule: ``RuleMeta.key`` of the rule that matched.
        identity: the event's identity; for a firing a hash of (rule, key, time).
        time_us: the event's time; for a firing the firing's time.
        cluster: canonical cluster name; empty for a firing without a cluster in its key.
        values: for every field that a correlation over this rule uses, its values as JSON scalars in the order they
            stand in the event (a list gives each element). A field that is missing, null or unknown has no entry.
        position: the record; ``None`` for a firing.
        index: the event's index within its record.
        evidence: what an alert may show; ``None`` for a firing.
        firing: the firing this match stands for; ``None`` for an event.
    """

    rule: str
    identity: bytes
    time_us: int
    cluster: str
    values: Mapping[str, tuple[Scalar, ...]]
    position: Position | None = None
    index: int = 0
    evidence: Evidence | None = None
    firing: Firing | None = None


Key: TypeAlias = tuple[str, ...]
"""Canonical JSON texts of the key's values in the order of :attr:`Firing.key_names`."""


@dataclass(frozen=True, slots=True)
class Step:
    """The members of one referenced rule in a firing: at most 20 (latest in time), and how many there truly were."""

    rule: str
    members: tuple[Match, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Firing:
    """What a correlation rule yields. (rule, key, time) is its identity.

    Attributes:
        rule: ``RuleMeta.key`` of the correlation; for an alerting detection the detection's own key.
        key_names: ``cluster`` (unless the rule spans clusters) and the group-by fields.
        key: canonical JSON text of each, same order.
        time_us: the later of its latest member and the end of its last ``not`` window; a count window's end.
        decided: on arrival, or when the watermark had passed.
        decided_us: event time of the arrival, or the watermark, that decided it.
        marks: of ``provisional``, ``cut``, ``cold_start``; sorted.
        steps: named members, in the order of the rule's references; for a detection one step.
        window_us: first and last event time of the window or chain, bounds included.
        value: the count, or the result of an aggregate; ``None`` for temporal rules.
        values: the fields other correlations may use: key fields under their group-by names, and ``<rule>.<field>``.
        suppress_key: the key under which it is suppressed, where that differs from ``key`` (first_seen adds the value).
    """

    rule: str
    key_names: tuple[str, ...]
    key: Key
    time_us: int
    decided: Decided
    decided_us: int
    marks: tuple[str, ...]
    steps: tuple[Step, ...]
    window_us: tuple[int, int]
    value: float | None = None
    values: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    suppress_key: Key | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told to people: immutable, one per episode.

    Attributes:
        id: 32 hex digits, hash of rule id, the rule's meaning, key and the time of the opening firing.
        firing: the firing that opened the episode.
        links_exact: joins along the chain whose key names the thing itself.
        links_by_time: joins along the chain by time only.
    """

    id: str
    firing: Firing
    links_exact: int = 0
    links_by_time: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about streamer itself that people must hear of, told like an alert.

    Attributes:
        kind: ``state-pressure``, ``alert-flood``, ``late-events``, ``body-unknown``, ``dead-letters``; stable
            kebab-case.
        rule: key of the rule concerned, or ``None``.
        time_us: event time.
        detail: one sentence: what happened, what it means for detection, what to do.
        top: the largest contributors, most first: (key or source, count).
    """

    kind: str
    rule: str | None
    time_us: int
    detail: str
    top: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """What leaves the system, encoded once for every door.

    Attributes:
        id: ``_id`` in Elasticsearch, ``ce_id`` on the topic.
        index: full name of the Elasticsearch index.
        key: Kafka key.
        body: one JSON object.
        headers: Kafka headers (CloudEvents binary mode).
        time_us: event time of the completing event.
    """

    id: str
    index: str
    key: bytes
    body: bytes
    headers: tuple[tuple[str, bytes], ...]
    time_us: int
