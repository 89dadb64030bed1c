"""Findings about rule files on a terminal: place, line, caret, and what to write instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from streamer.authoring.check import Checked, Finding, Severity
from streamer.cli.style import DIM, SEVERITIES
from streamer.detect.redaction import clean, cut
from streamer.sigma import Loaded


def print_findings(checked: Checked, console: Console, *, severities: Iterable[str] = ("error", "warning")) -> None:
    """Every finding of these severities, in the order of their places."""
    shown = [finding for finding in checked.findings if finding.severity in set(severities)]
    for number, finding in enumerate(shown):
        if number:
            console.print()
        for line in _lines(finding):
            console.print(line, soft_wrap=True)


def _lines(finding: Finding) -> list[Text]:
    head = Text()
    head.append(f"{finding.place}: ", style="bold")
    head.append(finding.severity, style=SEVERITIES[finding.severity])
    head.append(f": {finding.message}  ")
    head.append(f"[{finding.code}]", style=DIM)
    lines = [head]
    margin = " " * (len(str(finding.place.line)) + 2)
    if finding.line:
        source = Text()
        source.append(f"  {finding.place.line} │ ", style=DIM)
        source.append(finding.line)
        caret = Text()
        caret.append(f"{margin} │ ", style=DIM)
        # Characters that fill two columns, as Chinese ones do, need two carets.
        before, marked = finding.line[: finding.start], finding.line[finding.start :][: finding.length]
        caret.append(" " * cell_len(before) + "^" * max(cell_len(marked), 1), style=SEVERITIES[finding.severity])
        lines += [source, caret]
    if finding.hint:
        hint = Text()
        hint.append(f"{margin} ╰ ", style=DIM)
        hint.append(finding.hint)
        lines.append(hint)
    return lines


def allowed_lines(loaded: Loaded) -> list[str]:
    """One line per exception of the site: its name, how many rules it touches, until when, and why."""
    counts = Counter(item.entry for rule in loaded.rules.detections for item in rule.allowed)
    return [
        f"allowed: {clean(entry.name)}: {_counted(counts[entry.name], 'rule')}"
        f"{f' until {entry.until}' if entry.until else ''} ({cut(clean(entry.reason), 200)})"
        for entry in loaded.allow
    ]


def totals(checked: Checked) -> str:
    """``21 rules in 4 files: 2 errors, 1 warning``."""
    rules = checked.detections + checked.correlations
    kinds: tuple[Severity, ...] = ("error", "warning", "advice")
    parts = [_counted(checked.count(kind), kind) for kind in kinds if checked.count(kind)]
    usable = f"{rules} usable rule{'s' if rules != 1 else ''}"
    return (
        f"{usable} ({checked.detections} detections, {checked.correlations} correlations) "
        f"in {checked.files} file{'s' if checked.files != 1 else ''}: {', '.join(parts) or 'no problems'}"
    )


def _counted(count: int, kind: str) -> str:
    if kind == "advice":
        return f"{count} piece{'s' if count != 1 else ''} of advice"
    return f"{count} {kind}{'s' if count != 1 else ''}"
