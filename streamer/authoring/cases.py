"""Rule cases: events on a time line, the firings they cause, and no others. Start reading here.

::

    YAML ──cases_read──► CaseFile ──cases_rules──► Chosen rules ──cases_run──► CaseResult

The short forms of events are filled by :mod:`~streamer.authoring.cases_audit` and
:mod:`~streamer.authoring.cases_lines`. Nothing here opens a file; the command line does and hands texts over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streamer.authoring.cases_model import Case, CaseFile, CaseResult, Expected, Fired, Piece
from streamer.authoring.cases_read import ReadCases, read_cases
from streamer.authoring.cases_rules import Chosen, choose, missing_rule
from streamer.authoring.cases_run import run_case
from streamer.errors import RuleError
from streamer.sigma import Loaded

__all__ = [
    "Case",
    "CaseFile",
    "CaseResult",
    "Chosen",
    "Expected",
    "FileResult",
    "Fired",
    "Piece",
    "ReadCases",
    "choose",
    "read_cases",
    "run_case",
    "run_file",
]


@dataclass(frozen=True, slots=True)
class FileResult:
    """How a case file went.

    Attributes:
        path: of the case file.
        rule: name of the rule under test, else its file.
        results: one per case; empty if the file or its rule cannot be used.
        problems: why it cannot be used.
    """

    path: str
    rule: str
    results: tuple[CaseResult, ...] = ()
    problems: tuple[RuleError, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the file could be used and all its cases passed."""
        return not self.problems and all(result.passed for result in self.results)


def run_file(
    path: str, text: str, open_text: Callable[[str], str], load: Callable[[str], tuple[str, Loaded] | None]
) -> FileResult:
    """Read a case file, choose its rules and run all its cases. Never raises for what stands in the files.

    Args:
        path: of the case file, for messages.
        text: its content.
        open_text: the text of a file that a case names; raises ``OSError``.
        load: for the rule path as written its path as loaded and the rules of its folder; ``None`` if there is
            no such file.
    """
    read = read_cases(path, text, open_text)
    if read.cases is None:
        return FileResult(path, path, problems=read.problems)
    found = load(read.cases.rule)
    if found is None:
        return FileResult(path, read.cases.rule, problems=(missing_rule(read.cases),))
    chosen = choose(read.cases, found[0], found[1])
    if isinstance(chosen, tuple):
        return FileResult(path, read.cases.rule, problems=chosen)
    name = chosen.under_test.meta.name or chosen.under_test.meta.key
    return FileResult(path, name, tuple(run_case(case, read.cases, chosen) for case in read.cases.cases))
