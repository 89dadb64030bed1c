"""``streamer replay``: recorded logs through the rules."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from streamer.authoring.replay import BATCH, Recording, Replay
from streamer.cli.recordings import STDIN, Opened, open_recording
from streamer.cli.rules_in_force import placeholder_values, rules_in_force
from streamer.cli.style import messages
from streamer.cli.summary import Tally, print_summary
from streamer.cli.telling import FiringsTeller, JsonTeller, Teller, TextTeller
from streamer.decode.source import ACCESS_LOG_CONTAINERS, SourceKind, is_container_pattern
from streamer.errors import SettingsError
from streamer.service.durations import parse_duration
from streamer.sigma.rules import LEVELS, Level, RuleSet


def replay(  # noqa: PLR0913, PLR0917 - one argument per option
    files: Annotated[
        list[str],
        typer.Argument(help="Recorded logs: plain or gzip, any envelope; `-` is standard input.", metavar="FILE"),
    ],
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--rules", "-r", help="Rule file or folder, or `shipped`. Repeatable. Default: shipped.", metavar="DIR"
        ),
    ] = None,
    kind: Annotated[
        SourceKind | None, typer.Option(help="What the files carry. Default: told by their first records.")
    ] = None,
    cluster: Annotated[str, typer.Option(help="Cluster name where records do not tell.", metavar="NAME")] = "default",
    lateness: Annotated[str, typer.Option(help="How far out of order events may be.", metavar="TIME")] = "10s",
    access_logs: Annotated[
        list[str] | None,
        typer.Option(
            help="Whose lines are requests: namespace/pod/container, `*` for anything; `*/*/*` for kubectl's output. "
            "Repeatable. Default: the usual gateways.",
            metavar="PATTERN",
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="History, so that rules know what is usual. Its alerts are not shown.", metavar="FILE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Alert documents as NDJSON on standard output.")] = False,
    firings: Annotated[
        bool, typer.Option("--firings", help="Every firing of a correlation as NDJSON on standard output.")
    ] = False,
    fail_on: Annotated[
        Level | None, typer.Option(help="Exit code 1 if an alert has this level or a higher one.")
    ] = None,
    placeholder: Annotated[
        list[str] | None, typer.Option(help="Values for |expand. Repeatable.", metavar="NAME=VALUES")
    ] = None,
    allow: Annotated[Path | None, typer.Option(help="Exceptions of your site.", metavar="FILE")] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Run without rules that cannot be used.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Run rules over recorded logs; several files are merged by their clocks.

    Exit code: 0 replayed, 1 --fail-on found its level, 2 a file or a rule cannot be used, or a file not to its end.

    Example: streamer replay audit.log.gz pods.ndjson --cluster prod-1

    Example: tail -f /var/log/kubernetes/audit.log | streamer replay - --kind audit
    """
    if as_json and firings:
        raise SettingsError("--json and --firings both want standard output", hint="give one of them")
    values = placeholder_values(placeholder or [])
    in_force = rules_in_force(rules or [], placeholders=values, skip_broken=skip_broken, allow=allow)
    opened = [open_recording(name, kind) for name in dict.fromkeys(files)]
    history = [open_recording(name, kind) for name in dict.fromkeys(baseline or []) if name not in files]
    if not quiet:
        _say_kinds([*opened, *history])
    declared = (cluster, _lateness(lateness), _patterns(access_logs))
    recordings = [Recording(item.source(*declared), item.lines) for item in opened]
    recordings += [Recording(item.source(*declared), item.lines, history=True) for item in history]
    teller = _teller(in_force, as_json=as_json, firings=firings, at_once=STDIN in files)
    run = Run(in_force, recordings, [*opened, *history], teller)
    run.go(show_progress=not quiet and sys.stderr.isatty() and STDIN not in files)
    if not quiet:
        run.summary()
    damaged = [item for item in run.opened if item.damaged]
    for item in damaged:
        messages().print(Text(f"{item.name} is {item.damaged}", style="bold red"), soft_wrap=True)
    raise typer.Exit(130 if run.stopped else 2 if damaged else _exit_code(run.tally, in_force, fail_on))


def _teller(rules: RuleSet, *, as_json: bool, firings: bool, at_once: bool) -> Teller:
    if as_json:
        return JsonTeller(rules)
    return FiringsTeller(rules) if firings else TextTeller(rules, at_once=at_once)


class Run:
    """One replay with its counts; ``go`` once."""

    def __init__(
        self, rules: RuleSet, recordings: Sequence[Recording], opened: Sequence[Opened], teller: Teller
    ) -> None:
        self.rules = rules
        self.opened = opened
        self.teller = teller
        self.tally = Tally()
        # A pipe gives its lines when it likes: what they mean is told then, not when a batch is full.
        live = any(item.name == STDIN for item in opened)
        self.driver = Replay(rules, recordings, batch=1 if live else BATCH)
        self.elapsed_s = 0.0
        self.stopped = False

    def go(self, *, show_progress: bool) -> None:
        """Replay to the end, or until ``stopped`` by Ctrl-C; what was found until then is told."""
        started = time.monotonic()
        try:
            with _progress(self.opened, shown=show_progress) as moved:
                for told in self.driver:
                    self.tally.add(told)
                    self.teller.tell(told)
                    moved()
        except KeyboardInterrupt:
            self.stopped = True
        self.elapsed_s = time.monotonic() - started
        self.teller.finish()

    def summary(self) -> None:
        """Counts per rule and what could not be read, on standard error."""
        sys.stdout.flush()
        console = messages()
        if self.stopped:
            console.print(Text("Stopped before the end. This is what was read until then:", style="yellow"))
        console.print()
        print_summary(console, self.tally, self.driver.engine, self.rules, elapsed_s=self.elapsed_s)


@contextmanager
def _progress(opened: Sequence[Opened], *, shown: bool) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, nothing elsewhere; yields what to call after every step."""
    if not shown:
        yield lambda: None
        return
    columns = (TextColumn("replaying"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages(), transient=True) as progress:
        task = progress.add_task("", total=sum(item.size for item in opened) or None)
        yield lambda: progress.update(task, completed=sum(item.done for item in opened))


def _say_kinds(opened: Sequence[Opened]) -> None:
    console = messages()
    for item in opened:
        name = "standard input" if item.name == STDIN else item.name
        if item.empty:
            console.print(f"{name} is empty", soft_wrap=True)
            continue
        how = "looks like" if item.guessed else "is taken as"
        what = "an audit log" if item.kind == "audit" else "container logs"
        other = "containers" if item.kind == "audit" else "audit"
        hint = f" (else: --kind {other})" if item.guessed else ""
        console.print(f"{name} {how} {what}{hint}", soft_wrap=True)


def _lateness(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise SettingsError(f"--lateness: {error}") from error


def _patterns(given: list[str] | None) -> tuple[str, ...]:
    for pattern in given or ():
        if not is_container_pattern(pattern):
            raise SettingsError(
                f"--access-logs: {pattern!r} does not name containers",
                hint="write namespace/pod/container with * for anything, for example 'istio-system/my-gateway/*'",
            )
    return ACCESS_LOG_CONTAINERS if given is None else tuple(given)


def _exit_code(tally: Tally, rules: RuleSet, fail_on: Level | None) -> int:
    if fail_on is None:
        return 0
    by_key = rules.by_key()
    limit = LEVELS.index(fail_on)
    return int(any(LEVELS.index(by_key[key].meta.level) >= limit for key in tally.alerts))
