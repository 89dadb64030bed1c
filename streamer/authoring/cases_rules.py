"""Which rules a case file needs: the rule under test, all it references, and those that must stay silent beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from streamer.authoring.cases_model import CaseFile
from streamer.errors import Place, RuleError
from streamer.sigma import Loaded
from streamer.sigma.problems import nearest
from streamer.sigma.rules import CorrelationRule, DetectionRule, RuleSet

Rule = DetectionRule | CorrelationRule


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the cases of one file run with.

    Attributes:
        under_test: the rule that the file names.
        by_name: the rules named under ``absent``, by the text that names them.
    """

    rules: RuleSet
    under_test: Rule
    by_name: dict[str, Rule]


def choose(file: CaseFile, rule_path: str, loaded: Loaded) -> Chosen | tuple[RuleError, ...]:
    """Take the needed rules out of a loaded folder, or say why that is not possible.

    Detections that are judged themselves are made to fire for each of their matches, whoever references them.

    Args:
        file: the case file.
        rule_path: the rule file's path as ``loaded`` names it.
        loaded: the rules of its folder; rules that the cases do not need may be broken.
    """
    known: dict[str, Rule] = {rule.meta.key: rule for rule in loaded.rules.detections}
    known |= {rule.meta.key: rule for rule in loaded.rules.correlations}
    under_test = _under_test(file, rule_path, known.values(), loaded)
    if isinstance(under_test, tuple):
        return under_test
    by_name: dict[str, Rule] = {}
    problems: list[RuleError] = []
    for case in file.cases:
        for name, place in case.absent:
            found = next((rule for rule in known.values() if name in (rule.meta.name, rule.meta.id)), None)
            if found is None:
                names = [rule.meta.name for rule in known.values() if rule.meta.name]
                hint = nearest(name, names) or "rules are looked for in the same rule folder"
                problems.append(RuleError("unknown-rule", place, f"there is no rule `{name[:80]}`", hint=hint))
            else:
                by_name[name] = found
    if problems:
        return tuple(problems)
    judged = {under_test.meta.key, *(rule.meta.key for rule in by_name.values())}
    needed = _closure(judged, known)
    return Chosen(_subset(loaded.rules, needed, judged), under_test, by_name)


def _under_test(file: CaseFile, rule_path: str, known: Iterable[Rule], loaded: Loaded) -> Rule | tuple[RuleError, ...]:
    inside = [rule for rule in known if rule.meta.place.path == rule_path]
    if file.rule_name is not None:
        inside = [rule for rule in inside if file.rule_name in (rule.meta.name, rule.meta.id)]
    if len(inside) > 1:
        referenced = {key for rule in inside if isinstance(rule, CorrelationRule) for key in rule.rules}
        inside = [rule for rule in inside if rule.meta.key not in referenced]
    if len(inside) == 1:
        return inside[0]
    if inside:
        hint = f"write `rule: {file.rule}#{inside[-1].meta.name or inside[-1].meta.key}`"
        message = "the file holds several rules"
        return (RuleError("bad-case", file.rule_place, message, hint=hint),)
    broken = [problem for problem in loaded.problems if problem.severity == "error"]
    own = tuple(problem for problem in broken if problem.place.path == rule_path)
    if own or broken:
        return own or tuple(broken)
    what = (
        f"there is no rule `{file.rule_name}` in {file.rule}" if file.rule_name else f"there is no rule in {file.rule}"
    )
    return (RuleError("unknown-rule", file.rule_place, what, hint="name the rule's file"),)


def _closure(keys: set[str], known: dict[str, Rule]) -> set[str]:
    found: set[str] = set()
    todo = sorted(keys)
    while todo:
        key = todo.pop()
        if key in found:
            continue
        found.add(key)
        rule = known[key]
        if isinstance(rule, CorrelationRule):
            todo += rule.rules
    return found


def _subset(rules: RuleSet, needed: set[str], judged: set[str]) -> RuleSet:
    return RuleSet(
        tuple(replace(rule, alerts=rule.meta.key in judged) for rule in rules.detections if rule.meta.key in needed),
        tuple(rule for rule in rules.correlations if rule.meta.key in needed),
    )


def missing_rule(file: CaseFile) -> RuleError:
    """The problem of a case file whose rule file is not there."""
    place = file.rule_place or Place(file.path)
    hint = "paths begin at the root of the project, or at `--root`"
    return RuleError("unknown-rule", place, f"there is no file `{file.rule}`", hint=hint)
