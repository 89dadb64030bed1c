"""The service with one rule of its protocol switched off, to see whether the tests notice.

Each is what one would write who does not know the rule; nothing of it is in the product.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streamer.kafka import group, transactions
from streamer.kafka.ledger import KafkaLedger
from streamer.kafka.ledger.restore import Contents
from streamer.ports import Restored

_IN_CALLBACK_S: Final = 6.0


def one_producer_per_process() -> None:
    """The transactional id is the process's, so nobody is shut out."""
    made = transactions.TransactionalProducer.__init__

    def making(self: Any, connection: Any, transactional_id: str, **options: Any) -> None:
        made(self, connection, f"{transactional_id}.{os.getpid()}", **options)

    transactions.TransactionalProducer.__init__ = making  # type: ignore[method-assign]


def position_before_init() -> None:
    """State and position are read first, and the predecessor is shut out afterwards."""

    async def take_over(self: Any, progress: Any) -> Restored:
        contents = await _contents(self._changelog)
        await self._producer.start()
        barrier = await self._raise_barrier()
        self._end, self._owned = barrier.offset + 1, True
        return Restored(contents.entries, await self._position_in(contents))

    KafkaLedger.take_over = take_over  # type: ignore[method-assign]


async def _contents(changelog: Any) -> Contents:
    """What is committed at the moment."""
    contents = Contents()
    async with changelog._assigned() as consumer:
        tp = TopicPartition(changelog.topic, changelog.partition)
        end = (await consumer.end_offsets([tp]))[tp]
        consumer.assign([tp])
        consumer.seek(tp, 0)
        while await consumer.position(tp) < end:
            for record in (await consumer.getmany(tp, timeout_ms=300)).get(tp, ()):
                contents.apply(record.key, record.value)
    return contents


class _Unchecked:
    """Passes for the answer to a send that failed."""

    offset = 0


def unchecked_sends() -> None:
    """That a send failed is nobody's concern; the commit says OK."""
    hand_over = transactions.hand_over

    async def handing_over(producer: Any, message: Any) -> asyncio.Future[Any]:
        return asyncio.ensure_future(_whatever(await hand_over(producer, message)))

    async def _whatever(sent: asyncio.Future[Any]) -> Any:
        try:
            return await sent
        except KafkaError:
            return _Unchecked

    transactions.hand_over = handing_over


def no_init_after_unclear_commit() -> None:
    """A producer whose commit was sent twice goes on."""
    transactions.TransactionalProducer._watch_commits = lambda self, producer: None  # type: ignore[method-assign]


def work_in_callback() -> None:
    """Nothing is paused, and the partition is taken over while the group waits for the callback."""
    given = group._Assignments.on_partitions_assigned

    async def giving(self: Any, assigned: Any) -> None:
        for tp in assigned:
            self._consumer.seek(tp, 0)
        await asyncio.sleep(_IN_CALLBACK_S)
        result = given(self, assigned)
        if inspect.isawaitable(result):
            await result

    group._Assignments.on_partitions_assigned = giving


RULES: Final[dict[str, Callable[[], None]]] = {
    "own-id-per-partition": one_producer_per_process,
    "position-after-init": position_before_init,
    "checked-sends": unchecked_sends,
    "init-after-unclear-commit": no_init_after_unclear_commit,
    "nothing-but-pause-in-callback": work_in_callback,
}
"""What each is called: the rule that is switched off."""
