"""``streamer doctor``: whether everything the service needs is there, in sentences."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from streamer.cli.rules_in_force import rule_paths
from streamer.cli.style import DIM, output
from streamer.errors import SettingsError
from streamer.service.checkup import Finding, checkup, in_force
from streamer.service.configuration import load_settings
from streamer.service.settings import Settings
from streamer.service.telemetry import configure_log
from streamer.sigma import load_rules


def doctor(
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; STREAMER_* variables go over it.", metavar="FILE")
    ] = None,
    settings: Annotated[bool, typer.Option("--settings", help="Show every setting and where it came from.")] = False,
) -> None:
    """Look at settings, rules, files, store and servers, and say what is wrong.

    Exit code: 0 all is well, 1 something is wrong, 2 the settings cannot be used.

    Example: streamer doctor --config streamer.yml --settings
    """
    found = load_settings(config)
    configure_log("error")
    console = output()
    if settings:
        _show_settings(console, found, config)
    findings = [_rules(found), *asyncio.run(checkup(found))]
    for finding in findings:
        console.print(Text("ok     " if finding.fine else "WRONG  ") + Text(finding.sentence), soft_wrap=True)
        if finding.hint and not finding.fine:
            console.print(Text(f"       {finding.hint}", style=DIM), soft_wrap=True)
    if not all(finding.fine for finding in findings):
        raise typer.Exit(1)


def _show_settings(console: Console, settings: Settings, config: Path | None) -> None:
    for one in in_force(settings, config):
        console.print(Text(f"{one.name} = {one.value}") + Text(f"  {one.origin}", style=DIM), soft_wrap=True)
    console.print()


def _rules(settings: Settings) -> Finding:
    try:
        loaded = load_rules(rule_paths(settings.rules), placeholders=settings.placeholders)
    except SettingsError as error:
        return Finding(False, error.message, error.hint)
    broken = sum(problem.severity == "error" for problem in loaded.problems)
    count = len(loaded.rules.detections) + len(loaded.rules.correlations)
    if broken:
        return Finding(False, f"the rule files have {broken} errors", "streamer check shows them")
    return Finding(True, f"{count} rules can be used")
