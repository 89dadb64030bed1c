"""Identity: equal for every telling of one event, different for different events."""

from __future__ import annotations

import pytest

from streamer.decode.identity import digest
from tests.decode.given import NOON, audit, decode, fluent_bit, one, pod, record, write


def identities(*values, **settings):
    return [event.identity for event in decode(*values, **settings).events]


def test_an_audit_event_told_twice_is_one_event():
    """[I1] the request, whatever record tells it."""
    first, second = identities(audit(), audit(stage="RequestReceived", stageTimestamp=NOON))
    assert first == second


@pytest.mark.parametrize(
    "changed",
    [
        {"auditID": "other"},
        {"requestReceivedTimestamp": "2026-01-01T00:00:00.400001Z"},
        {"verb": "get"},
        {"requestURI": "/api/v1/pods"},
        {"user": {"username": "bob"}},
    ],
)
def test_a_client_that_chooses_the_audit_id_cannot_fold_requests(changed):
    """[I1] auditID alone is not enough."""
    first, second = identities(audit(), audit(**changed))
    assert first != second


def test_clusters_are_part_of_the_identity():
    """[I1] cluster."""
    here, there = one(audit(), cluster="a"), one(audit(), cluster="b")
    assert here.identity != there.identity


@pytest.mark.parametrize("missing", ["auditID", "requestReceivedTimestamp"])
def test_requests_that_cannot_be_told_apart_are_not_folded(missing):
    """[I1] without audit id or time of receipt the position stands in."""
    first, second = identities([audit(**{missing: None}), audit(**{missing: None})])
    assert first != second


def test_a_line_shipped_twice_is_one_event():
    """[I3] cluster, pod, container, stream, stamp, text."""
    first, second = identities(fluent_bit("hello\n"), fluent_bit("hello"), kind="containers")
    assert first == second


@pytest.mark.parametrize(
    "changed",
    [
        {"log": "hello!"},
        {"stream": "stderr"},
        {"@timestamp": 1767225600.123457},
        {"kubernetes": {"pod_name": "trainer-0", "namespace_name": "lab", "container_name": "side", "pod_id": "u"}},
        {"kubernetes": {"pod_name": "trainer-0", "namespace_name": "lab", "container_name": "main", "pod_id": "v"}},
        {"kubernetes": {"pod_name": "trainer-0", "namespace_name": "lab", "container_name": "main"}},
        {"kubernetes": {"pod_name": "trainer-0", "namespace_name": "lab2", "container_name": "main"}},
    ],
)
def test_every_part_of_a_lines_identity_counts(changed):
    """[I3] each of the parts."""
    first, second = identities(fluent_bit("hello"), fluent_bit("hello") | changed, kind="containers")
    assert first != second


@pytest.mark.parametrize("stamp", [1767225600, 1767225600.5, "2026-01-01T00:00:00Z", None])
def test_lines_with_a_coarse_stamp_or_none_are_told_apart_by_their_position(stamp):
    """[I3] source position."""
    line = fluent_bit("hello") | {"@timestamp": stamp}
    first, second = identities(line, line, kind="containers")
    assert first != second


def test_pods_without_a_uid_are_told_by_namespace_and_name():
    """[I3] uid, else namespace and name."""
    line = fluent_bit("x", kubernetes={"pod_name": "p", "namespace_name": "n", "container_name": "c"})
    first, second = identities(line, line, kind="containers")
    assert first == second


def test_derived_events_are_different_events_with_their_parents_identity():
    """[I4] parent's identity plus category and element."""
    body = pod({"name": "a"}, {"name": "b"}, {"name": "a"}, {}, {}, initContainers=[{"name": "a"}])
    first = identities(write("pods", body))
    second = identities(write("pods", body))
    assert first == second
    assert len(set(first)) == len(first) == 7


def test_derived_events_of_different_parents_differ():
    """[I4] parent's identity."""
    first, second = (identities(write("roles", {"rules": [{}]}, auditID=name))[1] for name in ("x", "y"))
    assert first != second


def test_no_choice_of_bytes_makes_two_splits_equal():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest('a","b') != digest("a", "b")
    assert digest(None) != digest("null")
    assert digest("1") != digest(1)
    assert len(digest()) == 16


def test_a_path_that_is_no_text_can_stand_in_an_identity():
    assert one(audit(auditID=None), file=True, append_time_us=None, path="/logs/\udcff").identity
    assert record(b"x", file=True, path="\udcff").position.source == "\udcff"
