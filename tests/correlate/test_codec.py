"""Stored values."""

from __future__ import annotations

import pytest

from streamer.correlate import codec
from streamer.errors import StateError
from tests.correlate.making import match


@pytest.mark.parametrize("value", [1, 1.0, True, "x", "ä\n", 2**63, 2**64, -(2**70), 1e300, 0.1])
def test_a_match_comes_back_as_it_was(value):
    one = match("a", 1, v=[value, "other"])
    again = codec.decode_match(codec.encode_match(one))
    assert again == one
    assert [type(some) for some in again.values["v"]] == [type(value), str]


def test_keys_are_read_back():
    assert codec.decode_key(codec.encode_key("part", "rule", ("k", "l"), "m", b"\x00")) == (
        "part",
        "rule",
        ["k", "l"],
        "m",
        b"\x00",
    )


@pytest.mark.parametrize("data", [b"", b"\xc1", codec.encode(5), codec.encode(b"{"), codec.encode({"rule": 1})])
def test_what_is_no_match_is_refused_with_a_sentence(data):
    with pytest.raises(StateError, match="damaged"):
        codec.decode_match(data)


def test_a_newer_match_is_refused_as_newer():
    newer = codec.encode(None).replace(bytes([codec.SCHEMA]), bytes([codec.SCHEMA + 1]), 1)
    with pytest.raises(StateError, match="schema"):
        codec.decode_match(newer)
