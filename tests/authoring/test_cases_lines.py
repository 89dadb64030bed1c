"""The short forms ``log:`` and ``access:`` become what Fluent Bit ships, and the decoder reads it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streamer.authoring.cases_lines import access_record, container_record
from streamer.decode import Decoder, Source
from streamer.model import WEBSERVER, Event, Position, Record

START = 1_767_225_600_120_000


def decoded(record: dict[str, Any]) -> tuple[Event, ...]:
    decoder = Decoder(Source("logs", "containers", cluster="c1"))
    return decoder.decode(Record(orjson.dumps(record), Position("logs", 0, 0, is_file=False))).events


def test_a_line_comes_with_the_metadata_of_its_pod() -> None:
    (event,) = decoded(
        container_record({"namespace": "a", "pod": "p-1", "pod_uid": "u", "image": "x/y:1", "message": "hello"}, START)
    )

    assert event.time_us == START
    assert event.fields["message"] == "hello"
    assert event.fields["kubernetes"]["pod"] == {"name": "p-1", "uid": "u"}
    assert event.fields["kubernetes"]["container"]["image"] == "x/y:1"


def test_a_pod_without_uid_can_be_said() -> None:
    (event,) = decoded(container_record({"pod": "p", "pod_uid": "", "message": "x"}, START))

    assert event.fields["kubernetes"]["pod"] == {"name": "p"}


@pytest.mark.parametrize("gateway", ["istio", "ingress-nginx", "oauth2-proxy"])
def test_an_access_line_is_read_as_the_request_it_tells_of(gateway: str) -> None:
    form = {
        "gateway": gateway,
        "method": "POST",
        "path": "/pipeline/apis/v1beta1/runs",
        "status": 200,
        "client": "203.0.113.7",
    }
    _, record = access_record(form, START, ("test",))
    (web,) = [event for event in decoded(record) if event.logsource == WEBSERVER]

    assert (web.fields["c-ip"], web.fields["cs-method"]) == ("203.0.113.7", "POST")
    assert (web.fields["cs-uri-stem"], web.fields["sc-status"]) == ("/pipeline/apis/v1beta1/runs", 200)


def test_a_request_begins_at_its_time_and_is_written_when_it_ends() -> None:
    """[T2] access-log lines happen at the start time printed in the line."""
    written, record = access_record({"path": "/", "duration_ms": 97}, START, ("test",))
    (web,) = [event for event in decoded(record) if event.logsource == WEBSERVER]

    assert written == START + 97_000
    assert web.time_us == START


def test_an_ipv6_client_is_read_without_its_port() -> None:
    _, record = access_record({"path": "/", "client": "2001:db8::7"}, START, ("test",))

    assert [event.fields["c-ip"] for event in decoded(record) if event.logsource == WEBSERVER] == ["2001:db8::7"]
