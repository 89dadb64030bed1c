"""ATT&CK names for tags."""

from __future__ import annotations

import pytest

from streamer.ecs.attack import TACTICS, attack_of


def test_tactics_come_in_the_order_of_the_kill_chain() -> None:
    attack = attack_of(["attack.impact", "attack.initial_access", "attack.execution"])
    assert [tactic.name for tactic in attack.tactics] == ["Initial Access", "Execution", "Impact"]


@pytest.mark.parametrize("tag", ["attack.defense-evasion", "attack.defense_evasion", "attack.stealth", "attack.ta0005"])
def test_names_of_earlier_versions_are_understood(tag: str) -> None:
    assert [tactic.id for tactic in attack_of([tag]).tactics] == ["TA0005"]


def test_a_sub_technique_brings_its_technique() -> None:
    attack = attack_of(["attack.t1496.001"])
    assert [item.id for item in attack.techniques] == ["T1496"]
    assert [(item.id, item.name) for item in attack.subtechniques] == [("T1496.001", "Compute Hijacking")]
    assert attack.subtechniques[0].reference.endswith("/techniques/T1496/001/")


def test_a_technique_that_is_not_in_the_table_keeps_its_id() -> None:
    assert [(item.id, item.name) for item in attack_of(["attack.t9999"]).techniques] == [("T9999", "")]


def test_other_tags_say_nothing() -> None:
    assert not attack_of(["cve.2026-1", "attack.nonsense", "attack.g0001", "tlp.red"])


def test_there_are_fifteen_tactics_with_their_own_ids() -> None:
    assert len({tactic.id for tactic in TACTICS}) == 15
