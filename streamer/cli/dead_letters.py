"""``streamer dead-letters``: what was set aside, where it stood and why; and its way back, when somebody wants it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from streamer.cli.alerts import DEFAULT_STORE
from streamer.cli.letters import Row, json_of, line_of, print_full, rows_of_store, rows_of_topic
from streamer.cli.moments import since_us
from streamer.cli.replay_letters import Asked, replay_from_store, replay_from_topic
from streamer.cli.style import DIM, output
from streamer.decode.source import SourceKind
from streamer.errors import SettingsError
from streamer.local import archive
from streamer.service.configuration import load_settings
from streamer.service.doors import is_embedded
from streamer.service.settings import Settings

_KEPT: Final = 1_000
"""Bytes of each original that a list needs."""


def dead_letters(  # noqa: PLR0913, PLR0917 (each is an option of the verb)
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="`show` and a position, or `replay` and positions or a filter. Default: list.",
            metavar="[show POSITION | replay [POSITION...]]",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings of the service; with topics as sources, its dead-letter topic.", metavar="FILE"),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="The file that `streamer run` uses. Default: streamer.db.", metavar="FILE")
    ] = None,
    reason: Annotated[str, typer.Option(help="Only these, for example not-json.", metavar="REASON")] = "",
    since: Annotated[
        str | None, typer.Option(help="Set aside since: 1h, 2d, or 2026-11-24T10:00:00Z.", metavar="TIME")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest this many.", metavar="N")] = 1000,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line, original bytes in base64.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="replay: say what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="replay: do not ask.")] = False,
    again: Annotated[bool, typer.Option("--again", help="replay: also what was replayed before.")] = False,
    kind: Annotated[
        SourceKind | None, typer.Option(help="replay from a store: what the records are. Default: guessed.")
    ] = None,
    rules: Annotated[
        list[str] | None,
        typer.Option("--rules", "-r", help="replay from a store: rules instead of the shipped ones.", metavar="DIR"),
    ] = None,
) -> None:
    """List what was set aside: where it stood, why, and how it begins; equal ones once, with their number.

    `replay` sends chosen letters on their way again: with topics, records to their raw topic and refused alerts to
    Elasticsearch; with a store, records through the rules here, as `streamer replay` does.

    Exit code: 0, also if there are none; 1 something chosen for replay stayed; 2 wrong use, or a server is away.

    Examples: streamer dead-letters --reason not-json · streamer dead-letters replay --since 1d --config streamer.yml
    """
    verb, positions = _words(what or [])
    settings = load_settings(config) if config is not None else None
    asked = Asked(frozenset(positions), reason, since_us(since) or 0, limit)
    if verb == "replay":
        asked.refuse_everything()
        if settings is not None and not is_embedded(settings) and store is None:
            raise typer.Exit(replay_from_topic(settings, asked, dry_run=dry_run, yes=yes, again=again))
        code = replay_from_store(
            _store(settings, store),
            asked,
            settings=settings,
            kind=kind,
            rules=rules or [],
            dry_run=dry_run,
            as_json=as_json,
        )
        raise typer.Exit(code)
    rows = _rows(settings, store, asked, whole=bool(positions) or as_json)
    if positions and not rows:
        raise SettingsError(f"there is no dead letter {positions[0]}", hint="`streamer dead-letters` lists them")
    _tell(rows, as_json=as_json, full=bool(positions))


def _words(words: list[str]) -> tuple[str, list[str]]:
    if not words:
        return "", []
    verb, *positions = words
    if verb == "replay" or (verb == "show" and len(positions) == 1):
        return verb, positions
    raise SettingsError(
        f"`streamer dead-letters {' '.join(words)}` means nothing",
        hint="streamer dead-letters show POSITION, or streamer dead-letters replay POSITION...",
    )


def _store(settings: Settings | None, store: Path | None) -> Path:
    if store is not None:
        return store
    return settings.store if settings is not None else DEFAULT_STORE


def _rows(settings: Settings | None, store: Path | None, asked: Asked, *, whole: bool) -> list[Row]:
    if settings is None or store is not None or is_embedded(settings):
        file = _store(settings, store)
        # One position may be older than the newest so many: all are looked through for it.
        limit = asked.limit if not asked.positions else sys.maxsize
        found = rows_of_store(archive.dead_letters(file, reason=asked.reason, since_us=asked.since_us, limit=limit))
        return [row for row in found if asked.wants(row.letter, row.stored_us)]
    from streamer.service.letters import letters_of  # noqa: PLC0415 (a store needs no client libraries)

    keep = None if whole else _KEPT
    wanted = asked.wants_seen
    return rows_of_topic(asyncio.run(letters_of(settings, wanted=wanted, limit=asked.limit, keep=keep)))


def _tell(rows: list[Row], *, as_json: bool, full: bool) -> None:
    if as_json:
        for row in rows:
            sys.stdout.write(json_of(row) + "\n")
        return
    console = output()
    for row in rows:
        if full:
            print_full(row, console)
        else:
            console.print(line_of(row), soft_wrap=True)
    if not rows:
        console.print("no dead letters", style=DIM)
