from __future__ import annotations

import gzip
import os
import shutil
import threading

import pytest

from streamer.errors import SettingsError, StateError
from streamer.local.files import FileInput, FilesReader, ReadLimits
from streamer.local.tails import FollowedFile

_opened = []


@pytest.fixture(autouse=True)
async def closed():
    yield
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


async def test_a_followed_file_gives_what_is_appended_and_holds_an_unfinished_line(tmp_path):
    path = tmp_path / "audit.log"
    reader = reader_of(path, follow=True)
    await reader.start({})
    batch = await reader.read(0.01)
    assert batch.at_end == {(str(path), 0)}
    write(path, b"one")
    assert [value for _, value in (await drain(reader))[0]] == [b"one"]
    with path.open("ab") as file:
        file.write(b"unfin")
    assert (await drain(reader))[0] == []
    with path.open("ab") as file:
        file.write(b"ished\n")
    values, positions = await drain(reader)
    assert values == [(2, b"unfinished")]
    assert not positions[str(path), 0].get("ended")


async def test_renamed_and_created_anew_both_are_read(tmp_path):
    path = tmp_path / "audit.log"
    reader = reader_of(path, follow=True)
    write(path, b"one")
    await reader.start({})
    first, _ = await drain(reader)
    write(path, b"two")
    path.rename(tmp_path / "audit.log.1")
    write(path, b"three")
    second, _ = await drain(reader)
    # Lines are counted through the rotation, so that no two records share a position.
    assert first + second == [(1, b"one"), (2, b"two"), (3, b"three")]


async def test_a_writer_that_is_slow_to_open_the_new_file_is_waited_for(tmp_path):
    path = tmp_path / "audit.log"
    reader = reader_of(path, follow=True, grace_s=0.2)
    write(path, b"one")
    await reader.start({})
    await drain(reader)
    writer = path.open("ab")
    path.rename(tmp_path / "audit.log.1")
    write(path, b"three")
    assert (await drain(reader))[0] == []
    writer.write(b"two\n")
    writer.close()
    values = []
    while len(values) < 2:
        values += [record.value for record in (await reader.read(0.1)).records]
    assert values == [b"two", b"three"]


async def test_an_unfinished_last_line_of_a_rotated_file_is_given_out(tmp_path):
    path = tmp_path / "audit.log"
    reader = reader_of(path, follow=True)
    path.write_bytes(b"one\ntw")
    await reader.start({})
    await drain(reader)
    path.rename(tmp_path / "audit.log.1")
    write(path, b"three")
    assert [value for _, value in (await drain(reader))[0]] == [b"tw", b"three"]


async def test_copied_and_emptied_both_are_read(tmp_path):
    path = tmp_path / "audit.log"
    reader = reader_of(path, follow=True)
    write(path, b"one")
    await reader.start({})
    await drain(reader)
    write(path, b"two")
    shutil.copy(path, tmp_path / "audit.log.1")
    os.truncate(path, 0)
    write(path, b"three")
    assert [value for _, value in (await drain(reader))[0]] == [b"two", b"three"]
    assert reader.take_gaps() == ()


async def test_emptied_and_filled_beyond_the_old_end_is_seen(tmp_path):
    path = tmp_path / "audit.log"
    reader = reader_of(path, follow=True)
    write(path, b"one")
    await reader.start({})
    await drain(reader)
    os.truncate(path, 0)
    write(path, b"a much longer line than the one before", b"and another")
    assert [value for _, value in (await drain(reader))[0]] == [
        b"a much longer line than the one before",
        b"and another",
    ]
    assert len(reader.take_gaps()) == 1


