"""How texts are compared without regard to case, and what the text of a number is.

Both sides of a comparison go through :func:`fold`: every character becomes its lower-case form, one for one. So the
fold of a joined text is the join of the folds (``str.lower`` does not keep that: it looks at neighbours for the Greek
sigma), ``?`` still stands for one character, and the Kelvin sign equals ``k``. The one character whose lower-case form
is two (capital I with dot above) stays as it is and equals only itself.
"""

from __future__ import annotations


def _lower_one(character: str) -> str:
    lowered = character.lower()
    return lowered if len(lowered) == 1 else character


def fold(text: str) -> str:
    """The text as it takes part in comparisons that ignore case. As long as the text itself."""
    return text.lower() if text.isascii() else "".join(map(_lower_one, text))


def scalar_text(value: str | float | bool) -> str:
    """The text by which a scalar compares with strings and patterns.

    A number's text is the shortest that reads back as the same number; ``1.0`` is ``1``. Booleans are ``true`` and
    ``false``, so they equal no number.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return repr(value)
