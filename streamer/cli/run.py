"""``streamer run``: the service, embedded or with Kafka and Elasticsearch, as the settings say."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import orjson
import typer

from streamer.cli.alerts import line_of
from streamer.cli.rules_in_force import rules_in_force
from streamer.cli.style import output
from streamer.decode.source import SourceKind
from streamer.errors import SettingsError
from streamer.model import Document
from streamer.service import run as service
from streamer.service.configuration import load_settings
from streamer.service.settings import Settings
from streamer.service.telemetry import configure_log

_STANDARD_INPUT = "-"


def run(  # noqa: PLR0913, PLR0917 (each is an option of the verb)
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; STREAMER_* variables go over it.", metavar="FILE")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(help="Read this file instead of the configured sources; - is standard input.", metavar="FILE"),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="What --file carries: audit or containers. Once for all files, or once for each, in order.",
            metavar="KIND",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option(help="Go on reading as the files grow and are rotated.")] = False,
    store: Annotated[
        Path | None, typer.Option(help="File for state, positions and alerts. Default: streamer.db.", metavar="FILE")
    ] = None,
    rules: Annotated[
        list[str] | None,
        typer.Option(help="Rule files and folders instead of the shipped rules; `shipped` adds them.", metavar="PATH"),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Cluster name for records that do not tell theirs.", metavar="NAME")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="What this process does where the sources are topics: detect, correlate or index. Default: all.",
            metavar="ROLE",
        ),
    ] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Run without the rules that have errors.")] = False,
    http: Annotated[bool, typer.Option(help="Serve /livez, /readyz and /metrics.")] = True,
) -> None:
    """The service: read records, correlate, tell alerts; stop with Ctrl-C, start again, and nothing is lost.

    Where the sources are topics, processes share the work: start as many as needed, anywhere, with the same settings.
    Files that are not followed are read to their end, which decides everything open; then the service ends.

    Exit code: 0 stopped or all input ended, 2 settings, rules or store cannot be used.

    Examples: streamer run --file audit.log --kind audit --follow · streamer run --config streamer.yml
    · streamer run --config streamer.yml --role correlate
    """
    given: dict[str, Any] = {"store": store, "rules": rules, "cluster": cluster}
    command_line = {name: value for name, value in given.items() if value}
    if file:
        command_line["sources"] = _sources(file, kind or [], follow=follow)
    elif kind or follow:
        raise SettingsError("--kind and --follow say how to read --file; there is none")
    if skip_broken:
        command_line["skip_broken"] = True
    if not http:
        command_line["http"] = {"enabled": False}
    settings = load_settings(config, command_line=command_line)
    configure_log(settings.log.level)
    loaded = rules_in_force(
        settings.rules, placeholders=settings.placeholders, skip_broken=settings.skip_broken, allow=settings.allow
    )
    service.run(settings, loaded, _teller(settings), roles=role or ())


def _sources(files: Sequence[str], kinds: Sequence[str], *, follow: bool) -> list[dict[str, Any]]:
    if not kinds:
        raise SettingsError(
            "--file needs --kind: a log line must never pass for an audit event",
            hint="--kind audit or --kind containers",
        )
    if len(kinds) not in (1, len(files)):
        raise SettingsError(
            f"{len(files)} files and {len(kinds)} kinds", hint="give one --kind for all, or one for each"
        )
    known = get_args(SourceKind)
    if unknown := [kind for kind in kinds if kind not in known]:
        raise SettingsError(f"--kind {unknown[0]}: there is no such kind", hint=f"one of {', '.join(known)}")
    each = list(kinds) * len(files) if len(kinds) == 1 else list(kinds)
    return [
        {"stdin": True, "kind": kind}
        if name == _STANDARD_INPUT
        else {"file": name, "kind": kind, "follow": follow and not name.endswith(".gz")}
        for name, kind in zip(files, each, strict=True)
    ]


def _teller(settings: Settings) -> Callable[[Sequence[Document]], None]:
    """On a terminal, without Kafka, each alert is a line as it is told."""
    if settings.kafka is not None or not sys.stdout.isatty():
        return lambda documents: None
    console = output()

    def tell(documents: Sequence[Document]) -> None:
        for document in documents:
            console.print(line_of(orjson.loads(document.body)), soft_wrap=True)

    return tell
