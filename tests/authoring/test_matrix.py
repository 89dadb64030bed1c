"""The two matrices: complete, each technique with one name, no reason without need."""

from __future__ import annotations

import pytest

from streamer.authoring.matrix import Matrix
from streamer.authoring.matrix_attack import ATTACK
from streamer.authoring.matrix_kubernetes import KUBERNETES
from streamer.ecs.attack import TACTICS, TECHNIQUES


def test_the_kubernetes_matrix_holds_every_number_but_the_one_that_was_given_up() -> None:
    ids = {cell.id for cell in KUBERNETES.cells()}

    assert {f"MS-TA{number}" for number in range(9001, 9042)} - {"MS-TA9032"} == ids


def test_the_containers_matrix_takes_tactics_and_names_from_the_table_of_alerts() -> None:
    assert {column.id for column in ATTACK.columns} <= {tactic.id for tactic in TACTICS}
    assert all(TECHNIQUES[cell.id] == cell.name for cell in ATTACK.cells())


def test_the_containers_matrix_names_the_technique_of_every_sub_technique() -> None:
    for column in ATTACK.columns:
        ids = {cell.id for cell in column.cells}
        assert {identifier.partition(".")[0] for identifier in ids} <= ids


@pytest.mark.parametrize("matrix", [ATTACK, KUBERNETES], ids=lambda matrix: str(matrix.key))
def test_a_technique_that_cannot_be_seen_says_why_in_a_sentence(matrix: Matrix) -> None:
    for cell in matrix.cells():
        assert cell.visible or (len(cell.unseen.split()) >= 8 and cell.unseen.endswith("."))


@pytest.mark.parametrize("matrix", [ATTACK, KUBERNETES], ids=lambda matrix: str(matrix.key))
def test_ids_of_earlier_versions_lead_to_ids_that_exist(matrix: Matrix) -> None:
    ids = {cell.id for cell in matrix.cells()}

    assert not ids & set(matrix.successors)
    assert {new.partition(".")[0] for new in matrix.successors.values()} <= ids | set(TECHNIQUES)
