"""One opened file, from which lines are taken until nothing more is there.

It knows whether what it reads is still the file it opened: ``copytruncate`` empties a file under its reader, and a
writer that fills it again quickly would have the reader go on in the middle of something else.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import Final

from streamer.errors import StateError
from streamer.local.lines import Lines
from streamer.local.rotation import HEAD_BYTES, Bookmark, hash_of, open_content

_CHUNK: Final = 256 * 1024
_DAMAGED: Final = (gzip.BadGzipFile, EOFError, zlib.error)


class OpenFile:
    """A file being read from a bookmark on.

    Args:
        path: where it is now.
        limit: bytes of the longest line that is given out whole.
        bookmark: where to go on; ``None`` for the beginning.
        line: lines counted before the beginning, for a file that follows a rotated one.

    Raises ``OSError`` if it may not be opened, ``StateError`` if it is compressed and damaged.

    Attributes:
        exhausted: the last ``poll`` came to the end of what is there.
        replaced: the file no longer begins as it did, or is shorter than what was read; nothing more is read from it.
    """

    def __init__(self, path: Path, limit: int, bookmark: Bookmark | None = None, *, line: int = 0) -> None:
        self.path = path
        self.exhausted = False
        self.replaced = False
        offset = bookmark.offset if bookmark else 0
        self._content = open_content(path)
        self._growing = path.suffix != ".gz"
        self._stat = os.fstat(self._content.fileno())
        try:
            self._head = self._content.read(HEAD_BYTES)
            self._content.seek(offset)
        except _DAMAGED as error:
            raise StateError(f"{path} cannot be decompressed: {error}") from error
        self.lines = Lines(
            limit,
            offset=offset,
            line=bookmark.line if bookmark else line,
            skipping=bookmark.skipping if bookmark else False,
        )

    def is_at(self, path: Path) -> bool:
        """Whether this very file is the one at ``path`` now."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (self._stat.st_dev, self._stat.st_ino)

    def poll(self, records: int, size: int) -> list[tuple[int, bytes]]:
        """Up to ``records`` finished lines of about ``size`` bytes together; reads no more than that.

        Raises:
            StateError: a compressed file is cut off or damaged.
        """
        begin = self.lines.offset
        taken: list[tuple[int, bytes]] = []
        self.exhausted = False
        while True:
            used = self.lines.offset - begin
            taken += self.lines.take(records - len(taken), size - used)
            if len(taken) >= records or self.lines.offset - begin >= size:
                return taken
            chunk = b"" if self.replaced else self._read()
            if not chunk:
                self.exhausted = True
                return taken
            self.lines.add(chunk)

    def _read(self) -> bytes:
        """The next bytes, none at the end; what was read while the file was replaced is thrown away."""
        try:
            chunk = self._content.read(_CHUNK)
        except (OSError, EOFError, zlib.error) as error:
            raise StateError(
                f"{self.path} cannot be read beyond line {self.lines.line}: {error}",
                hint="replace the file by a whole one and start again; reading goes on behind that line",
            ) from error
        if self._growing and not self._still_the_same(len(chunk)):
            self.replaced = True
            return b""
        return chunk

    def _still_the_same(self, length: int) -> bool:
        # After the read, not before: a file emptied in between is seen either by this look or by the next one.
        descriptor = self._content.fileno()
        head = os.pread(descriptor, HEAD_BYTES, 0)
        if not head.startswith(self._head):
            return False
        self._head = head
        read = self.lines.offset + self.lines.buffered + length
        self._stat = os.fstat(descriptor)
        return self._stat.st_size >= read

    def bookmark(self, *, ended: bool = False) -> Bookmark:
        """Where another ``OpenFile`` goes on after the lines given out so far."""
        head = self._head[: self.lines.offset]
        return Bookmark(
            inode=self._stat.st_ino,
            head_hash=hash_of(head),
            head_bytes=len(head),
            offset=self.lines.offset,
            line=self.lines.line,
            modified_ns=self._stat.st_mtime_ns,
            skipping=self.lines.skipping,
            ended=ended,
        )

    def close(self) -> None:
        """Give the file back."""
        self._content.close()
