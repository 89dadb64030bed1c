"""OpenTelemetry's log records."""

from __future__ import annotations

import orjson
import pytest

from streamer.decode.envelope_otlp import kubernetes_in
from tests.decode.given import audit, decode, one


def attributes(**values):
    return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in values.items()]


def otlp(*bodies, stamp="1767225600123456789", **own):
    about = attributes(
        k8s__pod__uid="uid-1",
        k8s__pod__name="p",
        k8s__namespace__name="lab",
        k8s__container__name="c",
        k8s__cluster__name="C2",
    )
    records = [{"timeUnixNano": stamp, "body": body, "attributes": attributes(**own)} for body in bodies]
    return {"resourceLogs": [{"resource": {"attributes": about}, "scopeLogs": [{"logRecords": records}]}]}


def test_every_log_record_is_a_line():
    value = otlp({"stringValue": "hello\n"}, {"stringValue": "world"}, log__iostream="stderr")
    events = decode(value, kind="containers").events
    assert [event.fields["message"] for event in events] == ["hello", "world"]
    assert events[0].time_us == 1_767_225_600_123_456
    assert events[0].cluster == "c2"
    assert events[0].fields["stream"] == "stderr"
    assert events[0].fields["kubernetes"] == {
        "namespace": "lab",
        "pod": {"name": "p", "uid": "uid-1"},
        "container": {"name": "c"},
    }


def test_a_body_of_pairs_is_an_object():
    pairs = {
        "kvlistValue": {
            "values": [{"key": "n", "value": {"intValue": "5"}}, {"key": "b", "value": {"boolValue": True}}]
        }
    }
    event = one(otlp({"kvlistValue": {"values": [{"key": "a", "value": pairs}]}}), kind="containers")
    assert event.fields["log"] == {"a": {"n": 5, "b": True}}


@pytest.mark.parametrize("prefix", ["", "2026-01-01T00:00:00.5Z stdout F "])
def test_audit_events_in_bodies_are_read(prefix):
    text = orjson.dumps(audit()).decode()
    (event,) = decode(otlp({"stringValue": prefix + text})).events
    assert (event.fields["verb"], event.cluster) == ("list", "c2")


def test_audit_events_in_pieces_are_joined():
    text = orjson.dumps(audit()).decode()
    first, second = ("2026-01-01T00:00:00.5Z stdout P " + text[:90], "2026-01-01T00:00:00.6Z stdout F " + text[90:])
    assert len(decode(otlp({"stringValue": first}, {"stringValue": second})).events) == 1
    assert len(decode(otlp({"stringValue": text[:90]}, logtag="P"), otlp({"stringValue": text[90:]})).events) == 1


@pytest.mark.parametrize(
    "body", [None, {}, "x", {"intValue": "5"}, {"kvlistValue": []}, {"arrayValue": {"values": [7]}}]
)
def test_confused_bodies_are_passed_over_or_read(body):
    decoded = decode(otlp(body), kind="containers")
    assert decoded.dead_letters == ()


def test_nesting_is_not_followed_for_ever():
    body = b'{"kvlistValue":{"values":[{"key":"a","value":' * 200 + b'{"stringValue":"x"}' + b"}]}}" * 200
    value = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":' + body + b"}]}]}]}"
    decode(value, kind="containers")
    decode(value)


@pytest.mark.parametrize(
    ("attributes", "image"),
    [
        ({"container.image.name": "a.example/app", "container.image.tag": "1.0"}, "a.example/app:1.0"),
        ({"container.image.name": "a.example:5000/app", "container.image.tags": ["1.0"]}, "a.example:5000/app:1.0"),
        ({"container.image.name": "a.example/app:2", "container.image.tag": "1.0"}, "a.example/app:2"),
        ({"container.image.name": "app@sha256:ab", "container.image.tag": "1.0"}, "app@sha256:ab"),
        ({"container.image.name": "app", "container.image.tags": []}, "app"),
        ({"container.image.tag": "1.0"}, None),
    ],
)
def test_an_image_is_its_name_and_its_tag(attributes: dict[str, object], image: str | None) -> None:
    about = kubernetes_in({"k8s.namespace.name": "lab", "k8s.container.name": "main", **attributes})

    assert about["container"].get("image") == image
