from __future__ import annotations

from streamer.errors import Place
from streamer.sigma.problems import Problems, nearest, one_of
from tests.sigma.writing import refused


def test_problems_are_told_in_the_order_of_their_places() -> None:
    problems = Problems()
    problems.error("b", Place("x", 2, 1), "second")
    problems.warning("c", Place("x", 10, 1), "third")
    problems.error("a", Place("x", 1, 9), "first")
    assert [problem.message for problem in problems.in_order()] == ["first", "second", "third"]
    assert problems.errors() == 2


def test_messages_hold_no_escape_sequences_of_the_rule_file() -> None:
    problem = refused(
        "unknown-key",
        'title: A\nlogsource: {product: kubernetes}\ndetection: {s: {a: x}, condition: s}\n▸"\\e[2J": x\n',
    )
    assert problem.message == "`\\x1b[2J` is not a key of a rule"


def test_the_nearest_word_is_found_without_regard_to_case() -> None:
    assert nearest("Titel", ["title", "level"]) == "did you mean `title`?"
    assert nearest("zzz", ["title", "level"]) is None
    assert one_of(["a", "b"]) == "one of a, b"
