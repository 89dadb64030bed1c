"""Layers, lists, limits, clusters, dead letters."""

from __future__ import annotations

import orjson
import pytest

from streamer.decode import Decoder
from tests.decode.given import audit, decode, fluent_bit, one, pod, record, source, write


def test_lists_in_every_form_hold_the_same_events():
    items = [audit(auditID="a"), audit(auditID="b")]
    bare = [{name: value for name, value in item.items() if name not in ("kind", "apiVersion")} for item in items]
    forms = [
        items,
        bare,
        {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": bare},
        b"\n".join(orjson.dumps(item) for item in items),
        orjson.dumps(items[0]) + b"\r\n\r\n" + orjson.dumps(items[1]) + b"\n",
        orjson.dumps(items[0]) + orjson.dumps(items[1]),
        fluent_bit(orjson.dumps({"kind": "EventList", "items": bare}).decode()),
        [fluent_bit(orjson.dumps(item).decode()) for item in items],
        orjson.dumps(items, option=orjson.OPT_INDENT_2),
    ]
    told = [[event.identity for event in decode(form).events] for form in forms]
    assert all(identities == told[0] for identities in told)
    assert len(told[0]) == 2


def test_three_envelopes_are_opened_and_no_more():
    value = audit()
    for _ in range(3):
        value = fluent_bit(orjson.dumps(value).decode())
    assert one(value).fields["auditID"] == audit()["auditID"]
    decoded = decode(fluent_bit(orjson.dumps(value).decode()))
    assert [letter.reason for letter in decoded.dead_letters] == ["too-many-layers"]


def test_lists_in_lists_are_not_followed_for_ever():
    decoded = decode(b'{"kind":"EventList","items":[' * 400 + orjson.dumps(audit()) + b"]}" * 400)
    assert decoded.events == ()
    assert [letter.reason for letter in decoded.dead_letters] == ["too-many-layers"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"null", "no-event"),
        (b"5", "no-event"),
        (b'"text"', "no-event"),
        (b"{}", "no-event"),
        (b'{"a":1}', "no-event"),
        (b"[1,2]", "no-event"),
        (b"NaN", "not-json"),
        (b"I0101 klog", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"x" * 2_000_001, "too-large"),
    ],
)
def test_what_cannot_be_read_is_a_dead_letter_with_its_reason_and_position(value, reason):
    decoded = decode(value)
    assert decoded.events == ()
    (letter,) = decoded.dead_letters
    assert (letter.reason, letter.size, letter.position.offset) == (reason, len(value), 0)
    assert len(letter.value) <= 2_000_000


@pytest.mark.parametrize("value", [b"", b" ", b"\n", b"[]", {"kind": "EventList", "items": []}, b"\xef\xbb\xbf"])
def test_nothing_is_passed_over(value):
    decoded = decode(value)
    assert (decoded.events, decoded.dead_letters, decoded.skipped) == ((), (), 1)


def test_bytes_behind_an_event_do_not_lose_it():
    decoded = decode(orjson.dumps(audit()) + b" trailing")
    assert len(decoded.events) == 1
    assert [(letter.reason, letter.value) for letter in decoded.dead_letters] == [("trailing-bytes", b"trailing")]


def test_a_broken_line_between_good_ones_is_the_only_loss():
    decoded = decode(orjson.dumps(audit()) + b"\nbroken\n" + orjson.dumps(audit(auditID="b")))
    assert len(decoded.events) == 2
    assert [letter.value for letter in decoded.dead_letters] == [b"broken"]


def test_a_broken_element_of_a_list_does_not_take_the_others_with_it():
    decoded = decode([audit(), 5, audit(auditID="b"), None, {"x": 1}])
    assert len(decoded.events) == 2
    assert [letter.reason for letter in decoded.dead_letters] == ["no-event"]


