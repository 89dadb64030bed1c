"""The engine as a whole: bytes in, alerts out, without files or servers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.decode import Source
from streamer.engine import Engine, Output
from streamer.model import Firing, Position, Record
from streamer.sigma import load_text

RULES = {
    "rules.yml": """
title: Secret read
name: secret_read
id: 11111111-1111-4111-8111-111111111111
logsource: {product: kubernetes, service: audit}
detection:
  selection: {verb: get, objectRef.resource: secrets}
  condition: selection
level: low
---
title: Pod made
name: pod_made
id: 22222222-2222-4222-8222-222222222222
logsource: {product: kubernetes, service: audit}
detection:
  selection: {verb: create, objectRef.resource: pods}
  condition: selection
level: low
---
title: Two secrets and then a pod
name: secrets_then_pod
id: 33333333-3333-4333-8333-333333333333
correlation:
  type: temporal_ordered
  rules: [secret_read, pod_made]
  group-by: [user.username]
  timespan: 1m
level: high
---
title: Secrets read and no pod made
name: secrets_without_pod
id: 44444444-4444-4444-8444-444444444444
correlation:
  type: temporal
  rules: [secret_read, pod_made]
  group-by: [user.username]
  timespan: 1m
  condition: secret_read and not pod_made
level: medium
"""
}
START = datetime(2026, 1, 1, tzinfo=UTC)
PARTITION = ("audit.log", 0)


def audit(second: float, verb: str, resource: str, user: str = "alice") -> bytes:
    stamp = f"{START + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S.%f}Z"
    return json.dumps(
        {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": f"{user}-{verb}-{resource}-{second}",
            "stage": "ResponseComplete",
            "requestURI": f"/api/v1/namespaces/default/{resource}",
            "verb": verb,
            "user": {"username": user},
            "sourceIPs": ["203.0.113.5"],
            "objectRef": {"resource": resource, "namespace": "default", "name": "x", "apiVersion": "v1"},
            "responseStatus": {"code": 200},
            "requestReceivedTimestamp": stamp,
            "stageTimestamp": stamp,
        }
    ).encode()


def engine() -> Engine:
    made = Engine(load_text(RULES).ok())
    made.expect(PARTITION, Source("audit.log", "audit", cluster="c1"), is_file=True)
    return made


def records(lines: Iterable[bytes]) -> list[Record]:
    return [Record(line, Position("audit.log", 0, number, True)) for number, line in enumerate(lines, 1)]


def told(outputs: Iterable[Output]) -> list[tuple[str, tuple[str, ...], int]]:
    firings: list[Firing] = [firing for output in outputs for firing in output.firings]
    return [(firing.rule, firing.key, firing.time_us) for firing in firings]


def alert_ids(outputs: Iterable[Output]) -> list[str]:
    return [alert.id for output in outputs for alert in output.alerts]


HISTORY = [
    audit(0, "get", "secrets"),
    audit(5, "create", "pods"),
    audit(3, "get", "secrets", "bob"),
    audit(8, "get", "secrets"),
    b"not json at all",
    audit(90, "get", "secrets", "carol"),
    audit(95, "list", "pods", "carol"),
    audit(400, "list", "pods", "dave"),
]


def run(cuts: Sequence[int], *, restore_between: bool = False) -> list[Output]:
    """Feed the history cut into batches at ``cuts``; optionally continue each batch in a new, restored engine."""
    subject, outputs, state = engine(), [], dict[bytes, bytes]()
    bounds = [0, *sorted(cuts), len(HISTORY)]
    whole = records(HISTORY)
    for begin, end in pairwise(bounds):
        outputs.append(subject.feed(whole[begin:end]))
        for key, value in subject.changes().items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
        if restore_between:
            assert state == subject.snapshot()
            subject = engine()
            subject.restore(state)
    outputs.append(subject.end(PARTITION))
    return outputs


def test_a_chain_and_an_absence_are_told_once_each_with_their_event_times() -> None:
    """[G2] what fires is true in event time; [T5] the end of the last file decides what is open."""
    outputs = run([])

    names = {"33333333-3333-4333-8333-333333333333": "chain", "44444444-4444-4444-8444-444444444444": "absence"}
    found = {
        (names[rule], key[1], (time - round(START.timestamp() * 1e6)) // 1_000_000) for rule, key, time in told(outputs)
    }
    assert found == {
        ("chain", '"alice"', 5),
        ("absence", '"bob"', 63),
        ("absence", '"alice"', 68),
        ("absence", '"carol"', 150),
    }


def test_what_cannot_be_read_is_a_dead_letter_with_its_place_and_the_rest_goes_on() -> None:
    letters = [letter for output in run([]) for letter in output.dead_letters]

    assert [str(letter.position) for letter in letters] == ["audit.log:5"]
    assert letters[0].value == b"not json at all"


@given(st.sets(st.integers(min_value=1, max_value=len(HISTORY) - 1)))
def test_the_result_does_not_depend_on_how_records_are_cut_into_batches(cuts: set[int]) -> None:
    """[G3] the same order of records gives the same firings and the same alert ids."""
    assert told(run(sorted(cuts))) == told(run([]))
    assert alert_ids(run(sorted(cuts))) == alert_ids(run([]))


@given(st.sets(st.integers(min_value=1, max_value=len(HISTORY) - 1)))
def test_an_engine_restored_from_its_changes_continues_as_if_nothing_had_happened(cuts: set[int]) -> None:
    """[G3] after a crash, on another machine; [G4] one alert per episode."""
    assert told(run(sorted(cuts), restore_between=True)) == told(run([]))
    assert alert_ids(run(sorted(cuts), restore_between=True)) == alert_ids(run([]))


def test_forgotten_changes_are_neither_kept_in_memory_nor_missed_by_a_snapshot() -> None:
    kept, forgetting = engine(), engine()
    for subject in (kept, forgetting):
        subject.feed(records(HISTORY))
    forgetting.forget_changes()

    assert forgetting.snapshot() == kept.snapshot()
    assert set(forgetting.changes()) == {b"clocks"}


def test_a_partition_not_heard_of_holds_everything_that_waits_for_the_watermark() -> None:
    """[T4] the stream's watermark is the minimum over all partitions."""
    subject = engine()
    subject.expect(("other.log", 0), Source("other.log", "audit", cluster="c1"), is_file=True)

    held = [subject.feed(records(HISTORY)), subject.end(PARTITION)]
    released = [subject.end(("other.log", 0))]

    assert {rule for rule, _, _ in told(held)} == {"33333333-3333-4333-8333-333333333333"}
    assert {rule for rule, _, _ in told(released)} == {"44444444-4444-4444-8444-444444444444"}


@pytest.mark.parametrize(
    "stray", [b"not json at all", audit(366 * 86_400, "get", "nodes")], ids=["broken", "next year"]
)
def test_one_bad_record_in_a_topic_that_is_a_day_behind_hides_nothing_after_it(stray: bytes) -> None:
    """[T3] neither closes a window nor hides anything; [G1] no miss."""
    subject = Engine(load_text(RULES).ok())
    subject.expect(("audit", 0), Source("audit", "audit", cluster="c1"), is_file=False)
    a_day_later = round(START.timestamp() * 1e6) + 86_400_000_000
    lines = [audit(0, "get", "secrets"), stray, audit(5, "create", "pods")]

    output = subject.feed([Record(line, Position("audit", 0, n, False), a_day_later) for n, line in enumerate(lines)])

    assert [firing.rule for firing in output.firings] == ["33333333-3333-4333-8333-333333333333"]


def test_a_record_of_an_undeclared_partition_is_refused() -> None:
    stray = Record(b"{}", Position("stray", 0, 1, True))

    with pytest.raises(KeyError):
        engine().feed([stray])
