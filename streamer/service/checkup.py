"""What ``streamer doctor`` finds: everything the service needs, one sentence each, and where each setting came from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from streamer.ecs.templates import INDEX_TEMPLATE
from streamer.errors import ServerError, SettingsError, StateError
from streamer.local.archive import alerts
from streamer.service.configuration import origin_of, read_tree
from streamer.service.doors import elastic_connection_of, refuse_missing_topics, refuse_wrong_topics
from streamer.service.durations import LENGTHS_OF_TIME, format_duration
from streamer.service.settings import ElasticsearchSettings, KafkaSettings, Settings, SourceSettings


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    fine: bool
    sentence: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class InForce:
    """One setting: its dotted name, its value as written, and where it came from."""

    name: str
    value: str
    origin: str


def in_force(settings: Settings, config: Path | None, environment: Mapping[str, str] | None = None) -> list[InForce]:
    """Every setting in force. Secrets show as stars."""
    tree = read_tree(config) if config is not None else None
    variables = os.environ if environment is None else environment
    return [
        InForce(".".join(map(str, location)), value, origin_of(location, tree, variables))
        for location, value in _leaves((), settings)
    ]


def _leaves(location: tuple[int | str, ...], value: Any) -> Iterator[tuple[tuple[int | str, ...], str]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves((*location, name), getattr(value, name))
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for number, item in enumerate(value):
            yield from _leaves((*location, number), item)
    elif value is not None:
        yield location, _text(location, value)


def _text(location: tuple[int | str, ...], value: Any) -> str:
    if location[-1] in LENGTHS_OF_TIME:
        return format_duration(value)
    if isinstance(value, SecretStr):
        return "******"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


async def checkup(settings: Settings) -> list[Finding]:
    """Look at files, store and servers; never raises on account of what it finds."""
    findings = [_source(source) for source in settings.sources if source.file is not None]
    findings.append(_store(settings.store))
    if settings.kafka is not None:
        topics = [source.kafka for source in settings.sources if source.kafka is not None]
        findings += await _kafka(settings.kafka, topics)
    if settings.elasticsearch is not None:
        findings.append(await _elasticsearch(settings.elasticsearch))
    return findings


async def _kafka(kafka: KafkaSettings, topics: Sequence[str]) -> list[Finding]:
    """One finding for our own topics, one for the raw topics; only one if Kafka is away."""
    findings: list[Finding] = []
    try:
        await refuse_wrong_topics(kafka)
        findings.append(Finding(True, f"Kafka at {kafka.bootstrap_servers} answers; streamer's own topics are right"))
    except SettingsError as error:
        findings.append(Finding(False, error.message, error.hint))
    except ServerError as error:
        return [Finding(False, error.message, error.hint)]
    if topics:
        try:
            await refuse_missing_topics(kafka, topics)
            findings.append(Finding(True, f"raw topics to read from are there: {', '.join(topics)}"))
        except ServerError as error:
            findings.append(Finding(False, error.message, error.hint))
    return findings


async def _elasticsearch(elasticsearch: ElasticsearchSettings) -> Finding:
    from streamer.elastic import ElasticSink  # noqa: PLC0415

    try:
        sink = ElasticSink(elastic_connection_of(elasticsearch), template=INDEX_TEMPLATE)
        await sink.start()
    except (ServerError, SettingsError) as error:
        return Finding(False, error.message, error.hint)
    await sink.stop()
    return Finding(True, f"Elasticsearch at {', '.join(elasticsearch.hosts)} answers and has the index template")


def _source(source: SourceSettings) -> Finding:
    path = Path(source.name)
    if os.access(path, os.R_OK) and not path.is_dir():
        return Finding(True, f"{path} can be read")
    if source.follow and not path.exists():
        return Finding(True, f"{path} is not there yet; it is waited for")
    return Finding(False, f"{path} cannot be read", "check the path and its permissions")


def _store(path: Path) -> Finding:
    if not path.exists():
        if os.access(path.absolute().parent, os.W_OK):
            return Finding(True, f"{path} is not there yet; the first run makes it")
        return Finding(False, f"{path} cannot be made", "its folder must exist and be writable")
    try:
        alerts(path)
    except StateError as error:
        return Finding(False, error.message, error.hint)
    return Finding(True, f"{path} is a store that this version can use")
