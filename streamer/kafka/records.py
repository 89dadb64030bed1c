"""The client's records as ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from streamer.model import Position, Record

_LOG_APPEND_TIME: Final = 1
_US_PER_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Fetched:
    """One record of a topic of ours.

    Attributes:
        offset: where it stood.
        key: empty where there was none.
        value: empty where there was none.
        append_time_us: the record's stamp: the broker's or the producer's.
        headers: in order.
    """

    offset: int
    key: bytes
    value: bytes
    append_time_us: int
    headers: tuple[tuple[str, bytes], ...] = ()


def as_fetched(record: Any) -> Fetched:
    """A record of a topic of ours."""
    return Fetched(
        offset=record.offset,
        key=record.key or b"",
        value=record.value or b"",
        append_time_us=record.timestamp * _US_PER_MS,
        headers=tuple(_headers(record.headers)),
    )


def as_record(record: Any, now_us: int) -> Record:
    """A record of a raw topic; a producer's stamp is used, but never later than now."""
    stamp_us = record.timestamp * _US_PER_MS
    if record.timestamp < 0:
        stamp_us = now_us  # written by a client so old that it does not stamp
    elif record.timestamp_type != _LOG_APPEND_TIME:
        stamp_us = min(stamp_us, now_us)
    return Record(
        value=record.value or b"",
        position=Position(record.topic, record.partition, record.offset, is_file=False),
        append_time_us=stamp_us,
        headers=tuple(_headers(record.headers)),
    )


def _headers(headers: Iterable[tuple[str, bytes | None]]) -> Iterable[tuple[str, bytes]]:
    for name, value in headers:
        yield name, value or b""
