"""Who refers to whom: names and ids to rules, broken references, cycles, and the order in which to build."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from streamer.errors import Place
from streamer.sigma.correlation import Mention
from streamer.sigma.drafts import Draft
from streamer.sigma.problems import Problems, nearest
from streamer.sigma.shape import UUID_FORM


class Registry:
    """All drafts by id, name and key. The first of a duplicate keeps its name; the later one is broken."""

    def __init__(self, drafts: Sequence[Draft], problems: Problems) -> None:
        self._by_text: dict[str, Draft] = {}
        self._problems = problems
        for draft in drafts:
            self._add(draft)

    def _add(self, draft: Draft) -> None:
        for what, text in (("id", draft.about.id), ("name", draft.about.name), ("key", draft.key)):
            if text is None:
                continue
            other = self._by_text.setdefault(text, draft)
            if other is draft:
                continue
            draft.broken = True
            draft.key = f"{draft.key} in {draft.place}"
            hint = f"the other stands in {other.place}"
            if what == "key":
                hint += "; give the rule an `id`"
            self._problems.error(f"duplicate-{what}", draft.place, f"{what} `{text}` belongs to another rule", hint)
            return

    def find(self, text: str) -> Draft | None:
        """The rule with this name or id."""
        return self._by_text.get(str(UUID(text)) if UUID_FORM.fullmatch(text) else text)

    def resolve(self, text: str, place: Place) -> Draft | None:
        """The rule with this name or id, or ``None`` after reporting that there is none."""
        found = self.find(text)
        if found is None:
            names = [name for name in self._by_text if name.isidentifier()]
            hint = nearest(text, names) or "the referenced rule must be loaded together with this one"
            self._problems.error("unknown-rule", place, f"there is no rule `{text[:80]}`", hint)
        return found


@dataclass(frozen=True, slots=True)
class Reference:
    """A rule as a correlation mentions it."""

    mention: Mention
    rule: Draft


References: TypeAlias = Mapping[str, Sequence[Reference]]
"""By key of the correlation, in the order written."""


def resolve_all(drafts: Sequence[Draft], registry: Registry, problems: Problems) -> References:
    """The referenced rules of every correlation. A correlation whose references fail becomes broken."""
    found: dict[str, list[Reference]] = {}
    for draft in drafts:
        if draft.written is None:
            continue
        before = problems.errors()
        rules: list[Reference] = []
        for mention in draft.written.rules:
            rule = registry.resolve(mention.text, mention.place)
            if rule is None:
                continue
            if any(rule is other.rule for other in rules):
                message = f"`{mention.text}` is a rule that is referenced already"
                problems.error("duplicate-rule", mention.place, message, "name each rule once")
                continue
            rules.append(Reference(mention, rule))
        found[draft.key] = rules
        draft.broken = draft.broken or problems.errors() > before
    return found


def in_build_order(drafts: Sequence[Draft], references: References, problems: Problems) -> list[Draft]:
    """Every usable rule after those it references. Members of cycles and users of broken rules become broken."""
    for draft in drafts:
        way = _way_round(draft, references)
        if way is not None and draft.written is not None:
            draft.broken = True
            message = f"the rule refers to itself: {' -> '.join(way)}"
            problems.error("cycle", draft.written.place, message, "break the cycle")
    ordered: list[Draft] = []
    done: set[str] = set()
    for root in drafts:
        stack = [(root, iter(references.get(root.key, ())))]
        while stack:
            draft, rest = stack[-1]
            following = next((item.rule for item in rest if item.rule.key not in done), None)
            if following is not None and not any(following is waiting for waiting, _ in stack):
                stack.append((following, iter(references.get(following.key, ()))))
            elif following is None:
                stack.pop()
                if draft.key not in done:
                    done.add(draft.key)
                    _spread(draft, references, problems)
                    ordered.append(draft)
    return [draft for draft in ordered if not draft.broken]


def _spread(draft: Draft, references: References, problems: Problems) -> None:
    """What uses a broken rule is broken."""
    for item in references.get(draft.key, ()):
        if item.rule.broken and not draft.broken:
            draft.broken = True
            message = f"the referenced rule `{item.rule.shown}` cannot be used"
            problems.error("broken-reference", item.mention.place, message, f"mend it first: {item.rule.place}")


def _way_round(draft: Draft, references: References) -> list[str] | None:
    """The names along a shortest way from a rule to itself, if there is one."""
    ways: dict[str, list[str]] = {draft.key: [draft.shown]}
    todo = deque([draft])
    while todo:
        current = todo.popleft()
        for item in references.get(current.key, ()):
            if item.rule is draft:
                return [*ways[current.key], draft.shown]
            if item.rule.key not in ways:
                ways[item.rule.key] = [*ways[current.key], item.rule.shown]
                todo.append(item.rule)
    return None
