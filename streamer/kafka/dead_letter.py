"""Dead letters out: what could not be read, with where it stood and why, for a person or a later repair.

At least once: after a crash the same letter may stand there twice, under the same ``ce_id`` (its position).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any, Final

import orjson
from aiokafka import errors

from streamer.kafka.complaints import as_server_error, attempt, let_go
from streamer.kafka.connection import KafkaConnection
from streamer.model import DeadLetter
from streamer.ports import Message

TYPE: Final = b"io.streamer.dlq.v1"
LARGEST_PAYLOAD: Final = 512 * 1024
"""Original bytes kept; in base64 and with the frame around it a letter stays below Kafka's default of 1 MB."""


class DeadLetterSink:
    """Writes dead letters to one topic; ``source`` is the CloudEvents source, for example ``/streamer/prod-1``."""

    name = "dead-letter"

    def __init__(self, connection: KafkaConnection, topic: str, *, source: str) -> None:
        self._connection = connection
        self._topic = topic
        self._source = source
        self._producer: Any = None

    async def start(self) -> None:
        """Connect; raises ``ServerError``. May be called again."""
        await self.stop()
        producer = self._connection.producer(compression_type="gzip")
        try:
            await attempt(producer.start(), self._connection, "connecting")
        except BaseException:
            await let_go(producer.stop(), producer.client.close())
            raise
        self._producer = producer

    async def deliver(self, letters: Sequence[tuple[int, DeadLetter]], /) -> Sequence[int]:
        """Write all letters, each given with a number of the caller's; returns the numbers.

        Raises:
            ServerError: not every one is known to be written.
        """
        if self._producer is None:
            await self.start()
        try:
            async with asyncio.timeout(self._connection.request_timeout_s):
                sends = [
                    await self._producer.send(self._topic, message.value, message.key, headers=list(message.headers))
                    for message in (message_of(letter, topic=self._topic, source=self._source) for _, letter in letters)
                ]
                await asyncio.gather(*sends)
        except (errors.KafkaError, OSError, TimeoutError, AssertionError) as error:
            await self.stop()  # after a failed send the sequence of this producer stays wrong
            raise as_server_error(error, self._connection, f"writing to {self._topic}") from error
        return [number for number, _ in letters]

    async def stop(self) -> None:
        """Close; never raises."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await let_go(producer.stop(), producer.client.close())


def message_of(letter: DeadLetter, *, topic: str, source: str, stage: str = "decode") -> Message:
    """A dead letter as it is written.

    Args:
        letter: what was set aside; of its bytes the first 512 KB are kept.
        topic: full name.
        source: the CloudEvents source, for example ``/streamer/prod-1``.
        stage: what gave it up: ``decode``, ``detect``, ``correlate`` or ``index``.
    """
    position = letter.position
    if position.is_file:
        place: dict[str, Any] = {"file": position.source, "line": position.offset}
    else:
        place = {"topic": position.source, "partition": position.partition, "offset": position.offset}
    body = {
        "error": {"reason": letter.reason, "detail": letter.detail},
        "stage": stage,
        "source": place,
        "size": letter.size,
        "payload": base64.b64encode(letter.value[:LARGEST_PAYLOAD]).decode(),
    }
    headers = (
        ("ce_specversion", b"1.0"),
        ("ce_id", str(position).encode()),
        ("ce_type", TYPE),
        ("ce_source", source.encode()),
        ("content-type", b"application/json"),
    )
    return Message(topic, None, f"{position.source}[{position.partition}]".encode(), orjson.dumps(body), headers)
