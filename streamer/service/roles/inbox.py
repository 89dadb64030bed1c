"""What has been read for one partition and waits for its step."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Final

from streamer.kafka.records import Fetched

FULL: Final = 2_000
"""Records at which reading of the partition is paused: four steps."""
ROOM: Final = 500
"""Records at which it is resumed."""


class Inbox:
    """A bounded queue: whoever reads pauses when it :attr:`is_full` and goes on when it :attr:`has_room`."""

    def __init__(self) -> None:
        self._records: deque[Fetched] = deque()
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._records)

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be read for now."""
        return len(self._records) >= FULL

    @property
    def has_room(self) -> bool:
        """Whether reading may go on."""
        return len(self._records) <= ROOM

    def put(self, records: Sequence[Fetched]) -> None:
        """Append."""
        self._records.extend(records)
        self._arrived.set()

    def clear(self) -> None:
        """Forget what waits: it will be read again."""
        self._records.clear()

    def wake(self) -> None:
        """End a wait for records that may never come."""
        self._arrived.set()

    async def wait(self, timeout_s: float) -> None:
        """Until something is there, or something else must be looked at, or the time is over."""
        if not self._records:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), timeout_s)
        self._arrived.clear()

    def take(self, most: int) -> list[Fetched]:
        """The oldest that wait, at most so many."""
        return [self._records.popleft() for _ in range(min(most, len(self._records)))]
