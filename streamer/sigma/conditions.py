"""The little language of conditions: names, ``and``, ``or``, ``not``, parentheses, ``1 of x*``, ``all of them``.

Detection rules use it over selections, correlation rules over rule names. It is parsed here, not by pySigma, because a
message must say at which character a condition goes wrong, and because depth and length must be bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_LENGTH: Final = 4_000
MAX_DEPTH: Final = 16

_TOKEN: Final = re.compile(r"[()]|[A-Za-z0-9_*-]+")
_RESERVED: Final = frozenset({"and", "or", "not", "of"})
_QUANTIFIERS: Final = frozenset({"1", "any", "all"})


class ConditionError(Exception):
    """The condition cannot be read. ``offset`` counts characters from 0."""

    def __init__(self, offset: int, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.offset = offset
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Name:
    """A selection or rule, and where in the condition it stands."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Some:
    """``1 of pattern`` (or ``any of``) and ``all of pattern``; the pattern may be ``them``."""

    every: bool
    pattern: str
    offset: int


@dataclass(frozen=True, slots=True)
class Inverse:
    """``not``."""

    item: Condition
    offset: int


@dataclass(frozen=True, slots=True)
class Joined:
    """``and`` or ``or`` between two or more."""

    every: bool
    items: tuple[Condition, ...]
    offset: int


Condition: TypeAlias = Name | Some | Inverse | Joined


def parse_condition(text: str) -> Condition:
    """The tree of a condition; ``not`` binds tighter than ``and``, ``and`` tighter than ``or``.

    Raises:
        ConditionError: with the offset at which it cannot go on.
    """
    if len(text) > MAX_LENGTH:
        raise ConditionError(0, f"longer than {MAX_LENGTH} characters", "split the rule")
    parser = _Parser(list(_tokens(text)), len(text))
    tree = parser.any_of(0)
    word, offset = parser.peek()
    if word is not None:
        raise ConditionError(offset, f"`{word}` cannot stand here", "join with `and` or `or`")
    return tree


def names_in(condition: Condition) -> Iterator[Name | Some]:
    """The leaves, left to right."""
    if isinstance(condition, Joined):
        for item in condition.items:
            yield from names_in(item)
    elif isinstance(condition, Inverse):
        yield from names_in(condition.item)
    else:
        yield condition


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        found = _TOKEN.match(text, position)
        if found is None:
            hint = "pipes were replaced by correlation rules" if text[position] == "|" else None
            raise ConditionError(position, f"`{text[position]}` cannot stand in a condition", hint)
        yield found.group(), position
        position = found.end()


class _Parser:
    """Recursive descent; the recursion is bounded by :data:`MAX_DEPTH` parentheses."""

    def __init__(self, tokens: list[tuple[str, int]], end: int) -> None:
        self._tokens = tokens
        self._next = 0
        self._end = end

    def peek(self) -> tuple[str | None, int]:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return None, self._end

    def any_of(self, depth: int) -> Condition:
        return self._joined("or", depth)

    def _joined(self, word: str, depth: int) -> Condition:
        offset = self.peek()[1]
        items = [self._part(word, depth)]
        while self.peek()[0] == word:
            self._next += 1
            items.append(self._part(word, depth))
        return items[0] if len(items) == 1 else Joined(word == "and", tuple(items), offset)

    def _part(self, word: str, depth: int) -> Condition:
        return self._joined("and", depth) if word == "or" else self._inverse(depth)

    def _inverse(self, depth: int) -> Condition:
        offset = self.peek()[1]
        count = 0
        while self.peek()[0] == "not":
            self._next += 1
            count += 1
        item = self._operand(depth)
        return Inverse(item, offset) if count % 2 else item

    def _operand(self, depth: int) -> Condition:
        word, offset = self.peek()
        if word is None:
            raise ConditionError(offset, "the condition ends where a name is expected")
        self._next += 1
        if word == "(":
            return self._parenthesis(depth + 1, offset)
        following = self.peek()[0]
        if word in _QUANTIFIERS and following == "of":
            return self._quantified(word, offset)
        if word == ")" or word in _RESERVED:
            raise ConditionError(offset, f"`{word}` stands where a name is expected")
        if word.lower() in _RESERVED and word not in _RESERVED:
            raise ConditionError(offset, f"`{word}` must be written in lower case", f"write `{word.lower()}`")
        if following is not None and following.lower() in {"and", "or"} and following not in _RESERVED:
            raise ConditionError(
                self.peek()[1], f"`{following}` must be written in lower case", f"write `{following.lower()}`"
            )
        if "*" in word:
            raise ConditionError(offset, f"`{word}` is a pattern", f"write `1 of {word}` or `all of {word}`")
        return Name(word, offset)

    def _parenthesis(self, depth: int, offset: int) -> Condition:
        if depth > MAX_DEPTH:
            raise ConditionError(offset, f"more than {MAX_DEPTH} parentheses inside each other")
        item = self.any_of(depth)
        word, end = self.peek()
        if word != ")":
            raise ConditionError(
                end, "a closing parenthesis is missing", f"it closes the one at character {offset + 1}"
            )
        self._next += 1
        return item

    def _quantified(self, word: str, offset: int) -> Condition:
        self._next += 1
        pattern, place = self.peek()
        if pattern is None or pattern in "()" or pattern in _RESERVED:
            raise ConditionError(place, f"`{word} of` needs a pattern", "for example `selection_*` or `them`")
        self._next += 1
        return Some(word == "all", pattern, offset)
