"""The slow, obvious evaluator: the definition of what a predicate means.

Logic is three-valued, because a field that was cut off on the way is neither there nor not there: ``not unknown`` is
unknown, ``unknown and false`` is false, ``unknown or true`` is true. Whatever is faster must give the same answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, assert_never

from streamer.detect.checks import passes, relates, texts_to_compare
from streamer.detect.paths import Found, find
from streamer.model import CONTAINER_LOG, UNKNOWN, Event, Unknown
from streamer.sigma.predicates import (
    AllOf,
    AnyOf,
    Check,
    EveryTest,
    Exists,
    FieldsTest,
    FieldTest,
    KeywordTest,
    Negated,
    Null,
    Predicate,
)

Truth = bool | Unknown

MAX_PAIRS: Final = 100_000
"""Pairs of values that ``|fieldref`` looks at: a list in a log is as long as its writer likes."""


def evaluate(predicate: Predicate, event: Event) -> bool | Unknown:
    """Whether an event satisfies a predicate; a rule matches only on ``True``."""
    return judge(predicate, event, {})


def judge(predicate: Predicate, event: Event, seen: dict[str, Found]) -> bool | Unknown:
    """As :func:`evaluate`, for many predicates over one event.

    Args:
        predicate: what to decide.
        event: the event.
        seen: what stands at the paths that were looked at already; begins empty for every event.
    """
    if isinstance(predicate, FieldTest):
        return _field(predicate.check, _look(predicate.field, event, seen))
    if isinstance(predicate, AllOf):
        return _all(judge(item, event, seen) for item in predicate.items)
    if isinstance(predicate, AnyOf):
        return _any(judge(item, event, seen) for item in predicate.items)
    if isinstance(predicate, Negated):
        truth = judge(predicate.item, event, seen)
        return truth if truth is UNKNOWN else not truth
    if isinstance(predicate, FieldsTest):
        return _fields(predicate, _look(predicate.field, event, seen), _look(predicate.other, event, seen))
    if isinstance(predicate, EveryTest):
        return _every(predicate, _look(predicate.field, event, seen))
    if isinstance(predicate, KeywordTest):
        return _any(_value(predicate.check, text) for text in texts_of(event))
    assert_never(predicate)


def _look(path: str, event: Event, seen: dict[str, Found]) -> Found:
    found = seen.get(path)
    if found is None:
        found = seen[path] = find(event.fields, path)
    return found


def texts_of(event: Event) -> Iterator[Any]:
    """What keywords are searched in: the message of a container line, every string leaf of another event.

    ``UNKNOWN`` stands for what was cut off.
    """
    if event.logsource.category == CONTAINER_LOG.category:
        yield from (value for value in find(event.fields, "message").values if isinstance(value, (str, Unknown)))
        return
    todo: list[Any] = [event.fields]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo.extend(value.values())
        elif isinstance(value, (list, tuple)):
            todo.extend(value)
        elif isinstance(value, (str, Unknown)):
            yield value


def _all(truths: Iterable[Truth]) -> Truth:
    result: Truth = True
    for truth in truths:
        if truth is False:
            return False
        if truth is UNKNOWN:
            result = UNKNOWN
    return result


def _any(truths: Iterable[Truth]) -> Truth:
    result: Truth = False
    for truth in truths:
        if truth is True:
            return True
        if truth is UNKNOWN:
            result = UNKNOWN
    return result


def _field(check: Check, found: Found) -> Truth:
    if isinstance(check, Null):
        return _any(_is_null(value) for value in found.values or (None,))
    if isinstance(check, Exists):
        return found.present
    return _any(_value(check, value) for value in found.values)


def _every(test: EveryTest, found: Found) -> Truth:
    """Of nothing, nothing is said: without a value it is false."""
    values = found.values
    return bool(values) and _all(_any(_value(check, value) for check in test.checks) for value in values)


def _is_null(value: Any) -> Truth:
    if isinstance(value, Unknown):
        return value
    return value is None


def _value(check: Check, value: Any) -> Truth:
    if isinstance(value, Unknown):
        return value
    return value is not None and passes(check, value)


def _fields(test: FieldsTest, one: Found, other: Found) -> Truth:
    """Any value of one against any of the other; where one of them is missing there is nothing to compare."""
    lefts, rights = one.values, other.values
    if len(lefts) * len(rights) > MAX_PAIRS:
        return _long_lists(test, lefts, rights)

    def pairs() -> Iterator[Truth]:
        for left in lefts:
            for right in rights:
                if left is None or right is None:
                    yield False
                elif left is UNKNOWN or right is UNKNOWN:
                    yield UNKNOWN
                else:
                    yield relates(test.how, left, right, cased=test.cased)

    return _any(pairs())


def _long_lists(test: FieldsTest, lefts: tuple[Any, ...], rights: tuple[Any, ...]) -> Truth:
    """Lists whose pairs are too many to look at one by one; only whether two are equal can still be told."""
    if test.how != "equals":
        return UNKNOWN
    if not texts_to_compare(lefts, cased=test.cased).isdisjoint(texts_to_compare(rights, cased=test.cased)):
        return True
    return UNKNOWN if UNKNOWN in lefts or UNKNOWN in rights else False
