"""Which rules may match an event, told from what every match of them needs. It may only say "cannot match".

Most rules ask for certain values of a few fields: a verb, a resource, a user (:mod:`~streamer.detect.demands`). From
these demands every field gets a table: value of the event → the ways to match that are still open. The tables' answers
are sets of bits, one per way of a rule, and the rules of what is left after all of them are evaluated in full. Of
patterns and expressions a literal is known that stands in every text that passes (:mod:`~streamer.detect.witness`); any
other check still demands that the field is there at all.

Sound, not complete: lists count with every element, an unknown value cannot satisfy a demand, and texts are compared
folded, which is never stricter than the evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, Final, TypeAlias

from streamer.detect.demands import Demand, Demands, ways_of
from streamer.detect.paths import find
from streamer.model import Unknown
from streamer.sigma.folding import fold, scalar_text
from streamer.sigma.regexes import RegexError, any_literal, found_in
from streamer.sigma.rules import DetectionRule

Reader: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""The text at a path, else the tuple of all values there."""

MAX_CACHED: Final = 4_096
"""Answers that a table remembers, and the longest text it remembers one for is a sixteenth of that."""


class _Table:
    """What one field says about the rules. Every answer is a set of rules, as bits.

    Args:
        field: its path.
        demands: per rule, by field.
        everything: all rules.
    """

    def __init__(self, field: str, demands: Sequence[Demands], everything: int) -> None:
        self._read = reader(field)
        self._by_text: dict[str, int] = {}
        self._by_piece: dict[str, int] = {}
        self.asking = anything = 0
        for number, demand in enumerate(demands):
            if field in demand:
                self.asking |= 1 << number
                anything |= self._enter(demand[field], 1 << number)
        self._absent = everything & ~self.asking
        self._other = self._absent | anything
        self._all_pieces = reduce(or_, self._by_piece.values(), 0)
        self._any_piece = _any_of(self._by_piece)
        self._answers: dict[str, int] = {}

    def _enter(self, demand: Demand, bit: int) -> int:
        if demand.anything:
            return bit
        for text in demand.texts:
            self._by_text[text] = self._by_text.get(text, 0) | bit
        for piece in demand.pieces:
            self._by_piece[piece] = self._by_piece.get(piece, 0) | bit
        return 0

    def allowed(self, fields: Mapping[str, Any]) -> int:
        """The rules that may match an event with these fields."""
        value = self._read(fields)
        if type(value) is str:
            return self._allowed_by_text(value)
        mask = self._absent
        for item in value:
            mask |= self._allowed_by(item)
        return mask

    def _allowed_by(self, value: Any) -> int:
        if value is None or isinstance(value, Unknown):
            return self._absent
        if isinstance(value, (str, int, float)):
            return self._allowed_by_text(scalar_text(value))
        return self._other

    def _allowed_by_text(self, text: str) -> int:
        answer = self._answers.get(text)
        if answer is None:
            answer = self._answer(text)
            if len(text) <= MAX_CACHED // 16:
                if len(self._answers) >= MAX_CACHED:
                    self._answers.clear()
                self._answers[text] = answer
        return answer

    def _answer(self, text: str) -> int:
        folded = fold(text)
        mask = self._other | self._by_text.get(folded, 0)
        if not self._by_piece:
            return mask
        if not text.isascii():
            return mask | self._all_pieces
        if self._any_piece is None or found_in(self._any_piece, folded):
            for piece, rules in self._by_piece.items():
                if piece in folded:
                    mask |= rules
        return mask


def _any_of(pieces: Iterable[str]) -> Any:
    """An expression that finds any of these literals, to say no at once; ``None`` if it would be too large."""
    try:
        return any_literal(pieces)
    except RegexError:
        return None


class RuleIndex:
    """Tables over the rules of one log source.

    Args:
        rules: in the order in which they are to be evaluated.
    """

    def __init__(self, rules: Sequence[DetectionRule]) -> None:
        ways = [(rule, way) for rule in rules for way in ways_of(rule.predicate)]
        self._rules = tuple(rule for rule, _ in ways)
        self._others = _same_rule(self._rules)
        self._all = (1 << len(ways)) - 1
        self._tables = _tables([way for _, way in ways], self._all)

    def candidates(self, fields: Mapping[str, Any]) -> Iterator[DetectionRule]:
        """The rules that are not ruled out, each once and in their order."""
        mask = self._all
        for table in self._tables:
            if mask & table.asking:
                mask &= table.allowed(fields)
        while mask:
            number = (mask & -mask).bit_length() - 1
            yield self._rules[number]
            mask &= self._others[number]


def _same_rule(rules: Sequence[DetectionRule]) -> list[int]:
    """Per way the bits of all ways that belong to other rules."""
    own: dict[str, int] = {}
    for number, rule in enumerate(rules):
        own[rule.meta.key] = own.get(rule.meta.key, 0) | 1 << number
    return [~own[rule.meta.key] for rule in rules]


def _tables(demands: Sequence[Demands], everything: int) -> tuple[_Table, ...]:
    """A table per field that any rule demands something of; first the fields that most rules ask for."""
    fields = dict.fromkeys(field for demand in demands for field in demand)
    tables = [_Table(field, demands, everything) for field in fields]
    return tuple(sorted(tables, key=lambda table: -table.asking.bit_count()))


_NO_VALUES: Final[tuple[Any, ...]] = ()


def reader(path: str) -> Reader:
    """How to read a path: short ones at once where plain objects and texts stand there, all else by the definition."""
    head, dot, rest = path.partition(".")
    if not dot:
        return lambda fields: _plain(fields, path)
    if "." in rest:
        return lambda fields: find(fields, path).values

    def read(fields: Mapping[str, Any]) -> Any:
        if path not in fields:
            inner = fields.get(head, _NO_VALUES)
            if inner is _NO_VALUES:
                return _NO_VALUES
            if type(inner) is dict:
                value = inner.get(rest, _NO_VALUES)
                if value is _NO_VALUES or type(value) is str:
                    return value
        return find(fields, path).values

    return read


def _plain(fields: Mapping[str, Any], path: str) -> Any:
    value = fields.get(path, _NO_VALUES)
    return value if value is _NO_VALUES or type(value) is str else find(fields, path).values
