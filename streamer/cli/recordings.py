"""Opening recorded logs: plain, gzip, standard input; what kind each is; how far the reading has come."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

from streamer.decode import DecodeLimits, Source, guess_kind
from streamer.decode.source import ACCESS_LOG_CONTAINERS, SourceKind
from streamer.errors import SettingsError
from streamer.local.lines import Lines

STDIN: Final = "-"
_CHUNK: Final = 256 * 1024
_LINES: Final = 4_096
_PEEKED: Final = 200
"""Lines looked at, at most, to tell what kind of log this is."""
_GZIP_MAGIC: Final = b"\x1f\x8b"
_DAMAGED: Final = (gzip.BadGzipFile, EOFError, zlib.error)


class _Bytes(Protocol):
    def read1(self, size: int, /) -> bytes: ...


@dataclass(slots=True)
class Opened:
    """One opened recording.

    Attributes:
        name: as given; it names the file in evidence.
        kind: as given, or as its first records tell.
        guessed: nobody said, the records told.
        size: bytes on disk, compressed as they are; 0 for standard input.
        lines: numbered lines, bounded in length; reading moves ``done``.
        damaged: why the file ends before its end, once that is known.
        empty: there is not a single line in it; not known where the kind was given.
    """

    name: str
    kind: SourceKind
    guessed: bool
    size: int
    lines: Iterator[tuple[int, bytes]]
    progress: _Progress
    empty: bool = False

    @property
    def done(self) -> int:
        """Bytes of the file read so far."""
        return self.progress.done

    @property
    def damaged(self) -> str:
        """Why the file could not be read to its end; empty if it could."""
        return self.progress.damaged

    def source(self, cluster: str, lateness_us: int, access_logs: tuple[str, ...] = ACCESS_LOG_CONTAINERS) -> Source:
        """The recording as a source of records."""
        return Source(
            name=self.name,
            kind=self.kind,
            cluster=cluster,
            lateness_us=lateness_us,
            access_log_containers=access_logs,
        )


@dataclass(slots=True)
class _Progress:
    done: int = 0
    damaged: str = ""


def open_recording(name: str, kind: SourceKind | None = None, *, shown: str | None = None) -> Opened:
    """Open a file, or standard input for ``-``; what it is called does not matter, gzip is known by its first bytes.

    Args:
        name: path or ``-``.
        kind: what it carries; ``None`` lets its first records tell.
        shown: what evidence calls it, if not by its path.

    Raises:
        SettingsError: there is no such file, it is a folder, or it may not be read.
    """
    progress = _Progress()
    raw, size = _open(name)
    lines = _lines(raw, progress, progress_of=raw if size else None)
    peeked: list[tuple[int, bytes]] = []

    def peek() -> Iterator[bytes]:
        for numbered in lines:
            peeked.append(numbered)
            yield numbered[1]
            if len(peeked) >= _PEEKED:
                return

    found = kind or guess_kind(peek())
    empty = kind is None and not peeked and not progress.damaged
    return Opened(shown or name, found, kind is None, size, chain(peeked, lines), progress, empty)


def _open(name: str) -> tuple[io.BufferedReader, int]:
    if name == STDIN:
        return open(sys.stdin.fileno(), "rb", closefd=False), 0
    path = Path(name)
    try:
        if path.is_dir():
            raise SettingsError(f"{name} is a folder", hint="name the files in it, for example with a pattern: dir/*")
        return path.open("rb"), path.stat().st_size
    except FileNotFoundError as error:
        raise SettingsError(f"there is no file {name}") from error
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}") from error


def _lines(
    raw: io.BufferedReader, progress: _Progress, progress_of: io.BufferedReader | None
) -> Iterator[tuple[int, bytes]]:
    """Numbered lines of bounded length; a damaged file ends where the damage begins."""
    cutter = Lines(DecodeLimits().record_bytes)
    content: _Bytes = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == _GZIP_MAGIC else raw
    try:
        while chunk := _read(content):
            cutter.add(chunk)
            while taken := cutter.take(_LINES, _CHUNK * 4):
                yield from taken
            if progress_of is not None:
                progress.done = progress_of.tell()
    except _DAMAGED as error:
        progress.damaged = f"damaged after line {cutter.line}: {error}"
    except OSError as error:
        progress.damaged = f"cannot be read after line {cutter.line}: {error.strerror or error}"
    yield from cutter.finish()
    raw.close()


def _read(content: _Bytes) -> bytes:
    """What is there, at most a chunk: a pipe gives lines as they come, a damaged file what is before the damage."""
    return content.read1(_CHUNK)
