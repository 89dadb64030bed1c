"""``streamer check``: every problem of rule files, not the first only."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.text import Text

from streamer.authoring.check import Checked
from streamer.authoring.check import check as check_rules
from streamer.cli.problems import allowed_lines, print_findings, totals
from streamer.cli.rules_in_force import placeholder_values
from streamer.cli.style import messages, output
from streamer.service.rule_files import rule_paths
from streamer.sigma import load_rules


def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Rule files or folders, or the word `shipped`. Default: shipped.", metavar="PATH"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per finding on standard output.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as problems, too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No advice, only what is wrong.")] = False,
    allow: Annotated[
        Path | None, typer.Option(help="Exceptions of your site, checked with them.", metavar="FILE")
    ] = None,
    placeholder: Annotated[
        list[str] | None, typer.Option(help="Values for |expand: name=value,value. Repeatable.", metavar="NAME=VALUES")
    ] = None,
) -> None:
    """Show every problem of rule files: where it is, the line, and what to write instead.

    Exit code: 0 all rules can be used, 1 problems were found, 2 there is nothing to check.

    Example: streamer check rules/ my-rules/ --allow allow.yml
    """
    loaded = load_rules(rule_paths(paths or []), placeholders=placeholder_values(placeholder or []), allow=allow)
    checked = check_rules(loaded, advise=not quiet, today=dt.datetime.now(dt.UTC).date())
    if as_json:
        console = output()
        for finding in checked.findings:
            console.file.write(orjson.dumps(finding.as_json()).decode() + "\n")
        messages().print(totals(checked))
    else:
        print_findings(checked, output(), severities=("error", "warning", "advice"))
        if checked.findings:
            output().print()
        for line in allowed_lines(loaded):
            output().print(Text(line), soft_wrap=True)
        output().print(totals(checked), soft_wrap=True)
    raise typer.Exit(_exit_code(checked, strict=strict))


def _exit_code(checked: Checked, *, strict: bool) -> int:
    if checked.files == 0 and checked.count("error") == 0:
        return 2
    if {finding.code for finding in checked.findings if finding.severity == "error"} == {"no-rules"}:
        return 2
    return 1 if checked.count("error") or (strict and checked.count("warning")) else 0
