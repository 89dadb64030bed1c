"""A producer whose every batch is one transaction, and which is thrown away at the first doubt.

What the client library does, seen on a real broker, and what follows:

* It commits happily although a send failed: every future is gathered before the commit.
* After a failed send its sequence numbers stay wrong, and aborting does not help: a new producer is the only cure.
* A commit that timed out on our side may have happened: the caller must look, this class only says that it is lost.
* It repeats an unanswered commit silently; such a repetition can reach the *next* transaction and end it early
  (KAFKA-17754): after one the producer is ``suspect`` and must not be used for another transaction.
* Being fenced arrives as ``ProducerFenced``, ``AssertionError``, ``IllegalOperation`` or ``UnknownError``, depending on
  the moment.
* Its ``stop`` hangs while the broker is frozen: it runs in the background, with a deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

from aiokafka import errors
from aiokafka.protocol.transaction import EndTxnRequest

from streamer.errors import LedgerLost, ServerError
from streamer.kafka.complaints import as_server_error, attempt, end_producer, retrieved
from streamer.kafka.connection import KafkaConnection
from streamer.ports import Message

Points: TypeAlias = Callable[[str], Awaitable[None]]
"""Awaited with the name of each point that is passed; tests stop or kill there."""

BATCH_BYTES: Final = 128 * 1024
"""Most bytes that the client gathers per partition before it sends. A larger message travels alone, so that a broker
that finds it too large refuses nothing else with it."""
TOO_LARGE: Final = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.RecordTooLargeError)

_TRANSACTION_S: Final = 120.0
"""The broker ends a transaction that its producer abandoned after this; until then it holds back every reader. Mostly
the next owner ends it long before. Long enough for a step that forgets half a million entries at once."""
_RATE: Final = 8_000
"""Records per second that a busy broker takes at least: a large step may take longer than one request."""
_OVERHEAD: Final = 512
"""Bytes that the client adds around one record and its headers, generously."""
_REST_S: Final = 0.02
"""Between two transactions: while the markers of one are being written, the broker sends the next one away, and the
client waits longer than this before it comes again."""
_FENCED: Final = (errors.ProducerFenced, errors.InvalidProducerEpoch)
_WRONG_CLOCK: Final = "The broker refuses stamps more than an hour ahead of its clock: correct the clock of this host."


def size_of(message: Message) -> int:
    """Bytes on the wire, about, before compression."""
    value = message.value or b""
    return len(message.key) + len(value) + sum(len(name) + len(each) + 8 for name, each in message.headers)


async def nowhere(_point: str) -> None:
    """Pass every point without stopping."""


class TransactionalProducer:
    """Writes batches of messages, each batch in one transaction.

    Args:
        connection: which Kafka; a transaction may take as long as one request.
        transactional_id: a newer producer with the same id ends this one and its open transaction.
        largest: most bytes of one message.
    """

    def __init__(self, connection: KafkaConnection, transactional_id: str, *, largest: int) -> None:
        self._connection = connection
        self._transactional_id = transactional_id
        self._largest = largest
        self._producer: Any = None
        self._commits_sent = 0
        self._rested_s = 0.0
        self._endings: set[asyncio.Future[None]] = set()

    @property
    def open(self) -> bool:
        """Whether there is a producer to write with."""
        return self._producer is not None

    @property
    def suspect(self) -> bool:
        """Whether the last commit was sent more than once: it holds, but another transaction could be torn."""
        return self.open and self._commits_sent > 1

    def fits(self, message: Message) -> bool:
        """Whether the message can be sent at all."""
        return size_of(message) + _OVERHEAD <= self._largest

    async def start(self) -> None:
        """Take the transactional id over.

        When this returns, a predecessor with the same id can write no more, and its open transaction has been ended
        and is visible as such to every reader. Raises ``ServerError``.
        """
        self._abandon()
        producer = self._connection.producer(
            transactional_id=self._transactional_id,
            transaction_timeout_ms=int(_TRANSACTION_S * 1000),
            max_request_size=self._largest,
            max_batch_size=BATCH_BYTES,
            compression_type="lz4",
        )
        try:
            await attempt(producer.start(), self._connection, f"opening transactions as {self._transactional_id}")
        except BaseException:
            self._let_go(producer)
            raise
        self._commits_sent = 0
        self._watch_commits(producer)
        self._producer = producer

    async def write(self, messages: Sequence[Message], at: Points = nowhere) -> Sequence[int]:
        """Write all messages in one transaction, or none; returns their offsets.

        Raises:
            LedgerLost: whether they were written is not known, unless there is a culprit (then they were not); the
                producer is gone, ``start`` makes a new one.
        """
        sends: list[asyncio.Future[Any]] = []
        producer = self._producer
        try:
            async with asyncio.timeout(self._patience_s(len(messages))):
                await self._transaction(messages, sends, at)
        except Exception as error:  # AssertionError included: the client asserts when it has been fenced
            self._abandon()
            raise self._lost(error, producer, messages, sends) from error
        except BaseException:
            self._abandon()
            raise
        return [sent.result().offset for sent in sends]

    async def close(self) -> None:
        """Let the producer go; never raises, never hangs. An open transaction stays for the next start to end."""
        self._abandon()
        if self._endings:
            await asyncio.wait(set(self._endings))

    async def _transaction(self, messages: Sequence[Message], sends: list[asyncio.Future[Any]], at: Points) -> None:
        producer = self._producer
        if producer is None or self._commits_sent > 1:
            raise errors.IllegalOperation("no producer to begin a transaction with")
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._rested_s - clock()))
        self._commits_sent = 0
        # 1. Begin.
        await at("before-begin")
        await producer.begin_transaction()
        await at("after-begin")
        # 2. Hand every message over; the client may already be sending.
        for index, message in enumerate(messages):
            if index == len(messages) // 2:
                await at("mid-sends")
            sends.append(await hand_over(producer, message))
        await at("sends-done")
        # 3. Wait for every single one: a commit does not fail because a send did.
        await asyncio.gather(*sends)
        await at("before-commit")
        # 4. Commit.
        await producer.commit_transaction()
        self._rested_s = clock() + _REST_S
        await at("after-commit")

    def _lost(
        self, error: Exception, producer: Any, messages: Sequence[Message], sends: Sequence[asyncio.Future[Any]]
    ) -> LedgerLost:
        reasons = [error, _death_of(producer), *(exception_of(sent) for sent in sends)]
        if any(_is_fence(reason) for reason in reasons):
            message = (
                f"another process took over {self._transactional_id}, or a transaction took longer than "
                f"{_TRANSACTION_S:.0f} s"
            )
            return LedgerLost(message, hint="Do two services use the same store or the same prefix?", fenced=True)
        if isinstance(error, AssertionError | errors.IllegalOperation):
            reasons = [*filter(None, reasons[1:]), error]  # it only says that something went wrong before
        doing = f"a transaction of {self._transactional_id}"
        return as_lost(reasons[0] or error, self._connection, doing, find_culprit(error, messages, sends))

    def _patience_s(self, messages: int) -> float:
        return min(self._connection.request_timeout_s + messages / _RATE, _TRANSACTION_S)

    def _abandon(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._let_go(producer)

    def _let_go(self, producer: Any) -> None:
        """Close it in the background: while the broker is frozen that takes seconds."""
        ending = asyncio.ensure_future(end_producer(producer))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    def _watch_commits(self, producer: Any) -> None:
        """Count how often the client sends the end of a transaction."""
        send = producer.client.send

        async def counting(node_id: int, request: Any, **options: Any) -> Any:
            if isinstance(request, EndTxnRequest):
                self._commits_sent += 1
            return await send(node_id, request, **options)

        producer.client.send = counting


async def hand_over(producer: Any, message: Message) -> asyncio.Future[Any]:
    """Give one message to the client; the future is done when the brokers have it, or will not have it."""
    sent: asyncio.Future[Any] = await producer.send(
        message.topic, message.value, message.key, partition=message.partition, headers=list(message.headers)
    )
    sent.add_done_callback(retrieved)
    return sent


def exception_of(sent: asyncio.Future[Any]) -> BaseException | None:
    """Why a send failed, if it did."""
    return sent.exception() if sent.done() and not sent.cancelled() else None


def find_culprit(
    error: BaseException, messages: Sequence[Message], sends: Sequence[asyncio.Future[Any]]
) -> Message | None:
    """The message that was refused for what it is, if that is why sending failed.

    A broker refuses whole batches. A message larger than :data:`BATCH_BYTES` is alone in its batch; among several
    small ones the largest is held to be the culprit.
    """
    if _refuses(error) and len(sends) < len(messages) and not any(_refuses(exception_of(sent)) for sent in sends):
        return messages[len(sends)]  # the client refused it before it was sent
    refused = [message for message, sent in zip(messages, sends, strict=False) if _refuses(exception_of(sent))]
    return max(refused, key=size_of, default=None)


def as_lost(
    error: BaseException, connection: KafkaConnection, doing: str, culprit: Message | None = None
) -> LedgerLost:
    """The sentence for an error of the client after which a producer must not be used any more."""
    told = as_server_error(error, connection, doing) if isinstance(error, Exception) else ServerError(str(error))
    of = f" (a message of {size_of(culprit)} bytes for {culprit.topic})" if culprit else ""
    hint = _WRONG_CLOCK if isinstance(error, errors.InvalidTimestampError) else told.hint
    lost = LedgerLost(told.message + of, hint=hint, culprit=culprit)
    lost.retriable = told.retriable
    return lost


def _refuses(error: BaseException | None) -> bool:
    """Whether it is about what the message is. An invalid record comes as "unknown error" and cannot be told apart."""
    return isinstance(error, TOO_LARGE)


def _is_fence(error: BaseException | None) -> bool:
    """Whether the broker says that there is a newer producer.

    The answer to the end of a transaction says so by a number that the client does not know; its sending task then
    dies of an "unknown error". If it was another one, nothing is lost by the wrong name.
    """
    return isinstance(error, _FENCED) or isinstance(getattr(error, "__cause__", None), errors.UnknownError)


def _death_of(producer: Any) -> BaseException | None:
    """Why the client's sending task ended; what reaches us is often only an assertion about its state."""
    task = getattr(getattr(producer, "_sender", None), "sender_task", None)
    return None if task is None else exception_of(task)
