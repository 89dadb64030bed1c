"""Recorded logs through the engine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from streamer.authoring.firings import firing_line
from streamer.authoring.replay import Recording, Replay, completing_event
from streamer.decode import Source
from streamer.engine import Output
from streamer.model import Firing
from streamer.sigma import load_text

RULES = """\
title: Secret read
name: secret_read
logsource: {product: kubernetes, service: audit}
detection:
    selection: {objectRef.resource: secrets, verb: get}
    condition: selection
level: low
---
title: Line of a miner
name: miner_line
logsource: {product: kubernetes, category: container_log}
detection:
    selection: {message|contains: new job from}
    condition: selection
level: low
---
title: Secret read, then a miner
name: read_then_mined
id: 00000000-0000-4000-8000-0000000000aa
correlation:
    type: temporal_ordered
    rules: [secret_read, miner_line]
    timespan: 1h
level: high
---
title: Secret of a namespace first seen
name: new_namespace
correlation:
    type: value_count
    rules: [secret_read]
    timespan: 30d
    condition: {gte: 1, field: objectRef.namespace}
streamer: {first_seen: true}
level: medium
"""
IN_FORCE = load_text({"r.yml": RULES}).ok()


def stamp(second: int) -> str:
    return f"2026-01-01T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.000000Z"


def read(second: int, namespace: str = "a") -> bytes:
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"id-{second}-{namespace}",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/{namespace}/secrets/s",
        "verb": "get",
        "user": {"username": "alice"},
        "objectRef": {"resource": "secrets", "namespace": namespace, "name": "s", "apiVersion": "v1"},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": stamp(second),
        "stageTimestamp": stamp(second),
    }
    return orjson.dumps(event)


def line(second: int, text: str = "net new job from pool.example:3333") -> bytes:
    kubernetes = {"namespace_name": "a", "pod_name": "p", "pod_id": "u", "container_name": "main"}
    return orjson.dumps({"time": stamp(second), "log": f"{text} {second}", "kubernetes": kubernetes})


def recording(name: str, kind: Any, values: Iterable[bytes], *, history: bool = False) -> Recording:
    return Recording(Source(name=name, kind=kind, cluster="c1"), enumerate(values, start=1), history=history)


def gathered(replay: Replay) -> Output:
    output = Output()
    for told in replay:
        output.alerts += told.alerts
        output.firings += told.firings
        output.dead_letters += told.dead_letters
    return output


def of(name: str, output: Output) -> list[Firing]:
    rule = next(rule for rule in IN_FORCE.correlations if rule.meta.name == name)
    return [firing for firing in output.firings if firing.rule == rule.meta.key]


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 512])
def test_files_are_merged_by_their_clocks_whatever_the_batch(batch: int) -> None:
    """[T4] the stream's watermark is the minimum over all partitions."""
    audit = recording("audit", "audit", [read(second) for second in range(0, 600, 10)])
    pods = recording("pods", "containers", [line(second) for second in range(5, 7200, 600)])
    output = gathered(Replay(IN_FORCE, [audit, pods], batch=batch))
    assert [firing.time_us for firing in of("read_then_mined", output)] == [
        1_767_225_605_000_000 + second * 1_000_000 for second in range(0, 4200, 600)
    ]


def test_at_the_end_everything_open_is_decided() -> None:
    """[T5] at the end of a file its own watermark goes to infinity."""
    output = gathered(Replay(IN_FORCE, [recording("audit", "audit", [read(0), read(1, "b")])]))
    assert len(of("new_namespace", output)) == 2


def test_history_teaches_and_is_not_told() -> None:
    """[C8] a baseline can be made by replaying history before live input starts."""
    history = recording("old", "audit", [read(second) for second in range(10)], history=True)
    live = recording("audit", "audit", [read(100_00), read(100_01, "b")])
    output = gathered(Replay(IN_FORCE, [live, history]))
    assert [firing.values for firing in of("new_namespace", output)] != []
    assert len(of("new_namespace", output)) == 1
    for firing in output.firings:
        last = completing_event(firing)
        assert last is not None
        assert last.position is not None
        assert last.position.source == "audit"


def test_what_cannot_be_read_is_counted_with_its_place() -> None:
    replay = Replay(IN_FORCE, [recording("audit", "audit", [b"{broken", read(1)])])
    letters = gathered(replay).dead_letters
    assert [str(letter.position) for letter in letters] == ["audit:1"]


def test_no_recordings_give_nothing() -> None:
    assert gathered(Replay(IN_FORCE, [])) == Output()


def test_a_firing_is_one_json_object_with_exact_key_time_and_members() -> None:
    output = gathered(
        Replay(IN_FORCE, [recording("audit", "audit", [read(0)]), recording("pods", "containers", [line(5)])])
    )
    told = [firing_line(firing, IN_FORCE.by_key()) for firing in of("read_then_mined", output)]
    assert told[0] is not None
    parsed = json.loads(told[0])
    assert {name: parsed[name] for name in ("rule", "name", "title", "key", "time", "decided", "marks")} == {
        "rule": "00000000-0000-4000-8000-0000000000aa",
        "name": "read_then_mined",
        "title": "Secret read, then a miner",
        "key": {"cluster": "c1"},
        "time": "2026-01-01T00:00:05.000000Z",
        "decided": "arrival",
        "marks": [],
    }
    assert [(member["rule"], member["source"]) for member in parsed["members"]] == [
        ("secret_read", {"file": "audit", "line": 1}),
        ("miner_line", {"file": "pods", "line": 1}),
    ]
    assert all(len(member["event"]) == 32 for member in parsed["members"])


def test_the_alert_of_a_detection_is_no_firing() -> None:
    rules = load_text({"r.yml": RULES.split("---", maxsplit=1)[0]}).ok()
    output = gathered(Replay(rules, [recording("audit", "audit", [read(0)])]))
    assert len(output.alerts) == 1
    assert [firing_line(firing, rules.by_key()) for firing in output.firings] in ([], [None])


@pytest.mark.parametrize(("text", "value"), [('"\ud800"', "\ud800"), ("inf", "inf"), ("1", 1), ('"é"', "é")])
def test_a_key_is_told_exactly_whatever_it_holds(text: str, value: object) -> None:
    output = gathered(Replay(IN_FORCE, [recording("audit", "audit", [read(0)])]))
    fired = replace(of("new_namespace", output)[0], key_names=("k",), key=(text,))
    line = firing_line(fired, IN_FORCE.by_key())
    assert line is not None
    assert json.loads(line)["key"] == {"k": value}
