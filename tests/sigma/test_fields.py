from __future__ import annotations

from tests.sigma.writing import THREE, accepted, correlation, detection, refused

LOW = correlation("type: temporal\nrules: [r_a, r_b]\ngroup-by: [user.username]\ntimespan: 5m", name="low")


def high(aliases: str, group_by: str = "run") -> str:
    return correlation(
        f"type: temporal\nrules: [low, r_c]\ngroup-by: [{group_by}]\naliases:\n    {aliases}\ntimespan: 1h", name="high"
    )


def test_fields_asked_for_above_are_extracted_below() -> None:
    """[C10] each step may bind a new key."""
    rules = accepted(THREE + LOW + high("run: {low: r_b.run.id, r_c: labels.run}"))
    assert [(rule.meta.key, rule.extract) for rule in rules.detections] == [
        ("r_a", ("user.username",)),
        ("r_b", ("user.username", "run.id")),
        ("r_c", ("labels.run",)),
    ]
    low, top = rules.correlations
    assert low.exports == ("user.username", "r_b.run.id")
    assert low.exported_fields == {"r_b": {"r_b.run.id": "run.id"}}
    assert top.fields_of == {"low": {"run": "r_b.run.id"}, "r_c": {"run": "labels.run"}}
    assert (top.exports, top.exported_fields) == (("run",), {})


def test_values_travel_up_over_several_ranks() -> None:
    """[C10] [C11] `<rule>.<field>` of a correlation's correlation."""
    middle = correlation("type: temporal\nrules: [low, r_c]\ntimespan: 1h", name="middle")
    top = correlation(
        "type: temporal\nrules: [middle, r_d]\ngroup-by: [run]\n"
        "aliases: {run: {middle: low.r_b.run.id, r_d: run}}\ntimespan: 1h",
        name="top",
    )
    rules = accepted(THREE + detection("r_d") + LOW + middle + top)
    assert [rule.rank for rule in rules.correlations] == [1, 2, 3]
    by_key = {rule.meta.key: rule for rule in rules.correlations}
    assert by_key["middle"].exported_fields == {"low": {"low.r_b.run.id": "r_b.run.id"}}
    assert by_key["low"].exported_fields == {"r_b": {"r_b.run.id": "run.id"}}
    assert rules.detections[1].extract == ("user.username", "run.id")


def test_a_key_field_of_a_firing_needs_no_export() -> None:
    """[C10] its key fields under their group-by names."""
    rules = accepted(THREE + LOW + high("who: {low: user.username, r_c: user.name}", "who"))
    low = rules.correlations[0]
    assert (low.exports, low.exported_fields) == (("user.username",), {})


def test_an_alias_becomes_the_name_of_the_key_field_above() -> None:
    """[C10] [K5] firings carry the group-by name, not the field it came from."""
    low = correlation(
        "type: temporal\nrules: [r_a, r_b]\ngroup-by: [who]\naliases: {who: {r_a: x, r_b: y}}\ntimespan: 5m", name="low"
    )
    rules = accepted(
        THREE + low + correlation("type: event_count\nrules: low\ngroup-by: who\ntimespan: 1h\ncondition: {gte: 2}")
    )
    assert rules.correlations[1].fields_of == {"low": {"who": "who"}}


def test_counted_fields_may_be_aliases_and_are_extracted() -> None:
    """[K5] an alias may name what is counted."""
    body = (
        "type: value_count\nrules: [r_a, r_b]\ngroup-by: z\naliases: {ip: {r_a: x, r_b: y}}\n"
        "timespan: 5m\ncondition: {gte: 3, field: ip}"
    )
    rules = accepted(THREE + correlation(body))
    assert rules.correlations[0].fields_of == {"r_a": {"z": "z", "ip": "x"}, "r_b": {"z": "z", "ip": "y"}}
    assert [rule.extract for rule in rules.detections] == [("z", "x"), ("z", "y"), ()]


def test_a_field_that_no_firing_has_is_refused_with_those_it_has() -> None:
    """[D4] [C10] an unknown reference is refused."""
    problem = refused("unknown-export", THREE + LOW + high("run: {low: ▸run.id, r_c: x}"))
    assert problem.hint == "it has user.username, r_a.<field>, r_b.<field>"


def test_a_rule_that_the_correlation_does_not_reference_gives_it_no_fields() -> None:
    refused("unknown-export", THREE + LOW + high("run: {low: ▸r_c.x, r_c: x}"))


def test_an_alias_must_cover_every_referenced_rule() -> None:
    """[K5] an alias must cover every referenced rule."""
    problem = refused("incomplete-alias", THREE + LOW + high("▸run: {low: r_b.run.id}"))
    assert problem.hint == "add `r_c: field`"


def test_an_alias_for_a_rule_that_is_not_referenced_is_refused() -> None:
    """[K5]"""
    refused("unknown-alias-rule", THREE + LOW + high("run: {low: r_b.x, r_c: x, ▸r_a: x}"))


def test_an_alias_that_nothing_uses_is_refused() -> None:
    """[K5]"""
    refused("unused-alias", THREE + LOW + high("▸run: {low: r_b.x, r_c: x}", "user.username"))


def test_an_alias_may_name_a_rule_by_its_id_and_only_once() -> None:
    id_ = "eed82177-38f5-4299-8a76-098d50d225ab"
    text = detection("r_a", more=f"id: {id_}\n")

    def body(aliases: str) -> str:
        return correlation(
            f"type: event_count\nrules: {id_}\ngroup-by: x\naliases: {{x: {{{aliases}}}}}\n"
            "timespan: 5m\ncondition: {gte: 2}"
        )

    (rule,) = accepted(text + body("r_a: y")).correlations
    assert rule.fields_of == {id_: {"x": "y"}}
    refused("duplicate-alias", text + body(f"r_a: y, ▸{id_}: z"))
