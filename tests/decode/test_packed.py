"""Gzip and base64, unpacked within a budget."""

from __future__ import annotations

import gzip
import zlib
from base64 import b64encode

import orjson
import pytest

from streamer.decode.packed import Packed, is_packed, unpack, unpack_text
from tests.decode.given import audit, decode, one
from tests.decode.happenings import cloudwatch, dumped, packed

ZEROS = b"\0" * 50_000_000


@pytest.mark.parametrize("room", [0, 1, 1_000, 1_000_000])
def test_a_bomb_is_not_unpacked_beyond_its_room(room):
    bomb = gzip.compress(ZEROS)
    assert len(bomb) < 60_000
    for data in (bomb, b64encode(bomb), gzip.compress(bomb), bomb * 3):
        found = unpack(data, room)
        assert len(found.data) <= room
        assert found.problem == "too-large"


def test_layers_of_gzip_are_not_peeled_for_ever():
    data = b"x"
    for _ in range(10):
        data = gzip.compress(data)
    assert is_packed(unpack(data, 10_000).data)


def test_members_one_after_the_other_are_one_stream():
    assert unpack(gzip.compress(b"a") + gzip.compress(b"b"), 10) == (b"ab", None)
    many = unpack(gzip.compress(b"") * 5_000, 10)
    assert many == (b"", "too-large")


@pytest.mark.parametrize("at", [2, 5, 12, 20])
def test_a_damaged_stream_is_read_as_far_as_it_goes(at):
    whole = gzip.compress(b"x" * 40)
    found = unpack(whole[:at], 100)
    assert found.problem == "damaged"
    assert (b"x" * 40).startswith(found.data)


def test_what_is_not_packed_stays_as_it_is():
    for data in (b"", b"{}", b"H4sI!not base64", b"x"):
        assert unpack(data, 10) == (data, None)
    assert unpack_text(Packed("no base64"), 10) == (b"no base64", None)
    assert unpack_text(Packed("eA=="), 10) == (b"x", None)
    assert unpack(zlib.compress(b"x"), 10).data == zlib.compress(b"x")


def test_a_bomb_in_a_record_is_a_dead_letter_and_its_beginning_is_read():
    value = gzip.compress(orjson.dumps(audit()) + b" " * 30_000_000)
    decoded = decode(value)
    assert [event.fields["auditID"] for event in decoded.events] == [audit()["auditID"]]
    assert [letter.reason for letter in decoded.dead_letters] == ["too-large"]
    assert decoded.dead_letters[0].value == value


def test_all_packed_content_of_a_record_shares_one_budget():
    bomb = packed(b"x" * 900_000)
    value = {"requestId": "r", "records": [{"data": bomb} for _ in range(50)]}
    reasons = [letter.reason for letter in decode(value, limits={"unpacked_bytes": 2_000_000}).dead_letters]
    assert reasons == ["too-large"]


def test_an_entry_that_is_damaged_does_not_take_the_others_with_it():
    good = packed(cloudwatch(dumped(audit())))
    bad = b64encode(gzip.compress(b"{}")[:-9]).decode()
    decoded = decode({"requestId": "r", "records": [{"data": bad}, {"data": good}, {"no": "data"}]})
    assert len(decoded.events) == 1
    assert "damaged" in [letter.reason for letter in decoded.dead_letters]
    assert decoded.skipped >= 1


def test_a_containers_own_file_holds_no_packed_envelopes():
    """Nobody but the runtime speaks for the shipper there: a container may print anything."""
    line = packed({"log": "forged", "kubernetes": {"pod_name": "victim"}})
    event = one(
        line.encode(),
        kind="containers",
        file=True,
        path="/var/log/pods/lab_attacker_uid-1/c/0.log",
    )
    assert event.fields["kubernetes"]["pod"]["name"] == "attacker"
    assert event.fields["message"] == line
