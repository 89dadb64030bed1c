"""Dead letters of the Kafka mode sent on their way again, when somebody asks for it.

A raw record goes back to the topic and partition that it came from, as it was, with one header more that says of which
position it is a replay. An alert that no index would take goes to Elasticsearch again under the same id. Everything
else has no way back. That a letter was replayed is noted on the dead-letter topic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from streamer.ecs.bodies import document_of, shortened
from streamer.ecs.templates import INDEX_TEMPLATE
from streamer.elastic import Bulk, Verdict
from streamer.errors import RecordError, SettingsError
from streamer.kafka.letters import REPLAYED_HEADER, LetterSeen, Original, originals, read_letters, replay_note
from streamer.kafka.outlet import Outlet
from streamer.kafka.topics import ALERTS, DEAD_LETTERS
from streamer.model import Document
from streamer.ports import Message
from streamer.service.doors import connection_of, elastic_connection_of
from streamer.service.settings import KafkaSettings, Settings

_NOT_INDEXED: Final = "not-indexed"
_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay will do.

    Attributes:
        records: raw records and the messages that they go as.
        alerts: alerts for Elasticsearch.
        left: what stays where it is, and why.
    """

    records: list[tuple[LetterSeen, Message]] = field(default_factory=list)
    alerts: list[tuple[LetterSeen, Document]] = field(default_factory=list)
    left: list[tuple[LetterSeen, str]] = field(default_factory=list)

    @property
    def messages(self) -> list[Message]:
        """One for each record: several rules may have set it aside."""
        return list(dict.fromkeys(message for _, message in self.records))

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.records or self.alerts)


async def letters_of(
    settings: Settings, *, wanted: Callable[[LetterSeen], bool], limit: int, keep: int | None = None
) -> list[LetterSeen]:
    """See :func:`streamer.kafka.letters.read_letters`. Raises ``ServerError`` and ``SettingsError``."""
    kafka = _kafka(settings)
    topic = f"{kafka.topic_prefix}{DEAD_LETTERS}"
    return await read_letters(connection_of(kafka), topic, wanted=wanted, limit=limit, keep=keep)


async def plan_replay(settings: Settings, letters: Sequence[LetterSeen], *, again: bool) -> Plan:
    """Decide for each letter where it can go. Looks at both clusters' topics and changes nothing.

    Args:
        settings: of the service.
        letters: with all bytes that were kept.
        again: also those that were replayed before.

    Raises:
        ServerError: Kafka is away.
    """
    kafka = _kafka(settings)
    raw = frozenset(source.kafka for source in settings.sources if source.kafka is not None)
    alerts = f"{kafka.topic_prefix}{ALERTS}"
    plan = Plan()
    open_ = []
    for seen in letters:
        if why := _why_not(seen, raw=raw, alerts=alerts, indexed=settings.elasticsearch is not None):
            plan.left.append((seen, why))
        elif seen.replayed and not again:
            plan.left.append((seen, f"replayed at {seen.replayed}; --again does it once more"))
        else:
            open_.append(seen)
    found = await originals(connection_of(kafka), [seen.letter.position for seen in open_])
    for seen in open_:
        _add(plan, seen, found.get(seen.letter.position), alerts=alerts, again=again)
    return plan


async def carry_out(settings: Settings, plan: Plan) -> list[tuple[LetterSeen, str]]:
    """Do what the plan says; returns what Elasticsearch refused once more, and its words.

    Raises:
        ServerError: a server is away, or refuses; what was done until then is noted, and will not be planned again.
    """
    kafka = _kafka(settings)
    outlet = Outlet(connection_of(kafka), name="replay of dead letters")
    topic = f"{kafka.topic_prefix}{DEAD_LETTERS}"
    when = datetime.now(UTC).isoformat(timespec="seconds")
    await outlet.start()
    try:
        for start in range(0, len(plan.messages), _AT_ONCE):
            chunk = plan.messages[start : start + _AT_ONCE]
            await outlet.send_all(chunk)
            notes = [replay_note(seen.letter, topic, when) for seen, message in plan.records if message in chunk]
            await outlet.send_all(notes)
        return await _index(settings, plan, outlet, lambda seen: replay_note(seen.letter, topic, when))
    finally:
        await outlet.stop()


async def _index(
    settings: Settings, plan: Plan, outlet: Outlet, note_of: Callable[[LetterSeen], Message]
) -> list[tuple[LetterSeen, str]]:
    if not plan.alerts or settings.elasticsearch is None:
        return []
    refused: list[tuple[LetterSeen, str]] = []
    bulk = Bulk(elastic_connection_of(settings.elasticsearch), template=INDEX_TEMPLATE, shorten=shortened)
    try:
        for start in range(0, len(plan.alerts), _AT_ONCE):
            chunk = plan.alerts[start : start + _AT_ONCE]
            outcomes = await bulk.send([document for _, document in chunk])
            done = []
            trouble = None
            for (seen, _), outcome in zip(chunk, outcomes, strict=True):
                if outcome.verdict is Verdict.REFUSED:
                    refused.append((seen, outcome.told))
                elif outcome.error is None:
                    done.append(seen)
                trouble = trouble or outcome.error
            await outlet.send_all([note_of(seen) for seen in done])
            if trouble is not None:
                raise trouble
    finally:
        await bulk.close()
    return refused


def _why_not(seen: LetterSeen, *, raw: frozenset[str], alerts: str, indexed: bool) -> str:
    """Why a letter has no way back; empty if it has one."""
    position = seen.letter.position
    if position.is_file:
        return "it came from a file: replay it where that file is read"
    if position.source in raw:
        return ""
    if position.source != alerts:
        return f"{position.source} is not among the sources"
    if seen.letter.reason != _NOT_INDEXED:
        return "it is no alert, and nothing makes it one"
    return "" if indexed else "the settings have no `elasticsearch`"


def _add(plan: Plan, seen: LetterSeen, original: Original | None, *, alerts: str, again: bool) -> None:
    """The original, if its topic still has it, else the bytes in the letter, if they are all there."""
    letter = seen.letter
    if original is None and not seen.is_whole:
        plan.left.append((seen, f"its topic has dropped it, and the letter keeps {len(letter.value)} bytes of it"))
        return
    value = letter.value if original is None else original.value
    if letter.position.source == alerts:
        try:
            plan.alerts.append((seen, document_of(value)))
        except RecordError as error:
            plan.left.append((seen, error.message))
        return
    if original is not None and original.replay_of and not again:
        plan.left.append((seen, f"it is itself a replay, of {original.replay_of}; --again does it once more"))
        return
    kept = tuple(pair for pair in original.headers if pair[0] != REPLAYED_HEADER) if original else ()
    headers = (*kept, (REPLAYED_HEADER, str(letter.position).encode()))
    key = original.key if original else b""
    plan.records.append((seen, Message(letter.position.source, letter.position.partition, key, value, headers)))


def _kafka(settings: Settings) -> KafkaSettings:
    if settings.kafka is None:
        raise SettingsError("there is no `kafka` in the settings")
    return settings.kafka
