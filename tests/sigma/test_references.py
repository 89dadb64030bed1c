from __future__ import annotations

from streamer.sigma import load_text
from tests.sigma.writing import THREE, accepted, codes, correlation, detection, refused

ID = "eed82177-38f5-4299-8a76-098d50d225ab"


def link(name: str, *rules: str) -> str:
    return correlation(f"type: temporal\nrules: [{', '.join(rules)}]\ntimespan: 5m", name=name)


def test_rules_are_found_by_name_and_by_id_in_any_case() -> None:
    text = detection("r_a", more=f"id: {ID}\n") + detection("r_b")
    assert accepted(text + link("c", ID.upper(), "r_b")).correlations[0].rules == (ID, "r_b")
    assert accepted(text + link("c", "r_a", "r_b")).correlations[0].rules == (ID, "r_b")


def test_rules_may_stand_in_any_order_and_in_several_files() -> None:
    loaded = load_text({"b.yml": link("top", "low", "r_c") + link("low", "r_a", "r_b"), "a.yml": THREE})
    assert loaded.problems == ()
    assert [(rule.meta.key, rule.rank) for rule in loaded.ok().correlations] == [("low", 1), ("top", 2)]


def test_a_reference_to_nothing_names_the_nearest_rule() -> None:
    """[D4] an unknown reference is refused."""
    assert refused("unknown-rule", THREE + link("c", "r_a", "▸r_bb")).hint is not None


def test_one_rule_cannot_be_referenced_by_name_and_by_id() -> None:
    text = detection("r_a", more=f"id: {ID}\n") + detection("r_b")
    refused("duplicate-rule", text + link("c", "r_a", f"▸{ID}", "r_b"))


def test_ids_and_names_are_unique_over_all_files() -> None:
    loaded = load_text({"a.yml": detection("r_a"), "b.yml": detection("r_b") + detection("r_a")})
    assert [(p.code, str(p.place), p.hint) for p in loaded.problems] == [
        ("duplicate-name", "b.yml:10:1", "the other stands in a.yml:1:1")
    ]
    more = f"id: {ID}\n"
    loaded = load_text({"a.yml": detection("r_a", more=more) + detection("r_b", more=more)})
    assert [(p.code, p.place.line) for p in loaded.problems] == [("duplicate-id", 11)]


def test_rules_without_id_and_name_have_keys_made_of_their_places() -> None:
    text = "title: A\nlogsource: {product: kubernetes}\ndetection: {s: {a: x}, condition: s}\n---\n"
    loaded = load_text({"a.yml": text + text})
    assert [rule.meta.key for rule in loaded.ok().detections] == ["a.yml#1", "a.yml#2"]


def test_a_rule_that_refers_to_itself_is_refused() -> None:
    """[C10] cycles are refused."""
    text = THREE + link("c", "r_a", "c").replace("correlation:", "▸correlation:")
    assert str(refused("cycle", text)).endswith("the rule refers to itself: c -> c")


def test_every_member_of_a_longer_cycle_is_refused_and_so_is_what_uses_it() -> None:
    """[C10] cycles are refused."""
    text = THREE + link("one", "r_a", "two") + link("two", "r_b", "three") + link("three", "one", "r_c")
    loaded = load_text({"r.yml": text + link("user", "one", "r_a") + link("good", "r_a", "r_b")})
    assert [p.code for p in loaded.problems] == ["cycle", "cycle", "cycle", "broken-reference"]
    assert "one -> two -> three -> one" in str(loaded.problems[0])
    assert [rule.meta.key for rule in loaded.rules.correlations] == ["good"]


def test_what_uses_a_broken_rule_is_broken_up_to_the_top() -> None:
    text = detection("r_a", "verb|contians: x") + detection("r_b")
    loaded = load_text({"r.yml": text + link("low", "r_a", "r_b") + link("top", "low", "r_b")})
    assert [p.code for p in loaded.problems] == ["unknown-modifier", "broken-reference", "broken-reference"]
    assert [rule.meta.key for rule in loaded.rules.detections] == ["r_b"]
    assert loaded.rules.correlations == ()


def test_a_broken_user_does_not_silence_what_it_uses() -> None:
    """[A1] another *loaded* correlation."""
    loaded = load_text({"r.yml": THREE + link("low", "r_a", "r_x")})
    assert [rule.alerts for rule in loaded.rules.detections] == [True, True, True]


def test_a_rule_with_cluster_keys_may_not_reference_one_without() -> None:
    """[K4]"""
    spans = "streamer: {across_clusters: true}\n"
    low = correlation("type: temporal\nrules: [r_a, r_b]\ntimespan: 5m", name="low", more=spans)
    refused("cluster-key", THREE + low + link("top", "▸low", "r_c"))
    top = correlation("type: temporal\nrules: [low, r_c]\ntimespan: 5m", name="top", more=spans)
    assert all(rule.across_clusters for rule in accepted(THREE + low + top).correlations)
    assert accepted(THREE + link("low", "r_a", "r_b") + top).correlations[1].across_clusters


def test_a_thousand_correlations_in_a_row_are_ordered_without_recursion() -> None:
    """[C11] ranks."""
    text = "".join(link(f"c{number}", f"c{number + 1}" if number < 999 else "r_b", "r_a") for number in range(1_000))
    rules = accepted(THREE + text)
    assert [rule.meta.key for rule in rules.correlations[::333]] == ["c999", "c666", "c333", "c0"]
    assert rules.correlations[-1].rank == 1_000


def test_all_problems_of_all_rules_are_told_at_once() -> None:
    text = (
        detection("r_a", "verb|contians: x")
        + detection("r_b", more="level: hihg\n")
        + correlation("type: temporal\nrules: [r_a, r_x]\ntimespan: 0s\ngroupby: y")
    )
    assert codes(text) == ["unknown-modifier", "bad-metadata", "unknown-rule", "bad-timespan", "unknown-key"]
