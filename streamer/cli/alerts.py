"""``streamer alerts``: what a store holds, one line each; ``streamer alerts show ID`` tells one of them in full."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.text import Text

from streamer.cli.incident_text import print_incident
from streamer.cli.moments import microseconds, since_us
from streamer.cli.stories import on_same_events, titles_of
from streamer.cli.style import DIM, badge, output
from streamer.ecs.incident import incident
from streamer.errors import SettingsError
from streamer.local import archive
from streamer.sigma.rules import LEVELS

DEFAULT_STORE = Path("streamer.db")
_ID: Final = 12
"""Characters of an id that are enough to ask for it."""
_AFTERWARDS_US: Final = 86_400_000_000
_NEIGHBOURS: Final = 2_000
"""Alerts looked through for those on the same events as the one shown."""


def alerts(  # noqa: PLR0913, PLR0917 (each is an option of the verb)
    what: Annotated[
        list[str] | None, typer.Argument(help="`show` and the beginning of an id. Default: list.", metavar="[show ID]")
    ] = None,
    store: Annotated[Path, typer.Option(help="The file that `streamer run` uses.", metavar="FILE")] = DEFAULT_STORE,
    level: Annotated[
        str | None, typer.Option(help="This level or higher: " + ", ".join(LEVELS) + ".", metavar="LEVEL")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Event time: 1h, 2d, or 2026-11-24T10:00:00Z.", metavar="TIME")
    ] = None,
    rule: Annotated[str, typer.Option(help="Only alerts of this rule: its id or title.", metavar="RULE")] = "",
    limit: Annotated[int, typer.Option(min=1, help="The newest this many.", metavar="N")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="The alert documents, one JSON object per line.")] = False,
) -> None:
    """List the alerts of a store in order of event time, while a service writes it or after.

    Exit code: 0, also if there are none; 2 if the file is no store.

    Example: streamer alerts --level high --since 1h · streamer alerts show 3f2c
    """
    if what:
        _show(what, store, as_json=as_json)
        return
    wanted = archive.Wanted(since_us=since_us(since), levels=_levels(level), rule=rule, limit=limit)
    found = archive.alerts(store, wanted)
    if as_json:
        for alert in found:
            sys.stdout.write(alert.body.decode() + "\n")
        return
    console = output()
    for alert in found:
        console.print(line_of(orjson.loads(alert.body)), soft_wrap=True)
    if not found:
        console.print("no alerts", style=DIM)


def _show(words: list[str], store: Path, *, as_json: bool) -> None:
    if len(words) != 2 or words[0] != "show":
        raise SettingsError(f"`streamer alerts {' '.join(words)}` means nothing", hint="streamer alerts show ID")
    alert = archive.alert(store, words[1])
    if as_json:
        sys.stdout.write(alert.body.decode() + "\n")
        return
    document = orjson.loads(alert.body)
    inside, around = on_same_events(document, _neighbours(store, alert.time_us, document))
    part_of = [f"{_at(other, 'message')} ({other['event']['id'][:_ID]})" for other in around]
    print_incident(incident(document), output(), also=titles_of(inside), part_of=part_of)


def _neighbours(store: Path, time_us: int, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Alerts from the beginning of this one to a while after it: those that could tell of the same events."""
    start_us = min(time_us, microseconds(datetime.fromisoformat(document["event"]["start"])))
    wanted = archive.Wanted(since_us=start_us, until_us=time_us + _AFTERWARDS_US, limit=_NEIGHBOURS)
    return [orjson.loads(found.body) for found in archive.alerts(store, wanted)]


def line_of(document: Mapping[str, Any]) -> Text:
    """One line: when, level, title, why, and the beginning of the id."""
    level = str(_at(document, "streamer.rule.level") or "")
    line = Text()
    line.append(str(document.get("@timestamp", ""))[:19].replace("T", " "), style=DIM)
    line.append(" ")
    line.append_text(badge(level))
    line.append(" " * (max(map(len, LEVELS)) - len(level) + 1))
    line.append(str(document.get("message", "")))
    cluster = _at(document, "orchestrator.cluster.name")
    if cluster:
        line.append(f"  {cluster}", style=DIM)
    line.append(f"  {str(_at(document, 'event.id') or '')[:_ID]}", style=DIM)
    return line


def _at(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _levels(lowest: str | None) -> tuple[str, ...]:
    if lowest is None:
        return ()
    if lowest not in LEVELS:
        raise SettingsError(f"there is no level {lowest}", hint="one of " + ", ".join(LEVELS))
    return LEVELS[LEVELS.index(lowest) :]
