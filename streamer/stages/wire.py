"""What stands in the log between detection and correlation.

Every record is msgpack ``[schema, kind, payload]``. A match for one key has as its Kafka key the correlation and the
key, and stands in the partition that :func:`partition_for` names. What is told to everybody (how far the sources are,
how far the partitions are) has an empty key and stands in every partition.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import msgspec

from streamer.correlate.store import stored_meaning
from streamer.errors import RecordError, StateError
from streamer.model import Firing, Key, Match, Notice, Step
from streamer.sigma.rules import CorrelationRule, DetectionRule, RuleSet

SCHEMA: Final = 1

BUDGET: Final = 200_000
"""Bytes a match may take up before the firings nested in it show fewer members."""

FIRING: Final = ""
"""The lane of matches that are firings: they come in transactions, so none comes twice."""

_SHOWN: Final = (10, 5, 2, 1)
"""Members per step that are tried, one after the other, when a match is too large."""

Beginning: TypeAlias = tuple[bytes, str, int]
"""(meaning of a correlation, cluster, when its first match came)."""


@dataclass(frozen=True, slots=True)
class Addressed:
    """A match on its way to one key of one correlation, or of one alerting detection.

    Attributes:
        correlation: key of the rule whose state it is for; of an alerting detection, the rule of the match itself.
        key: the key it takes part in.
        match: the match, with the values that rule needs.
        lane: who sent it: the version of the rule set a detecting task ran, or a rebuild. Resends are told within a
            lane. :data:`FIRING` for firings.
        overflow: keys of this match that were left out; told with its first key only.
        meaning: short digest of what the correlation meant to the sender (:func:`meaning_of`).
        offset: the raw record that was being read when it was made; not always the one the event stood in, because a
            line that is never finished is handed on later. -1 for firings.
    """

    correlation: str
    key: Key
    match: Match
    lane: str
    overflow: int = 0
    meaning: bytes = b""
    offset: int = -1


@dataclass(frozen=True, slots=True)
class SourceTold:
    """How far one raw partition is.

    Attributes:
        watermark_us: everything older has been read and sent; ``None`` as long as that cannot be said.
        first_us: earliest event time seen; ``None`` before the first.
        since_us: the sender's rules have looked at what is newer than this; ``None``: at everything that is kept.
        newest_us: largest event time seen.
        next_offset: the matches of all records below it have been sent; ``None`` before the first record.
    """

    source: str
    partition: int
    watermark_us: int | None = None
    first_us: int | None = None
    since_us: int | None = None
    newest_us: int | None = None
    next_offset: int | None = None


@dataclass(frozen=True, slots=True)
class SourcesTold:
    """From a detecting task to every partition: how far its raw partitions are.

    Attributes:
        version: the rule set it runs.
        sources: its raw partitions.
        expects: number of partitions of each configured raw topic.
        beginnings: first matches of rules that learn.
        rules: the meanings in this version, now and then; empty says nothing.
    """

    version: str
    sources: tuple[SourceTold, ...] = ()
    expects: Mapping[str, int] = field(default_factory=dict)
    beginnings: tuple[Beginning, ...] = ()
    rules: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class RankTold:
    """How far one partition of detections is. What it says holds once all it rests on is committed.

    Attributes:
        version: the rule set it runs.
        watermarks: by rank: every firing of that rank and older than this has been told.
        behind: by meaning: the rules for which less is true.
        starts: by rank: the latest start of a rule of that rank or lower.
        beginnings: first matches of rules over correlations that learn.
        rules: the meanings in this version, now and then; empty says nothing.
    """

    version: str = ""
    watermarks: Mapping[int, int] = field(default_factory=dict)
    behind: Mapping[bytes, int] = field(default_factory=dict)
    starts: Mapping[int, int] = field(default_factory=dict)
    beginnings: tuple[Beginning, ...] = ()
    rules: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class RanksTold:
    """From a correlating process to every partition: how far its partitions are, by number."""

    told: Mapping[int, RankTold]


@dataclass(frozen=True, slots=True)
class NoticeTold:
    """A notice of a detecting task, to be told once."""

    notice: Notice


Wire: TypeAlias = Addressed | SourcesTold | RanksTold | NoticeTold

_encoder: Final = msgspec.msgpack.Encoder()
_frame: Final = msgspec.msgpack.Decoder(tuple[int, str, msgspec.Raw])
_addressed: Final = msgspec.msgpack.Decoder(tuple[str, tuple[str, ...], str, int, bytes, int, Match | bytes])
_json_match: Final = msgspec.json.Decoder(Match)
_told: Final[Mapping[str, msgspec.msgpack.Decoder[Any]]] = {
    "sources": msgspec.msgpack.Decoder(SourcesTold),
    "ranks": msgspec.msgpack.Decoder(RanksTold),
    "notice": msgspec.msgpack.Decoder(NoticeTold),
}


def encode(record: Wire) -> bytes:
    """The value of a record of the log."""
    if isinstance(record, Addressed):
        return _encode_addressed(record)
    kind = {SourcesTold: "sources", RanksTold: "ranks", NoticeTold: "notice"}[type(record)]
    return _encoder.encode((SCHEMA, kind, record))


def decode(data: bytes) -> Wire:
    """The record of a value.

    Raises:
        StateError: it was written by a newer version.
        RecordError: it cannot be read.
    """
    try:
        schema, kind, raw = _frame.decode(data)
        if schema > SCHEMA:
            raise StateError(
                f"The detections topic holds records of schema {schema}; this version of streamer reads {SCHEMA}.",
                hint="Run the version that wrote them, or a newer one.",
            )
        if kind == "match":
            return _decode_addressed(raw)
        told: Wire = _told[kind].decode(raw)
    except (msgspec.DecodeError, KeyError) as error:
        raise RecordError("not-readable", f"A record of the detections topic cannot be read: {error}.") from error
    return told


def kafka_key(addressed: Addressed) -> bytes:
    """The Kafka key of a match: its correlation and its key."""
    return _key_bytes(addressed.correlation, addressed.key)


def partition_for(correlation: str, key: Key, partitions: int) -> int:
    """The partition that holds the state of a key."""
    digest = hashlib.blake2b(_key_bytes(correlation, key), digest_size=8).digest()
    return int.from_bytes(digest, "big") % partitions


def meaning_of(rule: DetectionRule | CorrelationRule) -> bytes:
    """Eight bytes that stand for a rule's meaning and for the names of the rules it references."""
    return hashlib.blake2b(stored_meaning(rule).encode(), digest_size=8).digest()


