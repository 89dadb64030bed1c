from __future__ import annotations

import pytest

from tests.sigma.writing import accepted, refused

UUID = "eed82177-38f5-4299-8a76-098d50d225ab"
BODY = "logsource: {product: kubernetes}\ndetection: {s: {a: x}, condition: s}\n"


def rule(head: str) -> str:
    return f"title: A\n{head}\n{BODY}"


def test_everything_a_rule_says_about_itself_is_kept() -> None:
    head = f"""\
id: {UUID.upper()}
name: admission_changed
status: test
level: high
description: What it is.
author: Somebody
references: [https://example.org]
tags: [attack.t1496, attack.defense-evasion]
falsepositives: [Upgrades]
license: MIT
date: 2024-07-11
modified: 2025/1/2
fields: [a]
taxonomy: sigma
scope: [server]
related: [{{id: {UUID}, type: derived}}]"""
    (found,) = accepted(rule(head)).detections
    meta = found.meta
    assert (meta.key, meta.id, meta.name, meta.title) == (UUID, UUID, "admission_changed", "A")
    assert (meta.level, meta.status, meta.description, meta.author) == ("high", "test", "What it is.", "Somebody")
    assert (meta.references, meta.tags) == (("https://example.org",), ("attack.t1496", "attack.defense-evasion"))
    assert (meta.falsepositives, meta.license, meta.version) == (("Upgrades",), "MIT", "2025/1/2")
    assert (meta.place.line, meta.place.column) == (1, 1)


def test_a_rule_without_a_level_is_medium() -> None:
    assert accepted(rule("")).detections[0].meta.level == "medium"


@pytest.mark.parametrize(
    ("code", "head"),
    [
        ("unknown-key", "▸Level: high"),
        ("unknown-key", "▸action: global"),
        ("unknown-key", "▸timeframe: 5m"),
        ("unknown-key", "▸generate: true"),
        ("bad-metadata", "id: ▸one"),
        ("bad-metadata", "id: ▸7"),
        ("bad-metadata", "name: ▸Two-Words"),
        ("bad-metadata", "name: ▸not"),
        ("bad-metadata", "name: ▸''"),
        ("bad-metadata", "level: ▸hihg"),
        ("bad-metadata", "level: ▸[high]"),
        ("bad-metadata", "status: ▸done"),
        ("bad-metadata", "description: ▸[x]"),
        ("bad-metadata", "author: ▸7"),
        ("bad-metadata", "references: ▸https://example.org"),
        ("bad-metadata", "references: [▸7]"),
        ("bad-metadata", "falsepositives: ▸none"),
        ("bad-metadata", "tags: [attack.t1496, ▸t1496]"),
        ("bad-metadata", "date: ▸yesterday"),
        ("bad-metadata", "license: ▸{}"),
        ("sigma", "related: ▸x"),
    ],
)
def test_a_malformed_or_unknown_key_is_an_error_at_its_place(code: str, head: str) -> None:
    refused(code, rule(head))


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    assert refused("unknown-key", rule("▸falsepositive: [x]")).hint == "did you mean `falsepositives`?"
    assert refused("unknown-key", rule("▸Level: high")).hint == "did you mean `level`?"


def test_a_title_is_needed_and_must_be_short() -> None:
    refused("missing-title", "▸" + BODY)
    refused("bad-metadata", "title: ▸" + "x" * 257 + "\n" + BODY)
    refused("bad-metadata", "title: ▸7\n" + BODY)


def test_filters_are_refused_with_what_to_write_instead() -> None:
    problem = refused("unknown-key", rule("▸filter: {rules: [x], selection: {a: b}, condition: selection}"))
    assert problem.hint == (
        "filters of Sigma are not supported; write exceptions of your site into a file and give it as `allow:`"
    )


def test_a_rule_must_be_a_mapping() -> None:
    refused("not-a-rule", "▸- title: A\n")
    refused("not-a-rule", "▸just text\n")
