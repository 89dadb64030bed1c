"""Findings about rule files."""

from __future__ import annotations

from streamer.authoring.check import Checked, Finding, check
from streamer.sigma import load_text

GOOD = """\
title: Exec into a pod
id: 5d1a5c6e-0000-4000-8000-000000000001
name: exec
status: experimental
description: Somebody runs a program in a pod.
tags: [attack.t1609]
logsource: {product: kubernetes, service: audit}
detection:
    selection:
        objectRef.subresource: exec
    condition: selection
falsepositives: [debugging]
level: high
"""


def checked(text: str, path: str = "rules/x.yml") -> Checked:
    return check(load_text({path: text}))


def only(text: str) -> Finding:
    findings = checked(text).findings
    assert len(findings) == 1, findings
    return findings[0]


def test_a_good_rule_has_no_findings() -> None:
    result = checked(GOOD)
    assert result.findings == ()
    assert (result.files, result.detections, result.correlations) == (1, 1, 0)


def test_a_problem_has_its_line_and_underlines_what_is_wrong() -> None:
    finding = only(GOOD.replace("subresource: exec", "subresource|contians: exec"))
    assert finding.severity == "error"
    assert finding.place.line == 10
    assert finding.line[finding.start : finding.start + finding.length] == "objectRef.subresource|contians"
    assert finding.hint == "did you mean `contains`?"


def test_a_title_in_quotes_is_underlined_as_a_whole() -> None:
    finding = only(GOOD.replace("level: high", "level: 'very high'"))
    assert finding.line[finding.start : finding.start + finding.length] == "'very high'"


def test_every_problem_is_found_not_the_first_only() -> None:
    broken = GOOD.replace("condition: selection", "condition: nothing").replace("level: high", "Level: high")
    assert {finding.place.line for finding in checked(broken).findings if finding.severity == "error"} >= {11, 13}


def test_advice_is_about_rules_that_work() -> None:
    text = GOOD.replace("id: 5d1a5c6e-0000-4000-8000-000000000001\n", "")
    text = text.replace("description: Somebody runs a program in a pod.\n", "").replace("tags: [attack.t1609]\n", "")
    text = text.replace("falsepositives: [debugging]\n", "")
    result = checked(text)
    advice = [finding.code for finding in result.findings if finding.severity == "advice"]
    assert {"no-id", "no-description", "no-attack", "no-falsepositives"} <= set(advice)
    assert result.count("error") == 0
    assert all(finding.line == "title: Exec into a pod" for finding in result.findings if finding.severity == "advice")


def test_advice_can_be_left_out() -> None:
    loaded = load_text({"x.yml": GOOD.replace("tags: [attack.t1609]\n", "")})
    assert check(loaded, advise=False).findings == ()


def test_tabs_and_endless_lines_keep_the_caret_inside_the_line() -> None:
    finding = only(GOOD.replace("condition: selection", "condition: selection and " + "x " * 400))
    assert len(finding.line) <= 200
    assert 0 <= finding.start < len(finding.line)
    assert finding.start + finding.length <= len(finding.line)


def test_a_finding_is_json_for_programs() -> None:
    told = only(GOOD.replace("condition: selection", "condition: selection and")).as_json()
    assert told["file"] == "rules/x.yml"
    assert told["severity"] == "error"
    assert told["line"] == 11


def test_of_a_long_line_the_part_with_the_problem_is_shown() -> None:
    for before, after in ((0, 300), (300, 0), (300, 300)):
        wrong = f'detection: {{s: {{verb: {"a" * before}, "x|contians": {"b" * after}}}, condition: s}}'
        text = f"title: Long\nlogsource: {{product: kubernetes, service: audit}}\n{wrong}\n"
        finding = next(found for found in checked(text).findings if found.code == "unknown-modifier")
        assert len(finding.line) <= 200
        assert finding.line[finding.start : finding.start + finding.length].strip('"') == "x|contians"


def test_a_rule_that_can_never_match_says_why_and_where() -> None:
    """[D4] a rule never silently does not match."""
    text = GOOD.replace("        objectRef.subresource: exec", "        objectRef.subresorce|contains: exec")
    unknown, never = sorted(checked(text).findings, key=lambda finding: finding.code != "unknown-field")
    assert (unknown.code, unknown.severity, unknown.hint) == (
        "unknown-field",
        "warning",
        "did you mean `objectRef.subresource`?",
    )
    assert unknown.line[unknown.start :].startswith("objectRef.subresorce")
    assert (never.code, never.place.line) == ("never-matches", 1)
    assert never.message.endswith("no event of this log source has a field `objectRef.subresorce`")


def test_a_rule_that_may_match_in_spite_of_an_unknown_field_is_not_called_idle() -> None:
    text = GOOD.replace("condition: selection", "condition: selection or other").replace(
        "    condition:", "    other:\n        colour: red\n    condition:"
    )
    assert [(finding.code, finding.place.line) for finding in checked(text).findings] == [("unknown-field", 12)]


def test_a_rule_for_another_system_is_told_once() -> None:
    text = GOOD.replace("product: kubernetes, service: audit", "product: windows").replace(
        "objectRef.subresource", "Image"
    )
    assert [finding.code for finding in checked(text).findings] == ["unknown-logsource"]
