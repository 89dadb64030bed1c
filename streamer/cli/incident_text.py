"""An incident on a terminal: who, what, how sure, and the time line with what joins its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from streamer.cli.style import BY_TIME, DIM, EXACT, NEW, STRONG, badge
from streamer.detect.redaction import cut
from streamer.ecs.incident import Entry, Incident, clock_text

MAX_RECORDS: Final = 10
MAX_REASON: Final = 240


def print_incident(
    incident: Incident, console: Console, *, also: Sequence[str] = (), part_of: Sequence[str] = ()
) -> None:
    """Print one incident.

    Args:
        incident: what is told.
        console: where.
        also: titles of other alerts on the same events.
        part_of: alerts that hold these events and more, each a phrase.
    """
    show(console, _head(incident, console.width))
    body = Group(_facts(incident), Text(), _time_line(incident.entries), Text(), _foot(incident, also, part_of))
    show(console, Padding(body, (0, 0, 0, 2)))


def show(console: Console, what: RenderableType) -> None:
    """Print without the blanks that tables leave at line ends: output is copied into tickets."""
    with console.capture() as captured:
        console.print(what)
    console.file.write("\n".join(line.rstrip() for line in captured.get().split("\n")))


def print_short(incident: Incident, console: Console) -> None:
    """One incident in a few lines, for those that need no story."""
    first = incident.entries[0] if incident.entries else None
    line = Text.assemble(badge(incident.level), (f" {incident.title}", STRONG))
    if incident.cluster:
        line.append(f"  cluster {incident.cluster}", style=DIM)
    show(console, line)
    when = f"{clock_text(first.time, with_day=True)[:19]}  " if first else ""
    where = f"  {incident.records[0]}" if incident.records else ""
    show(console, Padding(Text.assemble((when, DIM), cut(incident.reason, MAX_REASON), (where, DIM)), (0, 0, 0, 2)))


def _head(incident: Incident, width: int) -> Table:
    head = Table.grid(expand=True, padding=(0, 1))
    head.width = width
    head.add_column(no_wrap=True)
    head.add_column(ratio=1)
    head.add_column(no_wrap=True, justify="right")
    cluster = Text(f"cluster {incident.cluster}" if incident.cluster else "", style=DIM)
    head.add_row(badge(incident.level), Text(incident.title, style=STRONG), cluster)
    return head


def _facts(incident: Incident) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style=DIM, min_width=6)
    facts.add_column(overflow="fold")
    rows = (
        ("why", _phrases([] if incident.entries else [incident.reason])),
        ("who", _phrases(incident.who)),
        ("what", _phrases(incident.what)),
        ("not seen", _phrases(incident.absent)),
        ("proof", _phrases(incident.proof)),
        ("attack", _phrases(incident.attack)),
    )
    for name, text in rows:
        if text:
            facts.add_row(name, text)
    return facts


def _phrases(phrases: Sequence[str]) -> Text:
    text = Text()
    for number, phrase in enumerate(phrases):
        text.append(" · " if number else "", style=DIM)
        text.append(phrase)
    text.highlight_words(["(first seen)"], style=NEW)
    text.highlight_words(["privileged"], style="bold red")
    return text


def _time_line(entries: Sequence[Entry]) -> Group:
    several_days = len({entry.time[:10] for entry in entries}) > 1
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style=DIM)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    shown = ""
    for number, entry in enumerate(entries):
        follows = number > 0 and entries[number - 1].rules == entry.rules
        table.add_row(clock_text(entry.time, with_day=several_days), Text(entry.label, style="cyan"), _sentence(entry))
        if entry.join and entry.join != shown and not follows:
            style = EXACT if entry.exact else BY_TIME
            table.add_row("", Text("└", style=style), Text(_join(entry, with_day=several_days), style=style))
            shown = entry.join
        if entry.more:
            table.add_row("", Text("⋮", style=DIM), Text(f"{entry.more} more like it", style=DIM))
    day = "UTC" if several_days else f"{entries[0].time[:10]} UTC" if entries else ""
    return Group(Text(day, style=DIM), table)


def _join(entry: Entry, *, with_day: bool) -> str:
    """What the entry shares with earlier ones, and with which, where that is not the line above."""
    since = f" as at {clock_text(entry.since, with_day=with_day)}" if entry.since else ""
    return f"same {entry.join}{since}" + ("" if entry.exact else " · by time only")


def _sentence(entry: Entry) -> Text:
    text = Text(entry.text)
    text.highlight_words(["· privileged"], style="bold red")
    if entry.new:
        text.append(" · first seen: " + ", ".join(entry.new), style=NEW)
    return text


def _where(records: Sequence[str]) -> str:
    """Places of records, those of one file together: ``audit.log:197, 199; pods.log:84``."""
    lines: dict[str, list[str]] = {}
    for record in records[:MAX_RECORDS]:
        file, colon, line = record.rpartition(":")
        in_file = bool(colon) and line.isdigit()
        lines.setdefault(f"{file}:" if in_file else "", []).append(line if in_file else record)
    more = len(records) - MAX_RECORDS
    return "; ".join(file + ", ".join(found) for file, found in lines.items()) + (
        f" and {more} more" if more > 0 else ""
    )


def _foot(incident: Incident, also: Sequence[str], part_of: Sequence[str]) -> Table:
    foot = Table.grid(padding=(0, 2))
    foot.add_column(no_wrap=True, style=DIM, min_width=6)
    foot.add_column(overflow="fold", style=DIM)
    if also:
        foot.add_row("also", Text("on the same events: " + "; ".join(also)))
    if part_of:
        foot.add_row("part of", Text("; ".join(part_of)))
    harmless = [
        text for text in incident.falsepositives if not text.lower().startswith(("none", "unknown", "unlikely"))
    ]
    if harmless:
        foot.add_row("unless", "; ".join(harmless))
    foot.add_row("where", _where(incident.records))
    foot.add_row("rule", f"{incident.rule} · alert {incident.id}")
    return foot
