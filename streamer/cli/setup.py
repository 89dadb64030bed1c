"""``streamer setup``: makes what the service needs on Kafka and Elasticsearch, and changes nothing that is there."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from streamer.cli.style import output
from streamer.errors import SettingsError
from streamer.service.configuration import load_settings
from streamer.service.durations import parse_duration
from streamer.service.installation import install
from streamer.service.telemetry import configure_log


def setup(
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; STREAMER_* variables go over it.", metavar="FILE")
    ] = None,
    prune: Annotated[
        str | None, typer.Option(help="Also delete the alert indices of days older than this: 90d.", metavar="AGE")
    ] = None,
) -> None:
    """Create the topics that are missing and install the index templates. May be repeated.

    Exit code: 0 all is there, 2 settings cannot be used, or a server is away or refuses.

    Example: streamer setup --config streamer.yml
    """
    settings = load_settings(config)
    configure_log("error")
    if settings.kafka is None and settings.elasticsearch is None:
        raise SettingsError(
            "there is nothing to set up: the settings name neither `kafka` nor `elasticsearch`",
            hint="the embedded mode needs no set-up: streamer run --file audit.log --kind audit",
        )
    console = output()
    for sentence in asyncio.run(install(settings, prune_before=_day(prune))):
        console.print(sentence, soft_wrap=True)


def _day(age: str | None) -> date | None:
    if age is None:
        return None
    try:
        length_us = parse_duration(age)
    except ValueError as error:
        raise SettingsError(f"--prune: {error}") from error
    if length_us < timedelta(days=1) // timedelta(microseconds=1):
        raise SettingsError("--prune takes a day or more: today's alerts are still being written")
    return (datetime.now(UTC) - timedelta(microseconds=length_us)).date()
