"""What the broker said last about partitions: whether a reader stands at their end, and whether it speaks at all.

The client retries for ever without a word, so that a broker that has gone looks like topics in which nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from aiokafka import TopicPartition

_US_PER_MS: Final = 1_000


class Hearing:
    """Of one consumer.

    Args:
        now_us: the clock.
        silence_s: after how many seconds an answer is too old to say anything.
    """

    def __init__(self, now_us: Callable[[], int], silence_s: float) -> None:
        self._now_us = now_us
        self._silence_us = int(silence_s * 1_000_000)
        self._heard_us = now_us()
        self._asked_us: int | None = None

    async def at_end(self, consumer: Any, partitions: Collection[TopicPartition]) -> frozenset[TopicPartition]:
        """Those whose every record the client has handed over, by the last answer of the broker.

        The high watermark counts, not the last stable offset: records of an open transaction are still to come.
        """
        fresh_us = self._now_us() - self._silence_us
        found = set()
        for tp in partitions:
            end, polled_ms = consumer.highwater(tp), consumer.last_poll_timestamp(tp)
            if end is None or polled_ms is None:
                continue
            self._heard_us = max(self._heard_us, polled_ms * _US_PER_MS)
            if polled_ms * _US_PER_MS >= fresh_us and await consumer.position(tp) >= end:
                found.add(tp)
        return frozenset(found)

    def silent_s(self) -> int | None:
        """For how many seconds nothing was heard while somebody listened; ``None`` while that is not too long."""
        now_us = self._now_us()
        if self._asked_us is None or self._asked_us < self._heard_us:
            self._asked_us = now_us  # silence counts while somebody reads, not while the reader rests
        silent_us = now_us - self._asked_us
        return silent_us // 1_000_000 if silent_us > self._silence_us else None
