"""``streamer demo``: a bundled attack on a Kubeflow cluster, told as one incident; its harmless twins stay quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import streamer
from streamer.authoring.replay import Recording, Replay
from streamer.cli.incident_text import print_incident, show
from streamer.cli.recordings import open_recording
from streamer.cli.rules_in_force import rules_in_force
from streamer.cli.stories import Story, stories_of
from streamer.cli.style import DIM, LEVELS, STRONG, output
from streamer.decode.source import SourceKind
from streamer.detect.redaction import cut
from streamer.ecs import DocumentContext, Documents
from streamer.ecs.durations import duration_text
from streamer.ecs.incident import clock_text, incident
from streamer.engine import Engine
from streamer.errors import SettingsError
from streamer.sigma.rules import RuleSet

FILES: Final[tuple[tuple[str, SourceKind], ...]] = (("audit.ndjson", "audit"), ("containers.ndjson", "containers"))
_CLUSTER: Final = "demo"
_LATENESS_US: Final = 10_000_000
MAX_OTHER: Final = 120
_LOUD: Final = ("high", "critical")


def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="The attack's alert documents as NDJSON on standard output.")
    ] = False,
) -> None:
    """Replay a bundled attack on a Kubeflow cluster and tell it as one incident. Nothing to install, no network.

    Exit code: 0 the attack was found, 1 it was not, 2 the bundled logs or rules cannot be used.

    Example: streamer demo
    """
    folder = Path(streamer.__file__).parent / "_demo"
    rules = rules_in_force([])
    attack = _replayed(folder, "campaign", rules)
    found = any(document["streamer"]["rule"]["level"] in _LOUD for document in attack.documents)
    if as_json:
        for document in attack.documents:
            sys.stdout.write(orjson.dumps(document).decode() + "\n")
        raise typer.Exit(0 if found else 1)
    console = output()
    _print_scene(console, attack, rules)
    stories = stories_of(attack.documents)
    if found:
        console.print()
        print_incident(incident(stories[0].document), console, also=stories[0].also_titles)
    _print_others(console, stories[1:] if found else stories)
    _print_twins(console, _replayed(folder, "twins", rules))
    _print_next(console)
    raise typer.Exit(0 if found else 1)


@dataclass(slots=True)
class _Told:
    """What one set of bundled logs gave."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    events: int = 0
    records: int = 0
    unreadable: int = 0
    took_us: int = 0


def _replayed(folder: Path, name: str, rules: RuleSet) -> _Told:
    """One set of logs, with the usual life of the cluster before it."""
    recordings = _recordings(folder, name, history=False)
    recordings += _recordings(folder, "baseline", history=True)
    documents = Documents(rules)
    context = DocumentContext(
        instance="demo", version=streamer.__version__, created_us=time.time_ns() // 1_000, replayed=True
    )
    started = time.monotonic()
    driver = Replay(rules, recordings)
    told = _Told()
    for step in driver:
        told.documents += [orjson.loads(documents.alert(alert, context).body) for alert in step.alerts]
    told.took_us = int((time.monotonic() - started) * 1_000_000)
    _count(told, driver.engine)
    return told


def _count(told: _Told, engine: Engine) -> None:
    told.records = engine.counters.records
    told.events = sum(engine.counters.events.values())
    told.unreadable = sum(engine.counters.dead_letters.values())


def _recordings(folder: Path, name: str, *, history: bool) -> list[Recording]:
    found: list[Recording] = []
    for file, kind in FILES:
        path = folder / name / file
        if not path.is_file():
            raise SettingsError(f"the bundled log {name}/{file} is not there", hint="install streamer again")
        opened = open_recording(str(path), kind, shown=f"{name}/{file}")
        found.append(Recording(opened.source(_CLUSTER, _LATENESS_US), opened.lines, history=history))
    return found


def _print_scene(console: Console, attack: _Told, rules: RuleSet) -> None:
    count = len(rules.detections) + len(rules.correlations)
    unreadable = f" ({attack.unreadable} of them broken, as in real life)" if attack.unreadable else ""
    scene = Text()
    scene.append("A Kubeflow cluster. Its dashboard is open to the internet.\n", style=STRONG)
    scene.append(
        f"{attack.records:,} records of its audit log and its container logs{unreadable}, {count} rules, "
        f"{duration_text(attack.took_us)}. What happened?",
        style=DIM,
    )
    show(console, scene)


def _print_others(console: Console, stories: Sequence[Story]) -> None:
    if not stories:
        return
    console.print()
    console.print(Text("What else was seen", style=STRONG))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for story in stories:
        seen = incident(story.document)
        others = f" (and {len(story.also)} on the same events)" if story.also else ""
        table.add_row(Text(seen.level, style=LEVELS.get(seen.level, "")), Text(seen.title) + Text(others, style=DIM))
        when = f"{clock_text(seen.entries[0].time, with_day=False)[:8]} " if seen.entries else ""
        table.add_row(
            "", Text(when + cut(seen.entries[-1].text if seen.entries else seen.reason, MAX_OTHER), style=DIM)
        )
    show(console, Padding(table, (0, 0, 0, 2)))


def _print_twins(console: Console, twins: _Told) -> None:
    loud = [document for document in twins.documents if document["streamer"]["rule"]["level"] in _LOUD]
    console.print()
    console.print(Text("Its harmless twins", style=STRONG))
    text = Text(
        "The stock pipeline sample run by somebody with a login, and a data scientist's first GPU job, look much like "
        f"it: {twins.records:,} records, "
    )
    if loud:
        titles = ", ".join(sorted({document["message"] for document in loud}))
        text.append(f"{len(loud)} alerts of level high or above: {titles}", style="bold red")
    else:
        text.append("no alert of level high or above", style="green")
        quiet = len(twins.documents)
        text.append(f" ({quiet} lower one{'s' if quiet != 1 else ''})." if quiet else ".")
    show(console, Padding(text, (0, 0, 0, 2)))


def _print_next(console: Console) -> None:
    console.print()
    console.print(Text("What next", style=STRONG))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(style=DIM, overflow="fold")
    table.add_row("streamer replay audit.log pods.log", "the same on your own logs")
    table.add_row("streamer demo --json", "the alerts as a SIEM gets them")
    table.add_row("streamer check my-rules/", "write your own rules")
    table.add_row("streamer run --config streamer.yml", "let it watch")
    show(console, Padding(table, (0, 0, 0, 2)))
