"""Rule files to a rule set, with every problem of every file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from streamer.errors import Place, RuleError, RuleSetError
from streamer.sigma.allow_file import Exempt, read_allow
from streamer.sigma.allowing import Chooser, attach
from streamer.sigma.building import Builder, check_correlations
from streamer.sigma.drafts import Draft, read_draft
from streamer.sigma.problems import Problems
from streamer.sigma.references import Registry, in_build_order, resolve_all
from streamer.sigma.rules import RuleSet
from streamer.sigma.yamltree import read_documents

SUFFIXES: Final = (".yml", ".yaml")
MAX_FILE_BYTES: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read.

    Attributes:
        rules: the rules that can be used without the broken ones.
        problems: errors and warnings of all files, by place.
        sources: text of every file that could be read, by path, for showing lines.
        allow: exceptions of the site that can be used.
    """

    rules: RuleSet
    problems: tuple[RuleError, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    allow: tuple[Exempt, ...] = ()

    def ok(self) -> RuleSet:
        """The rules, if all of them can be used.

        Raises:
            RuleSetError: if any problem is an error.
        """
        if any(problem.severity == "error" for problem in self.problems):
            raise RuleSetError(self.problems)
        return self.rules


def load_text(
    files: Mapping[str, str], *, placeholders: Mapping[str, Sequence[str]] = {}, allow: str | None = None
) -> Loaded:
    """Read rules from texts by path, and exceptions. Never raises; problems are in the result."""
    exceptions = {} if allow is None else {"allow.yml": allow}
    return _load(dict(files), {path: path for path in files}, placeholders, exceptions, Problems())


def load_rules(
    paths: Sequence[Path], *, placeholders: Mapping[str, Sequence[str]] = {}, allow: Path | None = None
) -> Loaded:
    """Read files, and every ``.yml`` and ``.yaml`` below folders. Never raises; problems are in the result.

    Args:
        paths: rule files and folders.
        placeholders: values by name, for ``|expand``.
        allow: file with exceptions of the site.
    """
    problems = Problems()
    files: dict[str, str] = {}
    short: dict[str, str] = {}
    for path in paths:
        try:
            found = list(rule_files(path))
        except OSError as error:
            problems.error("unreadable", Place(str(path)), f"it cannot be read: {error.strerror}")
            continue
        for file, name in found:
            text = _text(file, problems) if str(file) not in files else None
            if text is not None:
                files[str(file)] = text
                short[str(file)] = name
        if not found:
            what = "there are no rule files in this folder" if path.is_dir() else "there is no such file"
            problems.error("no-rules", Place(str(path)), what)
    text = None if allow is None else _text(allow, problems)
    exceptions = {} if text is None else {str(allow): text}
    return _load(files, short, placeholders, exceptions, problems)


def rule_files(path: Path) -> Iterator[tuple[Path, str]]:
    """Files in the order of their names, each with its path below the folder.

    A mounted ConfigMap shows every file twice: as a link, and where that leads, in a folder that begins with ``..``.
    The links count.
    """
    if path.is_file():
        yield path, path.name
    elif path.is_dir():
        inside = (file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        for file in sorted(inside, key=lambda file: file.parts):
            below = file.relative_to(path)
            if not any(part.startswith("..") for part in below.parts):
                yield file, below.as_posix()


def _text(file: Path, problems: Problems) -> str | None:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            problems.error("file-too-large", Place(str(file)), f"more than {MAX_FILE_BYTES} bytes", "split the file")
            return None
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.error("not-utf8", Place(str(file)), f"byte {error.start} is not UTF-8", "save the file as UTF-8")
    except OSError as error:
        problems.error("unreadable", Place(str(file)), f"the file cannot be read: {error.strerror}")
    return None


def _load(
    files: Mapping[str, str],
    short: Mapping[str, str],
    placeholders: Mapping[str, Sequence[str]],
    exceptions: Mapping[str, str],
    problems: Problems,
) -> Loaded:
    drafts: list[Draft] = []
    for path, text in files.items():
        for number, root in enumerate(read_documents(path, text, problems), start=1):
            draft = read_draft(root, f"{short[path]}#{number}", placeholders, problems)
            if draft is not None:
                drafts.append(draft)
    registry = Registry(drafts, problems)
    references = resolve_all(drafts, registry, problems)
    exempt = tuple(entry for path, text in exceptions.items() for entry in read_allow(path, text, problems))
    attach(exempt, Chooser(drafts, registry, references, short, problems), problems)
    ready = check_correlations(drafts, references, registry, problems)
    ordered = in_build_order(drafts, references, problems)
    rules = Builder(references, ready, problems).build(ordered, drafts)
    return Loaded(rules, problems.in_order(), {**files, **exceptions}, exempt)
