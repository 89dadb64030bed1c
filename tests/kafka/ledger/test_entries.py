"""The protocol's own records: JSON that an operator can read, and refusals that say what to do."""

from __future__ import annotations

import pytest

from streamer.errors import StateError
from streamer.kafka.ledger import entries


def test_a_position_comes_back_as_it_was_written():
    assert entries.position_of(entries.progress(1234), "log[0]") == 1234


def test_progress_is_json_that_says_its_schema():
    assert entries.progress(7) == b'{"schema":1,"position":7}'


def test_a_newer_schema_is_refused_with_the_place_and_what_to_do():
    with pytest.raises(StateError, match=r"log\[3\] was written by a newer streamer \(schema 2") as refused:
        entries.position_of(b'{"schema":2,"position":7}', "log[3]")
    assert refused.value.hint is not None
    assert "newer version" in refused.value.hint


@pytest.mark.parametrize(
    "value", [b"", b"junk", b"[]", b"{}", b'{"schema":1}', b'{"schema":1,"position":-1}', b'{"schema":0,"position":1}']
)
def test_what_streamer_did_not_write_is_refused(value):
    with pytest.raises(StateError, match="did not write"):
        entries.position_of(value, "log[0]")


def test_a_token_comes_back_and_anything_else_is_nobodys():
    assert entries.token_of(entries.barrier("abc")) == "abc"
    assert [entries.token_of(value) for value in (b"", b"junk", b"[1]", b'{"token": 5}')] == [None] * 4
