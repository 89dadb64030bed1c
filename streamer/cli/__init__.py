"""The command line: one file per verb, imported when it is asked for.

No traceback is ever shown: errors that are meant for a person become their message and a hint, anything else is a
defect of ours and becomes one sentence that asks to report it (``--debug`` shows where it happened).
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import wraps
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

import streamer
from streamer.errors import RuleSetError, SettingsError, StreamerError

VERBS: Final = (
    "demo",
    "replay",
    "check",
    "test",
    "coverage",
    "run",
    "alerts",
    "dead-letters",
    "setup",
    "doctor",
)
"""In the order in which a newcomer needs them. Each is a function in a module of its name (``-`` as ``_``)."""

_CLOSED_PIPE: Final = 250
"""Passed from a verb to :func:`main`; never an exit code."""


def _module(verb: str) -> str:
    return f"streamer.cli.{verb.replace('-', '_')}"


def _flags_without_type(parameters: list[Any]) -> list[Any]:
    """A flag takes no value: help that says ``<bool>`` beside it invites one."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


class Verb(TyperCommand):
    """One verb."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its arguments and options."""
        return _flags_without_type(super().get_params(ctx))


class Verbs(TyperGroup):
    """Finds a verb in its own module, so that ``streamer check`` does not load what ``streamer run`` needs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb as a command, or ``None``."""
        if cmd_name not in VERBS:
            near = get_close_matches(cmd_name, VERBS, n=1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            raise SettingsError(f"there is no verb `{cmd_name}`", hint=f"{hint}`streamer --help` lists them all")
        function = getattr(importlib.import_module(_module(cmd_name)), cmd_name.replace("-", "_"))
        verb = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        verb.command(cmd_name, cls=Verb)(_quiet_on_closed_pipe(function))
        command = typer.main.get_command(verb)
        command.name = cmd_name
        return command

    def get_params(self, ctx: Any) -> list[Any]:
        """The options of ``streamer`` itself."""
        return _flags_without_type(super().get_params(ctx))


app = typer.Typer(cls=Verbs, add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def _streamer(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where it happened if something unforeseen does.")
    ] = False,
) -> None:
    """Sigma correlation for Kubernetes: audit events and container logs in, one alert with the whole attack out."""
    del debug  # :func:`main` looks for it itself, so that it may stand anywhere
    if version:
        print(f"streamer {streamer.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(_WHAT_NEXT)
        raise typer.Exit


_WHAT_NEXT: Final = """\
streamer: Sigma correlation for Kubernetes. What next?

  streamer demo                        see a Kubeflow attack told as one incident (nothing to install)
  streamer replay audit.log pods.log   run the shipped rules over recorded logs
  streamer check my-rules/             find every problem of your rule files
  streamer test tests/rules            run rule cases: events on a time line, alerts expected
  streamer run --config streamer.yml   the service: files or Kafka in, alerts out

  streamer --help                      all verbs; streamer VERB --help shows each with an example"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. Exit codes: 0 fine, 1 found something, 2 wrong use or configuration, 130 stopped."""
    sys.exit(_exit_code(list(sys.argv[1:] if arguments is None else arguments)))


def _exit_code(arguments: list[str]) -> int:
    debug = "--debug" in arguments or bool(os.environ.get("STREAMER_DEBUG"))
    usage_error: Any = typer.BadParameter.__mro__[1]
    try:
        code = app(args=[a for a in arguments if a != "--debug"], prog_name="streamer", standalone_mode=False)
        sys.stdout.flush()
    except usage_error as error:
        print(f"streamer: {error.format_message().replace('Value error, ', '')}", file=sys.stderr)
        verb = error.ctx.command_path if error.ctx is not None else "streamer"
        print(f"Try `{verb} --help`.", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        return _leave_closed_pipe()
    except RuleSetError as error:
        return _tell(error, *(str(problem) for problem in error.problems))
    except StreamerError as error:
        return _tell(error)
    except OSError as error:
        if debug:
            traceback.print_exc()
        where = f"{error.filename}: " if error.filename else ""
        print(f"streamer: {where}{error.strerror or error}", file=sys.stderr)
        _leave_closed_pipe()
        return 2
    except Exception as error:  # noqa: BLE001 - the last resort: one sentence instead of a traceback
        return _unforeseen(error, debug=debug)
    return _leave_closed_pipe() if code == _CLOSED_PIPE else int(code or 0)


def _tell(error: StreamerError, *details: str) -> int:
    print(f"streamer: {error.message}", *details, sep="\n", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
    return 2


def _unforeseen(error: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    where = "" if debug else "; run it again with --debug and"
    what = f"{type(error).__name__}: {str(error)[:200]}"
    print(f"streamer: something happened that must not ({what}){where} please report it", file=sys.stderr)
    return 2


def _quiet_on_closed_pipe(function: Callable[..., Any]) -> Callable[..., Any]:
    """``streamer replay … | head`` ends when head has seen enough, without a word."""

    @wraps(function)
    def verb(*args: Any, **kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError:
            raise typer.Exit(_CLOSED_PIPE) from None
        return result

    return verb


def _leave_closed_pipe() -> int:
    """Nothing more can be written; the interpreter must not try when it flushes at its end."""
    with suppress(OSError, ValueError):  # there may be no descriptor behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
