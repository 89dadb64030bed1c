"""Readers of files under test, and what they find."""

from __future__ import annotations

from streamer.local.files import FileInput, FilesReader, ReadLimits
from streamer.local.tails import FollowedFile

_opened = []


async def stop_all():
    """Stops every reader that a test opened."""
    while _opened:
        await _opened.pop().stop()


def reader_of(*paths, follow=False, limits=None, grace_s=0.0):
    reader = FilesReader([FileInput(str(path), follow) for path in paths], limits or ReadLimits())
    _opened.append(reader)
    for tail in reader._tails.values():
        if isinstance(tail, FollowedFile):
            tail._grace_s = grace_s
    return reader


async def drain(reader, positions=None, *, polls=3):
    """Everything there is now: values, and positions after them."""
    values, positions = [], dict(positions or {})
    empty = 0
    while empty < polls:
        batch = await reader.read(0.02)
        empty = 0 if batch.records or batch.ended else empty + 1
        values += [(record.position.offset, record.value) for record in batch.records]
        positions.update(batch.positions)
    return values, positions


async def again(path, positions, **options):
    """What a new reader finds from these positions on."""
    reader = reader_of(path, **options)
    await reader.start(positions)
    values, positions = await drain(reader)
    await reader.stop()
    return [value for _, value in values], positions, reader


def write(path, *lines, mode="ab"):
    with path.open(mode) as file:
        file.write(b"".join(line + b"\n" for line in lines))
