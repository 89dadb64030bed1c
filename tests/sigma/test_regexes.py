from __future__ import annotations

import pytest

from streamer.sigma.predicates import FieldTest, Text, Wild
from streamer.sigma.regexes import MAX_PROGRAM, RegexError, compile_regex, found_in, regex_of_pattern
from tests.sigma.writing import detection, predicate_of, refused


@pytest.mark.parametrize(
    "pattern", ["(?=x)", "(?!x)", "(?<=x)", "(?<!x)", r"(a)\1", "(?P=a)", "(", "a**", "[z-a]", "\ud800"]
)
def test_what_has_no_linear_time_search_is_refused(pattern: str) -> None:
    """[D4] a regular expression beyond linear time is refused."""
    with pytest.raises(RegexError):
        compile_regex(pattern)


def test_an_expression_too_large_is_refused_when_it_is_loaded() -> None:
    """[D4] with its place."""
    assert compile_regex("a" * 5_000).programsize < MAX_PROGRAM
    refused("bad-regex", detection("r_a", f"a|re: ▸'{'.' * 5_000}'"))
    refused("bad-regex", detection("r_a", f"a: ▸'x{'?' * 5_000}'"))


def test_runs_of_wildcards_are_put_in_one_order() -> None:
    """[D1] `*?*?` is two characters and anything."""
    assert predicate_of("a: 'x*?*?y'") == FieldTest("a", Text(("x", Wild.ONE, Wild.ONE, Wild.ANY, "y")))


def test_characters_of_a_pattern_stand_for_themselves() -> None:
    compiled = compile_regex(regex_of_pattern(("a.(b", Wild.ONE, "|c")))
    assert found_in(compiled, "a.(bx|c")
    assert not found_in(compiled, "aX(bx|c")
    assert not found_in(compiled, "a.(bx|cd")
