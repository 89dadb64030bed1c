"""Lines of the container runtime, whole and in pieces."""

from __future__ import annotations

import orjson
import pytest

from streamer.errors import StateError
from tests.decode.given import NOON_US, Strict, audit, decode, fluent_bit, one, record, source


def cri(text, tag="F", stream="stdout", fraction="5"):
    return f"2026-01-01T00:00:00.{fraction}Z {stream} {tag} {text}".encode()


def messages(decoded):
    return [event.fields["message"] for event in decoded.events]


def test_a_whole_line_is_read():
    """[T2] CRI prefix."""
    event = one(cri("hello  world "), kind="containers")
    assert event.fields["message"] == "hello  world "
    assert (event.fields["stream"], event.time_us) == ("stdout", NOON_US)


def test_pieces_are_joined_per_stream():
    decoded = decode(
        cri("one ", "P", fraction="111"),
        cri("err", "F", "stderr", fraction="222"),
        cri("two ", "P", fraction="333"),
        cri("three", "F", fraction="444"),
        kind="containers",
    )
    assert messages(decoded) == ["err", "one two three"]
    assert decoded.events[1].time_us == NOON_US - 500_000 + 111_000
    assert decoded.events[1].position.offset == 3


def test_pieces_of_different_pods_are_not_mixed():
    other = fluent_bit("", kubernetes={"pod_name": "q", "namespace_name": "lab", "container_name": "main"})
    decoded = decode(
        fluent_bit("a", logtag="P"),
        other | {"log": "b", "logtag": "P"},
        fluent_bit("c", logtag="F"),
        other | {"log": "d", "_p": "F"},
        kind="containers",
    )
    assert messages(decoded) == ["ac", "bd"]


def test_dockers_own_pieces_are_joined():
    def docker(text):
        return {"log": text, "stream": "stdout", "time": "2026-01-01T00:00:00.5Z"}

    assert messages(decode(docker("a"), docker("b\n"), docker("c\n"), kind="containers")) == ["ab", "c"]


def test_other_objects_with_dockers_names_are_whole_lines():
    decoded = decode({"log": "a", "time": "x"}, {"log": {"a": 1}, "stream": "x", "time": 1}, b"c", kind="containers")
    assert messages(decoded) == ["a", '{"a":1}', "c"]


def test_a_flood_of_empty_pieces_costs_nothing():
    decoder = Strict(source("containers"))
    for n in range(5000):
        decoder.decode(record(cri("", "P", fraction=f"{n:09d}"), n))
    assert len(decoder.snapshot()) < 10_000


def test_an_audit_event_in_pieces_is_one_event():
    text = orjson.dumps(audit()).decode()
    event = one(cri(text))
    assert event.fields["verb"] == "list"
    decoded = decode(cri(text[:100], "P"), cri(text[100:300], "P"), cri(text[300:]))
    assert [event.fields["auditID"] for event in decoded.events] == [audit()["auditID"]]
    shipped = decode(*(fluent_bit(piece, logtag=tag) for piece, tag in ((text[:99], "P"), (text[99:], "F"))))
    assert shipped.events[0].identity == event.identity == decoded.events[0].identity


def test_the_same_piece_delivered_twice_counts_once():
    """[I5] duplicates change nothing."""
    piece, last = cri("a", "P", fraction="123456789"), cri("b", fraction="123456999")
    assert messages(decode(piece, piece, last, last, cri("c"), kind="containers")) == ["ab", "c"]
    told = decode(piece, last, piece, last, kind="containers").events
    assert told[0].identity == told[1].identity


def test_lines_of_one_value_are_read_one_by_one():
    assert messages(decode(b"\n".join([cri("a"), cri("b", "P"), cri("c")]), kind="containers")) == ["a", "bc"]


def test_an_unfinished_line_is_an_event_at_the_end_of_input():
    decoder = Strict(source("containers"))
    assert decoder.decode(record(cri("half", "P"))).events == ()
    (event,) = decoder.flush().events
    assert event.fields["message"] == "half"
    assert event.fields["truncated"] is True
    assert event.flags == ("truncated",)
    assert decoder.flush().events == ()


def test_snapshot_and_restore_are_the_identity():
    first = Strict(source("containers"))
    first.decode(record(fluent_bit("a\ufffd", logtag="P"), 1))
    first.decode(record(cri("x", "P"), 2))
    second = Strict(source("containers"))
    second.restore(first.snapshot())
    assert second.snapshot() == first.snapshot()
    last = record(fluent_bit("b", logtag="F"), 3)
    assert second.decode(last) == first.decode(last)
    assert second.flush() == first.flush()


def test_an_empty_snapshot_is_an_empty_decoder():
    decoder = Strict(source("containers"))
    decoder.decode(record(cri("x", "P")))
    decoder.restore(b"")
    assert decoder.flush().events == ()


@pytest.mark.parametrize("data", [b"x", b"[9,0,[],[]]", b"[1,0,[[[],{}]],[]]", b"{}", b"null", b"[1]"])
def test_a_snapshot_that_cannot_be_read_is_said(data):
    with pytest.raises(StateError):
        Strict(source("containers")).restore(data)


def test_a_line_that_outgrows_its_bound_is_handed_on_in_parts():
    decoded = decode(
        *(cri("x" * 40, "P", fraction=f"{n:03d}") for n in range(5)),
        cri("end"),
        kind="containers",
        limits={"partial_bytes": 100},
    )
    assert messages(decoded) == ["x" * 120, "x" * 80 + "end"]
    assert decoded.events[0].flags == ("truncated",)


def test_too_many_open_lines_push_out_the_oldest():
    lines = [fluent_bit("x", logtag="P", kubernetes={"pod_name": f"p{n}"}) for n in range(5)]
    decoded = decode(*lines, kind="containers", limits={"partial_streams": 2})
    assert [event.fields["kubernetes"]["pod"]["name"] for event in decoded.events] == ["p0", "p1", "p2"]


def test_all_open_lines_together_are_bounded():
    lines = [fluent_bit("x" * 100, logtag="P", kubernetes={"pod_name": f"p{n}"}) for n in range(50)]
    decoded = decode(*lines, kind="containers", limits={"partial_total_bytes": 1000})
    assert len(decoded.events) == 40


def test_a_line_that_is_never_finished_is_not_hidden_for_ever():
    decoded = decode(
        cri("secret ", "P"),
        *(cri(f"{n}", stream="stderr") for n in range(12)),
        kind="containers",
        limits={"partial_records": 10},
    )
    assert "secret " in messages(decoded)
    assert len(decoded.events) == 13


def test_events_of_one_record_have_different_indices():
    decoded = decode(b"\n".join([cri("a", "P"), cri("b"), cri("c")]), kind="containers")
    assert [event.index for event in decoded.events] == [0, 1]


def test_the_file_of_a_container_names_its_pod():
    event = one(
        cri("x"), kind="containers", file=True, append_time_us=None, path="/var/log/pods/lab_p_uid-1/main/0.log"
    )
    assert event.fields["kubernetes"] == {
        "namespace": "lab",
        "pod": {"name": "p", "uid": "uid-1"},
        "container": {"name": "main"},
    }


def test_in_a_containers_own_file_no_line_can_speak_for_another_pod():
    path = "/var/log/pods/lab_p_uid-1/main/0.log"
    event = one(fluent_bit("x"), kind="containers", file=True, append_time_us=None, path=path)
    assert event.fields["kubernetes"]["pod"]["name"] == "p"
    assert "trainer-0" in event.fields["message"]
