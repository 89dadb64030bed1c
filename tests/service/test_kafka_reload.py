"""New rules while the Kafka mode runs, and after a restart: what is new is shown the past, what stayed keeps state."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.service.kafka_world import Installation, eventually, node_deleted, secret_read
from tests.service.test_kafka_run import NODE, SPREAD, has_told
from tests.service.workload import RULES

DOCUMENTS = RULES.split("---")
WITHOUT = "---".join(document for document in DOCUMENTS if "name: many_namespaces" not in document)


@pytest.fixture
async def installation(kafka_address: str, unique: str, tmp_path: Path) -> Installation:
    made = Installation(kafka_address, unique, tmp_path, rules=WITHOUT)
    await made.set_up()
    return made


async def happens_before_the_rule_comes(installation: Installation) -> None:
    """What the rule would have found, and something that shows that it was read."""
    for number in range(3):
        await installation.write(secret_read(number, user="eve", namespace=f"n{number}"))
    await installation.write(node_deleted(9))
    await eventually(lambda: has_told(installation, NODE), "it does not run")
    await asyncio.sleep(1)


async def test_a_rule_that_comes_while_running_finds_what_happened_before_it_came(installation):
    async with installation.running() as service:
        await happens_before_the_rule_comes(installation)
        installation.rules = RULES
        for role in (service.detect, service.correlate):
            role.reload(installation.loaded())
        await eventually(lambda: has_told(installation, SPREAD), "the past was not shown to the new rule")
        assert service.detect.numbers.switches == 1
        assert service.detect.numbers.rebuilt == 4
        # It is judged like any other from now on.
        for number in range(3):
            await installation.write(secret_read(20 + number, user="mallory", namespace=f"n{number}"))
        await eventually(lambda: has_told(installation, SPREAD, 2), "it does not go on")
        await asyncio.sleep(2)
    told = await installation.messages()
    assert told.count(SPREAD) == 2
    assert told.count(NODE) == 1


async def test_a_rule_that_comes_with_a_restart_finds_what_happened_before_it_came(installation):
    async with installation.running():
        await happens_before_the_rule_comes(installation)
    installation.rules = RULES
    async with installation.running() as service:
        await eventually(lambda: has_told(installation, SPREAD), "the past was not shown to the new rule")
        assert service.detect.counters().records == 0
        assert service.detect.numbers.rebuilt == 4
        await asyncio.sleep(3)
    async with installation.running() as service:
        await eventually(lambda: all(service._ready().values()), "it did not get ready")
        await asyncio.sleep(2)
        assert service.detect.numbers.rebuilt == 0, "the notes say that nothing is missing"
    assert (await installation.messages()).count(SPREAD) == 1


async def test_state_of_rules_that_stay_is_kept_over_a_reload(installation):
    installation.rules = RULES
    async with installation.running() as service:
        for number in range(2):
            await installation.write(secret_read(number, user="eve", namespace=f"n{number}"))
        await installation.write(node_deleted(9))
        await eventually(lambda: has_told(installation, NODE), "it does not run")
        installation.rules = "---".join(d for d in DOCUMENTS if "name: new_namespace" not in d)
        for role in (service.detect, service.correlate):
            role.reload(installation.loaded())
        await eventually(lambda: service.detect.numbers.switches == 1, "the rules were not changed")
        await installation.write(secret_read(2, user="eve", namespace="n2"))
        await eventually(lambda: has_told(installation, SPREAD), "its state was lost")
        assert service.detect.numbers.rebuilt == 0
    assert (await installation.messages()).count(SPREAD) == 1
