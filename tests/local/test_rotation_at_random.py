"""Random lives of a log file: written, renamed, copied, compressed, read, restarted; every line is read once."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.local.files import FileInput, FilesReader, ReadLimits

ACTIONS = st.lists(
    st.sampled_from(["write", "write", "half", "rename", "truncate", "compress", "read", "read", "restart"]),
    max_size=30,
)


class Life:
    """A log file with its writer, its rotation and its reader."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audit.log"
        self.written: list[bytes] = []
        self.found: list[bytes] = []
        self.positions: dict = {}
        self.tick = 1_700_000_000_000_000_000
        self.open_line = False
        self.touch(b"")
        self.reader = self.new_reader()

    def new_reader(self):
        reader = FilesReader([FileInput(str(self.path), follow=True)], ReadLimits(records=3, size=100, line=50))
        reader._tails[str(self.path), 0]._grace_s = 0.0
        return reader

    def touch(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)
        # Real rotations lie seconds apart; the clock of a file system may tick more slowly than this test.
        self.tick += 1_000_000_000
        os.utime(self.path, ns=(self.tick, self.tick))

    def line(self) -> bytes:
        text = b"line %d" % len(self.written)
        self.written.append(text)
        return text

    def write(self) -> None:
        if self.open_line:
            self.open_line = False
            self.touch(b"\n")
        self.touch(self.line() + b"\n" + self.line() + b"\n")

    def half(self) -> None:
        if not self.open_line:
            self.touch(self.line())
            self.open_line = True

    def shift(self) -> Path:
        for number in range(40, 0, -1):
            for suffix in ("", ".gz"):
                old = self.path.with_name(f"audit.log.{number}{suffix}")
                if old.exists():
                    old.rename(self.path.with_name(f"audit.log.{number + 1}{suffix}"))
        return self.path.with_name("audit.log.1")

    def rename(self) -> None:
        self.path.rename(self.shift())
        self.open_line = False
        self.touch(b"")

    def truncate(self) -> None:
        if self.open_line or not self.path.stat().st_size or self.unseen():
            return
        shutil.copy2(self.path, self.shift())
        os.truncate(self.path, 0)
        self.touch(b"")

    def compress(self) -> None:
        plain = self.path.with_name("audit.log.1")
        if plain.exists() and not self.reading(plain):
            packed = plain.with_name("audit.log.1.gz")
            packed.write_bytes(gzip.compress(plain.read_bytes()))
            shutil.copystat(plain, packed)
            plain.unlink()

    def unseen(self) -> bool:
        """The live file is open and nothing of it was read: emptied now, it would look as it did when it was opened."""
        file = self.reader._tails[str(self.path), 0]._file
        return file is not None and file.is_at(self.path) and not file.lines.offset

    def reading(self, path: Path) -> bool:
        file = self.reader._tails[str(self.path), 0]._file
        return file is not None and file.is_at(path)

    async def read(self) -> None:
        batch = await self.reader.read(0)
        self.found += [record.value for record in batch.records]
        self.positions.update(batch.positions)

    async def restart(self) -> None:
        await self.reader.stop()
        self.reader = self.new_reader()
        await self.reader.start(self.positions)

    async def live(self, actions: list[str]) -> None:
        await self.reader.start({})
        await self.read()
        for action in actions:
            done = getattr(self, action)()
            if done is not None:
                await done
        if self.open_line:
            self.write()
        for _ in range(200):
            await self.read()
        gaps = self.reader.take_gaps()
        await self.reader.stop()
        assert self.found == self.written, gaps
        assert gaps == ()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ACTIONS)
def test_every_line_is_read_once_and_in_order(actions):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(Life(Path(folder)).live(actions))
