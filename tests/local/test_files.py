from __future__ import annotations

import gzip
import os
import threading

import pytest

from streamer.errors import SettingsError, StateError
from streamer.local.files import FileInput, FilesReader, ReadLimits
from tests.local.reading import again, drain, reader_of, stop_all, write


@pytest.fixture(autouse=True)
async def closed():
    yield
    await stop_all()


async def test_a_file_is_read_to_its_end_with_or_without_a_last_line_end(tmp_path):
    path = tmp_path / "audit.log"
    path.write_bytes(b"one\ntwo\nthree")
    reader = reader_of(path)
    await reader.start({})
    assert reader.partitions() == {(str(path), 0)}
    values, positions = await drain(reader)
    assert values == [(1, b"one"), (2, b"two"), (3, b"three")]
    assert positions[str(path), 0]["ended"] is True
    assert positions[str(path), 0]["offset"] == 13


async def test_the_end_of_a_file_is_told_once(tmp_path):
    path = tmp_path / "audit.log"
    path.write_bytes(b"")
    reader = reader_of(path)
    await reader.start({})
    batches = [await reader.read(0.01) for _ in range(3)]
    assert [batch.ended for batch in batches] == [{(str(path), 0)}, frozenset(), frozenset()]


async def test_batches_are_bounded_by_records_and_bytes(tmp_path):
    path = tmp_path / "audit.log"
    path.write_bytes(b"x" * 99 + b"\n" + b"y\n" * 10)
    reader = reader_of(path, limits=ReadLimits(records=4, size=100))
    await reader.start({})
    sizes = [len((await reader.read(0.01)).records) for _ in range(4)]
    assert sizes == [1, 4, 4, 2]


async def test_reading_goes_on_behind_every_batch(tmp_path):
    path = tmp_path / "audit.log"
    lines = [str(number).encode() for number in range(40)]
    write(path, *lines)
    found, positions = [], {}
    while len(found) < 40:
        reader = reader_of(path, limits=ReadLimits(records=7))
        await reader.start(positions)
        batch = await reader.read(0.01)
        positions.update(batch.positions)
        found += [record.value for record in batch.records]
        await reader.stop()
    assert found == lines


async def test_a_compressed_file_reads_like_a_plain_one_and_goes_on_in_the_middle(tmp_path):
    path = tmp_path / "audit.log.gz"
    lines = [b"line %d" % number for number in range(100)]
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    reader = reader_of(path, limits=ReadLimits(records=30))
    await reader.start({})
    first = await reader.read(0.01)
    rest, _, _ = await again(path, first.positions)
    assert [record.value for record in first.records] + rest == lines


async def test_a_damaged_compressed_file_is_a_sentence(tmp_path):
    path = tmp_path / "audit.log.gz"
    whole = gzip.compress(os.urandom(100_000).hex().encode())
    path.write_bytes(whole[: len(whole) // 2])
    reader = reader_of(path)
    await reader.start({})
    with pytest.raises(StateError, match="cannot be read beyond line 0"):
        await drain(reader)


async def test_an_overlong_line_becomes_an_oversized_record_and_the_next_line_is_whole(tmp_path):
    path = tmp_path / "audit.log"
    path.write_bytes(b"a\n" + b"x" * 5_000_000 + b"\nb\n")
    reader = reader_of(path, limits=ReadLimits(line=1000))
    await reader.start({})
    values, _ = await drain(reader)
    assert [(number, len(value)) for number, value in values] == [(1, 1), (2, 1001), (3, 1)]


async def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(SettingsError, match="no file"):
        await reader_of(tmp_path / "nothing.log").start({})
    with pytest.raises(SettingsError, match="no file"):
        await reader_of(tmp_path).start({})


async def test_a_file_that_is_not_the_one_that_was_read_is_refused(tmp_path):
    path = tmp_path / "audit.log"
    write(path, b"one", b"two")
    _, positions, _ = await again(path, {})
    path.write_bytes(b"other\n")
    with pytest.raises(StateError, match="not the file that was read up to line 2"):
        await reader_of(path).start(positions)
    path.write_bytes(b"one\n")
    with pytest.raises(StateError, match="shorter"):
        await reader_of(path).start(positions)


async def test_a_file_that_grew_after_its_end_was_read_is_refused(tmp_path):
    path = tmp_path / "audit.log"
    write(path, b"one")
    _, positions, _ = await again(path, {})
    assert await again(path, positions) is not None
    write(path, b"two")
    with pytest.raises(StateError, match="has grown since"):
        await reader_of(path).start(positions)
    with pytest.raises(StateError, match="without `follow`"):
        await reader_of(path, follow=True).start(positions)


async def test_several_files_are_partitions_and_the_preferred_one_is_read_first(tmp_path):
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    write(first, *[b"a"] * 4)
    write(second, *[b"b"] * 4)
    reader = reader_of(first, second, limits=ReadLimits(records=2))
    await reader.start({})
    reader.prefer((str(second), 0))
    values = [(await reader.read(0.01)).records[0].value for _ in range(2)]
    assert values == [b"b", b"b"]
    reader.prefer(None)
    values, _ = await drain(reader)
    assert [value for _, value in values] == [b"a"] * 4


async def test_standard_input_is_read_to_its_end_and_has_no_position(tmp_path, monkeypatch):
    receiver, sender = os.pipe()
    reader = FilesReader([FileInput("-")])
    reader._tails["-", 0]._descriptor = receiver

    def send():
        for number in range(2000):
            os.write(sender, b"line %d\n" % number)
        os.write(sender, b"last")
        os.close(sender)

    await reader.start({})
    batch = await reader.read(0.01)
    assert batch.records == ()
    thread = threading.Thread(target=send)
    thread.start()
    values, positions = [], {}
    while True:
        batch = await reader.read(1)
        values += [record.value for record in batch.records]
        if batch.ended:
            positions = batch.positions
            break
        assert batch.positions == {}
    thread.join()
    os.close(receiver)
    assert values == [b"line %d" % number for number in range(2000)] + [b"last"]
    assert positions == {("-", 0): {"ended": True}}
