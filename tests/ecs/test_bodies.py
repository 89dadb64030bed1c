"""From a body on the alerts topic back to the document that it was."""

from __future__ import annotations

import json

import pytest

from streamer.ecs import alert_document
from streamer.ecs.bodies import SHORTENED, document_of, shortened
from streamer.errors import RecordError
from streamer.model import Alert
from tests.ecs.samples import CONTEXT, RULES, chain

TOLD = alert_document(Alert("ab" * 16, chain(), 1, 2), RULES, CONTEXT)


def test_a_body_gives_the_id_the_index_and_the_time_that_the_document_had():
    again = document_of(TOLD.body, key=TOLD.key, headers=TOLD.headers)
    assert again == TOLD


def test_line_ends_do_not_reach_a_bulk_request():
    pretty = json.dumps(json.loads(TOLD.body), indent=2).encode()
    assert b"\n" not in document_of(pretty).body
    assert json.loads(document_of(pretty).body) == json.loads(TOLD.body)


def changed(**changes: object) -> bytes:
    return json.dumps(json.loads(TOLD.body) | changes).encode()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[1]", "no JSON object"),
        (changed(event={}), "event.id"),
        (changed(event={"id": 7}), "event.id"),
        (changed(event={"id": "x" * 513}), "event.id"),
        (changed(**{"@timestamp": None}), "@timestamp"),
        (changed(**{"@timestamp": "2026-13-01T00:00:00Z"}), "@timestamp"),
        (changed(data_stream={"namespace": "../x"}), "data_stream.namespace"),
        (changed(data_stream={"namespace": "a,b"}), "data_stream.namespace"),
    ],
)
def test_what_is_no_alert_is_said(value, words):
    with pytest.raises(RecordError, match=words) as refused:
        document_of(value)
    assert refused.value.reason == "no-alert"


def test_shortening_drops_evidence_from_the_end_until_there_is_none_and_marks_it():
    evidence = json.loads(TOLD.body)["streamer"]["evidence"]
    assert len(evidence) > 1
    less = shortened(TOLD)
    assert less is not None
    told = json.loads(less.body)["streamer"]
    assert told["evidence"] == evidence[: len(evidence) // 2]
    assert told["marks"] == [SHORTENED]
    assert (less.id, less.index) == (TOLD.id, TOLD.index)
    count = 0
    while less is not None:
        last, less, count = less, shortened(less), count + 1
        assert count < 10
    assert json.loads(last.body)["streamer"]["evidence"] == []
    assert json.loads(last.body)["streamer"]["marks"] == [SHORTENED]
