from __future__ import annotations

from dataclasses import replace

from streamer.service.roles.attempts import Attempt
from streamer.service.roles.coverage import LARGEST, Coverage, Reached, attempt_in, reached_in, read_note
from streamer.sigma import load_text
from tests.service.workload import RULES

DOCUMENTS = RULES.split("---")


def rules(*without: str):
    kept = [document for document in DOCUMENTS if not any(f"name: {name}\n" in document for name in without)]
    return load_text({"rules.yml": "---".join(kept)}).ok()


def names(rules, keys):
    return {rule.meta.name for rule in rules.correlations if rule.meta.key in keys}


def test_what_a_note_says_is_read_back():
    for coverage in (Coverage.of(rules()), replace(Coverage.of(rules()), since_us=5, knows_since=True)):
        assert read_note(coverage.note()) == coverage


def test_rules_that_ran_miss_nothing_and_new_ones_do():
    before = Coverage.of(rules("many_namespaces"))
    assert before.missing(rules("many_namespaces")) == frozenset()
    assert names(rules(), before.missing(rules())) == {"many_namespaces"}


def test_a_rule_that_means_something_else_misses_everything():
    other = load_text({"rules.yml": RULES.replace("{gte: 3, field", "{gte: 5, field")}).ok()
    assert names(other, Coverage.of(rules()).missing(other)) == {"many_namespaces"}


def test_a_title_changes_nothing():
    other = load_text({"rules.yml": RULES.replace("Secrets read in many", "Many secrets in many")}).ok()
    assert Coverage.of(rules()).missing(other) == frozenset()


def test_a_note_fits_beside_a_position_however_many_rules_there_are():
    meanings = frozenset(number.to_bytes(6, "big") for number in range(1000))
    coverage = Coverage("0" * 16, meanings, 1, knows_since=True)
    assert len(coverage.note()) <= LARGEST
    assert read_note(coverage.note()) == Coverage("0" * 16, None, 1, knows_since=True)
    assert len(Coverage.of(rules()).note()) < 200


def test_notes_of_others_say_nothing():
    for note in ("", None, "x", "[]", "{}", '{"v": 1, "m": 2}', '{"v": "a", "m": "%"}'):
        assert read_note(note) is None


def test_how_far_detecting_was_stands_in_the_same_note():
    note = Coverage.of(rules()).note()
    for reached in (Reached(), Reached(7), Reached(0, -5), Reached(7, 1_764_000_000_000_000)):
        whole = reached.added_to(note)
        assert reached_in(whole) == reached
        assert read_note(whole) == Coverage.of(rules())
    assert Reached(7, 5).added_to("") == ""
    for other in ("", None, "x", "[]", '{"n": "a"}'):
        assert reached_in(other) == Reached()


def test_who_began_stands_in_the_same_note():
    attempt = Attempt(9, 2, 5, True, "process")
    note = Reached(7, 5).added_to(Coverage.of(rules()).note(attempt))
    assert attempt_in(note, 9) == attempt
    assert attempt_in(Coverage.of(rules()).note(), 9) is None
