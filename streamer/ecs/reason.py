"""``event.reason``: one sentence that tells an alert to a person who sees nothing else of it."""

from __future__ import annotations

from typing import Final

from streamer.detect.redaction import cut
from streamer.ecs.durations import duration_text
from streamer.ecs.members import Line, Member, Rules, key_values
from streamer.model import Firing
from streamer.sigma.rules import CorrelationRule, CountCondition, RuleMeta

MAX_REASON: Final = 1_000
MAX_PART: Final = 200


def reason_of(firing: Firing, line: Line, meta: RuleMeta, rules: Rules) -> str:
    """A detection says what happened; a correlation how it went, step by step, and in which time."""
    rule = rules.get(firing.rule)
    told = [_sentence(member) for member in line.members if _sentence(member)]
    if not isinstance(rule, CorrelationRule):
        return cut(told[-1] if told else meta.title, MAX_REASON)
    rules_told = {member.match.rule for member in line.members}
    if isinstance(rule.condition, CountCondition) and (len(rules_told) == 1 or rule.first_seen):
        return cut(_counted(rule, rule.condition, firing, line, told), MAX_REASON)
    steps = _distinct(line.members)
    span = line.members[-1].match.time_us - line.members[0].match.time_us if line.members else 0
    told_in = f" in {duration_text(span)}" if span else ""
    return cut(f"{'; then '.join(steps) or meta.title} ({line.total} events{told_in})", MAX_REASON)


def _counted(rule: CorrelationRule, condition: CountCondition, firing: Firing, line: Line, told: list[str]) -> str:
    last = told[-1] if told else rule.meta.title
    if rule.first_seen:
        new = {name: value for member in line.members for name, value in member.first_seen.items()}
        values = ", ".join(f"{name} {value}" for name, value in new.items())
        return f"{last} · first seen: {values}" if values else last
    length = firing.window_us[1] - firing.window_us[0]
    span = f" in {duration_text(length)}" if length else ""
    key = ", ".join(f"{name} {value}" for name, value in key_values(firing).items() if name != "cluster")
    value = firing.value if firing.value is not None else line.total
    if rule.type in ("event_count", "value_count") and value <= 1:
        return last
    shown = f"{value:g}"
    if rule.type == "event_count":
        what = f"{shown} events{span}"
    elif rule.type == "value_count":
        what = f"{shown} different {', '.join(condition.fields)}{span}"
    else:
        what = f"{rule.type.removeprefix('value_')} of {', '.join(condition.fields)} is {shown}"
    return f"{what}{f' for {key}' if key else ''}; the last: {last}"


def _distinct(members: tuple[Member, ...]) -> list[str]:
    """The last sentence of every run of events that matched the same rule."""
    steps: list[str] = []
    told: set[tuple[str, int]] = set()
    for index, member in enumerate(members):
        evidence = member.match.evidence
        request = (evidence.audit_id or "", member.match.time_us) if evidence is not None else ("", 0)
        if request in told and request[0]:
            continue  # a container of a pod whose creation has been told
        told.add(request)
        following = members[index + 1] if index + 1 < len(members) else None
        if following is not None and following.match.rule == member.match.rule:
            continue
        if (sentence := _sentence(member)) and sentence not in steps:
            steps.append(sentence)
    return steps


def _sentence(member: Member) -> str:
    evidence = member.match.evidence
    return cut(evidence.summary, MAX_PART) if evidence is not None else ""