def version_of(rules: RuleSet) -> str:
    """Sixteen hex digits that stand for everything that decides what is detected and whom it is sent to."""
    said = sorted((key, stored_meaning(rule), rule.alerts) for key, rule in rules.by_key().items())
    return hashlib.blake2b(json.dumps(said).encode(), digest_size=8).hexdigest()


def _key_bytes(correlation: str, key: Key) -> bytes:
    text = json.dumps([correlation, *key], ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _encode_addressed(record: Addressed) -> bytes:
    data = _framed(record, record.match)
    shown = iter(_SHOWN)
    while len(data) > BUDGET and record.match.firing is not None and (most := next(shown, 0)):
        data = _framed(record, _smaller(record.match, most))
    return data


def _framed(record: Addressed, match: Match) -> bytes:
    """As msgpack, which has no integers beyond 64 bits: a match that holds one is written as JSON text."""
    head = (record.correlation, record.key, record.lane, record.overflow, record.meaning, record.offset)
    try:
        return _encoder.encode((SCHEMA, "match", (*head, match)))
    except OverflowError:
        return _encoder.encode((SCHEMA, "match", (*head, msgspec.json.encode(match))))


def _smaller(match: Match, most: int) -> Match:
    """The same with at most so many members per step, latest first, on every level. Totals stay true."""
    firing = match.firing
    return match if firing is None else replace(match, firing=_cut(firing, most))


def _cut(firing: Firing, most: int) -> Firing:
    steps = tuple(
        Step(step.rule, tuple(_smaller(member, most) for member in step.members[-most:]), step.total)
        for step in firing.steps
    )
    return replace(firing, steps=steps)


def _decode_addressed(raw: msgspec.Raw) -> Addressed:
    correlation, key, lane, overflow, meaning, offset, match = _addressed.decode(raw)
    whole = _json_match.decode(match) if isinstance(match, bytes) else match
    return Addressed(correlation, key, whole, lane, overflow, meaning, offset)
