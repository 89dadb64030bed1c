"""What is wrong with rule files, and what could be better: each with its place, its line and what to write instead.

Problems come from loading. Warnings are about rules that load and never match, or less than they say. Advice is about
rules that work and that somebody will have to understand at night.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from streamer.ecs.attack import attack_of
from streamer.errors import Place
from streamer.sigma import Loaded
from streamer.sigma.audit_words import known_fields, never_matches
from streamer.sigma.event_fields import may_exist
from streamer.sigma.predicates import fields_tested
from streamer.sigma.problems import nearest
from streamer.sigma.rules import CorrelationRule, DetectionRule

Severity: TypeAlias = Literal["error", "warning", "advice"]

_TOKEN: Final = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s:#,\]\}]+(?:\|[^\s:]+)?")
_MAX_LINE: Final = 200
_TAB: Final = "    "
_ALARMING: Final = ("high", "critical")


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem or one piece of advice.

    Attributes:
        line: the source line, tabs spread, bounded; empty where the finding is about the file as a whole.
        start: column of the caret in ``line``, from 0.
        length: how many characters to underline, at least 1.
    """

    severity: Severity
    code: str
    place: Place
    message: str
    hint: str | None = None
    line: str = ""
    start: int = 0
    length: int = 1

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "severity": self.severity,
            "code": self.code,
            "file": self.place.path,
            "line": self.place.line,
            "column": self.place.column,
            "message": self.message,
            "hint": self.hint,
            "source": self.line or None,
        }


@dataclass(frozen=True, slots=True)
class Checked:
    """All findings by place, and what was looked at."""

    findings: tuple[Finding, ...]
    files: int
    detections: int
    correlations: int

    def count(self, severity: Severity) -> int:
        """How many findings of this severity."""
        return sum(finding.severity == severity for finding in self.findings)


def check(loaded: Loaded, *, advise: bool = True, today: dt.date | None = None) -> Checked:
    """Problems and, unless turned off, advice for loaded rules.

    Args:
        loaded: what was read.
        advise: whether to say what could be better.
        today: exceptions that ended before it are told.
    """
    findings = [
        _located(
            Finding(
                "warning" if problem.severity == "warning" else "error",
                problem.code,
                problem.place,
                problem.message,
                problem.hint,
            ),
            loaded.sources,
        )
        for problem in loaded.problems
    ]
    findings += [
        _located(finding, loaded.sources) for rule in loaded.rules.detections for finding in _idle(rule, loaded)
    ]
    if today is not None:
        findings += [_located(finding, loaded.sources) for finding in _ended(loaded, today)]
    if advise:
        findings += [_located(finding, loaded.sources) for finding in _advice(loaded)]
    findings.sort(key=lambda finding: finding.place)
    # A folder without rules is no file; a file that cannot be read is.
    unread = {problem.place.path for problem in loaded.problems if problem.code != "no-rules"} - set(loaded.sources)
    files = len(loaded.sources) + len(unread)
    return Checked(tuple(findings), files, len(loaded.rules.detections), len(loaded.rules.correlations))


def _ended(loaded: Loaded, today: dt.date) -> Iterator[Finding]:
    for entry in loaded.allow:
        if entry.until is not None and entry.until_place is not None and entry.until < today:
            message = f"`{entry.name}` has ended: it covers nothing that happens now"
            yield Finding("warning", "ended-allow", entry.until_place, message, "remove it, or give it a new day")


def _located(finding: Finding, sources: Mapping[str, str]) -> Finding:
    """The finding with its source line and the part of it to underline."""
    place = finding.place
    lines = sources.get(place.path, "").splitlines()
    if not 1 <= place.line <= len(lines):
        return finding
    raw = lines[place.line - 1]
    column = max(place.column - 1, 0)
    start = len(_shown(raw[:column]))
    line = _shown(raw)
    token = _TOKEN.match(line, start) if start < len(line) else None
    length = len(token.group()) if token else 1
    line, start = _part_around(line, start)
    length = min(length, max(len(line) - start, 1))
    hint = finding.hint
    if hint is None and finding.code == "yaml-syntax":
        hint = hint_about_tabs(raw)
    return Finding(finding.severity, finding.code, place, finding.message, hint, line, start, max(length, 1))


