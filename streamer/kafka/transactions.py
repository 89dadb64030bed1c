"""A producer whose every batch is one transaction, and which is thrown away at the first doubt.

What the client library does, seen on a real broker, and what follows:

* It commits happily although a send failed: every future is gathered before the commit.
* After a failed send its sequence numbers stay wrong, and aborting does not help: a new producer is the only cure.
* A commit that timed out on our side may have happened: the caller must look, this class only says ``doubtful``.
* It repeats an unanswered commit silently; such a repetition can reach the *next* transaction and end it early
  (KAFKA-17754): after one, the producer is replaced before it is used again.
* Being fenced arrives as ``ProducerFenced``, ``AssertionError`` or ``IllegalOperation``, depending on the moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import errors
from aiokafka.protocol.transaction import EndTxnRequest

from streamer.errors import ServerError
from streamer.kafka.complaints import as_server_error, attempt, let_go, retrieved
from streamer.kafka.connection import KafkaConnection

_TRANSACTION_S: Final = 30.0
"""The broker ends a transaction that its producer abandoned after this; until then it holds back every reader."""
_OVERHEAD: Final = 512
"""Bytes that the client adds around one record and its headers, generously."""

TOO_LARGE: Final = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.RecordTooLargeError)


@dataclass(frozen=True, slots=True)
class Message:
    """One record to be written."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size(self) -> int:
        """Bytes on the wire, about, before compression."""
        return len(self.key) + len(self.value) + sum(len(name) + len(value) + 8 for name, value in self.headers)


class TransactionalProducer:
    """Writes batches of one topic, each in one transaction.

    Args:
        connection: which Kafka.
        transactional_id: a newer producer with the same id ends this one and its open transaction.
        topic: where batches go.
        largest: most bytes of one message.
    """

    def __init__(self, connection: KafkaConnection, transactional_id: str, topic: str, *, largest: int) -> None:
        self._connection = connection
        self._transactional_id = transactional_id
        self._topic = topic
        self._largest = largest
        self._producer: Any = None
        self._commits_sent = 0

    @property
    def open(self) -> bool:
        """Whether there is a producer to write with."""
        return self._producer is not None

    def fits(self, message: Message) -> bool:
        """Whether the message can be sent at all."""
        return message.size + _OVERHEAD <= self._largest

    async def start(self) -> None:
        """Take the transactional id over.

        When this returns, a predecessor with the same id can write no more, and its open transaction has been ended
        and is visible as such to every reader. Raises ``ServerError``.
        """
        await self.close()
        producer = self._connection.producer(
            transactional_id=self._transactional_id,
            transaction_timeout_ms=int(_TRANSACTION_S * 1000),
            max_request_size=self._largest,
            compression_type="gzip",
        )
        try:
            await attempt(producer.start(), self._connection, f"opening transactions for {self._topic}")
        except BaseException:
            await let_go(producer.stop(), producer.client.close())
            raise
        self._watch_commits(producer)
        self._producer = producer

    async def write(self, messages: Sequence[Message]) -> None:
        """Write all messages in one transaction, or none.

        Raises:
            ServerError: whether they were written is not known, unless the cause says that one is too large; the
                producer is gone, ``start`` makes a new one.
        """
        doing = f"writing to {self._topic}"
        try:
            await asyncio.wait_for(self._transaction(messages), self._connection.request_timeout_s)
        except Exception as error:  # AssertionError included: the client asserts when it has been fenced
            await self.close()
            if isinstance(error, errors.ProducerFenced):
                raise ServerError(
                    f"another process took over {self._transactional_id}, or a transaction took longer than "
                    f"{_TRANSACTION_S:.0f} s",
                    hint="Do two services use the same store?",
                ) from error
            raise as_server_error(error, self._connection, doing) from error
        except BaseException:
            await self.close()
            raise
        if self._commits_sent > 1:
            await self.start()

    async def close(self) -> None:
        """Let the producer go; never raises, never hangs. An open transaction stays for the next start to end."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # Its stop may end half-way, after an error of its own; the connections would stay open.
            await let_go(producer.stop(), producer.client.close())

    async def _transaction(self, messages: Sequence[Message]) -> None:
        producer = self._producer
        self._commits_sent = 0
        # 1. Begin.
        await producer.begin_transaction()
        # 2. Hand every message over; the client may already be sending.
        sends = []
        for message in messages:
            sent = await producer.send(self._topic, message.value, message.key, headers=list(message.headers))
            sent.add_done_callback(retrieved)
            sends.append(sent)
        # 3. Wait for every single one: a commit does not fail because a send did.
        await asyncio.gather(*sends)
        # 4. Commit.
        await producer.commit_transaction()

    def _watch_commits(self, producer: Any) -> None:
        """Count how often the client sends the end of a transaction."""
        send = producer.client.send

        async def counting(node_id: int, request: Any, **options: Any) -> Any:
            if isinstance(request, EndTxnRequest):
                self._commits_sent += 1
            return await send(node_id, request, **options)

        producer.client.send = counting
