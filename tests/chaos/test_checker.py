"""The checker finds what is wrong: each kind of fault, put by hand into the record of a run in memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import orjson
import pytest

from streamer.ecs import DocumentContext, Documents
from tests.chaos.checker import Findings, Installed, check
from tests.chaos.feed import Sighting, Sightings
from tests.chaos.memory import Installation
from tests.chaos.oracle import expected_of
from tests.chaos.protocol import PROGRESS
from tests.chaos.recorded import Recorded, Told
from tests.chaos.test_workload import RULESET, SOURCES, log_of

PARTITIONS = 3
INSTALLED = Installed(RULESET, SOURCES, PARTITIONS)


@pytest.fixture(scope="module")
def untouched() -> Recorded:
    """A run without chaos, as it would stand in Kafka."""
    run = Installation(RULESET, SOURCES, log_of(1500), PARTITIONS)
    run.run(random.Random(1), restarts=0.05)
    found = Recorded(raw=dict(log_of(1500)))
    documents = Documents(RULESET)
    context = DocumentContext(instance="here", version="1", created_us=1)
    for number, owner in enumerate(run.owners):
        found.detections[number] = run.log[number]
        told = [documents.alert(alert, context) for alert in owner.told_alerts]
        found.alerts[number] = [Told(2 * at, document.id, document.body) for at, document in enumerate(told)]
        position = orjson.dumps({"schema": 1, "position": owner.position})
        found.changelog[number] = owner.core.snapshot() | {PROGRESS: position}
    found.indexed = sorted(found.alert_ids())
    unreadable = expected_of(RULESET, SOURCES, found.raw).dead_letters
    found.dead_letters = [letter(position) for position in unreadable]
    return found


def letter(position: str) -> SimpleNamespace:
    """The dead letter of a record that cannot be read, as a client reads it."""
    body = {"stage": "decode", "error": {"reason": "not-json"}}
    return SimpleNamespace(value=orjson.dumps(body), headers=[("ce_id", position.encode())])


def seen(recorded: Recorded) -> Sightings:
    places = [(number, told) for number, alerts in recorded.alerts.items() for told in alerts]
    return Sightings([Sighting(number, told.offset, told.id, 0.0, 0) for number, told in places])


def checked(untouched: Recorded, harm: Callable[[Recorded], object]) -> Findings:
    recorded = deepcopy(untouched)
    harm(recorded)
    return check(INSTALLED, recorded, seen(recorded))


def test_a_run_without_chaos_is_as_it_must_be(untouched):
    found = checked(untouched, lambda recorded: None)
    assert (found.lost, found.doubled, found.wrong) == ([], [], [])
    assert found.alerts > 100


def test_an_alert_that_is_missing_is_lost(untouched):
    found = checked(untouched, lambda recorded: recorded.alerts[1].pop(3))
    assert any("alert" in each for each in found.lost)


def test_an_alert_that_stands_there_twice_is_doubled(untouched):
    def harm(recorded: Recorded) -> None:
        recorded.alerts[1].append(replace(recorded.alerts[1][0], offset=9999))

    assert len(checked(untouched, harm).doubled) == 2  # on the topic, and seen


def test_an_alert_that_tells_something_else_is_wrong(untouched):
    def harm(recorded: Recorded) -> None:
        first = recorded.alerts[0][0]
        body = orjson.loads(first.body) | {"message": "something else"}
        recorded.alerts[0][0] = replace(first, body=orjson.dumps(body))

    assert len(checked(untouched, harm).wrong) == 1


def test_alerts_in_another_order_are_wrong(untouched):
    assert len(checked(untouched, lambda recorded: recorded.alerts[0].reverse()).wrong) == 1


def test_a_detection_that_never_came_is_lost(untouched):
    def harm(recorded: Recorded) -> None:
        # Everything in Kafka agrees with itself, and still something of the raw log is missing in it.
        world = log_of(1500, 2)
        recorded.raw = {partition: [*records, *world[partition][50:90]] for partition, records in recorded.raw.items()}

    found = checked(untouched, harm)
    assert any(each.startswith("firing") for each in found.lost)


def test_state_that_differs_is_wrong(untouched):
    def harm(recorded: Recorded) -> None:
        state = recorded.changelog[2]
        del state[next(key for key in state if b"time" not in key and key != PROGRESS)]

    assert any("state" in each for each in checked(untouched, harm).wrong)


def test_an_alert_that_is_not_indexed_is_lost_and_one_that_nobody_told_is_wrong(untouched):
    def harm(recorded: Recorded) -> None:
        assert recorded.indexed
        recorded.indexed[0] = "f" * 32

    found = checked(untouched, harm)
    assert len(found.lost) == len(found.wrong) == 1


def test_an_alert_that_was_seen_and_is_gone_is_wrong(untouched):
    sightings = seen(untouched)
    sightings.seen.append(Sighting(0, 77_777, "a" * 32, 0.0, 0))
    assert len(check(INSTALLED, untouched, sightings).wrong) == 1


def test_a_record_that_cannot_be_read_and_is_no_dead_letter_is_lost(untouched):
    found = checked(untouched, lambda recorded: recorded.dead_letters.pop())
    assert len(found.lost) == 1
    found = checked(untouched, lambda recorded: recorded.dead_letters.append(letter("elsewhere[0]@7")))
    assert len(found.wrong) == 1
