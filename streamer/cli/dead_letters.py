"""``streamer dead-letters``: records that could not be read, where they stood and why."""

from __future__ import annotations

import base64
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.text import Text

from streamer.cli.alerts import DEFAULT_STORE
from streamer.cli.style import DIM, STRONG, output
from streamer.local import archive

_SHOWN = 120


def dead_letters(
    store: Annotated[Path, typer.Option(help="The file that `streamer run` uses.", metavar="FILE")] = DEFAULT_STORE,
    reason: Annotated[str, typer.Option(help="Only these, for example not-json.", metavar="REASON")] = "",
    limit: Annotated[int, typer.Option(min=1, help="The newest this many.", metavar="N")] = 1000,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line, original bytes in base64.")
    ] = False,
) -> None:
    """List the records that could not be read: where, why, and how they begin.

    Exit code: 0, also if there are none; 2 if the file is no store.

    Example: streamer dead-letters --reason not-json
    """
    found = archive.dead_letters(store, reason=reason, limit=limit)
    if as_json:
        for stored in found:
            sys.stdout.write(_json(stored) + "\n")
        return
    console = output()
    for stored in found:
        letter = stored.letter
        line = Text()
        line.append(f"{letter.position}", style=STRONG)
        line.append(f"  {letter.reason}: {letter.detail}")
        if letter.size:
            line.append(f"  {letter.size} bytes: {_printable(letter.value)}", style=DIM)
        console.print(line, soft_wrap=True)
    if not found:
        console.print("no dead letters", style=DIM)


def _printable(value: bytes) -> str:
    """The beginning, free of anything that a terminal would obey."""
    text = value[:_SHOWN].decode(errors="replace")
    return "".join(character if character.isprintable() else "�" for character in text)


def _json(stored: archive.StoredDeadLetter) -> str:
    letter = stored.letter
    position = letter.position
    place = (
        {"file": position.source, "line": position.offset}
        if position.is_file
        else {"topic": position.source, "partition": position.partition, "offset": position.offset}
    )
    stored_at = datetime.fromtimestamp(stored.stored_us / 1_000_000, UTC).isoformat()
    return orjson.dumps(
        {
            "reason": letter.reason,
            "detail": letter.detail,
            "source": place,
            "size": letter.size,
            "stored": stored_at,
            "value": base64.b64encode(letter.value).decode(),
        }
    ).decode()
