"""How time passes at one partition of detections: who has told how far they are, and how far each rule may judge.

A rule of rank 1 judges what is older than every raw partition; a rule of rank k, what is older than every partition of
detections has told for rank k - 1. Nothing ever goes back.

A telling holds for the rules its teller runs. Rules are named by their meaning, so what is told under another version
of the rule set counts for a rule that means the same in both. A rule that begins anew is *pending* until everybody's
latest version has it: until then it takes matches in and nothing is judged; from then on it knows the stream from the
moment on at which the last of them began to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streamer.correlate.limits import BEGINNING
from streamer.ports import Partition
from streamer.sigma.rules import RuleSet
from streamer.stages.wire import RankTold, SourcesTold, SourceTold, meaning_of

VERSIONS: Final = 4
"""Versions of the rule set remembered per teller and in all; the ones told longest ago are forgotten."""


@dataclass(slots=True)
class RuleTime:
    """One correlation in time.

    Attributes:
        needs: meanings of all rules below it, directly or not.
        watermark: it has judged what is older.
        starts_us: it knows the stream from here on; ``None`` as long as it is pending.
    """

    key: str
    meaning: bytes
    rank: int
    needs: frozenset[bytes]
    watermark: int = BEGINNING
    starts_us: int | None = None


def rule_times(rules: RuleSet) -> dict[str, RuleTime]:
    """All correlations of a rule set, nothing heard yet."""
    found: dict[str, RuleTime] = {}
    for rule in rules.correlations:
        needs: set[bytes] = set()
        for below in rule.rules:
            if below in found:
                needs |= {found[below].meaning, *found[below].needs}
        found[rule.meta.key] = RuleTime(rule.meta.key, meaning_of(rule), rule.rank, frozenset(needs))
    return found


@dataclass(slots=True)
class _Source:
    """What was told of one raw partition: watermarks by version, the version told last at the end."""

    watermarks: dict[str, int | None] = field(default_factory=dict)
    first_us: int | None = None
    since_us: int | None = None
    latest: str | None = None

    def newest(self) -> int | None:
        """The highest watermark told, by whatever version."""
        return max((time for time in self.watermarks.values() if time is not None), default=None)

    def tell(self, version: str, told: SourceTold) -> None:
        before = self.watermarks.pop(version, None)
        reached = told.watermark_us
        self.watermarks[version] = reached if before is None or (reached is not None and reached > before) else before
        _forget_oldest(self.watermarks)
        self.latest, self.since_us = version, told.since_us
        if told.first_us is not None and (self.first_us is None or told.first_us < self.first_us):
            self.first_us = told.first_us

    def reached(self, rule: RuleTime, covering: frozenset[str]) -> int | None:
        """What was told by versions that have the rule; for a pending one by the latest, if that has it."""
        if rule.starts_us is None:
            return self.watermarks[self.latest] if self.latest is not None and self.latest in covering else None
        highest: int | None = None
        for version, reached in self.watermarks.items():
            if reached is not None and version in covering and (highest is None or reached > highest):
                highest = reached
        return highest


@dataclass(slots=True)
class _Claim:
    """What one partition of detections told under one version."""

    watermarks: dict[int, int] = field(default_factory=dict)
    behind: dict[bytes, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Peer:
    """What one partition of detections told: claims by version, the version told last at the end."""

    claims: dict[str, _Claim] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)
    latest: str | None = None

    def tell(self, told: RankTold) -> None:
        claim = self.claims.pop(told.version, None) or _Claim()
        for rank, reached in told.watermarks.items():
            claim.watermarks[rank] = max(reached, claim.watermarks.get(rank, BEGINNING))
        claim.behind, self.starts = dict(told.behind), dict(told.starts)
        self.claims[told.version], self.latest = claim, told.version
        _forget_oldest(self.claims)

    def reached(self, rule: RuleTime, covering: frozenset[str]) -> int | None:
        """What was claimed under versions that have the rule; for a pending one under the latest, if that has it."""
        highest: int | None = None
        for version, claim in self.claims.items():
            if version not in covering or (rule.starts_us is None and version != self.latest):
                continue
            reached = claim.watermarks.get(rule.rank - 1)
            if reached is None:
                continue
            if claim.behind:
                reached = min([reached, *(claim.behind[one] for one in claim.behind.keys() & rule.needs)])
            if highest is None or reached > highest:
                highest = reached
        return highest


class Watermarks:
    """Everything one partition of detections has heard of time, and the times of its own rules.

    Args:
        rules: what runs.
        version: name of that rule set.
        partitions: number of partitions of detections.

    Attributes:
        reached_us: everything older has been told by all sources, whatever rules they run.
        switched_us: firings up to this time were not sent to rules that are new in this version.
    """

    def __init__(self, rules: RuleSet, version: str, partitions: int) -> None:
        self.version = version
        self.rules = rule_times(rules)
        self.highest = max((rule.rank for rule in self.rules.values()), default=0)
        self.meanings = tuple(sorted({rule.meaning for rule in self.rules.values()}))
        self.reached_us: int | None = None
        self.switched_us = BEGINNING
        self._partitions = partitions
        self._used = frozenset(one for rule in self.rules.values() for one in rule.needs)
        self._expects: dict[str, int] = {}
        self._sources: dict[Partition, _Source] = {}
        self._peers: dict[int, _Peer] = {}
        self._versions: dict[str, frozenset[bytes]] = {version: frozenset(self.meanings)}

    # -- hearing ----------------------------------------------------------------------------------------------------

    def hear_sources(self, told: SourcesTold) -> None:
        """A detecting task tells how far its raw partitions are."""
        self._learn_version(told.version, told.rules)
        if told.expects:
            self._expects = dict(told.expects)
        for one in told.sources:
            source = self._sources.setdefault((one.source, one.partition), _Source())
            before = source.latest
            source.tell(told.version, one)
            if one.since_us is not None:
                self._resumed(before, told.version, dict.fromkeys(range(1, self.highest + 1), one.since_us + 1))
        lowest = self._all_sources(_Source.newest)
        if lowest is not None and (self.reached_us is None or lowest > self.reached_us):
            self.reached_us = lowest

    def hear_ranks(self, number: int, told: RankTold) -> None:
        """A partition of detections tells how far it is; told twice or late it does no harm."""
        self._learn_version(told.version, told.rules)
        if not 0 <= number < self._partitions:
            return
        peer = self._peers.setdefault(number, _Peer())
        before = peer.latest
        peer.tell(told)
        self._resumed(before, told.version, {rank + 1: starts for rank, starts in told.starts.items()})

    def _learn_version(self, version: str, meanings: tuple[bytes, ...]) -> None:
        known = self._versions.pop(version, frozenset())
        self._versions[version] = frozenset(meanings) or known
        own = self._versions.pop(self.version)
        _forget_oldest(self._versions, VERSIONS - 1)
        self._versions[self.version] = own

    def _resumed(self, before: str | None, after: str, starts: Mapping[int, int]) -> None:
        """Rules that a teller had stopped to run and now runs again have missed what was between."""
        if before is None or before == after:
            return
        for rule in self.rules.values():
            if rule.starts_us is None or rule.rank not in starts:
                continue
            if self._covers(after, rule) and not self._covers(before, rule):
                rule.starts_us = max(rule.starts_us, starts[rule.rank])

    def _covers(self, version: str, rule: RuleTime) -> bool:
        return rule.meaning in self._versions.get(version, ())

    # -- how far ----------------------------------------------------------------------------------------------------

    def advance(self, rank: int, missed: Mapping[bytes, int]) -> list[RuleTime]:
        """Bring the rules of a rank to where they may judge; returns those that moved.

        Args:
            rank: which rules.
            missed: by meaning, the latest time of a match that was lost to a rule before it ran here.
        """
        moved: list[RuleTime] = []
        found: dict[tuple[object, ...], int | None] = {}
        behind = frozenset(
            one for peer in self._peers.values() for claim in peer.claims.values() for one in claim.behind
        )
        for rule in self.rules.values():
            if rule.rank != rank:
                continue
            covering = tuple(version for version in self._versions if self._covers(version, rule))
            alike = (rule.starts_us is None, covering, rule.needs & behind)
            if alike not in found:
                found[alike] = self._reach(rule, frozenset(covering))
            reached = found[alike]
            if reached is None or reached == BEGINNING:
                continue
            if rule.starts_us is None:
                rule.starts_us = max(self._start(rule), missed.get(rule.meaning, BEGINNING) + 1)
            if reached > rule.watermark:
                rule.watermark = reached
                moved.append(rule)
        return moved

    def _reach(self, rule: RuleTime, covering: frozenset[str]) -> int | None:
        # A rule of a higher rank may reference detections too.
        by_sources = self._all_sources(lambda source: source.reached(rule, covering))
        if rule.rank == 1 or by_sources is None or len(self._peers) < self._partitions:
            return by_sources if rule.rank == 1 else None
        return _lowest([by_sources, *(peer.reached(rule, covering) for peer in self._peers.values())])

    def _all_sources(self, told: Callable[[_Source], int | None]) -> int | None:
        sources = self._expected()
        return None if sources is None else _lowest(map(told, sources))

    def _expected(self) -> list[_Source] | None:
        """The raw partitions there must be; ``None`` as long as one was not heard of."""
        found: list[_Source] = []
        for name, count in self._expects.items():
            for number in range(count):
                source = self._sources.get((name, number))
                if source is None:
                    return None
                found.append(source)
        return found or None

    def _start(self, rule: RuleTime) -> int:
        sources = self._expected() or []
        starts = [since + 1 for since in _known(source.since_us for source in sources)]
        if any(source.since_us is None for source in sources):
            firsts = _known(source.first_us for source in sources)
            starts += [min(firsts)] if firsts else []
        if rule.rank > 1:
            starts += [peer.starts.get(rule.rank - 1, BEGINNING) for peer in self._peers.values()]
        return max(starts, default=BEGINNING)

    # -- telling ----------------------------------------------------------------------------------------------------

    def claims(self) -> RankTold:
        """What the rules here have judged, for the partitions whose rules are over them; no beginnings, no rules."""
        watermarks: dict[int, int] = {}
        behind: dict[bytes, int] = {}
        starts: dict[int, int] = {}
        latest = self.switched_us + 1
        for rank in range(1, self.highest):
            of_rank = [rule for rule in self.rules.values() if rule.rank == rank and rule.meaning in self._used]
            reached = max(rule.watermark for rule in of_rank)
            if reached == BEGINNING:
                break
            watermarks[rank] = reached
            for rule in of_rank:
                latest = max(latest, rule.starts_us if rule.starts_us is not None else BEGINNING)
                if rule.watermark < reached:
                    behind[rule.meaning] = min(rule.watermark, behind.get(rule.meaning, rule.watermark))
            starts[rank] = latest
        return RankTold(self.version, watermarks, behind, starts)

    def sources(self) -> dict[Partition, int | None]:
        """The watermark of every raw partition heard of."""
        return {name: source.newest() for name, source in self._sources.items()}

    def ranks(self) -> dict[int, int]:
        """The watermark by which each rank judges, where it is further than the beginning."""
        found: dict[int, int] = {}
        for rule in self.rules.values():
            if rule.watermark > BEGINNING:
                found[rule.rank] = max(rule.watermark, found.get(rule.rank, BEGINNING))
        return found

    # -- being stored -----------------------------------------------------------------------------------------------

    def state(self) -> list[Any]:
        """What :meth:`load` needs to go on from here, but for the versions."""
        sources = [
            [*name, source.watermarks, source.first_us, source.since_us, source.latest]
            for name, source in self._sources.items()
        ]
        peers = [
            [
                number,
                {name: [one.watermarks, one.behind] for name, one in peer.claims.items()},
                peer.starts,
                peer.latest,
            ]
            for number, peer in self._peers.items()
        ]
        rules: dict[tuple[int, int | None], list[str]] = {}
        for rule in self.rules.values():
            rules.setdefault((rule.watermark, rule.starts_us), []).append(rule.key)
        # The keys of the largest group need not be written: they are all the others.
        largest = max(rules, key=lambda times: len(rules[times]), default=None)
        groups: list[list[Any]] = [] if largest is None else [[*largest, None]]
        groups += [[*times, keys] for times, keys in rules.items() if times != largest]
        return [self.reached_us, self.switched_us, self._expects, sources, peers, groups]

    def load(self, state: list[Any]) -> None:
        """Go on from a state, with the times of all rules; those that begin anew are to be :meth:`begun`."""
        self.reached_us, self.switched_us, self._expects, sources, peers, groups = state
        for name, number, *source in sources:
            self._sources[name, number] = _Source(*source)
        for number, claims, starts, latest in peers:
            known = {name: _Claim(*claim) for name, claim in claims.items()}
            self._peers[number] = _Peer(known, starts, latest)
        for watermark, starts_us, keys in groups:
            for key in self.rules if keys is None else keys:
                if key in self.rules:
                    self.rules[key].watermark, self.rules[key].starts_us = watermark, starts_us

    def begun(self, key: str) -> None:
        """A rule begins anew: it has judged nothing and waits for everybody to run it."""
        self.rules[key].watermark, self.rules[key].starts_us = BEGINNING, None

    def versions(self) -> dict[str, list[bytes]]:
        """The meanings of the versions heard of; they change rarely."""
        return {version: sorted(meanings) for version, meanings in self._versions.items()}

    def load_versions(self, versions: Mapping[str, list[bytes]]) -> None:
        """Go on from :meth:`versions`."""
        for version, meanings in versions.items():
            if version != self.version:
                self._learn_version(version, tuple(meanings))


def _known(times: Iterable[int | None]) -> list[int]:
    return [time for time in times if time is not None]


def _lowest(times: Iterable[int | None]) -> int | None:
    lowest: int | None = None
    for time in times:
        if time is None:
            return None
        lowest = time if lowest is None else min(lowest, time)
    return lowest


def _forget_oldest(told: dict[str, Any], most: int = VERSIONS) -> None:
    while len(told) > most:
        del told[next(iter(told))]
