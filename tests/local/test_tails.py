from __future__ import annotations

import gzip
import os
import shutil

import pytest

from streamer.errors import StateError
from streamer.local.files import ReadLimits
from tests.local.reading import again, drain, reader_of, stop_all, write


@pytest.fixture(autouse=True)
async def closed():
    yield
    await stop_all()


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
