"""The dead-letter topic read back: what stands there, once each, what of it was replayed, and the originals.

Nothing here belongs to a group: looking changes nothing. A letter that was written twice (after a crash) is one letter
with a count. That a letter was replayed is a record of its own on the same topic, so that it is known to everybody who
looks, and goes with the letter when the topic forgets it.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from aiokafka import TopicPartition, errors

from streamer.errors import ServerError
from streamer.kafka.complaints import as_server_error, attempt, let_go
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.dead_letter import TYPE
from streamer.kafka.topics import partitions_of
from streamer.model import DeadLetter, Position
from streamer.ports import Message

REPLAYED_HEADER: Final = "streamer-replayed"
"""On a record that was sent again: the position of the original; on the dead-letter topic: when."""
REPLAYED_TYPE: Final = b"io.streamer.dlq.replayed.v1"
_POLL_MS: Final = 1_000
_SILENT_TURNS: Final = 30
_US_PER_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class LetterSeen:
    """One dead letter.

    Attributes:
        letter: what was set aside; its bytes as far as they were kept.
        stage: what gave it up.
        stored_us: when it was written, the last time.
        count: how often it stands there.
        replayed: when it was replayed, ISO 8601; empty if it was not.
    """

    letter: DeadLetter
    stage: str
    stored_us: int
    count: int = 1
    replayed: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether all bytes of the original are here."""
        return len(self.letter.value) == self.letter.size > 0


