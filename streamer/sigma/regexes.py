"""Regular expressions by RE2: searched in time linear in the text, or refused when the rule is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import re2

from streamer.sigma.predicates import Wild

MAX_PROGRAM: Final = 10_000
"""Instructions of a compiled expression. A character of a text may cost as many steps in the worst case."""

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False
_WILD: Final = {Wild.ANY: ".*", Wild.ONE: "."}


class RegexError(Exception):
    """RE2 cannot search for this; ``hint`` says what to write instead."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


def compile_regex(pattern: str, flags: str = "") -> Any:
    """A compiled expression with ``search``; flags are a subset of ``ims``. Prints nothing.

    Raises:
        RegexError: if it has no linear-time search, is malformed or too large.
    """
    try:
        compiled = re2.compile(f"(?{flags}){pattern}" if flags else pattern, _OPTIONS)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace")
        raise RegexError(reason, _hint(reason)) from None
    except UnicodeError as error:
        raise RegexError(str(error), "write it in Unicode text") from None
    if compiled.programsize > MAX_PROGRAM:
        raise RegexError("it is too large", "use fewer repetitions and alternatives, or several values")
    return compiled


def regex_of_pattern(parts: Sequence[str | Wild]) -> str:
    """The expression that fits the same whole texts as a pattern of literals and wildcards."""
    inner = "".join(re2.escape(part) if isinstance(part, str) else _WILD[part] for part in parts)
    return rf"(?s)\A(?:{inner})\z"


def any_literal(literals: Iterable[str]) -> Any:
    """The compiled expression that is found where any of these texts is. Raises :class:`RegexError` if too large."""
    return compile_regex("|".join(map(re2.escape, literals)))


def found_in(compiled: Any, text: str) -> bool:
    """Whether the expression is found in a text; half characters (lone surrogates) count as ``?``."""
    try:
        return compiled.search(text) is not None
    except UnicodeEncodeError:
        return compiled.search(text.encode("utf-8", "replace").decode()) is not None


def _hint(reason: str) -> str:
    if "invalid perl operator" in reason:
        return "look-around has no linear-time search; use a second selection with `not`"
    if "invalid escape sequence" in reason:
        return "back-references have no linear-time search; a literal backslash is written twice"
    return "the syntax is RE2's"
