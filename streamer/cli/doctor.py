"""``streamer doctor``: whether everything the service needs is there, in sentences."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.text import Text

from streamer.cli.style import DIM, output
from streamer.errors import SettingsError
from streamer.service.checkup import InForce, checkup, in_force
from streamer.service.configuration import load_settings
from streamer.service.findings import Finding, ok, wrong
from streamer.service.rule_files import rule_paths
from streamer.service.settings import Settings
from streamer.service.telemetry import configure_log
from streamer.sigma import load_rules

_LABELS: Final = {"ok": "ok     ", "note": "note   ", "wrong": "WRONG  "}


class Role(StrEnum):
    """What one process of the Kafka mode does."""

    DETECT = "detect"
    CORRELATE = "correlate"
    INDEX = "index"


def doctor(
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; STREAMER_* variables go over it.", metavar="FILE")
    ] = None,
    settings: Annotated[bool, typer.Option("--settings", help="Show every setting and where it came from.")] = False,
    role: Annotated[
        list[Role] | None, typer.Option(help="Look only after this role of the Kafka mode; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Look at settings, rules, files, store and servers, and say what is wrong.

    Exit code: 0 all is well, 1 something is wrong, 2 the settings cannot be used.

    Example: streamer doctor --config streamer.yml --settings
    """
    found = load_settings(config)
    configure_log("critical")
    rules, longest_us = _rules(found)
    roles = [each.value for each in role or ()]
    findings = [rules, *asyncio.run(checkup(found, longest_us=longest_us, roles=roles))]
    if as_json:
        _print_json(findings, in_force(found, config) if settings else None)
    else:
        console = output()
        if settings:
            _show_settings(console, found, config)
        _show(console, findings)
    if not all(finding.fine for finding in findings):
        raise typer.Exit(1)


def _show(console: Console, findings: Sequence[Finding]) -> None:
    for finding in findings:
        console.print(Text(_LABELS[finding.level]) + Text(finding.sentence), soft_wrap=True)
        if finding.hint and finding.level != "ok":
            console.print(Text(f"       {finding.hint}", style=DIM), soft_wrap=True)


def _print_json(findings: Sequence[Finding], settings: Sequence[InForce] | None) -> None:
    told: dict[str, Any] = {"fine": all(finding.fine for finding in findings)}
    told["findings"] = [dataclasses.asdict(finding) for finding in findings]
    if settings is not None:
        told["settings"] = [dataclasses.asdict(setting) for setting in settings]
    sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")


def _show_settings(console: Console, settings: Settings, config: Path | None) -> None:
    for one in in_force(settings, config):
        console.print(Text(f"{one.name} = {one.value}") + Text(f"  {one.origin}", style=DIM), soft_wrap=True)
    console.print()


def _rules(settings: Settings) -> tuple[Finding, int]:
    """Whether the rules can be used, and the longest time span of any, in microseconds."""
    try:
        loaded = load_rules(rule_paths(settings.rules), placeholders=settings.placeholders, allow=settings.allow)
    except SettingsError as error:
        return wrong(error.message, error.hint), 0
    correlations = loaded.rules.correlations
    longest_us = max((correlation.timespan_us for correlation in correlations), default=0)
    broken = sum(problem.severity == "error" for problem in loaded.problems)
    if broken:
        return wrong(f"the rule files have {broken} errors", "streamer check shows them"), longest_us
    return ok(f"{len(loaded.rules.detections) + len(correlations)} rules can be used"), longest_us