@dataclass(frozen=True, slots=True)
class Original:
    """A record as it still stands where it was read from."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def replay_of(self) -> str:
        """The position of which this record is itself a replay; empty if it is none."""
        return next((value.decode(errors="replace") for name, value in self.headers if name == REPLAYED_HEADER), "")


async def read_letters(
    connection: KafkaConnection,
    topic: str,
    *,
    wanted: Callable[[LetterSeen], bool],
    limit: int,
    keep: int | None = None,
) -> list[LetterSeen]:
    """The newest letters of a topic, oldest first, equal ones together.

    Args:
        connection: which Kafka.
        topic: full name.
        wanted: which letters.
        limit: how many at most.
        keep: bytes kept of each original; ``None`` keeps all that the letter has.

    Raises:
        ServerError: Kafka is away, or there is no such topic.
    """
    found: dict[tuple[str, str, str], LetterSeen] = {}
    async for record in _records(connection, topic):
        if _header(record, "ce_type") == REPLAYED_TYPE:
            _note_replay(found, record)
            continue
        seen = _letter_of(record, keep)
        if seen is None or not wanted(seen):
            continue
        key = _key(seen.letter)
        before = found.pop(key, None)
        found[key] = seen if before is None else replace(seen, count=before.count + 1, replayed=before.replayed)
        if len(found) > limit:
            del found[next(iter(found))]
    return list(found.values())


async def originals(connection: KafkaConnection, positions: Iterable[Position]) -> dict[Position, Original]:
    """The records at these positions of topics, where they still are. Raises ``ServerError``."""
    asked = sorted(set(positions))
    if not asked:
        return {}
    doing = "looking up originals"
    consumer = connection.consumer(auto_offset_reset="none", isolation_level="read_committed")
    found: dict[Position, Original] = {}
    try:
        await attempt(consumer.start(), connection, doing)
        partitions = sorted({TopicPartition(position.source, position.partition) for position in asked})
        there = await _existing(connection, {tp.topic for tp in partitions})
        partitions = [tp for tp in partitions if tp in there]
        first = await attempt(consumer.beginning_offsets(partitions), connection, doing) if partitions else {}
        last = await attempt(consumer.end_offsets(partitions), connection, doing) if partitions else {}
        consumer.assign(partitions)
        consumer.pause(*partitions)
        for position in asked:
            tp = TopicPartition(position.source, position.partition)
            if tp in first and first[tp] <= position.offset < last[tp]:
                record = await _at(consumer, tp, position.offset)
                if record is not None:
                    found[position] = Original(record.key or b"", record.value or b"", _headers(record))
    except (errors.KafkaError, OSError, TimeoutError) as error:
        raise as_server_error(error, connection, doing) from error
    finally:
        await let_go(consumer.stop())
    return found


def replay_note(letter: DeadLetter, topic: str, when: str) -> Message:
    """The record that says that a letter was replayed."""
    position = letter.position
    body = {"replayed": when, "position": str(position), "error": {"reason": letter.reason, "detail": letter.detail}}
    headers = (
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{position}/replayed/{when}".encode()),
        ("ce_type", REPLAYED_TYPE),
        ("ce_source", b"/streamer"),
        ("content-type", b"application/json"),
        (REPLAYED_HEADER, when.encode()),
    )
    return Message(topic, None, f"{position.source}[{position.partition}]".encode(), orjson.dumps(body), headers)


async def _records(connection: KafkaConnection, topic: str) -> AsyncIterator[Any]:
    """Everything up to the end as it is now."""
    doing = f"reading {topic}"
    numbers = (await partitions_of(connection, [topic]))[topic]
    partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
    consumer = connection.consumer(auto_offset_reset="earliest", isolation_level="read_committed")
    try:
        await attempt(consumer.start(), connection, doing)
        first = await attempt(consumer.beginning_offsets(partitions), connection, doing)
        ends = await attempt(consumer.end_offsets(partitions), connection, doing)
        unread = [tp for tp in partitions if first[tp] < ends[tp]]
        consumer.assign(unread)
        for tp in unread:
            consumer.seek(tp, first[tp])
        silent = 0
        while unread:
            arrived = await consumer.getmany(*unread, timeout_ms=_POLL_MS)
            for records in arrived.values():
                for record in records:
                    yield record
            unread = [tp for tp in unread if await consumer.position(tp) < ends[tp]]
            silent = 0 if arrived else silent + 1
            if silent >= _SILENT_TURNS:
                raise ServerError(f"Kafka at {connection.bootstrap_servers} stopped answering while {doing}")
    except (errors.KafkaError, OSError, TimeoutError) as error:
        raise as_server_error(error, connection, doing) from error
    finally:
        await let_go(consumer.stop())


async def _at(consumer: Any, tp: TopicPartition, offset: int) -> Any:
    """The record at exactly this offset, or ``None``: compaction and transactions leave gaps."""
    consumer.seek(tp, offset)
    consumer.resume(tp)
    try:
        async with asyncio.timeout(10):
            arrived: Sequence[Any] = (await consumer.getmany(tp, timeout_ms=5_000, max_records=1)).get(tp, ())
    finally:
        consumer.pause(tp)
    return arrived[0] if arrived and arrived[0].offset == offset else None


async def _existing(connection: KafkaConnection, topics: Iterable[str]) -> set[TopicPartition]:
    found: set[TopicPartition] = set()
    for topic in topics:
        try:
            numbers = (await partitions_of(connection, [topic]))[topic]
        except ServerError as error:
            if "has no topic" not in error.message:
                raise
            continue
        found |= {TopicPartition(topic, number) for number in numbers}
    return found


def _letter_of(record: Any, keep: int | None) -> LetterSeen | None:
    """The letter of a record; what somebody else wrote there is passed over."""
    if _header(record, "ce_type") != TYPE:
        return None
    try:
        body = orjson.loads(record.value or b"")
        place, error = body["source"], body["error"]
        if "file" in place:
            position = Position(str(place["file"]), 0, int(place["line"]), is_file=True)
        else:
            position = Position(str(place["topic"]), int(place["partition"]), int(place["offset"]), is_file=False)
        value = base64.b64decode(body["payload"])
        letter = DeadLetter(str(error["reason"]), str(error["detail"]), position, value[:keep], int(body["size"]))
        return LetterSeen(letter, str(body.get("stage", "")), record.timestamp * _US_PER_MS)
    except (ValueError, KeyError, TypeError):
        return None


def _note_replay(found: dict[tuple[str, str, str], LetterSeen], record: Any) -> None:
    try:
        body = orjson.loads(record.value or b"")
        key = (str(body["position"]), str(body["error"]["reason"]), str(body["error"]["detail"]))
        when = str(body["replayed"])
    except (ValueError, KeyError, TypeError):
        return
    if key in found:
        found[key] = replace(found[key], replayed=when)


def _key(letter: DeadLetter) -> tuple[str, str, str]:
    """One position may be set aside for several reasons, for example by several rules."""
    return (str(letter.position), letter.reason, letter.detail)


def _header(record: Any, wanted: str) -> bytes:
    return next((value or b"" for name, value in record.headers if name == wanted), b"")


def _headers(record: Any) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, value or b"") for name, value in record.headers)
