"""Running the engine so that no record can stop the service.

A record on which the engine raises: the engine is thrown away, for what it holds may be half changed, and made anew
from the store. After :data:`ATTEMPTS` the records of the step go one at a time, and the one that fails is set aside as
a dead letter, in the transaction that stores the step. The others are taken in as if it had not been there.

A record that kills the process leaves no word behind. So the first step of every partition after a start is announced
in the store before it is run; if the announcement is still there at the next start, the process died in between. After
:data:`ATTEMPTS` such deaths each record is announced by itself, and the one that was the last to be announced is set
aside.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson
import structlog

from streamer.correlate import RestoreReport
from streamer.decode import Source
from streamer.engine import Engine, Output
from streamer.errors import StreamerError
from streamer.model import DeadLetter, Record
from streamer.ports import Batch, Partition, Store
from streamer.sigma.rules import RuleSet

_log = structlog.get_logger("streamer.service")
ATTEMPTS: Final = 3
"""A failure may be ours or a moment's; the same three times is the record's."""
REASON: Final = "correlation-failed"
_ATTEMPT: Final = b"attempt\x00"

Write = Callable[[Mapping[bytes, bytes | None]], Awaitable[None]]
"""Stores entries by themselves, however long that takes."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was announced of a partition and has not been stored since.

    Attributes:
        first: offset of the first record of the step.
        count: how many processes have begun it.
        alone: offset of the record that is being taken in by itself.
        culprits: offsets of records during which a process died.
    """

    first: int
    count: int
    alone: int | None = None
    culprits: tuple[int, ...] = ()

    def again(self, first: int) -> Attempt:
        """The next process announces a step that begins at ``first``."""
        if first != self.first:
            return Attempt(first, 1)
        culprits = self.culprits if self.alone is None else (*self.culprits, self.alone)
        return Attempt(first, self.count + 1, None, culprits)


def _place_of(error: Exception) -> str:
    """What was raised and where. Neither its words nor a traceback: they may hold what the record holds."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return f"{type(error).__name__}{where}"


def _key(partition: Partition) -> bytes:
    return _ATTEMPT + orjson.dumps([partition[0].encode("utf-8", "surrogateescape").hex(), partition[1]])


def _partition(key: bytes) -> Partition:
    name, number = orjson.loads(key[len(_ATTEMPT) :])
    return bytes.fromhex(name).decode("utf-8", "surrogateescape"), number


