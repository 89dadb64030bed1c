"""Literals that a text must hold at least one of, or it passes a check for certain not.

They are folded, and they say so of ASCII texts only: beyond, RE2 takes letters for equal that folding keeps apart.
The expressions of rules are RE2's; Python's parser reads them, too, and what it does not understand has no witness. A
letter beyond ASCII in an expression is no literal, because it may stand for one of ASCII.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from re import _constants as word  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

from streamer.sigma.folding import fold
from streamer.sigma.predicates import Check, Regex, Text

Witnesses = frozenset[str] | None
"""One of these stands in every text that passes; ``None``: nothing is known."""

MIN_LENGTH: Final = 3
"""Shorter literals stand in too many texts to rule anything out."""
MAX_WAYS: Final = 64


@lru_cache(maxsize=8_192)
def witnesses_of(check: Check) -> Witnesses:
    """What every ASCII text that passes a check holds one of."""
    if isinstance(check, Text):
        found: Witnesses = frozenset(fold(part) for part in check.parts if isinstance(part, str))
        return _worth(frozenset([max(found, key=len)])) if found else None
    return _worth(_of_expression(check.pattern)) if isinstance(check, Regex) else None


def _worth(found: Witnesses) -> Witnesses:
    if found is None or len(found) > MAX_WAYS or min(map(len, found)) < MIN_LENGTH:
        return None
    return found


def _of_expression(pattern: str) -> Witnesses:
    if "[:" in pattern:
        return None  # a class such as [:alpha:] means something else to Python's parser, without an error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _of_sequence(parser.parse(pattern))
    except (re.error, OverflowError, RecursionError):
        return None


def _of_sequence(items: Iterable[Any]) -> Witnesses:
    """The best of what its parts demand: runs of plain characters, and parts that must be there."""
    known: list[frozenset[str]] = []
    run = ""
    for operation, argument in items:
        if operation is word.LITERAL and argument < 128:
            run += chr(argument)
            continue
        if run:
            known.append(frozenset([fold(run)]))
        run = ""
        inner = _of_part(operation, argument)
        if inner:
            known.append(inner)
    if run:
        known.append(frozenset([fold(run)]))
    return max(known, key=_quality, default=None)


def _of_part(operation: Any, argument: Any) -> Witnesses:
    if operation is word.SUBPATTERN:
        return _of_sequence(argument[3])
    if operation is word.BRANCH:
        ways = [_of_sequence(way) for way in argument[1]]
        sure = [way for way in ways if way is not None]
        return frozenset().union(*sure) if len(sure) == len(ways) else None
    if operation in {word.MAX_REPEAT, word.MIN_REPEAT} and argument[0] > 0:
        return _of_sequence(argument[2])
    return None


def _quality(found: frozenset[str]) -> tuple[int, int]:
    return min(map(len, found)), -len(found)
