"""Who refers to whom: names and ids to rules, broken references, cycles, and the order in which to build."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamer.errors import Place
from streamer.sigma.drafts import Draft
from streamer.sigma.problems import Problems, nearest


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
        return self._by_text.get(text) or self._by_text.get(text.lower())

    def resolve(self, text: str, place: Place) -> Draft | None:
        """The rule with this name or id, or ``None`` after reporting that there is none."""
        found = self.find(text)
        if found is None:
            names = [name for name in self._by_text if name.isidentifier()]
            hint = nearest(text, names) or "the referenced rule must be loaded together with this one"
            self._problems.error("unknown-rule", place, f"there is no rule `{text[:80]}`", hint)
        return found


def resolve_all(drafts: Sequence[Draft], registry: Registry, problems: Problems) -> dict[str, list[Draft]]:
    """The referenced rules of every correlation, in order. A correlation whose references fail becomes broken."""
    found: dict[str, list[Draft]] = {}
    for draft in drafts:
        if draft.written is None:
            continue
        before = problems.errors()
        rules: list[Draft] = []
        for mention in draft.written.rules:
            rule = registry.resolve(mention.text, mention.place)
            if rule is None:
                continue
            if any(rule is other for other in rules):
                message = f"`{mention.text}` is a rule that is referenced already"
                problems.error("duplicate-rule", mention.place, message, "name each rule once")
                continue
            rules.append(rule)
        found[draft.key] = rules
        draft.broken = draft.broken or problems.errors() > before
    return found


def in_build_order(
    drafts: Sequence[Draft], references: dict[str, list[Draft]], problems: Problems
) -> list[Draft]:
    """Every usable rule after those it references. Members of cycles and users of broken rules become broken."""
    cyclic = _cycles(drafts, references)
    for draft in drafts:
        if draft.key in cyclic and draft.written is not None:
            draft.broken = True
            members = " -> ".join(cyclic[draft.key])
            problems.error("cycle", draft.written.place, f"the rule refers to itself: {members}", "break the cycle")
    ordered: list[Draft] = []
    done: set[str] = set()

    def place(root: Draft) -> None:
        stack = [(root, iter(references.get(root.key, ())))]
        while stack:
            draft, rest = stack[-1]
            following = next((rule for rule in rest if rule.key not in done and not rule.broken), None)
            if following is not None:
                stack.append((following, iter(references.get(following.key, ()))))
                continue
            stack.pop()
            if draft.key in done:
                continue
            done.add(draft.key)
            _spread(draft, references.get(draft.key, ()), problems)
            if not draft.broken:
                ordered.append(draft)

    for draft in drafts:
        if draft.key not in done and not draft.broken:
            place(draft)
    return ordered


def _spread(draft: Draft, rules: Iterable[Draft], problems: Problems) -> None:
    if draft.written is None or draft.broken:
        return
    for rule, mention in zip(rules, draft.written.rules, strict=True):
        if rule.broken:
            draft.broken = True
            message = f"the referenced rule `{rule.shown}` cannot be used"
            problems.error("broken-reference", mention.place, message, f"mend it first: {rule.place}")


def _cycles(drafts: Sequence[Draft], references: dict[str, list[Draft]]) -> dict[str, list[str]]:
    """For every rule that can be reached from itself, the names along one shortest way round."""
    found: dict[str, list[str]] = {}
    for draft in drafts:
        ways: dict[str, list[str]] = {draft.key: [draft.shown]}
        todo = [draft]
        while todo and draft.key not in found:
            current = todo.pop(0)
            for rule in references.get(current.key, ()):
                if rule.key == draft.key:
                    found[draft.key] = [*ways[current.key], draft.shown]
                    break
                if rule.key not in ways:
                    ways[rule.key] = [*ways[current.key], rule.shown]
                    todo.append(rule)
    return found
