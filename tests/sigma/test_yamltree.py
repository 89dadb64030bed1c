from __future__ import annotations

import pytest

from streamer.sigma import load_text
from streamer.sigma.problems import Problems
from streamer.sigma.yamltree import MAX_CHARACTERS, MAX_DEPTH, read_documents
from tests.sigma.writing import codes, refused

RULE = """\
title: A
logsource: {{product: kubernetes}}
detection:
    s:
        {item}
    condition: s
"""


def rule(item: str) -> str:
    return RULE.format(item=item)


def test_every_key_and_value_knows_its_line_and_column() -> None:
    problems = Problems()
    (root,) = read_documents("x.yml", "a: 1\nb:\n  - x\n  - {c: 'y'}\n", problems)
    assert root.entries is not None
    b = root.entries["b"]
    assert b.node.items is not None
    inner = b.node.items[1].entries
    assert inner is not None
    assert (str(b.place), str(b.node.items[0].place)) == ("x.yml:2:1", "x.yml:3:5")
    assert (str(inner["c"].place), str(inner["c"].node.place)) == ("x.yml:4:6", "x.yml:4:9")
    assert root.plain() == {"a": 1, "b": ["x", {"c": "y"}]}


def test_a_key_that_stands_twice_is_an_error() -> None:
    problem = refused("duplicate-key", rule("a: x\n        ▸a: y"))
    assert problem.hint == "the first is in line 5"


def test_an_alias_is_refused_where_it_stands() -> None:
    text = rule("a: &x y\n        b: *x")
    places = [(p.code, str(p.place)) for p in load_text({"r.yml": text}).problems]
    assert places[:2] == [("yaml-anchor", "r.yml:5:12"), ("yaml-alias", "r.yml:6:12")]


def test_a_tag_is_refused() -> None:
    refused("yaml-tag", rule("a: ▸!!python/object:os.system x"))


def test_a_merge_key_is_refused() -> None:
    assert "yaml-merge" in codes(rule("<<: {a: b}"))


def test_a_key_that_yaml_reads_as_a_boolean_must_be_quoted() -> None:
    refused("key-not-text", rule("a: x\n        ▸on: x"))


def test_what_looks_like_a_number_and_is_none_is_refused() -> None:
    problem = refused("yaml-value", rule("a: ▸" + "9" * 5_000))
    assert problem.hint == "quote it"


def test_an_impossible_date_is_refused() -> None:
    refused("yaml-value", rule("a: ▸2024-99-99"))


def test_a_syntax_error_has_its_place() -> None:
    refused("yaml-syntax", "title: A\nlogsource: [1\nlevel▸: high\n")


@pytest.mark.parametrize("text", ["", "\n\n# nothing\n", "---\n---\n"])
def test_a_file_without_a_rule_is_an_error(text: str) -> None:
    assert codes(text) == ["empty-file"]


def test_empty_documents_beside_rules_are_passed_over() -> None:
    assert codes("---\n" + rule("a: x") + "---\n") == []


def test_a_file_too_large_is_not_parsed() -> None:
    assert codes("#" * (MAX_CHARACTERS + 1)) == ["file-too-large"]


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "- " * 100_000, "{a: " * 100_000, "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2)],
    ids=["flow lists", "block lists", "mappings", "just too deep"],
)
def test_deep_nesting_is_refused_without_recursion(text: str) -> None:
    assert set(codes(text)) <= {"file-too-large", "yaml-syntax"}


def test_many_values_are_refused() -> None:
    assert codes("[" + "1, " * 60_000 + "1]") == ["file-too-large"]


@pytest.mark.parametrize("text", ["\x00", "a: \ud800", "\x1b[2J", "\ufeff\ufeff"])
def test_characters_that_yaml_forbids_are_a_problem_and_no_exception(text: str) -> None:
    assert "yaml-syntax" in codes(text) or codes(text) == ["empty-file"]


def test_a_document_with_a_refused_part_is_not_used_although_the_rest_is_whole() -> None:
    loaded = load_text({"r.yml": rule("a: x\n        a: y") + "---\n" + rule("b: x")})
    assert [rule.meta.place.line for rule in loaded.rules.detections] == [9]
