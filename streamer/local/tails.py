"""Three ways to read lines: a file once, a file that grows and is rotated, standard input.

Each is polled: it gives what is there and never waits. A followed file outlives the names of its parts: what was
written before a rotation is read to its end before what came after it.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from pathlib import Path
from typing import Any, Final, Protocol

from streamer.errors import ServerError, SettingsError, StateError
from streamer.local.lines import Lines
from streamer.local.opened import OpenFile
from streamer.local.rotation import Bookmark, begins_as, later_files, locate, reaches, rotated_files

ROTATION_GRACE_S: Final = 2.0
"""How long a renamed file is watched on for lines from a writer that has not yet opened the new one."""


class Tail(Protocol):
    """Something that gives lines.

    Attributes:
        at_end: nothing more is there now.
        ended: nothing more will ever come.
        gaps: what was rotated away before it was read, one sentence each.
    """

    at_end: bool
    ended: bool
    gaps: list[str]

    def open(self, position: object) -> None:
        """Go to a stored position; ``None`` is the beginning. Raises ``StateError`` and ``SettingsError``."""
        ...

    def poll(self, records: int, size: int) -> list[tuple[int, bytes]]:
        """Up to ``records`` lines of about ``size`` bytes together, each with its number."""
        ...

    def position(self) -> dict[str, Any] | None:
        """Where reading goes on after the lines given out; ``None`` if there is nothing to say."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class WholeFile:
    """A file that is read once, from its beginning or its bookmark to its end; ``.gz`` is decompressed."""

    def __init__(self, path: str, limit: int) -> None:
        self.at_end = False
        self.ended = False
        self.gaps: list[str] = []
        self._path = Path(path)
        self._limit = limit
        self._file: OpenFile | None = None

    def open(self, position: object) -> None:
        """Open and check that it is the file that was read before."""
        bookmark = Bookmark.from_json(position) if position is not None else None
        if not self._path.is_file():
            raise SettingsError(f"{self._path} is no file that can be read", hint="check the path under `sources`")
        try:
            self._file = OpenFile(self._path, self._limit, bookmark)
        except OSError as error:
            raise SettingsError(f"{self._path} cannot be read: {error.strerror}") from error
        if bookmark and not (begins_as(self._path, bookmark) and reaches(self._path, bookmark.offset)):
            raise StateError(
                f"{self._path} is not the file that was read up to line {bookmark.line}: "
                "it is shorter or begins differently",
                hint="put the former file back, or take another --store to read this one from its beginning",
            )
        if bookmark and bookmark.ended and self._path.suffix != ".gz" and self._grown(bookmark.offset):
            raise StateError(
                f"{self._path} has grown since it was read to its end (line {bookmark.line}); "
                "its windows are closed, the new lines could not be correlated with the old ones",
                hint="read files that grow with `follow: true`, and take another --store for that",
            )

    def _grown(self, offset: int) -> bool:
        return self._path.stat().st_size > offset

    def poll(self, records: int, size: int) -> list[tuple[int, bytes]]:
        """See :class:`Tail`. The last line needs no line end."""
        if self._file is None or self.ended:
            return []
        taken = self._file.poll(records, size)
        if self._file.replaced:
            raise StateError(
                f"{self._path} was cut or replaced while it was read, after line {self._file.lines.line}",
                hint="read files that are rotated with `follow: true`",
            )
        if self._file.exhausted and not taken:
            taken = self._file.lines.finish()
            self.at_end = self.ended = True
        return taken

    def position(self) -> dict[str, Any] | None:
        """See :class:`Tail`."""
        return self._file.bookmark(ended=self.ended).to_json() if self._file else None

    def close(self) -> None:
        """See :class:`Tail`."""
        if self._file:
            self._file.close()


