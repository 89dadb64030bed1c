"""Azure's records."""

from __future__ import annotations

import orjson
import pytest

from tests.decode.given import NOON_US, audit, decode


def azure(log, category="kube-audit", **fields):
    return {
        "time": "2026-01-01T00:00:00.5Z",
        "category": category,
        "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",
        "resourceId": "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/PROD-1",
        "properties": {"pod": "kube-apiserver-x", "stream": "stdout", "log": log},
    } | fields


@pytest.mark.parametrize("form", ["text", "object"])
def test_many_events_in_one_message(form):
    def log(value):
        return orjson.dumps(value).decode() if form == "text" else value

    records = [azure(log(audit(auditID="a"))), azure(log(audit(auditID="b")), category="kube-audit-admin")]
    decoded = decode({"records": records}, cluster="prod-1")
    assert [event.fields["auditID"] for event in decoded.events] == ["a", "b"]
    assert {event.cluster for event in decoded.events} == {"prod-1"}


def test_klog_text_of_other_categories_is_passed_over():
    decoded = decode({"records": [azure("I0101 x", "kube-scheduler"), azure("I0101 y"), {"category": "kube-audit"}, 7]})
    assert (decoded.events, decoded.dead_letters, decoded.skipped) == ((), (), 4)


def test_the_envelopes_time_stands_in():
    """[T2] the shipper's stamp."""
    event = decode(
        {"records": [azure(orjson.dumps(audit(stageTimestamp=None, requestReceivedTimestamp=None)).decode())]}
    )
    assert event.events[0].time_us == NOON_US


def test_a_record_that_was_split_off_is_read_alone():
    assert len(decode(azure(orjson.dumps(audit()).decode())).events) == 1
