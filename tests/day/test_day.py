"""A slice of the benign day: hard to tell from attacks, the same on every machine, and nearly silent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from streamer.decode import Decoder, Source
from streamer.model import Position, Record
from streamer.sigma import load_rules
from tests.day.ink import DAY, Written
from tests.day.report import by_level, evidence_of, most_alerts
from tests.day.shipping import LATENESS_US, Message, shipped
from tests.day.watching import RULES, Seen, shipped_rules, watch
from tests.day.writing import AUDIT_SHARE, BEGIN, actor_modules, day_before, day_of

EVENTS = 20_000


@cache
def slice_of_day() -> list[Written]:
    return day_of(EVENTS, 1)


@cache
def messages() -> list[Message]:
    return shipped(slice_of_day(), 1)


@cache
def seen() -> Seen:
    return watch(messages(), shipped_rules(), past=shipped(day_before(EVENTS, 1), 1))


def texts() -> list[str]:
    return [str(one.record["log"]) for one in slice_of_day() if one.kind == "containers"]


def audit() -> list[dict[str, Any]]:
    return [one.record for one in slice_of_day() if one.kind == "audit"]


def test_nothing_loud_is_told_of_a_benign_day() -> None:
    loud = [alert for alert in seen().alerts if seen().level(alert) in {"high", "critical"}]

    assert "\n".join(evidence_of(seen(), alert) for alert in loud) == ""


def test_little_is_told_of_a_benign_day() -> None:
    levels = by_level(seen())

    assert levels["informational"] == 0
    assert levels.total() <= most_alerts(EVENTS), Counter(seen().name(alert) for alert in seen().alerts)


def test_every_message_can_be_read_and_no_rule_fails() -> None:
    assert [letter.reason for letter in seen().dead] == []
    assert seen().failures == []


def test_the_same_seed_gives_the_same_bytes() -> None:
    again = [shipped(day_of(2_000, 7), 7) for _ in range(2)]

    assert again[0] == again[1]
    assert again[0] != shipped(day_of(2_000, 8), 8)


def test_the_day_is_as_long_and_as_full_as_asked() -> None:
    found = Counter(one.kind for one in slice_of_day())

    assert found.total() == pytest.approx(EVENTS, rel=0.02)
    assert found["audit"] / found.total() == pytest.approx(AUDIT_SHARE, abs=0.02)
    assert all(BEGIN <= one.at < BEGIN + DAY for one in slice_of_day())
    hours = Counter((one.at - BEGIN) // (DAY // 24) for one in slice_of_day())
    assert min(hours.values()) > 100
    assert hours[10] > 1.5 * hours[3]


def test_records_come_out_of_order_but_within_lateness() -> None:
    newest = 0
    behind: list[int] = []
    for one in messages():
        decoder = Decoder(Source("day", one.kind, cluster="prod-1"))
        events = decoder.decode(Record(one.value, Position("day", 0, 1, is_file=True))).events
        behind += [newest - event.time_us for event in events]
        newest = max([newest, *(event.time_us for event in events)])

    assert max(behind) > 0
    assert sum(late > LATENESS_US for late in behind) <= len(behind) / 1_000


def test_messages_come_in_several_envelopes_and_some_twice() -> None:
    values = [one.value for one in messages()]

    for mark in (b'"EventList"', b'"resourceLogs"', b'"kubernetes_logs"', b'"docker":{', b'"type":"filebeat"'):
        assert any(mark in value for value in values), mark
    assert len(set(values)) < len(values)


Holds = Callable[[dict[str, Any]], bool]
_TRAPS: dict[str, Holds] = {
    "Argo's wait sidecar mounts the docker socket": lambda e: '"wait"' in _body(e) and "docker.sock" in _body(e),
    "TensorFlow with a GPU limit": lambda e: "tensorflow/tensorflow" in _body(e) and "nvidia.com/gpu" in _body(e),
    "the stock sample": lambda e: "sequential-pipeline-" in _body(e),
    "legitimate privileged pods": lambda e: '"privileged": true' in _body(e) and _by(e, "daemon-set-controller"),
    "kubelets request tokens": lambda e: e["objectRef"].get("subresource") == "token" and ":node:" in _user(e),
    "pods made by kube-system's controllers": lambda e: _by(e, "replicaset-controller") and e["verb"] == "create",
    "generateName leaves the name empty": lambda e: '"generateName"' in _body(e) and "name" not in e["objectRef"],
    "refused attempts": lambda e: _code(e) == 403,
    "conflicts": lambda e: _code(e) == 409,
    "impersonation": lambda e: "impersonatedUser" in e,
    "exec by create": lambda e: e["objectRef"].get("subresource") == "exec" and e["verb"] == "create",
    "exec by get": lambda e: e["objectRef"].get("subresource") == "exec" and e["verb"] == "get",
    "a namespace's end": lambda e: e["verb"] == "deletecollection" and e["objectRef"]["resource"] == "events",
    "an injected sidecar": lambda e: "istio-proxy" in str(e.get("responseObject")) and "istio-proxy" not in _body(e),
}


@pytest.mark.parametrize("trap", _TRAPS)
def test_the_trap_is_in_the_day(trap: str) -> None:
    assert any(_TRAPS[trap](event) for event in audit() if "objectRef" in event)


_WORDS = ("stratum", "miner", "accepted", "NVIDIA-SMI", "curl -", "base64", "jndi", "pool size", "Epoch 1/")


@pytest.mark.parametrize("word", _WORDS)
def test_the_word_is_in_the_lines_of_the_day(word: str) -> None:
    assert any(word in text for text in texts())


def test_every_actor_acts() -> None:
    assert len(actor_modules()) >= 12
    for module in actor_modules():
        assert module.STORIES or module.HABITS
        assert module.__doc__


def _body(event: dict[str, Any]) -> str:
    return json.dumps(event.get("requestObject", {}))


def _user(event: dict[str, Any]) -> str:
    return str(event["user"].get("username", ""))


def _by(event: dict[str, Any], controller: str) -> bool:
    return _user(event) == f"system:serviceaccount:kube-system:{controller}"


def _code(event: dict[str, Any]) -> int:
    return int(event.get("responseStatus", {}).get("code", 0))


def test_the_exceptions_of_the_made_up_site_can_be_used() -> None:
    loaded = load_rules([RULES], allow=Path(__file__).with_name("allow.yml"))

    assert [str(problem) for problem in loaded.problems if "allow" in str(problem)] == []
    assert len(loaded.allow) == 5
