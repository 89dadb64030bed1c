"""Rule texts for tests, and the place of a mistake marked in the text itself with ``▸``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import dedent, indent

from streamer.errors import RuleError
from streamer.sigma import Loaded, load_text
from streamer.sigma.predicates import Predicate
from streamer.sigma.rules import CorrelationRule, RuleSet

MARK = "▸"


def detection(name: str, items: str = "verb: create", *, source: str = "product: kubernetes", more: str = "") -> str:
    """One detection rule with one selection, ended by a document separator."""
    body = indent(dedent(items).strip("\n"), " " * 8)
    return (
        f"title: Rule {name}\nname: {name}\nlogsource:\n    {source}\n{dedent(more)}detection:\n"
        f"    selection:\n{body}\n    condition: selection\n---\n"
    )


def correlation(body: str, *, name: str = "joined", more: str = "") -> str:
    """One correlation rule; ``body`` stands under ``correlation:``, ``more`` at the root."""
    return (
        f"title: Rule {name}\nname: {name}\n{dedent(more)}correlation:\n{indent(dedent(body).strip(), '    ')}\n---\n"
    )


THREE = detection("r_a") + detection("r_b") + detection("r_c")


def place_of(text: str) -> tuple[str, tuple[int, int]]:
    """The text without its mark, and the line and column at which the mark stood."""
    before, _, after = text.partition(MARK)
    line = before.count("\n") + 1
    return before + after, (line, len(before) - before.rfind("\n"))


def refused(code: str, text: str, *, placeholders: Mapping[str, Sequence[str]] = {}) -> RuleError:
    """The only problem of a text, which must be an error with this code at the marked place."""
    text, place = place_of(text)
    loaded = load_text({"rules.yml": text}, placeholders=placeholders)
    found = [(p.code, p.place.path, (p.place.line, p.place.column), p.severity) for p in loaded.problems]
    assert found == [(code, "rules.yml", place, "error")], [str(p) for p in loaded.problems]
    return loaded.problems[0]


def codes(text: str) -> list[str]:
    """The codes of all problems, by place."""
    return [problem.code for problem in load_text({"rules.yml": text}).problems]


def accepted(text: str, *, placeholders: Mapping[str, Sequence[str]] = {}) -> RuleSet:
    """The rules of a text in which nothing is wrong."""
    loaded: Loaded = load_text({"rules.yml": text}, placeholders=placeholders)
    assert loaded.problems == (), [str(p) for p in loaded.problems]
    return loaded.ok()


def predicate_of(items: str, *, source: str = "category: webserver", **placeholders: Sequence[str]) -> Predicate:
    """The predicate of a rule with these entries in its only selection."""
    rules = accepted(detection("r_a", items, source=source), placeholders=placeholders)
    return rules.detections[0].predicate


def correlation_of(body: str, *, more: str = "", before: str = THREE) -> CorrelationRule:
    """The last correlation of a set of rules in which nothing is wrong."""
    return accepted(before + correlation(body, more=more)).correlations[-1]