class FollowedFile:
    """A file that grows and is rotated; its name may not exist yet. An unfinished last line waits for its end."""

    def __init__(self, path: str, limit: int, *, grace_s: float = ROTATION_GRACE_S) -> None:
        self.at_end = False
        self.ended = False
        self.gaps: list[str] = []
        self._name = path
        self._limit = limit
        self._grace_s = grace_s
        self._renamed_at: float | None = None
        self._file: OpenFile | None = None
        self._final = False
        self._behind: Bookmark | None = None

    def _live(self) -> Path:
        # Container runtimes give out symbolic links and rotate what they point to.
        return Path(os.path.realpath(self._name))

    def open(self, position: object) -> None:
        """Find the file that was read before, wherever rotation has put it."""
        live = self._live()
        if live.is_dir() or live.suffix == ".gz":
            raise SettingsError(f"{self._name} cannot be followed: only plain files grow")
        if position is None:
            self._begin(live)
            return
        bookmark = Bookmark.from_json(position)
        if not bookmark.head_bytes:
            # No line of it had been given out. What was rotated away since was written then or later.
            since = [path for path in rotated_files(live) if path.stat().st_mtime_ns >= bookmark.modified_ns]
            self._begin(since[0] if since else live)
            return
        if bookmark.ended:
            raise StateError(
                f"{self._name} was read to its end without `follow`; its windows are closed",
                hint="take another --store to follow it",
            )
        found = locate(live, bookmark)
        if found is not None:
            self._file = self._open(found, bookmark)
            self._behind = bookmark
        elif not live.exists():
            raise StateError(
                f"{self._name}, read up to line {bookmark.line} by an earlier run, is gone, and so is its content",
                hint="put the file back, or take another --store to begin anew",
            )
        elif begins_as(live, bookmark):
            raise StateError(
                f"{self._name} was cut: it is shorter than the {bookmark.offset} bytes read by an earlier run",
                hint="put the whole file back, or take another --store to begin anew",
            )
        else:
            self._lose(bookmark)
            self._go_on(live, bookmark)

    def _lose(self, bookmark: Bookmark) -> None:
        self.gaps.append(
            f"{self._name} was rotated away before its end was read: what followed line {bookmark.line} there is lost, "
            "and what it would have shown is not detected"
        )

    def _open(self, path: Path, bookmark: Bookmark | None = None, *, line: int = 0) -> OpenFile:
        try:
            return OpenFile(path, self._limit, bookmark, line=line)
        except OSError as error:
            raise ServerError(f"{path} cannot be read: {error.strerror}", hint="allow streamer to read it") from error

    def _begin(self, path: Path) -> None:
        if path.exists():
            self._file = self._open(path)

    def poll(self, records: int, size: int) -> list[tuple[int, bytes]]:
        """See :class:`Tail`. Raises ``ServerError`` for a file that may not be opened."""
        live = self._live()
        if self._file is None:
            self._begin(live)
        if self._file is None:
            self.at_end = True
            return []
        taken = self._file.poll(records, size)
        self.at_end = False
        if taken or not self._file.exhausted:
            return taken
        if self._file.replaced:
            return self._after_truncation(self._file, live)
        return self._at_the_end_of(self._file, live)

    def _at_the_end_of(self, file: OpenFile, live: Path) -> list[tuple[int, bytes]]:
        """Nothing more in ``file`` now: wait if it is the live one, else go on to the next."""
        if file.is_at(live) or not live.exists():
            self.at_end = True
            self._renamed_at = None
            return []
        later = later_files(live, file.bookmark())
        if not later and not self._grace_is_over():
            return []
        return self._leave(file, live, later)

    def _grace_is_over(self) -> bool:
        now = time.monotonic()
        if self._renamed_at is None:
            self._renamed_at = now
        return now - self._renamed_at >= self._grace_s

    def _after_truncation(self, file: OpenFile, live: Path) -> list[tuple[int, bytes]]:
        """The file was emptied under us: the rest of its content is in a copy, if a copy was made."""
        bookmark = file.bookmark()
        if bookmark.head_bytes:
            copies = [
                path for path in rotated_files(live) if begins_as(path, bookmark) and reaches(path, bookmark.offset)
            ]
            if copies:
                file.close()
                self._file = self._open(copies[-1], bookmark)
                return []
            self.gaps.append(
                f"{self._name} was emptied and no copy of it is here: lines written after line {bookmark.line} and "
                "before that are lost"
            )
        return self._leave(file, live, later_files(live, bookmark))

    def _leave(self, file: OpenFile, live: Path, later: list[Path]) -> list[tuple[int, bytes]]:
        """Finish a file that will not grow and open the next one."""
        rest = file.lines.finish()
        bookmark = file.bookmark()
        file.close()
        self._go_on(live, bookmark, later)
        return rest

    def _go_on(self, live: Path, bookmark: Bookmark, later: list[Path] | None = None) -> None:
        # The finished file's bookmark stands until the next one has given a line: an empty beginning is like any other.
        if bookmark.offset:
            self._behind = bookmark
        self._renamed_at = None
        following = later if later is not None else later_files(live, bookmark)
        self._file = self._open(following[0] if following else live, line=bookmark.line)

    def position(self) -> dict[str, Any] | None:
        """See :class:`Tail`."""
        if self._file is not None and (self._file.lines.offset or self._behind is None):
            return self._file.bookmark().to_json()
        return self._behind.to_json() if self._behind else None

    def close(self) -> None:
        """See :class:`Tail`."""
        if self._file:
            self._file.close()


class StandardInput:
    """A pipe: read by a thread of its own, because reading it may wait for ever. It cannot be read again."""

    def __init__(self, limit: int, *, descriptor: int = 0) -> None:
        self.at_end = False
        self.ended = False
        self.gaps: list[str] = []
        self._lines = Lines(limit)
        self._descriptor = descriptor
        self._thread: threading.Thread | None = None
        # Bounded, so that a fast writer waits in its pipe and not in our memory.
        self._chunks: queue.Queue[bytes] = queue.Queue(maxsize=16)

    def open(self, position: object) -> None:
        """Start reading; a position says nothing about a new pipe."""
        del position
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, name="standard-input", daemon=True)
            self._thread.start()

    def _read(self) -> None:
        chunk = b"-"
        while chunk:
            try:
                chunk = os.read(self._descriptor, 64 * 1024)
            except OSError:
                chunk = b""
            self._chunks.put(chunk)

    def poll(self, records: int, size: int) -> list[tuple[int, bytes]]:
        """See :class:`Tail`."""
        begin = self._lines.offset
        taken: list[tuple[int, bytes]] = []
        while not self.ended:
            taken += self._lines.take(records - len(taken), size - (self._lines.offset - begin))
            if len(taken) >= records or self._lines.offset - begin >= size:
                break
            try:
                chunk = self._chunks.get_nowait()
            except queue.Empty:
                break
            if not chunk:
                taken += self._lines.finish()
                self.ended = True
            self._lines.add(chunk)
        self.at_end = self.ended
        return taken

    def position(self) -> dict[str, Any] | None:
        """Only that it ended: where a pipe stood is of no use to anybody."""
        return {"ended": True} if self.ended else None

    def close(self) -> None:
        """Nothing to give back: the descriptor is the process's own, and the thread ends with it."""
