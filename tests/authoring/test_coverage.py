"""What rules cover of a matrix: only alerting rules, earlier ids, unknown tags, the Navigator layer, Markdown."""

from __future__ import annotations

from typing import Any

from streamer.authoring.coverage import Coverage, as_json, coverage
from streamer.authoring.coverage_layer import navigator_layer
from streamer.authoring.coverage_text import markdown, told
from streamer.authoring.matrix import Matrix
from streamer.authoring.matrix_attack import ATTACK
from streamer.authoring.matrix_kubernetes import KUBERNETES
from streamer.sigma import load_text

SINGLE = """
title: Rule {name}
name: {name}
id: 00000000-0000-4000-8000-0000000{number:05d}
description: A rule.
tags: [{tags}]
logsource: {{product: kubernetes, service: audit}}
detection:
    selection: {{verb: get}}
    condition: selection
level: {level}
"""
COUNT = """
title: Many
name: many
id: 00000000-0000-4000-8000-000000099999
description: A rule.
tags: [attack.t1110]
correlation:
    type: event_count
    rules: [block]
    group-by: [user.username]
    timespan: 1m
    condition: {gte: 3}
level: high
"""


def single(name: str, tags: str, level: str = "medium") -> str:
    return SINGLE.format(name=name, tags=tags, level=level, number=sum(name.encode()) * 7 % 90_000)


def covered(*rules: str, matrix: Matrix = ATTACK, firing: dict[str, int] | None = None) -> Coverage:
    loaded = load_text({"rules.yml": "---".join(rules)})
    assert [str(problem) for problem in loaded.problems if problem.severity == "error"] == []
    keys = {rule.meta.name: key for key, rule in loaded.rules.by_key().items()}
    return coverage(loaded.rules, matrix, {keys[name]: count for name, count in (firing or {}).items()})


def names(found: Coverage, identifier: str) -> list[str]:
    return [rule.name for rule in found.cells[identifier].rules]


def test_a_sub_technique_covers_its_technique_too() -> None:
    found = covered(single("secrets", "attack.t1552.007"))

    assert names(found, "T1552.007") == ["secrets"]
    assert names(found, "T1552") == ["secrets"]
    assert names(found, "T1552.001") == []


def test_the_most_severe_rule_comes_first_and_gives_the_level() -> None:
    found = covered(single("a_low", "attack.t1609", "low"), single("b_high", "attack.t1609", "high"))

    assert names(found, "T1609") == ["b_high", "a_low"]
    assert found.cells["T1609"].level == "high"


def test_a_building_block_does_not_cover_anything() -> None:
    found = covered(single("block", "attack.t1609", "informational"), COUNT)

    assert names(found, "T1609") == []
    assert names(found, "T1110") == ["many"]


def test_ids_of_the_version_before_count_for_their_successors() -> None:
    found = covered(single("tools", "attack.t1562.001, attack.defense-evasion"))

    assert names(found, "T1685") == ["tools"]
    assert found.unknown == {}


def test_the_dashboard_of_the_first_kubernetes_matrix_counts_as_an_exposed_interface() -> None:
    found = covered(single("dashboard", "threat-matrix.ms-ta9032"), matrix=KUBERNETES)

    assert names(found, "MS-TA9005") == ["dashboard"]
    assert found.unknown == {}


def test_unknown_tags_are_told_with_the_rules_that_say_them() -> None:
    tags = "attack.t9999, attack.nonsense, attack.g0139, attack.s0601, attack.impact"

    assert covered(single("odd", tags)).unknown == {"attack.nonsense": ("odd",), "attack.t9999": ("odd",)}
    assert covered(single("odd", "threat-matrix.ms-ta9099"), matrix=KUBERNETES).unknown == {
        "threat-matrix.ms-ta9099": ("odd",)
    }


def test_techniques_outside_of_the_containers_matrix_are_listed_apart() -> None:
    found = covered(single("download", "attack.t1105"))

    assert [(item.cell.id, item.cell.name) for item in found.outside] == [("T1105", "Ingress Tool Transfer")]
    assert found.covered == 0


