"""Rule cases through the engine: once as written, and once in every arrangement that must not matter.

What fires may depend on the events only, never on how their records arrive. So every case also runs with its records
shuffled within lateness, told again, split over partitions, in the envelopes of other shippers, and with the engine
thrown away and restored in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from streamer.authoring.cases_compare import compare, difference, fired_of, moment
from streamer.authoring.cases_fields import number
from streamer.authoring.cases_model import Case, CaseFile, CaseResult, Piece
from streamer.authoring.cases_rules import Chosen
from streamer.authoring.cases_shippers import shipped_otherwise
from streamer.decode import Source
from streamer.decode.source import SourceKind
from streamer.engine import Engine, Output
from streamer.model import Firing, Position, Record
from streamer.ports import Partition
from streamer.sigma.rules import RuleSet

RESTORES: Final = 6
"""How often an arrangement throws the engine away; each costs building it anew."""

PARTITIONS: Final = 3
KINDS: Final[tuple[SourceKind, ...]] = ("audit", "containers")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record on its way: which piece, when, into which partition of its source."""

    piece: Piece
    time_us: int
    partition: int = 0


@dataclass(frozen=True, slots=True)
class Variant:
    """One arrangement of a case's records.

    Attributes:
        name: as messages say it: "what fired changed when records were <name>".
        arrange: the order of arrival.
        partitions: partitions per source.
        restore: whether the engine is replaced between records: ``snapshot``, ``changes`` or not at all.
    """

    name: str
    arrange: Callable[[Sequence[Piece], int, int], list[Arrival]]
    partitions: int = 1
    restore: str = ""


def run_case(case: Case, file: CaseFile, chosen: Chosen) -> CaseResult:
    """Play one case in every arrangement and compare with what it expects."""
    watched = {chosen.under_test.meta.key: (chosen.under_test.meta.name or chosen.under_test.meta.key)}
    forbidden = {chosen.by_name[name].meta.key: name for name, _ in case.absent}
    notes: list[str] = []
    undisturbed = fired_of(_play(case, file, chosen.rules, _AS_WRITTEN, notes), {**watched, **forbidden})
    of_rule = [fired for fired in undisturbed if fired.rule == chosen.under_test.meta.key]
    wrong = compare(case, file, of_rule, chosen.under_test.meta.level)
    for fired in undisturbed:
        if fired.rule in forbidden and fired.rule not in watched:
            wrong.append(f"{forbidden[fired.rule]} fired at {moment(fired.time_us, file)}, and must not")
    for variant in VARIANTS:
        changed = fired_of(_play(case, file, chosen.rules, variant, []), {**watched, **forbidden})
        if changed != undisturbed:
            wrong.append(difference(variant.name, undisturbed, changed, file))
    return CaseResult(case, tuple(wrong), tuple(undisturbed), tuple(dict.fromkeys(notes)))


def _as_written(pieces: Sequence[Piece], lateness_us: int, partitions: int) -> list[Arrival]:
    del lateness_us, partitions
    return [Arrival(piece, piece.arrives_us) for piece in sorted(pieces, key=lambda piece: piece.arrives_us)]


def _shuffled(pieces: Sequence[Piece], lateness_us: int, partitions: int) -> list[Arrival]:
    """Every record comes up to ``lateness`` after its time, so that no event is late."""
    del partitions
    delayed = [
        Arrival(piece, piece.arrives_us + number(lateness_us + 1, "late", place, piece.arrives_us))
        for place, piece in enumerate(pieces)
    ]
    return sorted(delayed, key=lambda arrival: arrival.time_us)


def _doubled(pieces: Sequence[Piece], lateness_us: int, partitions: int) -> list[Arrival]:
    """Every record comes two or three times, the copies in between the others."""
    del partitions
    told = [
        Arrival(piece, piece.arrives_us + number(lateness_us + 1, "again", place, copy) * bool(copy))
        for place, piece in enumerate(pieces)
        for copy in range(2 + number(2, "copies", place))
    ]
    return sorted(told, key=lambda arrival: arrival.time_us)


