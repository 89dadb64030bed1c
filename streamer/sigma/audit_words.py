"""Rules that load and can never match, which is worse than being refused: found by what no event says.

A test of a field that no event of the rule's log source has, of a verb that the API server does not know, of a response
code that is no number, is never true. If a rule cannot be true without one of them, it can never match. Only what is
certain is said: what stands under a ``not`` is taken to be possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from streamer.model import LogSource
from streamer.sigma.event_fields import fields_of, may_exist, sources_of
from streamer.sigma.foreign_words import exact, is_audit_rule
from streamer.sigma.predicates import AllOf, AnyOf, FieldTest, Negated, Null, Predicate

_VERBS: Final = frozenset(
    {
        *("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "proxy", "connect"),
        *("head", "post", "put", "options", "redirect", "bind", "escalate", "impersonate", "approve", "sign", "use"),
    }
)
_ONE_VALUE: Final = frozenset(
    {"verb", "level", "stage", "objectRef.resource", "objectRef.subresource", "cs-method", "sc-status", "outcome"}
)


def is_known(logsource: LogSource) -> bool:
    """Whether any event has this log source."""
    return bool(sources_of(logsource))


def known_fields(logsource: LogSource | None) -> frozenset[str]:
    """The fields that events of a rule's log source may have; empty where nothing is known of them."""
    return fields_of(sources_of(logsource)) if logsource is not None else frozenset()


def never_matches(predicate: Predicate, logsource: LogSource) -> str | None:
    """Why no event can satisfy a predicate; ``None`` if one may."""
    known = known_fields(logsource)
    if not known:
        return None
    return _impossible(predicate, known, audit=is_audit_rule(logsource))


def _impossible(predicate: Predicate, known: frozenset[str], *, audit: bool) -> str | None:
    if isinstance(predicate, AllOf):
        reasons = (_impossible(item, known, audit=audit) for item in predicate.items)
        return next((reason for reason in reasons if reason is not None), None) or _contradiction(predicate.items)
    if isinstance(predicate, AnyOf):
        found = [_impossible(item, known, audit=audit) for item in predicate.items]
        return found[0] if all(reason is not None for reason in found) else None
    if isinstance(predicate, FieldTest):
        return _impossible_test(predicate, known, audit=audit)
    return None


def _impossible_test(test: FieldTest, known: frozenset[str], *, audit: bool) -> str | None:
    if isinstance(test.check, Null):
        return None
    if not may_exist(test.field, known):
        return f"no event of this log source has a field `{test.field[:80]}`"
    text = exact(test)
    if text is None or not audit:
        return None
    if test.field == "verb" and text not in _VERBS:
        return f"no request has the verb `{text[:60]}`"
    if test.field == "responseStatus.code" and not text.isdecimal():
        return f"a response code is a number, never `{text[:60]}`"
    return None


def _contradiction(items: Sequence[Predicate]) -> str | None:
    """A field with one value that would have to have two at once."""
    wanted: dict[str, frozenset[str]] = {}
    for field, texts in _wants(items):
        if field in wanted and not wanted[field] & texts:
            return f"`{field}` would have to be two things at once"
        wanted[field] = wanted.get(field, texts) & texts
    return None


def _wants(items: Sequence[Predicate]) -> Iterator[tuple[str, frozenset[str]]]:
    for item in items:
        if isinstance(item, AllOf):
            yield from _wants(item.items)
            continue
        if isinstance(item, Negated):
            continue
        tests = item.items if isinstance(item, AnyOf) else (item,)
        pairs = [
            (test.field, exact(test)) for test in tests if isinstance(test, FieldTest) and test.field in _ONE_VALUE
        ]
        texts = frozenset(text for _, text in pairs if text is not None)
        if len(pairs) == len(tests) and len({field for field, _ in pairs}) == 1 and all(text for _, text in pairs):
            yield pairs[0][0], texts
