"""Which file is which, when log files change their names.

A file is known by its inode and by a hash of its first bytes. Names do not count: ``audit.log`` becomes
``audit.log.1`` and later ``audit.log.2.gz``. The inode alone does not do either: file systems give it again to the next
file, copies have another one, and ``copytruncate`` keeps it while the content goes elsewhere.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HEAD_BYTES: Final = 1024
"""How much of a file's beginning identifies it; audit events and log lines differ within their first bytes."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a file was read, and which file that was.

    Attributes:
        inode: the file's number when it was read; the first hint where several files begin alike.
        head_hash: hash of the first ``head_bytes`` bytes.
        head_bytes: how many bytes that were: as many as had been read, at most ``HEAD_BYTES``.
        offset: bytes of (decompressed) content read.
        line: lines read; a followed file goes on counting through rotations, so that no two records share a position.
        modified_ns: when the file was last written, as known at the time.
        skipping: the offset stands within an overlong line that was given out already.
        ended: read to its end, and not followed.
    """

    inode: int
    head_hash: str
    head_bytes: int
    offset: int
    line: int
    modified_ns: int = 0
    skipping: bool = False
    ended: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dict; what is false is left out."""
        plain: dict[str, Any] = {
            "inode": self.inode,
            "head_hash": self.head_hash,
            "head_bytes": self.head_bytes,
            "offset": self.offset,
            "line": self.line,
            "modified_ns": self.modified_ns,
        }
        marks = {"skipping": self.skipping, "ended": self.ended}
        return plain | {name: True for name, value in marks.items() if value}

    @classmethod
    def from_json(cls, value: object) -> Bookmark:
        """The inverse. Raises ``TypeError`` for anything that ``to_json`` did not write."""
        if not isinstance(value, dict):
            raise TypeError(f"a position is a JSON object, not {value!r}")
        return cls(**value)


def hash_of(head: bytes) -> str:
    """The hash of a file's first bytes."""
    return hashlib.blake2b(head, digest_size=16).hexdigest()


def open_content(path: Path) -> io.FileIO | gzip.GzipFile:
    """The file's content, decompressed if its name ends in ``.gz``; unbuffered otherwise. Raises ``OSError``."""
    if path.suffix == ".gz":
        return gzip.GzipFile(path, "rb")
    return io.FileIO(path, "rb")


def begins_as(path: Path, bookmark: Bookmark) -> bool:
    """Whether the file begins with the bytes that ``bookmark`` was read from; False for what cannot be read."""
    try:
        with open_content(path) as content:
            head = content.read(bookmark.head_bytes)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == bookmark.head_bytes and hash_of(head) == bookmark.head_hash


def reaches(path: Path, offset: int) -> bool:
    """Whether the file's content is at least ``offset`` bytes long (a compressed file is trusted to be whole)."""
    try:
        return path.suffix == ".gz" or path.stat().st_size >= offset
    except OSError:
        return False


def rotated_names(live: Path) -> re.Pattern[str]:
    """Names that a rotation gives to the former content of ``live``.

    ``audit.log.1``, ``audit.log.2.gz``, ``audit.log-20261124``, ``0.log.20261124-101500`` and the form of the API
    server, ``audit-2026-11-24T10-15-00.000.log``; never ``audit.log.bak`` or ``audit-policy.log``.
    """
    mark = r"[.-]\d[\dTZ_.:-]*"
    whole, stem, suffix = (re.escape(text) for text in (live.name, live.stem, live.suffix))
    return re.compile(rf"(?:{whole}{mark}|{stem}{mark}{suffix})(?:\.gz)?")


def rotated_files(live: Path) -> list[Path]:
    """Rotated files beside ``live``, the one written last at the end."""
    pattern = rotated_names(live)
    found: list[tuple[int, int, Path]] = []
    for entry in os.scandir(live.parent):
        if pattern.fullmatch(entry.name):
            number = re.search(r"\.(\d{1,4})(?:\.gz)?$", entry.name)
            # Written in the same tick of the clock: the higher number is the older file.
            found.append((entry.stat().st_mtime_ns, -int(number[1]) if number else 0, Path(entry.path)))
    return [path for _, _, path in sorted(found)]


def locate(live: Path, bookmark: Bookmark) -> Path | None:
    """Where the content that ``bookmark`` was read from is now: under its own name, rotated, compressed, or nowhere."""
    candidates = [live, *reversed(rotated_files(live))]
    same = [path for path in candidates if begins_as(path, bookmark) and reaches(path, bookmark.offset)]
    by_inode = (path for path in same if path.stat().st_ino == bookmark.inode)
    return next(by_inode, same[0] if same else None)


def later_files(live: Path, bookmark: Bookmark) -> list[Path]:
    """Rotated files written after the one that ``bookmark`` was read from, oldest first: to be read before ``live``."""

    def is_it(path: Path) -> bool:
        # Nothing was read of it, so there is no beginning to know it by.
        return begins_as(path, bookmark) if bookmark.head_bytes else path.stat().st_ino == bookmark.inode

    return [path for path in rotated_files(live) if path.stat().st_mtime_ns >= bookmark.modified_ns and not is_it(path)]
