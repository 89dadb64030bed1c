"""How long partitions have had nothing to say."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet

from streamer.ports import Partition


class Quiet:
    """Since when each partition's reader has stood at the end of the log.

    A process that was frozen must not take the time it slept for silence: it may have lost its partitions meanwhile.
    Silence begins anew after a turn that took longer than ``longest_turn_s``; by default it never does, for readers
    whose partitions nobody else can have.
    """

    def __init__(self, longest_turn_s: float = math.inf) -> None:
        self._longest_turn_s = longest_turn_s
        self._since_s: dict[Partition, float] = {}
        self._turned_s: float | None = None

    def listen(self, at_end: AbstractSet[Partition], heard: AbstractSet[Partition], now_s: float) -> None:
        """After a read: who stands at the end, and who said something."""
        if self._turned_s is not None and now_s - self._turned_s > self._longest_turn_s:
            self._since_s.clear()
        self._turned_s = now_s
        self._since_s = {partition: since for partition, since in self._since_s.items() if partition in at_end}
        for partition in at_end:
            if partition in heard:
                self._since_s[partition] = now_s
            else:
                self._since_s.setdefault(partition, now_s)

    def forget(self, partition: Partition) -> None:
        """Nothing is known of it any more."""
        self._since_s.pop(partition, None)

    def quiet_for_s(self, partition: Partition, now_s: float) -> float | None:
        """Seconds; ``None`` for one that does not stand at the end."""
        since_s = self._since_s.get(partition)
        return None if since_s is None else now_s - since_s