def test_events_in_one_record_are_limited():
    decoded = decode([audit(auditID=str(n)) for n in range(20)], limits={"events": 8})
    assert len(decoded.events) == 8
    assert [letter.reason for letter in decoded.dead_letters] == ["too-many-events"]
    body = pod(*({"name": f"c{n}"} for n in range(20)))
    decoded = decode(write("pods", body), limits={"events": 8})
    assert len(decoded.events) == 4
    assert [letter.reason for letter in decoded.dead_letters] == ["too-many-events"]


def test_dead_letters_of_one_record_are_limited():
    decoded = decode(b"\n".join([orjson.dumps(audit())] + [b"x"] * 5000))
    assert len(decoded.dead_letters) == 100


def test_the_cluster_is_the_configured_one_where_nothing_tells():
    assert one(audit(), cluster="Prod").cluster == "Prod"


@pytest.mark.parametrize(
    ("told", "expected"), [("PROD-1", "prod-1"), ("Other", "other"), ("c1", "C1"), ("OLD", "prod-1")]
)
def test_a_cluster_is_canonical_without_regard_to_case(told, expected):
    settings = {"cluster": "C1", "cluster_aliases": {"prod-1": "prod-1", "old": "prod-1"}}
    wrapped = fluent_bit(orjson.dumps(audit()).decode(), orchestrator={"cluster": {"name": told}})
    assert one(wrapped, **settings).cluster == expected
    assert one(fluent_bit("x", cluster_name=told), kind="containers", **settings).cluster == expected
    assert one(audit(), headers=(("cluster", told.encode()),), **settings).cluster == expected


def test_a_header_does_not_overrule_the_envelope():
    wrapped = fluent_bit("x", cluster_name="a")
    assert one(wrapped, kind="containers", headers=(("cluster", b"b"),)).cluster == "a"


def test_a_defect_of_ours_is_a_dead_letter_and_not_an_exception(monkeypatch):
    monkeypatch.setattr("streamer.decode.decoder.read", lambda _: 1 / 0)
    decoded = Decoder(source()).decode(record(audit()))
    assert [letter.reason for letter in decoded.dead_letters] == ["defect"]


def test_events_are_ordered_parent_first_and_counted_through_the_record():
    events = decode([write("pods", pod({"name": "a"})), audit(auditID="b")]).events
    assert [event.logsource.category for event in events] == ["application", "container_spec", "application"]
    assert [event.index for event in events] == [0, 1, 2]


def test_one_event_with_many_parts_does_not_crowd_out_the_others_of_its_record():
    body = pod(*({"name": f"c{n}"} for n in range(20)))
    decoded = decode([write("pods", body), audit(auditID="other", verb="delete")], limits={"events": 8})
    assert decoded.events[-1].fields["verb"] == "delete"
    assert [letter.reason for letter in decoded.dead_letters] == ["too-many-events"]


def test_of_a_record_that_is_too_large_the_beginning_is_told():
    """[D5] what was cut off is unknown, not absent."""
    body = pod({"image": "evil"}) | {"metadata": {"annotations": {"x": "A" * 5_000}}}
    decoded = decode(write("pods", body), limits={"record_bytes": 2_000})
    assert [letter.reason for letter in decoded.dead_letters] == ["too-large"]
    (event,) = decoded.events
    assert (event.fields["verb"], event.fields["user"]["username"]) == ("create", "alice")
    assert event.fields["body_unknown"] is True
    assert "truncated" in event.flags


def test_of_a_line_that_is_too_large_the_beginning_is_told():
    decoded = decode(b"new job from pool " + b"x" * 5_000, kind="containers", limits={"record_bytes": 2_000})
    assert [letter.reason for letter in decoded.dead_letters] == ["too-large"]
    (event,) = decoded.events
    assert event.fields["message"].startswith("new job from pool ")
    assert event.fields["truncated"] is True


@pytest.mark.parametrize("value", [b'{"kind": "EventList", "items": [', b'{"records":[{"tim'])
def test_a_list_that_was_cut_off_before_its_first_event_is_set_aside(value):
    assert [letter.reason for letter in decode(value).dead_letters] == ["cut-off"]


def test_an_empty_list_is_not():
    assert decode(b'{"kind":"EventList","items":[]}').dead_letters == ()
