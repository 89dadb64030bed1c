"""``streamer coverage``: which techniques the rules tell of, and which they cannot or do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamer.authoring.cases import read_cases
from streamer.authoring.coverage import Coverage, Covered
from streamer.authoring.coverage import as_json as object_of
from streamer.authoring.coverage import coverage as coverage_of
from streamer.authoring.coverage_layer import navigator_layer
from streamer.authoring.coverage_text import markdown, told
from streamer.authoring.matrix import Matrix
from streamer.authoring.matrix_attack import ATTACK
from streamer.authoring.matrix_kubernetes import KUBERNETES
from streamer.cli.rules_in_force import placeholder_values, rules_in_force
from streamer.cli.style import DIM, LEVELS, STRONG, messages, output
from streamer.cli.test import find_cases, project_of
from streamer.errors import SettingsError
from streamer.service.rule_files import shipped_rules
from streamer.sigma.rules import RuleSet

_NAMES: Final = 4
"""Rule names in a row of the table; the others are counted."""


class Which(StrEnum):
    """Value of ``--matrix``."""

    attack = "attack"
    kubernetes = "kubernetes"
    both = "both"


_MATRICES: Final[Mapping[Which, tuple[Matrix, ...]]] = {
    Which.attack: (ATTACK,),
    Which.kubernetes: (KUBERNETES,),
    Which.both: (ATTACK, KUBERNETES),
}


def coverage(  # noqa: PLR0913, PLR0917 (each is an option of the verb)
    rules: Annotated[
        list[str] | None,
        typer.Option(help="Rule file or folder, or the word `shipped`. Repeatable. Default: shipped.", metavar="DIR"),
    ] = None,
    cases: Annotated[
        Path | None, typer.Option(help="Folder of rule cases. Default: tests/rules beside the rules.", metavar="DIR")
    ] = None,
    matrix: Annotated[Which, typer.Option(help="Which matrix.", show_default=True)] = Which.both,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per matrix on standard output.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The tables as Markdown.")] = False,
    navigator: Annotated[
        Path | None, typer.Option(help="Write a layer for the ATT&CK Navigator.", metavar="FILE")
    ] = None,
    placeholder: Annotated[
        list[str] | None, typer.Option(help="Values for |expand: name=value,value. Repeatable.", metavar="NAME=VALUES")
    ] = None,
) -> None:
    """Show which techniques of ATT&CK and of the threat matrix for Kubernetes the rules tell of.

    Only rules that alert count. What neither audit log nor container logs can show says why.
    Exit code: 0 all tags are known, 1 a tag names nothing that exists, 2 rules or cases cannot be used.

    Example: streamer coverage --rules shipped --rules my-rules/ --navigator layer.json
    """
    loaded = rules_in_force(rules or [], placeholders=placeholder_values(placeholder or []))
    firing = firing_cases(loaded, _case_folder(cases))
    found = [coverage_of(loaded, each, firing) for each in _MATRICES[matrix]]
    if navigator is not None:
        navigator.write_bytes(
            orjson.dumps(navigator_layer(coverage_of(loaded, ATTACK, firing)), option=orjson.OPT_INDENT_2) + b"\n"
        )
    _show(found, as_json=as_json, as_markdown=as_markdown)
    raise typer.Exit(_tell_unknown(found))


def _case_folder(given: Path | None) -> Path | None:
    if given is not None:
        if not given.exists():
            raise SettingsError(
                f"there is no file or folder {given}", hint="--cases names a folder of *.test.yml files"
            )
        return given
    beside = shipped_rules().parent / "tests" / "rules"
    return beside if beside.is_dir() else None


def firing_cases(rules: RuleSet, folder: Path | None) -> dict[str, int]:
    """How many cases of each rule expect it to fire; a case file that cannot be read is a matter of `streamer test`."""
    if folder is None:
        return {}
    keys = {Path(rule.meta.place.path).resolve(): key for key, rule in rules.by_key().items()}
    keys_by_name = {rule.meta.name: key for key, rule in rules.by_key().items() if rule.meta.name}
    count: Counter[str] = Counter()
    for file in find_cases([folder]):
        base = project_of(file)
        text = file.read_text(encoding="utf-8")
        read = read_cases(str(file), text, lambda path, base=base: (base / path).read_text(encoding="utf-8")).cases  # type: ignore[misc]
        if read is None:
            messages().print(f"{file} cannot be read: its cases do not count. Run `streamer test` on it.", style=DIM)
            continue
        key = keys_by_name.get(read.rule_name) if read.rule_name else keys.get((base / read.rule).resolve())
        if key is not None:
            count[key] += sum(bool(case.expect) for case in read.cases)
    return dict(count)


def _show(found: Sequence[Coverage], *, as_json: bool, as_markdown: bool) -> None:
    console = output()
    if as_json:
        for each in found:
            console.file.write(orjson.dumps(object_of(each)).decode() + "\n")
    elif as_markdown:
        console.file.write("\n".join(markdown(each) for each in found))
    else:
        for each in found:
            _print(each, console)
        for each in found:
            console.print(Text(each.summary(), style=STRONG), soft_wrap=True)


def _print(found: Coverage, console: Console) -> None:
    for column, cells in found.columns():
        console.print(_table(f"{found.matrix.name}: {column.name}", cells))
    if found.outside:
        console.print(_table(f"{found.matrix.name}: also told of, outside of this matrix", found.outside))


def _table(title: str, cells: Sequence[Covered]) -> Table:
    table = Table(title=title, title_justify="left", title_style=STRONG, box=box.SIMPLE, pad_edge=False)
    table.add_column("id", no_wrap=True)
    table.add_column("technique", ratio=2)
    table.add_column("rules", justify="right")
    table.add_column("cases", justify="right")
    table.add_column("level", no_wrap=True)
    table.add_column("which", ratio=5)
    for item in cells:
        style = "" if item.rules else DIM
        numbers = (str(len(item.rules)), str(item.cases)) if item.rules else ("", "")
        level = Text(item.level or "", style=LEVELS.get(item.level or "", ""))
        table.add_row(item.cell.id, item.cell.name, *numbers, level, Text(told(item, _NAMES)), style=style)
    return table


def _tell_unknown(found: Sequence[Coverage]) -> int:
    unknown = {word: names for each in found for word, names in each.unknown.items()}
    for word, names in unknown.items():
        messages().print(f"tag {word} names no technique or tactic: {', '.join(names)}", soft_wrap=True)
    return 1 if unknown else 0
