"""Dead letters as ``streamer dead-letters`` shows them, whether they stand in a store or on a topic."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
from rich.console import Console
from rich.text import Text

from streamer.cli.style import DIM, NEW, STRONG
from streamer.local.archive import StoredDeadLetter
from streamer.model import DeadLetter

if TYPE_CHECKING:
    from streamer.kafka.letters import LetterSeen

_BEGINNING: Final = 120
_MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Row:
    """One dead letter.

    Attributes:
        letter: what was set aside.
        stored_us: when, the last time.
        count: how often.
        stage: what gave it up; empty where nobody said.
        replayed: when it was sent again; empty if it was not.
    """

    letter: DeadLetter
    stored_us: int
    count: int = 1
    stage: str = ""
    replayed: str = ""


def rows_of_store(stored: Iterable[StoredDeadLetter]) -> list[Row]:
    """Equal ones together, in the order in which they came last."""
    found: dict[tuple[str, str, str], Row] = {}
    for each in stored:
        letter = each.letter
        key = (str(letter.position), letter.reason, letter.detail)
        before = found.pop(key, None)
        row = Row(letter, each.stored_us)
        found[key] = row if before is None else replace(row, count=before.count + 1)
    return list(found.values())


def rows_of_topic(seen: Iterable[LetterSeen]) -> list[Row]:
    """As the topic tells them."""
    return [Row(each.letter, each.stored_us, each.count, each.stage, each.replayed) for each in seen]


def line_of(row: Row) -> Text:
    """Where, why, how often, and how it begins."""
    letter = row.letter
    line = Text()
    line.append(f"{letter.position}", style=STRONG)
    line.append(f"  {letter.reason}: {printable(letter.detail)}")
    if row.count > 1:
        line.append(f"  {row.count} times", style=NEW)
    if row.replayed:
        line.append(f"  replayed {row.replayed}", style=NEW)
    if letter.size:
        line.append(f"  {letter.size} bytes: {_text(letter.value[:_BEGINNING])}", style=DIM)
    return line


def print_full(row: Row, console: Console) -> None:
    """Everything about one letter, its bytes as text."""
    letter = row.letter
    console.print(Text(str(letter.position), style=STRONG), soft_wrap=True)
    facts = {
        "reason": letter.reason,
        "detail": letter.detail,
        "given up by": row.stage,
        "stored": _moment(row.stored_us) + (f", {row.count} times" if row.count > 1 else ""),
        "replayed": row.replayed,
        "size": f"{letter.size} bytes" + ("" if letter.size == len(letter.value) else f", {len(letter.value)} kept"),
    }
    for name, value in facts.items():
        if value:
            console.print(Text.assemble((f"  {name:<12}", DIM), printable(value)), soft_wrap=True)
    if letter.value:
        console.print(Text(_text(letter.value[:_MOST])), soft_wrap=True)


def json_of(row: Row) -> str:
    """One JSON object, original bytes in base64."""
    letter = row.letter
    position = letter.position
    place: dict[str, Any] = (
        {"file": position.source, "line": position.offset}
        if position.is_file
        else {"topic": position.source, "partition": position.partition, "offset": position.offset}
    )
    told: dict[str, Any] = {
        "reason": letter.reason,
        "detail": letter.detail,
        "source": place,
        "size": letter.size,
        "stored": _moment(row.stored_us),
        "count": row.count,
        "value": base64.b64encode(letter.value).decode(),
    }
    more = {"stage": row.stage, "replayed": row.replayed}
    return orjson.dumps(told | {name: value for name, value in more.items() if value}).decode()


def printable(text: str) -> str:
    """Free of anything that a terminal would obey."""
    return "".join(character if character.isprintable() else "�" for character in text)


def _text(value: bytes) -> str:
    return printable(value.decode(errors="replace"))


def _moment(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat()
