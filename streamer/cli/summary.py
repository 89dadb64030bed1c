"""What a replay did, at its end, on standard error."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamer.cli.incident_text import show
from streamer.cli.style import DIM, LEVELS
from streamer.detect.redaction import clean, cut
from streamer.ecs.durations import duration_text
from streamer.engine import Engine, Output
from streamer.model import DeadLetter, Notice
from streamer.sigma.rules import LEVELS as LEVEL_ORDER
from streamer.sigma.rules import RuleSet

SHOWN_DEAD_LETTERS = 3
SHOWN_NOTICES = 5


@dataclass(slots=True)
class Tally:
    """What was told, counted while it is told."""

    alerts: Counter[str] = field(default_factory=Counter)
    firings: Counter[str] = field(default_factory=Counter)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    dead: Counter[str] = field(default_factory=Counter)
    notices: list[Notice] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, output: Output) -> None:
        """Count one step."""
        self.alerts.update(alert.firing.rule for alert in output.alerts)
        self.firings.update(firing.rule for firing in output.firings)
        self.dead.update(letter.reason for letter in output.dead_letters)
        self.dead_letters += output.dead_letters[: SHOWN_DEAD_LETTERS - len(self.dead_letters)]
        self.notices += output.notices
        self.failures.update(f"{failure.rule}: {failure.error}" for failure in output.failures)


def counted(count: int, what: str) -> str:
    """``1 record``, ``2,000 records``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def print_summary(console: Console, tally: Tally, engine: Engine, rules: RuleSet, *, elapsed_s: float) -> None:
    """Rules that matched anything, then records, dead letters and notices."""
    show(console, _rules(tally, engine, rules))
    _print_allowed(console, engine)
    _print_records(console, tally, engine, elapsed_s)
    for notice in tally.notices[:SHOWN_NOTICES]:
        console.print(Text(f"notice {notice.kind}: {clean(notice.detail)}", style="yellow"))
    if len(tally.notices) > SHOWN_NOTICES:
        console.print(Text(f"and {len(tally.notices) - SHOWN_NOTICES} more notices", style="yellow"))
    for failure, count in tally.failures.most_common(SHOWN_NOTICES):
        console.print(Text(f"a rule failed on {counted(count, 'event')}: {clean(failure)}", style="bold red"))


def _rules(tally: Tally, engine: Engine, rules: RuleSet) -> Table | Text:
    by_key = rules.by_key()
    busy = [key for key in by_key if engine.counters.matches[key] or tally.firings[key] or tally.alerts[key]]
    if not busy:
        return Text(f"None of {len(by_key)} rules matched anything.")
    late = engine.correlator.counters.late
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style=DIM)
    table.add_column("level")
    table.add_column("rule", overflow="fold")
    for name in ("matches", "firings", "alerts", "late"):
        table.add_column(name, justify="right")
    busy.sort(key=lambda key: (-LEVEL_ORDER.index(by_key[key].meta.level), -tally.alerts[key], by_key[key].meta.title))
    for key in busy:
        meta = by_key[key].meta
        alerts = tally.alerts[key]
        table.add_row(
            Text(meta.level, style=LEVELS.get(meta.level, "") if alerts else DIM),
            Text(meta.title, style="" if alerts else DIM),
            *(_number(count) for count in (engine.counters.matches[key], tally.firings[key])),
            _number(alerts),
            _number(late.get(key, 0)),
        )
    return table


def _print_allowed(console: Console, engine: Engine) -> None:
    """What exceptions of the site covered, by entry."""
    entries: Counter[str] = Counter()
    for (entry, _), count in engine.counters.allowed.items():
        entries[entry] += count
    if entries:
        said = ", ".join(f"{clean(entry)} {count:,}" for entry, count in entries.most_common())
        console.print(Text(f"\nallowed: {said}", style=DIM), soft_wrap=True)


def _number(count: int) -> Text:
    return Text(f"{count:,}" if count else "·", style="" if count else DIM)


def _print_records(console: Console, tally: Tally, engine: Engine, elapsed_s: float) -> None:
    counters = engine.counters
    events = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(counters.events.items()))
    rate = counters.records / elapsed_s if elapsed_s > 0 else 0.0
    took = duration_text(int(elapsed_s * 1_000_000))
    console.print(
        Text(
            f"\n{counted(counters.records, 'record')} in {took} ({rate:,.0f}/s)"
            f"{f': {events}' if events else ''}; {counted(sum(tally.alerts.values()), 'alert')}"
        ),
        soft_wrap=True,
    )
    if tally.dead:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in tally.dead.most_common())
        unread = counted(sum(tally.dead.values()), "record")
        console.print(Text(f"{unread} could not be read: {reasons}", style="yellow"))
        for letter in tally.dead_letters:
            sample = cut(clean(letter.value[:400].decode(errors="replace")), 60)
            console.print(Text(f"  {letter.position}: {letter.detail}: {sample}", style=DIM), soft_wrap=True)
