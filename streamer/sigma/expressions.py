"""Boolean conditions of temporal rules: from the tree over names to one over rules that the correlator can hold to.

``not`` is pushed down until it stands over a single rule, at the top or directly under the top-level ``and``. What
would need a ``not`` under an ``or`` is refused, and so is what nothing can make true.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final

from streamer.errors import Place
from streamer.sigma.conditions import Condition, Inverse, Joined, Name, Some, names_in
from streamer.sigma.correlation import Written
from streamer.sigma.problems import Problems, nearest
from streamer.sigma.rules import And, AtLeast, Expression, Not, Or, Ref

MAX_ALTERNATIVES: Final = 64


class _RefusedError(Exception):
    """The condition has a meaning that is not supported."""

    def __init__(self, offset: int, message: str, hint: str | None = None, code: str = "bad-condition") -> None:
        super().__init__(message)
        self.offset = offset
        self.hint = hint
        self.code = code


def read_expression(written: Written, keys: Mapping[str, str], problems: Problems) -> Expression | None:
    """The condition of a temporal correlation; ``None`` after a problem.

    ``keys`` has the rule key by reference, as written under ``rules``.
    """
    if written.tree is None or written.condition is None:
        return _counted(written, keys, problems)
    at = written.condition.at
    try:
        _check_names(written, keys)
        refs = {text: Ref(key) for text, key in keys.items()}
        expression = _simplified(_pushed(written.tree, refs))
        _check_top(expression)
    except _RefusedError as error:
        place: Place = at(error.offset)
        problems.error(error.code, place, str(error), error.hint)
        return None
    return expression


def has_not(expression: Expression) -> bool:
    """Whether anything in it must not happen."""
    if isinstance(expression, And):
        return any(isinstance(item, Not) for item in expression.items)
    return isinstance(expression, Not)


def _counted(written: Written, keys: Mapping[str, str], problems: Problems) -> Expression | None:
    every = And(tuple(Ref(key) for key in keys.values()))
    if written.threshold is None:
        return every
    threshold = written.threshold
    count = int(threshold.number) + (threshold.op == "gt")
    if count > len(keys):
        message = f"{count} different rules can never match: only {len(keys)} are referenced"
        place = threshold.node.place
        problems.error("impossible-condition", place, message, f"at most `gte: {len(keys)}`")
        return None
    if count < 1:
        message = "no rule needs to match"
        problems.error("impossible-condition", threshold.node.place, message, "write `gte: 1`")
        return None
    return every if count == len(keys) else AtLeast(count)


def _check_names(written: Written, keys: Mapping[str, str]) -> None:
    used: set[str] = set()
    if written.tree is None:
        return
    for leaf in names_in(written.tree):
        if isinstance(leaf, Some):
            raise _RefusedError(leaf.offset, "a correlation has no patterns", "name the rules, joined with `or`")
        if leaf.name not in keys:
            hint = nearest(leaf.name, keys) or "a rule is named here as under `rules`"
            raise _RefusedError(leaf.offset, f"`{leaf.name}` is not among the rules", hint, "unknown-rule")
        used.add(leaf.name)
    for text in keys:
        if text not in used:
            raise _RefusedError(0, f"the condition does not name `{text[:80]}`", "name it, or take it out of `rules`")


def _pushed(tree: Condition, refs: Mapping[str, Ref], *, under: int | None = None) -> Expression:
    """De Morgan, until ``not`` stands over names only. ``under``: where the ``not`` stands that reaches here."""
    if isinstance(tree, Inverse):
        return _pushed(tree.item, refs, under=tree.offset if under is None else None)
    if isinstance(tree, Joined):
        items = tuple(_pushed(item, refs, under=under) for item in tree.items)
        if tree.every == (under is None):
            return And(items)
        if any(has_not(item) for item in items):
            offset = _first_not(tree) if under is None else under
            raise _RefusedError(offset, "`not` cannot stand under `or`", "write one rule per alternative")
        return Or(items)
    assert isinstance(tree, Name)
    return refs[tree.name] if under is None else Not(refs[tree.name])


def _first_not(tree: Joined) -> int:
    """Where the first ``not`` inside stands."""
    todo: list[Condition] = [tree]
    while todo:
        item = todo.pop()
        if isinstance(item, Inverse):
            return item.offset
        if isinstance(item, Joined):
            todo.extend(reversed(item.items))
    return tree.offset


def _simplified(expression: Expression) -> Expression:
    """Nested ``and`` in ``and`` and ``or`` in ``or`` made flat, equal items once."""
    if not isinstance(expression, (And, Or)):
        return expression
    kind = type(expression)
    flat: dict[Expression, None] = {}
    for item in map(_simplified, expression.items):
        for part in item.items if isinstance(item, kind) else (item,):
            flat[part] = None
    return next(iter(flat)) if len(flat) == 1 else kind(tuple(flat))


def _check_top(expression: Expression) -> None:
    items = expression.items if isinstance(expression, And) else (expression,)
    refused = {item.item for item in items if isinstance(item, Not)}
    positive = [item for item in items if not isinstance(item, Not)]
    if not positive:
        raise _RefusedError(0, "nothing in the condition has to happen", "name a rule without `not`")
    wanted = {ref for item in positive for ref in _refs(item)}
    if refused & wanted:
        message = "the condition wants a rule both to match and not to match"
        raise _RefusedError(0, message, "write two rules", "impossible-condition")
    if _alternatives(expression) > MAX_ALTERNATIVES:
        message = f"the condition has more than {MAX_ALTERNATIVES} alternatives"
        raise _RefusedError(0, message, "write several rules")


def _refs(expression: Expression) -> set[Ref]:
    if isinstance(expression, Ref):
        return {expression}
    if isinstance(expression, (And, Or)):
        return {ref for item in expression.items for ref in _refs(item)}
    return set()


def _alternatives(expression: Expression) -> int:
    if isinstance(expression, And):
        return prod(_alternatives(item) for item in expression.items)
    if isinstance(expression, Or):
        return sum(_alternatives(item) for item in expression.items)
    return 1
