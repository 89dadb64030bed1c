"""Which rules a verb runs with: the shipped ones, or those of ``--rules``; broken files stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from streamer.authoring.check import check
from streamer.cli.problems import print_findings
from streamer.cli.style import messages
from streamer.errors import SettingsError
from streamer.service.rule_files import rule_paths
from streamer.sigma import load_rules
from streamer.sigma.rules import RuleSet


def rules_in_force(
    given: Sequence[str],
    *,
    placeholders: Mapping[str, Sequence[str]] | None = None,
    skip_broken: bool = False,
    allow: Path | None = None,
) -> RuleSet:
    """Load rules for running.

    Args:
        given: values of ``--rules``.
        placeholders: values by name, for ``|expand``.
        skip_broken: run with what is left; else any broken rule stops the verb with exit code 2.
        allow: file with exceptions of the site.
    """
    loaded = load_rules(rule_paths(given), placeholders=placeholders or {}, allow=allow)
    broken = [problem for problem in loaded.problems if problem.severity == "error"]
    if broken:
        print_findings(check(loaded, advise=False), messages())
        if not skip_broken:
            messages().print("\nNothing was run. Mend the rules, or run with what is left: --skip-broken")
            raise typer.Exit(2)
        messages().print("\nRunning without the broken rules, because --skip-broken says so.")
    if not loaded.rules.detections:
        raise SettingsError(
            f"there are no rules in {', '.join(given)}", hint="rule files are YAML and end in .yml or .yaml"
        )
    return loaded.rules


def placeholder_values(given: Sequence[str]) -> dict[str, list[str]]:
    """``name=value,value`` words as values by name, for ``|expand``. Raises ``SettingsError`` for any other word."""
    values: dict[str, list[str]] = {}
    for item in given:
        name, equals, listed = item.partition("=")
        if not name or not equals:
            raise SettingsError(f"--placeholder {item} has no value", hint="write name=value or name=value,value")
        values.setdefault(name, []).extend(value for value in listed.split(",") if value)
    return values
