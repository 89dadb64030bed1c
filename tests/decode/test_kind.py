"""What a recorded file holds."""

from __future__ import annotations

import orjson
import pytest

from streamer.decode import guess_kind
from tests.decode.given import audit, fluent_bit, gateway
from tests.decode.test_envelope_aks import azure
from tests.decode.test_envelope_cloudwatch import cloudwatch

TEXT = orjson.dumps(audit()).decode()


@pytest.mark.parametrize(
    "values",
    [
        [audit()],
        [[audit()]],
        [{"kind": "EventList", "items": [audit()]}],
        [fluent_bit(TEXT)],
        [{"records": [azure(TEXT)]}],
        [cloudwatch(TEXT)],
        [b"", b"\n", audit(), b"broken"],
        [b"2026-01-01T00:00:00.5Z stdout F " + TEXT.encode()],
    ],
)
def test_audit_events_in_any_envelope_are_told(values):
    assert guess_kind(value if isinstance(value, bytes) else orjson.dumps(value) for value in values) == "audit"


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b"hello"],
        [fluent_bit("hello")],
        [gateway("[x")],
        [fluent_bit("hello"), fluent_bit("more"), fluent_bit(TEXT)],
        [{"level": "info", "msg": "started"}],
        [b"2026-01-01T00:00:00.5Z stdout F hello"],
        [b"\xff\xfe", b"[" * 5000],
    ],
)
def test_everything_else_is_lines_of_containers(values):
    assert guess_kind(value if isinstance(value, bytes) else orjson.dumps(value) for value in values) == "containers"


def test_damaged_json_says_nothing():
    line = orjson.dumps(audit())
    assert guess_kind([line, b"{broken", b"{broken", b'{"a": [1', line]) == "audit"
    assert guess_kind([b"{broken", b"plain text"]) == "containers"