async def test_rotations_while_away_are_read_in_order(tmp_path):
    path = tmp_path / "audit.log"
    write(path, b"one", b"two")
    limits = ReadLimits(records=1)
    reader = reader_of(path, follow=True, limits=limits)
    await reader.start({})
    batch = await reader.read(0.01)
    await reader.stop()
    write(path, b"three")
    path.rename(tmp_path / "audit.log.2")
    write(path, b"four")
    os.utime(path, ns=((tmp_path / "audit.log.2").stat().st_mtime_ns + 10_000_000,) * 2)
    path.rename(tmp_path / "audit.log.1")
    write(path, b"five")
    values, positions, reader = await again(path, batch.positions, follow=True)
    assert values == [b"two", b"three", b"four", b"five"]
    assert reader.take_gaps() == ()
    assert positions[str(path), 0]["line"] == 5


async def test_a_rotated_file_that_was_compressed_while_away_is_read_on(tmp_path):
    path = tmp_path / "audit.log"
    write(path, b"one", b"two")
    reader = reader_of(path, follow=True, limits=ReadLimits(records=1))
    await reader.start({})
    batch = await reader.read(0.01)
    await reader.stop()
    (tmp_path / "audit.log.1.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    write(path, b"three")
    values, _, _ = await again(path, batch.positions, follow=True)
    assert values == [b"two", b"three"]


async def test_the_api_servers_names_of_rotated_files_are_known(tmp_path):
    path = tmp_path / "audit.log"
    write(path, b"one", b"two")
    reader = reader_of(path, follow=True, limits=ReadLimits(records=1))
    await reader.start({})
    batch = await reader.read(0.01)
    await reader.stop()
    path.rename(tmp_path / "audit-2026-11-24T10-15-00.000.log")
    write(path, b"three")
    (tmp_path / "audit-policy.log").write_bytes(b"not a rotated file\n")
    (tmp_path / "audit.log.bak").write_bytes(b"nor is this\n")
    values, _, _ = await again(path, batch.positions, follow=True)
    assert values == [b"two", b"three"]


async def test_rotated_away_entirely_is_said_and_reading_goes_on(tmp_path):
    path = tmp_path / "audit.log"
    write(path, b"one")
    _, positions, _ = await again(path, {}, follow=True)
    path.unlink()
    write(path, b"another file")
    values, _, reader = await again(path, positions, follow=True)
    assert values == [b"another file"]
    (gap,) = reader.take_gaps()
    assert "followed line 1" in gap
    assert reader.take_gaps() == ()


async def test_a_followed_file_that_is_gone_or_cut_is_a_sentence(tmp_path):
    path = tmp_path / "audit.log"
    write(path, b"one" * 500, b"two")
    _, positions, _ = await again(path, {}, follow=True)
    os.truncate(path, 1400)
    with pytest.raises(StateError, match="was cut"):
        await reader_of(path, follow=True).start(positions)
    path.unlink()
    with pytest.raises(StateError, match="is gone"):
        await reader_of(path, follow=True).start(positions)


async def test_a_restart_between_two_files_goes_on_with_the_next(tmp_path):
    path = tmp_path / "audit.log"
    write(path, b"one")
    _, positions, _ = await again(path, {}, follow=True)
    path.rename(tmp_path / "audit.log.1")
    path.write_bytes(b"")
    values, positions, _ = await again(path, positions, follow=True)
    assert values == []
    write(path, b"two")
    values, _, reader = await again(path, positions, follow=True)
    assert values == [b"two"]
    assert reader.take_gaps() == ()


async def test_a_symbolic_link_is_followed_to_its_new_target(tmp_path):
    (tmp_path / "pods").mkdir()
    target = tmp_path / "pods" / "0.log"
    link = tmp_path / "app.log"
    link.symlink_to(target)
    write(target, b"one")
    reader = reader_of(link, follow=True)
    await reader.start({})
    first, _ = await drain(reader)
    write(target, b"two")
    target.rename(tmp_path / "pods" / "0.log.20261124-101500")
    write(target, b"three")
    second, _ = await drain(reader)
    write(tmp_path / "pods" / "1.log", b"four")
    link.unlink()
    link.symlink_to(tmp_path / "pods" / "1.log")
    third, _ = await drain(reader)
    assert [value for _, value in first + second + third] == [b"one", b"two", b"three", b"four"]


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
