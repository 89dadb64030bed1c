"""Messages out without a transaction: detections, what clocks have reached, dead letters.

The client numbers what it sends, so that its own repetitions are written once; but a number that was refused leaves a
hole, after which everything to that partition is refused. So a failure ends the producer, as it does in
:mod:`streamer.kafka.transactions`, and what was sent again by the next one may stand there twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from streamer.errors import LedgerLost
from streamer.kafka.complaints import attempt, end_producer
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.topics import LARGEST_MESSAGE
from streamer.kafka.transactions import BATCH_BYTES, as_lost, find_culprit, hand_over
from streamer.ports import Message


class Outlet:
    """One producer for everything that a process sends outside transactions.

    Args:
        connection: which Kafka; a batch may take as long as one request.
        name: for sentences.
    """

    def __init__(self, connection: KafkaConnection, *, name: str) -> None:
        self._connection = connection
        self._name = name
        self._producer: Any = None
        self._endings: set[asyncio.Future[None]] = set()

    @property
    def open(self) -> bool:
        """Whether there is a producer to send with."""
        return self._producer is not None

    async def start(self) -> None:
        """Connect, with a new producer if there was one. Raises ``ServerError``."""
        self._abandon(self._producer)
        producer = self._connection.producer(
            max_request_size=LARGEST_MESSAGE, max_batch_size=BATCH_BYTES, compression_type="lz4"
        )
        try:
            await attempt(producer.start(), self._connection, f"connecting ({self._name})")
        except BaseException:
            self._let_go(producer)
            raise
        self._producer = producer

    async def restart(self) -> None:
        """As :meth:`start`; after a failure."""
        await self.start()

    async def send_all(self, messages: Sequence[Message]) -> Sequence[int]:
        """Send, in order per partition, and wait until the brokers have every message; returns their offsets.

        Several calls may be under way at the same time; one that fails may take the others with it.

        Raises:
            LedgerLost: a :class:`~streamer.errors.ServerError` with the culprit, if there is one. Some of the messages
                may have been written. ``restart`` before the next call.
        """
        producer = self._producer
        if producer is None:
            raise LedgerLost(f"{self._name} is not connected to Kafka")
        sends: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(self._connection.request_timeout_s):
                for message in messages:
                    sends.append(await hand_over(producer, message))  # noqa: PERF401 (kept when one fails)
                await asyncio.gather(*sends)
        except Exception as error:
            self._abandon(producer)
            culprit = find_culprit(error, messages, sends)
            raise as_lost(error, self._connection, f"sending ({self._name})", culprit) from error
        except BaseException:
            self._abandon(producer)
            raise
        return [sent.result().offset for sent in sends]

    async def stop(self) -> None:
        """Close; never raises, never hangs longer than a few seconds."""
        self._abandon(self._producer)
        if self._endings:
            await asyncio.wait(set(self._endings))

    def _abandon(self, producer: Any) -> None:
        """Close it, if nobody has done so: one failure ends all calls that were under way."""
        if producer is not None and producer is self._producer:
            self._producer = None
            self._let_go(producer)

    def _let_go(self, producer: Any) -> None:
        ending = asyncio.ensure_future(end_producer(producer))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
