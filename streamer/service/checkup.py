"""What ``streamer doctor`` finds: everything the service needs, one sentence each, and where each setting came from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from streamer.errors import SettingsError, StateError
from streamer.local.archive import alerts
from streamer.service.checkup_elastic import elastic_findings
from streamer.service.checkup_kafka import kafka_findings
from streamer.service.configuration import origin_of, read_tree
from streamer.service.doors import is_embedded, webhook_of
from streamer.service.durations import LENGTHS_OF_TIME, format_duration
from streamer.service.findings import Finding, note, ok, wrong
from streamer.service.settings import Settings, SourceSettings

_ALERT_BYTES: Final = 6_000
"""About what an alert takes in the store, with its index."""
_ENTRY_BYTES: Final = 400
"""About what an entry of the state takes there."""


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


async def checkup(settings: Settings, *, longest_us: int = 0, roles: Sequence[str] = ()) -> list[Finding]:
    """Look at files, store and servers; never raises on account of what it finds.

    Args:
        settings: what is asked for.
        longest_us: the longest time span of any rule.
        roles: of the Kafka mode, to look after; none: those that the settings ask for.
    """
    findings = [_source(source) for source in settings.sources if source.file is not None]
    findings += [_webhook(source) for source in settings.sources if source.webhook is not None]
    if is_embedded(settings):
        findings += [_store(settings.store), *_room(settings)]
    if settings.kafka is not None:
        findings += await kafka_findings(settings, settings.kafka, longest_us=longest_us, roles=roles)
    if settings.elasticsearch is not None and (not roles or "index" in roles):
        findings += await elastic_findings(settings.elasticsearch)
    return findings


def _source(source: SourceSettings) -> Finding:
    path = Path(source.name)
    if os.access(path, os.R_OK) and not path.is_dir():
        return ok(f"{path} can be read")
    if source.follow and not path.exists():
        return ok(f"{path} is not there yet; it is waited for")
    return wrong(f"{path} cannot be read", "check the path and its permissions")


def _webhook(source: SourceSettings) -> Finding:
    try:
        webhook_of(source).look()
    except SettingsError as error:
        return wrong(error.message, error.hint)
    return ok(f"certificate, key and token of the webhook {source.name} can be used")


def _store(path: Path) -> Finding:
    if not path.exists():
        if os.access(path.absolute().parent, os.W_OK):
            return ok(f"{path} is not there yet; the first run makes it")
        return wrong(f"{path} cannot be made", "its folder must exist and be writable")
    try:
        alerts(path)
    except StateError as error:
        return wrong(error.message, error.hint)
    return ok(f"{path} is a store that this version can use")


def _room(settings: Settings) -> Iterator[Finding]:
    """Whether the disk has room for the store at its largest, beside what it holds already."""
    folder = settings.store.absolute().parent
    if not folder.is_dir():
        return
    held = settings.store.stat().st_size if settings.store.exists() else 0
    most = settings.retention.alerts * _ALERT_BYTES + settings.limits.state_entries * _ENTRY_BYTES
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:.1f} GB are free for {settings.store}, which may grow to {most / 1e9:.1f} GB"
    if free < min(most - held, most):
        yield note(said, "a full disk stops reading and loses nothing; lower retention.alerts, or give it more room")
    else:
        yield ok(said)