class CarefulEngine:
    """An engine that is replaced when it fails.

    Args:
        engine: knows nothing yet.
        store: what a new engine is made from.
        sources: by name.
        write: stores entries by themselves.

    Attributes:
        engine: the one in use.
        is_restoring: whether another one is being made, which takes as long as the state is large.
    """

    def __init__(self, engine: Engine, store: Store, *, sources: Mapping[str, Source], write: Write) -> None:
        self.engine = engine
        self.is_restoring = False
        self._store = store
        self._sources = sources
        self._write = write
        self._files: dict[Partition, bool] = {}
        self._attempts: dict[Partition, Attempt] = {}
        self._proven: set[Partition] = set()
        self._announced: dict[Partition, Attempt] = {}
        self._changed: dict[bytes, bytes | None] = {}

    def expect(self, partition: Partition, *, is_file: bool) -> None:
        """Declare a partition to this engine and to those that may replace it."""
        self._files[partition] = is_file
        self.engine.expect(partition, self._sources[partition[0]], is_file=is_file)

    def restore(self, entries: Mapping[bytes, bytes]) -> RestoreReport:
        """Take over what the store holds. Raises as :meth:`Engine.restore`."""
        for key, value in entries.items():
            if key.startswith(_ATTEMPT):
                first, count, alone, culprits = orjson.loads(value)
                self._attempts[_partition(key)] = Attempt(first, count, alone, tuple(culprits))
        return self.engine.restore(entries)

    async def reload(self, rules: RuleSet) -> RestoreReport:
        """Go on with other rules. What fails leaves the engine as it was."""
        with self._restoring():
            self.engine, report = await asyncio.to_thread(self.engine.reload, rules)
        return report

    @contextlib.contextmanager
    def _restoring(self) -> Iterator[None]:
        self.is_restoring = True
        try:
            yield
        finally:
            self.is_restoring = False

    # -- taking in --------------------------------------------------------------------------------------------------

    async def take(self, batches: Sequence[Batch]) -> Output:
        """Take batches in, without the records that the engine fails on."""
        await self._announce(batches)
        if all(attempt.count <= ATTEMPTS for attempt in self._announced.values()):
            for _ in range(ATTEMPTS):
                try:
                    return self._together(batches)
                except StreamerError:
                    raise
                except Exception as error:  # noqa: BLE001 (whatever it is, the service goes on)
                    _log.error("the engine failed; it is made anew from the store", failure=_place_of(error))
                    await self._start_over()
        return await self._one_by_one(batches)

    def _together(self, batches: Sequence[Batch]) -> Output:
        output = Output()
        for batch in batches:
            if batch.records:
                output.join(self.engine.feed(batch.records))
            self._end(batch, output)
        return output

    def _end(self, batch: Batch, output: Output) -> None:
        for partition in sorted(batch.ended):
            output.join(self.engine.end(partition))

    async def _one_by_one(self, batches: Sequence[Batch]) -> Output:
        _log.warning("records are taken one at a time, to find the one that cannot be taken in")
        output = Output()
        for batch in batches:
            for record in batch.records:
                await self._take_alone(record, output)
            self._end(batch, output)
        # A death from here on is no record's fault.
        await self._say_alone(None)
        return output

    async def _take_alone(self, record: Record, output: Output) -> None:
        place = record.position
        attempt = self._announced.get((place.source, place.partition))
        if attempt is not None and place.offset in attempt.culprits:
            self._set_aside(record, "the process ended while this record was correlated", output)
            return
        await self._say_alone(record)
        try:
            fed = self.engine.feed([record])
        except StreamerError:
            raise
        except Exception as error:  # noqa: BLE001 (said in the dead letter)
            _log.error("a record cannot be correlated", record=str(place), failure=_place_of(error))
            self._set_aside(record, f"correlating this record failed: {type(error).__name__}: {error}", output)
            await self._start_over()
            return
        output.join(fed)
        self._changed |= self.engine.changes()

    def _set_aside(self, record: Record, detail: str, output: Output) -> None:
        room = self._sources[record.position.source].limits.record_bytes
        letter = DeadLetter(REASON, detail, record.position, record.value[:room], len(record.value))
        output.dead_letters.append(letter)
        self.engine.counters.dead_letters[REASON] += 1

    async def _start_over(self) -> None:
        """A new engine from what is stored and what this step has already changed."""
        engine = self.engine.emptied()
        for partition, is_file in self._files.items():
            engine.expect(partition, self._sources[partition[0]], is_file=is_file)
        with self._restoring():
            entries, _ = await asyncio.to_thread(self._store.load)
            state = {key: value for key, value in {**entries, **self._changed}.items() if value is not None}
            await asyncio.to_thread(engine.restore, state)
        self.engine = engine

    # -- announcing -------------------------------------------------------------------------------------------------

    async def _announce(self, batches: Sequence[Batch]) -> None:
        """Say which steps are begun, of partitions that have not stored one since the start."""
        self._announced = {}
        for batch in batches:
            for record in batch.records:
                partition = (record.position.source, record.position.partition)
                if partition not in self._proven and partition not in self._announced:
                    before = self._attempts.get(partition, Attempt(-1, 0))
                    self._announced[partition] = before.again(record.position.offset)
        await self._write_announced(self._announced)

    async def _say_alone(self, record: Record | None) -> None:
        """Say which record is taken in next; ``None``: all have been."""
        alone: dict[Partition, int | None] = dict.fromkeys(self._announced)
        if record is not None and (record.position.source, record.position.partition) in alone:
            alone[record.position.source, record.position.partition] = record.position.offset
        changed = {
            partition: replace(self._announced[partition], alone=offset)
            for partition, offset in alone.items()
            if self._announced[partition].alone != offset
        }
        self._announced |= changed
        await self._write_announced(changed)

    async def _write_announced(self, attempts: Mapping[Partition, Attempt]) -> None:
        self._attempts |= attempts
        if attempts:
            await self._write(
                {
                    _key(partition): orjson.dumps([one.first, one.count, one.alone, one.culprits])
                    for partition, one in attempts.items()
                }
            )

    # -- being stored -----------------------------------------------------------------------------------------------

    def changes(self) -> dict[bytes, bytes | None]:
        """What the step changed; to be stored with its positions."""
        changed, self._changed = self._changed, {}
        changed |= self.engine.changes()
        return changed | {_key(partition): None for partition in self._announced}

    def stored(self) -> None:
        """The step was stored: its partitions can be gone on with."""
        self._proven |= self._announced.keys()
        for partition in self._announced:
            self._attempts.pop(partition, None)
        self._announced = {}
