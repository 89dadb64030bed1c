"""The same happening gives the same event, whatever brought it here."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest

from streamer.decode import Decoded, guess_kind
from streamer.model import UNKNOWN, Event
from tests.decode.given import decode
from tests.decode.happenings import AUDIT, AUDIT_ENVELOPES, CLUSTER, GKE_ENVELOPES, GKE_LACKS
from tests.decode.lines import LINE_ENVELOPES, LINE_LACKS, LINES, POD, UID


def told(value: Any, kind: str = "audit") -> list[Event]:
    decoded: Decoded = decode(value, kind=kind, cluster=CLUSTER)
    assert decoded.dead_letters == ()
    return list(decoded.events)


def essence(event: Event) -> tuple[Any, ...]:
    return event.logsource, event.time_us, event.identity, event.cluster, event.stage_only, event.flags, event.fields


def without(fields: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    left = copy.deepcopy(fields)
    for name in names:
        holder: Any = left
        *parents, last = name.split(".")
        for key in parents:
            holder = holder.get(key, {})
        holder.pop(last, None)
    return left


@pytest.mark.parametrize("number", range(len(AUDIT)))
@pytest.mark.parametrize("envelope", AUDIT_ENVELOPES)
def test_an_audit_event_is_the_same_in_every_envelope(envelope, number):
    expected = [essence(event) for event in told(AUDIT[number])]
    found = [essence(event) for event in told(AUDIT_ENVELOPES[envelope](AUDIT[number]))]
    if envelope == "EventList of the audit webhook":  # its elements hold neither
        for one in (*found, *expected):
            one[-1].pop("kind", None)
            one[-1].pop("apiVersion", None)
    assert found == expected
    assert expected


@pytest.mark.parametrize("number", range(len(AUDIT)))
@pytest.mark.parametrize("envelope", GKE_ENVELOPES)
def test_an_audit_event_of_google_is_the_same_but_for_what_it_lacks(envelope, number):
    expected, found = told(AUDIT[number]), told(GKE_ENVELOPES[envelope](AUDIT[number]))
    assert [event.logsource for event in found] == [event.logsource for event in expected]
    for mine, theirs in zip(found, expected, strict=True):
        lacks = GKE_LACKS
        if theirs.fields["requestObject" if "requestObject" in theirs.fields else "verb"] in (UNKNOWN, "get"):
            lacks = (*lacks, "requestObject")  # Google records what an exec asked for
        assert without(mine.fields, lacks) == without(theirs.fields, lacks)
        assert (mine.cluster, mine.stage_only, mine.flags) == (theirs.cluster, theirs.stage_only, theirs.flags)


@pytest.mark.parametrize("envelope", sorted({**AUDIT_ENVELOPES, **GKE_ENVELOPES}))
def test_a_recorded_file_of_any_envelope_is_seen_to_hold_audit_events(envelope):
    value = {**AUDIT_ENVELOPES, **GKE_ENVELOPES}[envelope](AUDIT[0])
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    if "protobuf" not in envelope:  # binary records are no lines of a file
        assert guess_kind([data]) == "audit"


@pytest.mark.parametrize("envelope", sorted(AUDIT_ENVELOPES))
def test_in_a_container_source_no_envelope_makes_an_audit_event(envelope):
    events = decode(AUDIT_ENVELOPES[envelope](AUDIT[0]), kind="containers").events
    assert all(event.logsource.service != "audit" for event in events)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("envelope", LINE_ENVELOPES)
def test_a_containers_line_is_the_same_in_every_envelope(envelope, line):
    events = told(LINE_ENVELOPES[envelope](line), "containers")
    expected = told(LINE_ENVELOPES["Fluent Bit"](line), "containers")
    assert [essence(event)[:-1] for event in events] == [essence(event)[:-1] for event in expected]
    for mine, theirs in zip(events, expected, strict=True):
        assert without(mine.fields, LINE_LACKS) == without(theirs.fields, LINE_LACKS)
    assert events[0].fields["kubernetes"]["pod"] == {"name": POD, "uid": UID}
    assert len(events) == (2 if "HTTP/1.1" in line else 1)
