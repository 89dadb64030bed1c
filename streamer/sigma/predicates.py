"""When a detection rule matches one event, as a value: what the parser writes and the evaluator reads.

A predicate is a tree of ``AllOf``, ``AnyOf`` and ``Negated`` over tests. A test names a field and a check of one
value; a list on the field's path makes it "any element". Everything a modifier does at load time (base64, windash,
placeholders, UTF-16) has been done: what is left here are plain texts, patterns and numbers. All classes are frozen
and made of plain values, so a tree can be hashed, compared and turned into something faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias


class Wild(Enum):
    """A wildcard in a :class:`Text`."""

    ANY = "*"
    ONE = "?"

    def __repr__(self) -> str:
        """Short and stable, for test output and hashing."""
        return f"Wild.{self.name}"


Comparison: TypeAlias = Literal["lt", "lte", "gt", "gte"]
TimeUnit: TypeAlias = Literal["minute", "hour", "day", "week", "month", "year"]
Affix: TypeAlias = Literal["equals", "startswith", "endswith", "contains"]

FLAGS: Final = "ims"
"""Flags of a :class:`Regex`: ignore case, ``^`` and ``$`` at every line, ``.`` matches line ends."""


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a scalar equals this pattern.

    Attributes:
        parts: literals and wildcards in order; no two literals stand side by side; empty for the empty string.
            Unless ``cased``, literals are folded already (:func:`streamer.sigma.folding.fold`).
        cased: compare exactly.
    """

    parts: tuple[str | Wild, ...]
    cased: bool = False


@dataclass(frozen=True, slots=True)
class Regex:
    """The text of a scalar holds a match of this RE2 expression anywhere.

    Attributes:
        pattern: without flags.
        flags: a subset of :data:`FLAGS`, in that order.
    """

    pattern: str
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Cidr:
    """The value is an address inside this network, in canonical form (``10.0.0.0/8``)."""

    network: str


@dataclass(frozen=True, slots=True)
class Compare:
    """The value is a number that compares so with ``number``."""

    op: Comparison
    number: int | float


@dataclass(frozen=True, slots=True)
class TimePart:
    """The value is an RFC 3339 time stamp whose part, in UTC, equals or compares so with ``number``."""

    unit: TimeUnit
    op: Comparison | Literal["eq"]
    number: int | float


@dataclass(frozen=True, slots=True)
class Null:
    """The field is missing or null."""


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is present, be it null."""


Check: TypeAlias = Text | Regex | Cidr | Compare | TimePart | Null | Exists


@dataclass(frozen=True, slots=True)
class FieldTest:
    """Any value at the dotted path ``field`` passes the check."""

    field: str
    check: Check


@dataclass(frozen=True, slots=True)
class FieldsTest:
    """Any value at ``field`` stands to any value at ``other`` as ``how`` says (``|fieldref``)."""

    field: str
    other: str
    how: Affix = "equals"
    cased: bool = False


@dataclass(frozen=True, slots=True)
class EveryTest:
    """Every value at the dotted path ``field`` passes one of the checks, and there is one.

    No rule can say this, for a list in a rule means any element; exceptions of a site need it.
    """

    field: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class KeywordTest:
    """The message of a container line, or any string leaf of another event, passes the check."""

    check: Text | Regex | Cidr


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of them; never empty."""

    items: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of them; never empty."""

    items: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """Not this; over a list: no element."""

    item: Predicate


Leaf: TypeAlias = FieldTest | FieldsTest | EveryTest | KeywordTest
Predicate: TypeAlias = AllOf | AnyOf | Negated | Leaf


def leaves_of(predicate: Predicate) -> Iterator[Leaf]:
    """The tests at the leaves, left to right."""
    todo: list[Predicate] = [predicate]
    while todo:
        item = todo.pop()
        if isinstance(item, (AllOf, AnyOf)):
            todo.extend(reversed(item.items))
        elif isinstance(item, Negated):
            todo.append(item.item)
        else:
            yield item


def fields_tested(predicate: Predicate) -> tuple[str, ...]:
    """Every field a predicate looks at, each once, in the order of first use."""
    found: dict[str, None] = {}
    for test in leaves_of(predicate):
        if isinstance(test, (FieldTest, FieldsTest, EveryTest)):
            found[test.field] = None
        if isinstance(test, FieldsTest):
            found[test.other] = None
    return tuple(found)
