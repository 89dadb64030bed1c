# ruff: noqa: PT028 - the verb is called test and is no test function
"""``streamer test``: rule cases, events on a time line and the firings they cause.

The running is done by :mod:`streamer.authoring.cases`; here files are found and opened and results are shown.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.text import Text

from streamer.authoring.cases import CaseResult, FileResult, Fired, run_file
from streamer.authoring.cases_time import iso
from streamer.authoring.check import check
from streamer.cli.problems import print_findings
from streamer.cli.style import output
from streamer.cli.summary import counted
from streamer.errors import Place, RuleError
from streamer.sigma import Loaded, RuleSet, load_rules

SUFFIXES: Final = (".test.yml", ".test.yaml")


def test(
    paths: Annotated[list[Path], typer.Argument(help="Case files, or folders that hold *.test.yml.", metavar="PATH")],
    root: Annotated[
        Path | None,
        typer.Option(
            help="What rule paths in case files are relative to. Default: the project around each case file.",
            metavar="DIR",
        ),
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML.", metavar="FILE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per case on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show failures and the summary only.")] = False,
) -> None:
    """Run rule cases: events on a time line, all firings expected and no others.

    Each case also runs shuffled within lateness, told twice, split over partitions and with restarts.
    Exit code: 0 all passed, 1 a case failed, 2 a case file or its rule cannot be used.

    Example: streamer test tests/rules
    """
    files = find_cases(paths)
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        typer.echo(f"there is no file or folder {path}", err=True)
    if missing or not files:
        if not missing:
            typer.echo("there are no case files here; they are called <name>.test.yml", err=True)
        raise typer.Exit(2)
    results = []
    for file in files:
        result = run(file, root)
        results.append(result)
        if as_json:
            for line in json_lines(result):
                typer.echo(line)
        else:
            _show(result, quiet=quiet)
    if junit is not None:
        _write(junit, junit_xml(results))
    if not as_json:
        _summary(results)
    raise typer.Exit(exit_code(results))


def _write(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        typer.echo(f"cannot write {file}: {error.strerror}", err=True)
        raise typer.Exit(2) from None


def find_cases(paths: Sequence[Path]) -> list[Path]:
    """Case files named, and all below folders named, in the order of their names and each once."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = (file for file in path.rglob("*") if file.name.endswith(SUFFIXES) and file.is_file())
            found |= dict.fromkeys(sorted(inside, key=lambda file: file.parts))
        elif path.is_file():
            found[path] = None
    return list(found)


def run(file: Path, root: Path | None = None) -> FileResult:
    """Run the cases of one file; whatever is wrong with it is in the result."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return FileResult(str(file), str(file), problems=(_unreadable(file, str(reason)),))
    base = root if root is not None else project_of(file)
    return run_file(str(file), text, lambda path: (base / path).read_text(encoding="utf-8"), _loader(base))


def project_of(file: Path) -> Path:
    """The nearest folder around a case file that holds a ``rules`` folder, else the working directory."""
    for folder in file.resolve().parents:
        if (folder / "rules").is_dir() and folder.name != "tests":
            return Path() if folder == Path.cwd() else folder
    return Path()


def _loader(base: Path) -> Callable[[str], tuple[str, Loaded] | None]:
    def load(rule: str) -> tuple[str, Loaded] | None:
        file = base / rule
        if not rule or not file.is_file():
            return None
        parts = Path(rule).parts
        folder = base / parts[0] if len(parts) > 1 and not Path(rule).is_absolute() else file.parent
        return str(file), _folder(folder)

    return load


@cache
def _folder(folder: Path) -> Loaded:
    """The rules of a folder, read once however many case files want them."""
    return load_rules([folder])


def _unreadable(file: Path, reason: str) -> RuleError:
    return RuleError("unreadable", Place(str(file)), f"the file cannot be read: {reason}")


def _show(result: FileResult, *, quiet: bool) -> None:
    if result.problems:
        sources = {path: _source(path) for path in dict.fromkeys(problem.place.path for problem in result.problems)}
        print_findings(check(Loaded(RuleSet(), result.problems, sources), advise=False), output())
    for case in result.results:
        if case.passed and quiet:
            continue
        mark, colour = ("pass", "green") if case.passed else ("FAIL", "bold red")
        output().print(Text.assemble((mark, colour), f"  {result.rule}: {case.case.name}"), soft_wrap=True)
        if not case.passed:
            typer.echo(f"      {result.path}:{case.case.place.line}")
        for sentence in case.wrong:
            typer.echo(f"      {sentence}")
        for note in case.notes if not case.passed else ():
            typer.echo(f"      note: {note}")


def _source(path: str) -> str:
    """The text of a file with a problem, to show the line; empty where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _summary(results: Sequence[FileResult]) -> None:
    cases = [case for result in results for case in result.results]
    failed = sum(not case.passed for case in cases)
    broken = sum(bool(result.problems) for result in results)
    text = f"{counted(len(cases), 'case')} of {counted(len(results), 'file')}, {failed} failed"
    if broken:
        text += f", {counted(broken, 'file')} cannot be used"
    output().print(Text(text, style="bold red" if failed or broken else "green"))


def exit_code(results: Sequence[FileResult]) -> int:
    """0 all passed, 1 a case failed, 2 a file cannot be used."""
    if any(result.problems for result in results):
        return 2
    return 0 if all(result.passed for result in results) else 1


def json_lines(result: FileResult) -> list[str]:
    """One JSON object per case; for a file that cannot be used, one per problem."""
    lines: list[dict[str, Any]] = [
        {
            "file": result.path,
            "rule": result.rule,
            "case": case.case.name,
            "line": case.case.place.line,
            "passed": case.passed,
            "wrong": list(case.wrong),
            "notes": list(case.notes),
            "fired": [_fired(fired) for fired in case.fired],
        }
        for case in result.results
    ]
    lines += [
        {
            "file": result.path,
            "passed": False,
            "problem": {
                "code": problem.code,
                "place": str(problem.place),
                "message": problem.message,
                "hint": problem.hint,
            },
        }
        for problem in result.problems
    ]
    return [orjson.dumps(line).decode() for line in lines]


def _fired(fired: Fired) -> dict[str, Any]:
    key = {name: orjson.loads(text) for name, text in fired.key}
    return {"rule": fired.rule, "time": iso(fired.time_us), "key": key}


def junit_xml(results: Sequence[FileResult]) -> bytes:
    """JUnit XML: a suite per case file, an error per problem, a failure per case that failed."""
    root = ET.Element("testsuites")
    for result in results:
        suite = ET.SubElement(root, "testsuite", name=result.path)
        suite.set("tests", str(len(result.results) + len(result.problems)))
        suite.set("failures", str(sum(not case.passed for case in result.results)))
        suite.set("errors", str(len(result.problems)))
        for case in result.results:
            _junit_case(suite, result, case)
        for problem in result.problems:
            element = ET.SubElement(suite, "testcase", classname=result.rule, name=problem.code)
            ET.SubElement(element, "error", message=str(problem)).text = problem.hint
    ET.indent(root)
    return b"<?xml version='1.0' encoding='utf-8'?>\n" + ET.tostring(root, encoding="unicode").encode() + b"\n"


def _junit_case(suite: ET.Element, result: FileResult, case: CaseResult) -> None:
    element = ET.SubElement(suite, "testcase", classname=result.rule, name=case.case.name)
    if not case.passed:
        failure = ET.SubElement(element, "failure", message=case.wrong[0])
        failure.text = "\n".join([*case.wrong, *case.notes])