def test_the_summary_counts_what_is_covered_what_could_be_and_what_never_can() -> None:
    found = covered(single("new", "threat-matrix.ms-ta9008"), matrix=KUBERNETES)

    assert (found.covered, found.visible, found.unseen) == (1, 40, 0)
    assert "1 of 40 visible techniques covered, 0 not visible" in found.summary()


def test_a_rule_for_a_technique_called_invisible_makes_it_visible() -> None:
    before, after = covered(single("any", "attack.t1609")), covered(single("build", "attack.t1612"))

    assert (after.visible, after.unseen) == (before.visible + 1, before.unseen - 1)


def test_firing_cases_are_added_up_over_the_rules() -> None:
    rules = (single("one", "attack.t1609"), single("two", "attack.t1609"))
    found = covered(*rules, firing={"one": 2, "two": 3})

    assert found.cells["T1609"].cases == 5


def test_a_row_tells_rules_or_why_there_are_none() -> None:
    found = covered(*(single(f"r{number}", "attack.t1609") for number in range(4)))

    assert told(found.cells["T1609"], 2) == "r0, r1 and 2 more"
    assert told(found.cells["T1610"], 2) == "no rule yet"
    assert told(found.cells["T1612"], 2).startswith("not visible: An image is built")


def test_markdown_has_a_row_for_every_technique_of_every_tactic() -> None:
    page = markdown(covered(single("exec", "attack.t1609")))

    assert page.startswith("## MITRE ATT&CK, Containers\n")
    assert "| T1609 | Container Administration Command | 1 | medium | 0 | exec |" in page
    assert page.count("\n| T") == sum(len(column.cells) for column in ATTACK.columns)


def test_json_says_the_state_of_every_technique() -> None:
    found = as_json(covered(single("exec", "attack.t1609"), firing={"exec": 2}))
    cells = {cell["id"]: cell for tactic in found["tactics"] for cell in tactic["techniques"]}

    assert cells["T1609"]["rules"] == [{"name": "exec", "title": "Rule exec", "level": "medium", "firing_cases": 2}]
    states = ("covered", "no_rule", "not_visible")
    assert states == tuple(cells[name]["state"] for name in ("T1609", "T1610", "T1612"))


def test_the_layer_has_the_form_that_the_navigator_reads() -> None:
    layer = navigator_layer(covered(single("exec", "attack.t1609"), single("get", "attack.t1105")))

    assert_is_layer(layer)
    scores = {entry["techniqueID"]: entry.get("score") for entry in layer["techniques"]}
    assert (scores["T1609"], scores["T1105"], scores["T1612"]) == (1, 1, None)
    comments = {entry["techniqueID"]: entry["comment"] for entry in layer["techniques"]}
    assert comments["T1609"] == "exec"
    assert comments["T1612"].startswith("Not visible: ")


def assert_is_layer(layer: dict[str, Any]) -> None:
    """The shape of layer format 4.5, as far as the Navigator insists on it."""
    assert layer["versions"]["attack"] == "19"
    assert layer["versions"]["layer"] == "4.5"
    assert all(isinstance(version, str) for version in layer["versions"].values())
    assert layer["domain"] == "enterprise-attack"
    assert layer["filters"] == {"platforms": ["Containers"]}
    assert layer["sorting"] in range(4)
    assert layer["layout"]["layout"] in {"side", "flat", "mini"}
    assert layer["layout"]["aggregateFunction"] in {"average", "min", "max", "sum"}
    assert len(layer["gradient"]["colors"]) >= 2
    assert layer["gradient"]["minValue"] < layer["gradient"]["maxValue"]
    assert len({entry["techniqueID"] for entry in layer["techniques"]}) == len(layer["techniques"])
    for entry in layer["techniques"]:
        assert set(entry) <= {
            "techniqueID", "score", "color", "comment", "enabled", "metadata", "links", "showSubtechniques",
        }  # fmt: skip
        assert isinstance(entry.get("score", 0), int)
