"""What a partition's core told, as the messages of one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from streamer.ecs import DocumentContext, Documents
from streamer.kafka.dead_letter import message_of
from streamer.kafka.topics import ALERTS, CHANGELOG, DEAD_LETTERS, DETECTIONS
from streamer.model import DeadLetter, Document, Position
from streamer.ports import Message
from streamer.sigma.rules import RuleSet
from streamer.stages import wire
from streamer.stages.outcome import CoreOutput

_log = structlog.get_logger("streamer.correlate")
NOT_WRITABLE: Final = "not-writable"
POISON: Final = "poison"
UNREADABLE: Final = "not-readable"
_SHOWN: Final = 100_000
"""Bytes of a refused message that its dead letter holds."""
_REMEMBERED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Topics:
    """Full names of our own topics."""

    detections: str
    changelog: str
    alerts: str
    dead_letters: str

    @classmethod
    def of(cls, prefix: str) -> Topics:
        """With the prefix of an installation."""
        return cls(prefix + DETECTIONS, prefix + CHANGELOG, prefix + ALERTS, prefix + DEAD_LETTERS)


class Composer:
    """Makes messages for one partition.

    Args:
        rules: the rules that run; :attr:`rules` may be replaced.
        topics: where to.
        partition: alerts stand in the partition of the same number.
        source: the CloudEvents source of dead letters.
        context: makes the context of documents that are told now.
    """

    def __init__(
        self, rules: RuleSet, topics: Topics, partition: int, *, source: str, context: Callable[[], DocumentContext]
    ) -> None:
        self.rules = rules
        self._topics = topics
        self._partition = partition
        self._source = source
        self._context = context

    @property
    def rules(self) -> RuleSet:
        """The rules that what is told is made of."""
        return self._rules

    @rules.setter
    def rules(self, rules: RuleSet) -> None:
        self._rules = rules
        self._documents = Documents(rules)

    def messages(self, output: CoreOutput) -> list[Message]:
        """Alerts, notices and derived detections, in the order told."""
        found: list[Message] = []
        if output.alerts or output.notices:
            context = self._context()
            found += [self._document(self._documents.alert(alert, context)) for alert in output.alerts]
            found += [self._document(self._documents.notice(notice, context)) for notice in output.notices]
        for partition, addressed in output.derived:
            key, value = wire.kafka_key(addressed), wire.encode(addressed)
            found.append(Message(self._topics.detections, partition, key, value))
        return found

    def set_aside(self, reason: str, detail: str, offset: int, value: bytes) -> Message:
        """The dead letter of a record of the detections that the partition passes over."""
        return self._letter(DeadLetter(reason, detail, self._position(offset), value[:_SHOWN], len(value)))

    def not_writable(self, message: Message, reason: str, offset: int) -> Message:
        """The dead letter that stands for a message the server refuses for what it is."""
        return self._letter(refusal(message, reason, self._position(offset)))

    def _position(self, offset: int) -> Position:
        return Position(self._topics.detections, self._partition, offset, is_file=False)

    def _letter(self, letter: DeadLetter) -> Message:
        return message_of(letter, topic=self._topics.dead_letters, source=self._source, stage="correlate")

    def _document(self, document: Document) -> Message:
        return Message(self._topics.alerts, self._partition, document.key, document.body, document.headers)


@dataclass(slots=True)
class Refused:
    """Messages that the server will not take, remembered until the step that holds them comes again."""

    reasons: dict[bytes, str] = field(default_factory=dict)

    def add(self, message: Message, reason: str) -> None:
        """It was refused."""
        _log.error("a message is refused and will be set aside", what=_name(message), topic=message.topic, error=reason)
        self.reasons[_identity(message)] = reason
        while len(self.reasons) > _REMEMBERED:
            del self.reasons[next(iter(self.reasons))]

    def reason(self, message: Message) -> str | None:
        """Why it was refused before; ``None`` if it was not."""
        return self.reasons.get(_identity(message)) if self.reasons else None


def refusal(message: Message, reason: str, position: Position) -> DeadLetter:
    """The dead letter that stands for a message the server refuses for what it is."""
    value = message.value or b""
    detail = f"{_name(message)} of {len(value)} bytes could not be written to {message.topic}: {reason}"
    return DeadLetter(NOT_WRITABLE, detail, position, value[:_SHOWN], len(value))


def _name(message: Message) -> str:
    """How a person would call it."""
    identity = dict(message.headers).get("ce_id")
    return f"alert {identity.decode()}" if identity else f"a record with key {message.key[:200]!r}"


def _identity(message: Message) -> bytes:
    """What stays when the same step is done again; an alert tells when it was made, so not its bytes."""
    identity = dict(message.headers).get("ce_id")
    if identity is None:
        identity = hashlib.blake2b(message.key + b"\0" + (message.value or b"")).digest()
    return message.topic.encode() + b"\0" + identity