def _part_around(line: str, start: int) -> tuple[str, int]:
    """A long line shortened to the part that the caret is in, and where in it the caret is."""
    if len(line) <= _MAX_LINE:
        return line, start
    first = max(0, min(start - _MAX_LINE // 2, len(line) - _MAX_LINE))
    part = line[first : first + _MAX_LINE]
    part = part if first == 0 else "…" + part[1:]
    return part if first + _MAX_LINE >= len(line) else part[:-1] + "…", start - first


def hint_about_tabs(line: str) -> str | None:
    """What to do about a line of YAML that is indented with tabs, which look like blanks; else ``None``."""
    indent = line[: len(line) - len(line.lstrip())]
    return "indent with blanks: YAML allows no tabs there" if "\t" in indent else None


def _shown(text: str) -> str:
    return "".join(char for char in text.replace("\t", _TAB) if char.isprintable())


def _advice(loaded: Loaded) -> Iterator[Finding]:
    rules: list[DetectionRule | CorrelationRule] = [*loaded.rules.detections, *loaded.rules.correlations]
    for rule in rules:
        yield from _advice_on(rule, loaded.sources)


def _advice_on(rule: DetectionRule | CorrelationRule, sources: Mapping[str, str]) -> Iterator[Finding]:
    meta = rule.meta
    if meta.id is None:
        yield _advise(
            rule, sources, "no-id", "the rule has no id: its alerts change their ids when it is renamed", "id: <UUID>"
        )
    if not rule.alerts:
        return
    if not meta.description:
        yield _advise(rule, sources, "no-description", "the rule alerts and does not say what it means", "description:")
    if not attack_of(meta.tags):
        yield _advise(
            rule, sources, "no-attack", "the rule alerts and names no ATT&CK technique", "tags: [attack.t1496]"
        )
    if meta.level in _ALARMING and not meta.falsepositives:
        yield _advise(
            rule,
            sources,
            "no-falsepositives",
            f"a rule of level {meta.level} wakes people and does not say when it errs",
            "falsepositives: [when this is harmless]",
        )
    if isinstance(rule, CorrelationRule) and rule.provisional and meta.level in _ALARMING:
        yield _advise(
            rule,
            sources,
            "provisional",
            "the rule is told before it is certain (`decide: arrival`): the alert may be wrong",
            "leave `decide` out to be told when nothing can change it any more",
        )


def _idle(rule: DetectionRule, loaded: Loaded) -> Iterator[Finding]:
    """What a rule asks for that no event of its log source says, and whether it can match at all."""
    known = known_fields(rule.logsource)
    if not known:
        return  # loading has said that no event has this log source
    for field in fields_tested(rule.predicate):
        if not may_exist(field, known):
            place = _place_of(rule, field, loaded.sources)
            message = f"no event of this log source has a field `{field[:80]}`"
            yield Finding("warning", "unknown-field", place, message, nearest(field, known))
    reason = never_matches(rule.predicate, rule.logsource)
    if reason is not None:
        place = _place_of(rule, "title", loaded.sources)
        yield Finding("warning", "never-matches", place, f"the rule can never match: {reason}")


def _place_of(rule: DetectionRule | CorrelationRule, key: str, sources: Mapping[str, str]) -> Place:
    """Where a key stands in a rule's document; the rule's own place if it cannot be found."""
    place = rule.meta.place
    lines = sources.get(place.path, "").splitlines()
    for number in range(place.line, len(lines) + 1):
        text = lines[number - 1]
        bare = text.lstrip(" -'\"")
        if bare.startswith(key) and bare[len(key) : len(key) + 1] in (":", "|", "'", '"'):
            return Place(place.path, number, len(text) - len(bare) + 1)
        if number > place.line and text.startswith("---"):
            break
    return place


def _advise(
    rule: DetectionRule | CorrelationRule, sources: Mapping[str, str], code: str, message: str, hint: str
) -> Finding:
    """Advice stands at the rule's title, where there is one."""
    return Finding("advice", code, _place_of(rule, "title", sources), message, hint)
