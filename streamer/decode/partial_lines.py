"""Partial lines joined: a container runtime splits long lines at 16 KB and marks every piece but the last.

Pieces are joined per source partition, pod, container and stream. A process may write partial lines for ever and on
many streams, so everything is bounded, and nothing that was written is dropped: what outgrows a bound, or is not
continued for a long time, is handed on as it is, marked as truncated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import orjson

from streamer.decode.identity import digest
from streamer.decode.line import Line, text_at
from streamer.decode.source import DecodeLimits
from streamer.decode.stamps import Stamp
from streamer.errors import StateError
from streamer.model import Position, Record

_Key: TypeAlias = tuple[str, ...]
_VERSION: Final = 1
_PIECES: Final = 1_000


@dataclass(slots=True)
class _Open:
    """An unfinished line: its first piece, all texts, where the last piece stood, and at which offset it began."""

    first: Line
    texts: list[str]
    size: int
    last_stamp: str
    position: Position
    append_time_us: int | None
    touched: int
    began: int


Finished: TypeAlias = tuple[Line, Record]
"""A whole line, and the record (without its bytes) that it counts as read from."""


class PartialLines:
    """Unfinished lines of one source. Oldest touched first."""

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self._open: dict[_Key, _Open] = {}
        self._ended: dict[_Key, str] = {}
        self._size = 0
        self._count = 0

    def tick(self) -> list[Finished]:
        """To be called once per record: lines that have not been continued for too many records."""
        self._count += 1
        done: list[Finished] = []
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if self._count - oldest.touched <= self._limits.partial_records:
                break
            done.append(self._close(key, truncated=True))
        return done

    def feed(self, line: Line, record: Record) -> list[Finished]:
        """One piece (or a whole line) in; the lines that are whole now out."""
        if not line.partial and not self._open and not self._ended:
            return [(line, record)]
        key = _key(line, record.position)
        found = self._open.pop(key, None)
        if found is None and not line.partial:
            told = key in self._ended and self._ended[key] == _mark(line)
            return [] if told else [(line, record)]  # a last piece delivered again is no line of its own
        exact = line.stamp.exact if line.stamp else ""
        if found is None:
            found = _Open(line, [], 0, "", record.position, record.append_time_us, 0, record.position.offset)
        elif exact and exact == found.last_stamp and line.text == found.texts[-1] and line.partial:
            found.touched = self._count
            self._open[key] = found  # the same piece, delivered again
            return []
        if len(found.texts) >= _PIECES:
            found.texts = ["".join(found.texts)]  # tiny pieces must not cost more than their text
        found.texts.append(line.text)
        found.size += len(line.text)
        self._size += len(line.text)
        found.last_stamp, found.touched = exact, self._count
        found.position, found.append_time_us = record.position, record.append_time_us
        self._open[key] = found
        if not line.partial:
            self._remember_end(key, line)
            return [self._close(key)]
        return self._bound(key)

    def began(self) -> int | None:
        """The offset of the oldest record that an unfinished line needs; ``None`` if there is none."""
        return min((found.began for found in self._open.values()), default=None)

    def flush(self) -> list[Finished]:
        """Everything unfinished, oldest touched first."""
        return [self._close(key, truncated=True) for key in list(self._open)]

    def _remember_end(self, key: _Key, line: Line) -> None:
        self._ended.pop(key, None)
        if line.stamp is not None and line.stamp.fine:
            self._ended[key] = _mark(line)
            if len(self._ended) > self._limits.partial_streams:
                del self._ended[next(iter(self._ended))]

    def _bound(self, key: _Key) -> list[Finished]:
        done: list[Finished] = []
        if self._open[key].size >= self._limits.partial_bytes:
            done.append(self._close(key, truncated=True))
        while len(self._open) > self._limits.partial_streams or self._size > self._limits.partial_total_bytes:
            done.append(self._close(next(iter(self._open)), truncated=True))
        return done

    def _close(self, key: _Key, *, truncated: bool = False) -> Finished:
        found = self._open.pop(key)
        self._size -= found.size
        text = "".join(found.texts)
        line = replace(found.first, text=text, partial=False, truncated=found.first.truncated or truncated)
        return line, Record(text.encode("utf-8", "replace"), found.position, found.append_time_us)

    def snapshot(self) -> bytes:
        """Everything unfinished as bytes; :meth:`restore` of them is the identity. Nothing unfinished: no bytes."""
        if not self._open and not self._ended:
            return b""
        entries = [[list(key), _to_plain(found)] for key, found in self._open.items()]
        ended = [[list(key), mark] for key, mark in self._ended.items()]
        # Records are counted for what is open; without that, the same snapshot need not be stored again.
        return orjson.dumps([_VERSION, self._count if entries else 0, entries, ended])

    def restore(self, data: bytes) -> None:
        """Take over a snapshot. Empty bytes are an empty snapshot.

        Raises:
            StateError: the bytes are no snapshot that this version understands.
        """
        self._open, self._ended, self._size, self._count = {}, {}, 0, 0
        if not data:
            return
        try:
            version, count, entries, ended = orjson.loads(data)
            if version != _VERSION:
                raise StateError(f"partial lines were stored in format {version!r}, this version reads {_VERSION}")
            for key, plain in entries:
                self._open[tuple(key)] = _from_plain(plain)
            self._ended = {tuple(key): str(mark) for key, mark in ended}
            self._count = int(count)
        except (ValueError, TypeError, KeyError) as error:
            raise StateError("the stored partial lines cannot be read") from error
        self._size = sum(found.size for found in self._open.values())


def _mark(line: Line) -> str:
    """Tells one last piece from another."""
    return digest(line.stamp.exact if line.stamp else None, line.text).hex()


def _key(line: Line, position: Position) -> _Key:
    kubernetes = line.kubernetes
    pod = text_at(kubernetes, "pod", "uid") or text_at(kubernetes, "pod", "name") or ""
    source = position.source.encode("utf-8", "backslashreplace").decode()
    return (
        source,
        str(position.partition),
        text_at(kubernetes, "namespace") or "",
        pod,
        text_at(kubernetes, "container", "name") or "",
        line.stream,
    )


def _to_plain(found: _Open) -> dict[str, Any]:
    first, position = found.first, found.position
    return {
        "stamp": list(first.stamp) if first.stamp else None,
        "stream": first.stream,
        "kubernetes": first.kubernetes,
        "cluster": first.cluster,
        "truncated": first.truncated,
        "texts": found.texts,
        "size": found.size,
        "last_stamp": found.last_stamp,
        "source": position.source.encode("utf-8", "surrogateescape").hex(),
        "position": [position.partition, position.offset, position.is_file],
        "append": found.append_time_us,
        "touched": found.touched,
        "began": found.began,
    }


def _from_plain(plain: dict[str, Any]) -> _Open:
    stamp = plain["stamp"]
    partition, offset, is_file = plain["position"]
    source = bytes.fromhex(plain["source"]).decode("utf-8", "surrogateescape")
    first = Line(
        "",
        Stamp(*stamp) if stamp else None,
        plain["stream"],
        plain["kubernetes"],
        plain["cluster"],
        truncated=plain["truncated"],
    )
    return _Open(
        first,
        plain["texts"],
        plain["size"],
        plain["last_stamp"],
        Position(source, partition, offset, is_file),
        plain["append"],
        plain["touched"],
        plain.get("began", offset),
    )
