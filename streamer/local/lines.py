"""A stream of bytes cut into lines of bounded length.

Whoever writes a log may write a line of ten gigabytes. No such line is ever held: once a line is longer than the
limit its beginning is given out, longer than the limit by one byte so that the decoder refuses it as too large, and the
rest is passed over. Where the cutter stands is three plain values (``offset``, ``line``, ``skipping``) from which
another one goes on, in the middle of an overlong line too.
"""

from __future__ import annotations


class Lines:
    """Bytes in, lines out, with the offset and the number of lines that have been given out.

    Args:
        limit: bytes of the longest line that is given out whole.
        offset: where in the stream the first byte added stands.
        line: lines before it.
        skipping: the first byte added belongs to an overlong line that was given out already.
    """

    __slots__ = ("_buffer", "_limit", "line", "offset", "skipping")

    def __init__(self, limit: int, *, offset: int = 0, line: int = 0, skipping: bool = False) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self.offset = offset
        self.line = line
        self.skipping = skipping

    @property
    def buffered(self) -> int:
        """Bytes added and not given out: the unfinished last line, and lines that found no room in a batch."""
        return len(self._buffer)

    def add(self, data: bytes) -> None:
        """Append bytes of the stream."""
        self._buffer += data

    def take(self, records: int, size: int) -> list[tuple[int, bytes]]:
        """Up to ``records`` finished lines of about ``size`` bytes together, each with its number from 1.

        An unfinished line stays; one that is overlong already is given out (see the module's docstring).
        """
        buffer = self._buffer
        taken: list[tuple[int, bytes]] = []
        start = 0
        while len(taken) < records and start < size:
            end = buffer.find(b"\n", start)
            if end < 0:
                start = self._unfinished(start, taken)
                break
            if self.skipping:
                self.skipping = False
            else:
                self.line += 1
                taken.append((self.line, bytes(buffer[start : min(end, start + self._limit + 1)])))
            start = end + 1
        del buffer[:start]
        self.offset += start
        return taken

    def _unfinished(self, start: int, taken: list[tuple[int, bytes]]) -> int:
        """Deal with bytes after the last line end; returns where the kept bytes begin."""
        length = len(self._buffer) - start
        if not self.skipping:
            if length <= self._limit:
                return start
            self.line += 1
            taken.append((self.line, bytes(self._buffer[start : start + self._limit + 1])))
            self.skipping = True
        return start + length

    def finish(self) -> list[tuple[int, bytes]]:
        """The unfinished last line, for a stream that will not go on. Call after ``take`` gave nothing more."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self.offset += len(rest)
        if not rest or self.skipping:
            return []
        self.line += 1
        return [(self.line, rest)]