def _reshipped(pieces: Sequence[Piece], lateness_us: int, partitions: int) -> list[Arrival]:
    """Every record in the envelope of another shipper, several of them in one case."""
    wrapped = [
        replace(piece, value=shipped_otherwise(piece.kind, piece.value, number(1_000, "shipper", place, piece.value)))
        for place, piece in enumerate(pieces)
    ]
    return _as_written(wrapped, lateness_us, partitions)


def _split(pieces: Sequence[Piece], lateness_us: int, partitions: int) -> list[Arrival]:
    """Partitions are read one after the other: the watermark waits for the slowest."""
    arrivals = [
        Arrival(piece, piece.arrives_us, number(partitions, "partition", place))
        for place, piece in enumerate(_sorted(pieces, lateness_us))
    ]
    return sorted(arrivals, key=lambda arrival: (arrival.partition, arrival.time_us))


def _sorted(pieces: Sequence[Piece], lateness_us: int) -> list[Piece]:
    del lateness_us
    return sorted(pieces, key=lambda piece: piece.arrives_us)


_AS_WRITTEN: Final = Variant("as written", _as_written)
VARIANTS: Final = (
    Variant("shuffled within lateness", _shuffled),
    Variant("told two or three times", _doubled),
    Variant("in the envelopes of other shippers", _reshipped),
    Variant("split over partitions", _split, partitions=PARTITIONS),
    Variant("read with restarts from snapshots", _as_written, restore="snapshot"),
    Variant("shuffled and read with restarts from stored changes", _shuffled, restore="changes"),
)


def _play(case: Case, file: CaseFile, rules: RuleSet, variant: Variant, notes: list[str]) -> list[Firing]:
    """All firings, in the order told; what explains surprises goes into ``notes``."""
    partitions = _partitions(file, variant)
    arrivals = variant.arrange(case.pieces, file.lateness_us, variant.partitions)
    engine = _engine(rules, partitions, case)
    stored: dict[bytes, bytes] = {}
    output = Output()
    every = max(1, len(arrivals) // RESTORES)
    offsets: dict[Partition, int] = {}
    for number_, arrival in enumerate(arrivals, start=1):
        partition: Partition = (arrival.piece.kind, arrival.partition)
        offsets[partition] = offsets.get(partition, int(case.files) - 1) + 1
        position = Position(*partition, offsets[partition], is_file=case.files)
        named = arrival.piece.cluster
        headers = (("cluster", named.encode()),) if named else ()
        record = Record(arrival.piece.value, position, None if case.files else arrival.time_us, headers)
        _gather(engine.feed([record]), output)
        if variant.restore and (number_ % every == 0 or number_ == len(arrivals)):
            engine = _restarted(engine, stored, _engine(rules, partitions, case), variant.restore)
    for partition in partitions:
        _gather(engine.end(partition), output)
    notes += [f"record could not be read: {letter.reason}: {letter.detail}" for letter in output.dead_letters]
    notes += [f"a rule failed on an event: {failure}" for failure in output.failures]
    return output.firings


def _gather(told: Output, output: Output) -> None:
    output.firings += told.firings
    output.dead_letters += told.dead_letters
    output.failures += told.failures


def _partitions(file: CaseFile, variant: Variant) -> dict[Partition, Source]:
    """Both kinds of source, with all their partitions: a silent one must not matter either."""
    found: dict[Partition, Source] = {}
    for kind in KINDS:
        source = Source(kind, kind, cluster=file.cluster, lateness_us=file.lateness_us)
        for partition in range(variant.partitions):
            found[kind, partition] = source
    return found


def _engine(rules: RuleSet, partitions: dict[Partition, Source], case: Case) -> Engine:
    engine = Engine(rules)
    for partition, source in partitions.items():
        engine.expect(partition, source, is_file=case.files)
    return engine


def _restarted(engine: Engine, stored: dict[bytes, bytes], fresh: Engine, how: str) -> Engine:
    if how == "changes":
        for key, value in engine.changes().items():
            if value is None:
                stored.pop(key, None)
            else:
                stored[key] = value
    else:
        stored = engine.snapshot()
    fresh.restore(stored)
    return fresh
