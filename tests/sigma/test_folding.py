from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.sigma.folding import fold, scalar_text


@settings(deadline=None)
@given(st.text(), st.text())
def test_the_fold_of_a_joined_text_is_the_join_of_the_folds(left: str, right: str) -> None:
    """[D1] so a pattern taken apart at its wildcards compares like the whole."""
    assert fold(left + right) == fold(left) + fold(right)


@settings(deadline=None)
@given(st.text())
def test_folding_keeps_the_number_of_characters_and_changes_nothing_a_second_time(text: str) -> None:
    """[D1] `?` stands for one character of the text as it was written."""
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("Create", "cREATE", True),
        ("ÄÖ", "äö", True),
        ("\u212a", "k", True),  # Kelvin sign
        ("\u0130", "i", False),  # capital I with dot above
        ("\u0130", "\u0130", True),
        ("\u0391\u03a3", "\u03b1\u03c2", False),  # the final sigma is another character
        ("\u0391\u03a3", "\u03b1\u03c3", True),
        ("ß", "SS", False),
    ],
)
def test_characters_compare_one_for_one(left: str, right: str, *, same: bool) -> None:
    """[D1] strings compare case-insensitively."""
    assert (fold(left) == fold(right)) is same


@pytest.mark.parametrize(
    ("value", "text"),
    [(401, "401"), (401.0, "401"), (0.5, "0.5"), (-0.0, "0"), (2**60, str(2**60)), (True, "true"), (False, "false")],
)
def test_a_number_has_one_text_and_a_boolean_that_of_no_number(value: float, text: str) -> None:
    """[D1] a number and a string compare by the number's text; booleans are not numbers."""
    assert scalar_text(value) == text


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_reads_back_as_the_same_number(value: float) -> None:
    assert json.loads(scalar_text(value)) == value
