"""What detecting sends: matches, dead letters, notices, and how far the raw partitions are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from streamer.detect import RuleFailure
from streamer.errors import LedgerLost
from streamer.kafka.dead_letter import message_of
from streamer.kafka.outlet import Outlet
from streamer.model import DeadLetter, Notice, Position
from streamer.ports import Message
from streamer.service.roles.composing import Refused, Topics, refusal
from streamer.service.roles.numbers import DetectNumbers
from streamer.stages import wire
from streamer.stages.addressing import Sent
from streamer.stages.wire import NoticeTold, SourcesTold


@dataclass(slots=True)
class Findings:
    """What one turn found.

    Attributes:
        letters: dead letters, each with the stage that gave it up.
    """

    addressed: Sequence[Sent] = ()
    letters: list[tuple[DeadLetter, str]] = field(default_factory=list)
    notices: Sequence[Notice] = ()

    def failed(self, failures: Iterable[RuleFailure]) -> None:
        """A rule that failed on an event stands beside the records that could not be read; the others went on."""
        for failure in failures:
            detail = f"rule {failure.rule}: {failure.error}"
            self.letters.append((DeadLetter("rule-failed", detail, failure.position, b"", 0), "detect"))


class Sender:
    """Writes to the detections and to the dead letters.

    Args:
        outlet: the producer.
        topics: our own topics.
        partitions: how many the detections have.
        source: the CloudEvents source of dead letters.
        numbers: counts.
    """

    def __init__(self, outlet: Outlet, topics: Topics, *, partitions: int, source: str, numbers: DetectNumbers) -> None:
        self._outlet = outlet
        self._topics = topics
        self._partitions = partitions
        self._source = source
        self._numbers = numbers
        self._refused = Refused()

    async def send(self, found: Findings) -> None:
        """Returns when every message has been acknowledged. Raises ``ServerError``."""
        letters = list(found.letters)
        messages: list[Message] = []
        for partition, addressed in found.addressed:
            message = Message(self._topics.detections, partition, wire.kafka_key(addressed), wire.encode(addressed))
            reason = self._refused.reason(message)
            if reason is None:
                messages.append(message)
            else:
                position = addressed.match.position or Position(self._topics.detections, partition, 0, is_file=False)
                letters.append((refusal(message, reason, position), "detect"))
        # One partition tells it; which one does not matter.
        messages += [
            Message(self._topics.detections, 0, b"", wire.encode(NoticeTold(notice))) for notice in found.notices
        ]
        messages += [
            message_of(letter, topic=self._topics.dead_letters, source=self._source, stage=stage)
            for letter, stage in letters
        ]
        if messages:
            await self._write(messages)
        self._numbers.sent += len(found.addressed)
        for letter, _ in letters:
            self._numbers.set_aside[letter.reason] += 1

    async def tell(self, said: Iterable[SourcesTold]) -> None:
        """Tell every partition. Raises ``ServerError``."""
        values = [wire.encode(one) for one in said]
        everyone = range(self._partitions)
        await self._write([Message(self._topics.detections, to, b"", value) for value in values for to in everyone])
        self._numbers.told += 1

    async def restart(self) -> None:
        """A new producer. Raises ``ServerError``."""
        await self._outlet.restart()

    async def stop(self) -> None:
        """Close."""
        await self._outlet.stop()

    async def _write(self, messages: Sequence[Message]) -> None:
        try:
            await self._outlet.send_all(messages)
        except LedgerLost as error:
            if isinstance(error.culprit, Message):
                self._refused.add(error.culprit, error.message)
            raise
