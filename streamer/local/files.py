"""Files and standard input as one reader.

Each file is a partition of its own. A batch comes from one file, so that where it begins and ends depends on nothing
but the files and the position: a run that was killed reads the same batches again. Which file is next is decided by
whoever merges their clocks (``prefer``); without a preference they take turns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streamer.local.tails import FollowedFile, StandardInput, Tail, WholeFile
from streamer.model import Position, Record
from streamer.ports import Batch, Partition

STANDARD_INPUT: Final = "-"
_POLL_S: Final = (0.001, 0.25)
"""Shortest and longest wait between two looks at files that had nothing new."""


@dataclass(frozen=True, slots=True)
class FileInput:
    """One file to read.

    Attributes:
        path: the path as configured, which names the partition; ``-`` is standard input.
        follow: whether it grows and is rotated.
    """

    path: str
    follow: bool = False


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds of one batch.

    Attributes:
        records: lines in a batch.
        size: bytes of lines in a batch; one line may be larger.
        line: bytes of a line that is given out whole; of a longer one only its beginning is, one byte longer than this.
    """

    records: int = 500
    size: int = 4_000_000
    line: int = 2_000_000


class FilesReader:
    """A :class:`streamer.ports.Reader` over files.

    Args:
        inputs: what to read; paths must differ.
        limits: bounds of a batch. ``limits.line`` must be the decoder's record limit or more.
    """

    def __init__(self, inputs: Sequence[FileInput], limits: ReadLimits = ReadLimits()) -> None:
        self._limits = limits
        self._tails: dict[Partition, Tail] = {(item.path, 0): self._tail(item) for item in inputs}
        self._turns = list(self._tails)
        self._preferred: Partition | None = None
        self._placed: set[Partition] = set()

    def _tail(self, item: FileInput) -> Tail:
        if item.path == STANDARD_INPUT:
            return StandardInput(self._limits.line)
        if item.follow:
            return FollowedFile(item.path, self._limits.line)
        return WholeFile(item.path, self._limits.line)

    def take_gaps(self) -> tuple[str, ...]:
        """What was rotated away before it was read, since the last call; one sentence each."""
        gaps = tuple(gap for tail in self._tails.values() for gap in tail.gaps)
        for tail in self._tails.values():
            tail.gaps.clear()
        return gaps

    async def start(self, positions: Mapping[Partition, object]) -> None:
        """Open the files. Raises ``SettingsError``, ``StateError`` and, for a file it may not open, ``ServerError``."""
        try:
            for partition, tail in self._tails.items():
                tail.open(positions.get(partition))
        except BaseException:
            await self.stop()
            raise

    def partitions(self) -> frozenset[Partition]:
        """One per file."""
        return frozenset(self._tails)

    def prefer(self, partition: Partition | None) -> None:
        """Read from this file next, if it has anything: the one that holds the others back."""
        self._preferred = partition

    async def read(self, timeout_s: float) -> Batch:
        """The next batch of one file; empty after ``timeout_s``, also when all have ended."""
        deadline = time.monotonic() + timeout_s
        pause_s, longest_s = _POLL_S
        while True:
            for partition in self._order():
                tail = self._tails[partition]
                if tail.ended:
                    continue
                lines = tail.poll(self._limits.records, self._limits.size)
                # The first position is given out even without a line: an empty file may be rotated away as well.
                if lines or tail.ended or (partition not in self._placed and tail.position()):
                    return self._batch(partition, lines)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return Batch(at_end=self._at_end())
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, longest_s)

    def _order(self) -> list[Partition]:
        if self._preferred in self._tails:
            return [self._preferred, *(turn for turn in self._turns if turn != self._preferred)]
        return list(self._turns)

    def _at_end(self) -> frozenset[Partition]:
        return frozenset(partition for partition, tail in self._tails.items() if tail.at_end and not tail.ended)

    def _batch(self, partition: Partition, lines: list[tuple[int, bytes]]) -> Batch:
        self._turns.remove(partition)
        self._turns.append(partition)
        self._placed.add(partition)
        tail = self._tails[partition]
        position: dict[str, Any] | None = tail.position()
        source, number = partition
        return Batch(
            records=tuple(
                Record(value=value, position=Position(source, number, line, is_file=True)) for line, value in lines
            ),
            positions={} if position is None else {partition: position},
            at_end=self._at_end(),
            ended=frozenset({partition}) if tail.ended else frozenset(),
        )

    async def stop(self) -> None:
        """Close all files."""
        for tail in self._tails.values():
            tail.close()
