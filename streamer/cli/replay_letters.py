"""``streamer dead-letters replay``: what it will do, the question, and the doing."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer
from rich.text import Text

from streamer.authoring.replay import Recording, Replay
from streamer.cli.letters import Row, printable, rows_of_store
from streamer.cli.rules_in_force import rules_in_force
from streamer.cli.style import DIM, messages
from streamer.cli.telling import JsonTeller, TextTeller
from streamer.decode import Source, guess_kind
from streamer.decode.source import SourceKind
from streamer.errors import SettingsError
from streamer.local import archive
from streamer.model import DeadLetter
from streamer.service.settings import Settings
from streamer.service.sources import source_of

if TYPE_CHECKING:
    from streamer.kafka.letters import LetterSeen
    from streamer.service.letters import Plan

_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """Which letters: positions as they are shown, or those of a reason and a time; at most so many."""

    positions: frozenset[str]
    reason: str
    since_us: int
    limit: int

    def wants(self, letter: DeadLetter, stored_us: int) -> bool:
        """Whether this one was asked for."""
        if self.positions and str(letter.position) not in self.positions:
            return False
        return self.reason in {"", letter.reason} and stored_us >= self.since_us

    def wants_seen(self, seen: LetterSeen) -> bool:
        """The same of a letter on a topic."""
        return self.wants(seen.letter, seen.stored_us)

    def refuse_everything(self) -> None:
        """A replay must say of what. Raises ``SettingsError``."""
        if not self.positions and not self.reason and not self.since_us:
            raise SettingsError(
                "replay of what? Nothing was chosen", hint="name positions, or a --reason, or --since a time"
            )

    def refuse_missing(self, found: Sequence[DeadLetter]) -> None:
        """Everything named must be there. Raises ``SettingsError``."""
        missing = sorted(self.positions - {str(letter.position) for letter in found})
        if missing:
            raise SettingsError(f"there is no dead letter {missing[0]}", hint="`streamer dead-letters` lists them")


def replay_from_topic(settings: Settings, asked: Asked, *, dry_run: bool, yes: bool, again: bool) -> int:
    """Back to raw topics and to Elasticsearch; returns the exit code. Raises ``ServerError`` and ``SettingsError``."""
    from streamer.service.letters import carry_out, letters_of, plan_replay  # noqa: PLC0415 (needs client libraries)

    letters = asyncio.run(letters_of(settings, wanted=asked.wants_seen, limit=asked.limit))
    asked.refuse_missing([seen.letter for seen in letters])
    plan = asyncio.run(plan_replay(settings, letters, again=again))
    _say_plan(plan)
    if not plan:
        _say("nothing to replay")
        return int(bool(plan.left))
    if dry_run:
        _say("nothing was done: --dry-run")
        return int(bool(plan.left))
    if not yes:
        _ask()
    refused = asyncio.run(carry_out(settings, plan))
    for seen, told in refused:
        _say(f"refused again: {seen.letter.position}: {printable(told)}")
    _say(f"replayed {len(plan.messages) + len(plan.alerts) - len(refused)}")
    return int(bool(refused or plan.left))


def replay_from_store(  # noqa: PLR0913 (what was asked for)
    store: Path,
    asked: Asked,
    *,
    settings: Settings | None,
    kind: SourceKind | None,
    rules: Sequence[str],
    dry_run: bool,
    as_json: bool,
) -> int:
    """Records through the rules, here and now; returns the exit code.

    Files cannot be given a line in the middle, so nothing is fed to the service: what the rules make of these records
    alone is printed, and the store stays as it is.
    """
    limit = asked.limit if not asked.positions else sys.maxsize
    stored = archive.dead_letters(store, reason=asked.reason, since_us=asked.since_us, limit=limit)
    rows = [row for row in rows_of_store(stored) if asked.wants(row.letter, row.stored_us)]
    asked.refuse_missing([row.letter for row in rows])
    whole = _unique([row for row in rows if row.letter.value and len(row.letter.value) == row.letter.size])
    lost = len({row.letter.position for row in rows}) - len(whole)
    _say(
        f"{_records(len(whole))} through the rules, by themselves and in this process: a file cannot be given a line "
        "again, so the service does not see them and the store stays as it is"
    )
    if lost:
        _say(f"{_records(lost)} cannot be replayed: the store does not hold all of their bytes")
    if dry_run or not whole:
        return int(bool(lost))
    chosen = list(rules) or (list(settings.rules) if settings is not None else [])
    placeholders = settings.placeholders if settings is not None else {}
    in_force = rules_in_force(chosen, placeholders=placeholders)
    driver = Replay(in_force, _recordings(whole, settings, kind))
    teller = JsonTeller(in_force) if as_json else TextTeller(in_force, at_once=False)
    again: Counter[str] = Counter()
    for told in driver:
        teller.tell(told)
        again.update(letter.reason for letter in told.dead_letters)
    teller.finish()
    sys.stdout.flush()
    for reason, count in sorted(again.items()):
        _say(f"{_records(count)} cannot be read this time either: {reason}")
    return int(bool(lost or again))


def _recordings(rows: Sequence[Row], settings: Settings | None, kind: SourceKind | None) -> list[Recording]:
    """One per source, its lines in their order and under their numbers."""
    lines: dict[str, list[tuple[int, bytes]]] = {}
    for row in sorted(rows, key=lambda row: row.letter.position):
        lines.setdefault(row.letter.position.source, []).append((row.letter.position.offset, row.letter.value))
    known: Mapping[str, Source] = (
        {source.name: source_of(settings, source) for source in settings.sources} if settings is not None else {}
    )
    recordings = []
    for name, found in lines.items():
        guessed = kind or guess_kind(value for _, value in found)
        source = known.get(name) or Source(name=name, kind=guessed, cluster="default")
        recordings.append(Recording(replace(source, kind=kind) if kind else source, found))
    return recordings


def _unique(rows: Sequence[Row]) -> list[Row]:
    """One record may have been set aside for several reasons."""
    return list({row.letter.position: row for row in rows}.values())


def _say_plan(plan: Plan) -> None:
    for topic, count in sorted(Counter(message.topic for message in plan.messages).items()):
        _say(f"{_records(count)} back to {topic}, where rules take what they tell as late")
    for index, count in sorted(Counter(document.index for _, document in plan.alerts).items()):
        _say(f"{count} {'alert' if count == 1 else 'alerts'} to Elasticsearch, index {index}")
    for seen, why in plan.left[:_SHOWN]:
        _say(f"stays: {printable(str(seen.letter.position))} ({seen.letter.reason}): {why}")
    if len(plan.left) > _SHOWN:
        _say(f"stays: {len(plan.left) - _SHOWN} more")


def _ask() -> None:
    if not sys.stdin.isatty():
        raise SettingsError("replay writes to topics and indices, and nobody is here to be asked", hint="say --yes")
    typer.confirm("Replay?", abort=True, err=True)


def _records(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"


def _say(sentence: str) -> None:
    messages().print(Text(sentence, style=DIM), soft_wrap=True)
