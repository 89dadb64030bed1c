"""Which field of which rule a correlation reads, and what its own firings carry upwards.

A detection has the fields of its events. A firing of a correlation has its key fields under their group-by names and,
for every referenced rule with a name, ``<rule name>.<field>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from streamer.sigma.correlation import Mention, Written
from streamer.sigma.drafts import Draft
from streamer.sigma.problems import Problems
from streamer.sigma.references import Reference, References, Registry


@dataclass(slots=True)
class Fields:
    """The fields of one correlation.

    Attributes:
        of: per referenced rule key, name in this rule to field of that rule's matches.
        names: rule key by rule name, of the referenced rules that have one.
    """

    group_by: tuple[str, ...] = ()
    of: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def exported(self, wanted: Iterable[str]) -> dict[str, dict[str, str]]:
        """Per referenced rule key, export name to field, for every wanted name that is no key field."""
        found: dict[str, dict[str, str]] = {}
        for name in wanted:
            if name in self.group_by:
                continue
            rule, _, rest = name.partition(".")
            found.setdefault(self.names[rule], {})[name] = rest
        return found


def read_fields(draft: Draft, references: References, registry: Registry, problems: Problems) -> Fields:
    """Resolve aliases and check every field that a correlation reads of correlations."""
    written = draft.written
    assert written is not None
    items = references[draft.key]
    rules = [item.rule for item in items]
    found = Fields(group_by=tuple(mention.text for mention in written.group_by))
    found.names = {rule.about.name: rule.key for rule in rules if rule.about.name is not None}
    used = dict.fromkeys(found.group_by)
    places = {mention.text: mention for mention in written.group_by}
    if written.threshold is not None:
        used.update(dict.fromkeys(written.threshold.fields))
        for name in written.threshold.fields:
            places.setdefault(name, Mention(name, written.threshold.node.place))
    aliases = _aliases(written, items, registry, problems)
    for alias, (place, _) in written.aliases.items():
        if alias not in used:
            hint = "name it in `group-by` or `condition: {field: ...}`, or remove it"
            problems.error("unused-alias", place, f"alias `{alias[:80]}` is not used", hint)
    for rule in rules:
        mentions = {name: aliases.get(name, {}).get(rule.key) or places[name] for name in used}
        found.of[rule.key] = {name: mention.text for name, mention in mentions.items()}
        for name, mention in mentions.items():
            if name not in written.aliases or rule.key in aliases[name]:
                _check(rule, mention, references, problems)
    for name, place in draft.extensions.suppress_by or ():
        _check(draft, Mention(name, place), references, problems)
    return found


def _aliases(
    written: Written, items: Sequence[Reference], registry: Registry, problems: Problems
) -> dict[str, dict[str, Mention]]:
    """Field by alias and rule key."""
    found: dict[str, dict[str, Mention]] = {}
    for alias, (place, fields) in written.aliases.items():
        of_rules = found.setdefault(alias, {})
        for reference, (at, mention) in fields.items():
            rule = registry.find(reference)
            if rule is None or all(rule is not item.rule for item in items):
                hint = f"the rules are {', '.join(mention.text for mention in written.rules)}"
                message = f"`{reference[:80]}` is not among the rules of this correlation"
                problems.error("unknown-alias-rule", at, message, hint)
            elif rule.key in of_rules:
                problems.error("duplicate-alias", at, f"alias `{alias[:80]}` has a field for this rule already")
            else:
                of_rules[rule.key] = mention
        for item in items:
            if item.rule.key not in of_rules:
                message = f"alias `{alias[:80]}` has no field for rule `{item.mention.text[:80]}`"
                problems.error("incomplete-alias", place, message, f"add `{item.mention.text}: field`")
    return found


def _check(rule: Draft, mention: Mention, references: References, problems: Problems) -> None:
    """Whether the matches of a rule have a field; any field of an event may be there."""
    current, rest = rule, mention.text
    while current.written is not None:
        if any(rest == item.text for item in current.written.group_by):
            return
        head, _, rest = rest.partition(".")
        below = [item.rule for item in references[current.key]]
        following = next((item for item in below if item.about.name == head), None)
        if following is None or not rest:
            keys = [item.text for item in rule.written.group_by] if rule.written else []
            names = [item.rule.about.name for item in references[rule.key]]
            named = [f"{item}.<field>" for item in names if item]
            hint = f"it has {', '.join([*keys, *named])}"
            message = f"firings of `{rule.shown}` have no field `{mention.text[:80]}`"
            problems.error("unknown-export", mention.place, message, hint)
            return
        current = following
