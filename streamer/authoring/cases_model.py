"""What a file of rule cases says, as values: which rule, which events on a time line, which firings and no others.

A case is data beside its rule. :mod:`streamer.authoring.cases_read` makes these values from YAML,
:mod:`streamer.authoring.cases_run` plays them through the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streamer.decode.source import SourceKind
from streamer.errors import Place
from streamer.model import Scalar

DEFAULT_START_US = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z, what ``at: 0s`` means unless the file says ``start``."""

DEFAULT_LATENESS_US = 10_000_000
DEFAULT_CLUSTER = "c1"


@dataclass(frozen=True, slots=True)
class Piece:
    """One record of a case as a source would deliver it.

    Attributes:
        kind: what kind of source it comes from.
        value: the bytes.
        arrives_us: when it arrives if nothing disturbs the order.
        place: the event of the case file that it stands for.
        cluster: cluster that a header of the record names; empty where it names none.
    """

    kind: SourceKind
    value: bytes
    arrives_us: int
    place: Place
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """One firing that must happen.

    Attributes:
        time_us: its exact time.
        key: names and values of its key that must be equal; names left out are not compared.
        level: the rule's level, if the case says one.
    """

    time_us: int
    key: Mapping[str, Scalar]
    level: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Case:
    """Events, and all firings of the rule under test that they cause.

    Attributes:
        files: whether the records stand in files, which end; else in topics, which fall silent.
    """

    name: str
    place: Place
    pieces: tuple[Piece, ...]
    expect: tuple[Expected, ...]
    absent: tuple[tuple[str, Place], ...] = ()
    files: bool = False


@dataclass(frozen=True, slots=True)
class CaseFile:
    """All cases of one rule.

    Attributes:
        rule: path of the rule file, relative to the root of the project.
        rule_name: which rule of that file, where it holds several and the case file says so.
    """

    path: str
    rule: str
    rule_name: str | None
    rule_place: Place
    start_us: int
    cluster: str
    lateness_us: int
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, order=True)
class Fired:
    """A firing, as far as cases compare it. ``time_us`` comes first so that lists read as time lines."""

    time_us: int
    rule: str
    key: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case went.

    Attributes:
        wrong: one sentence per thing that is not as the case says; empty if it passed.
        fired: what fired undisturbed, of the rule under test and of those that must not fire.
        notes: what may explain a failure, for example records that could not be read.
    """

    case: Case
    wrong: tuple[str, ...]
    fired: tuple[Fired, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything was as the case says, in every arrangement of its records."""
        return not self.wrong
