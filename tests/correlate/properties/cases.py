"""Random cases: one rule set, and what happens to it in the order in which it happens.

Times stand on a small grid, so that ties, windows of exactly one timespan and events exactly at the watermark are
common. Every lane is a way of arriving.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from streamer.model import Evidence, Match, Position, Scalar
from streamer.sigma.rules import CorrelationRule, RuleSet
from tests.correlate.properties.build import UNIT, pick
from tests.correlate.properties.rules import NAMES, RuleMaker, with_reach

BASE = 1_750_000_000 * UNIT
YEAR = 365 * 86_400 * UNIT

VALUES: tuple[Scalar, ...] = ("x", "y", 1, 1.0, True, "1")
NUMBERS: tuple[Scalar, ...] = (0, 1, 1.0, 2, -1, 0.1, 0.2, 0.3, -2.5, True, "1")
HARD_VALUES: tuple[Scalar, ...] = (2**53, 2.0**53, 2**53 + 1, 0, 0.0, -0.0, False, "", "é", 1e300, 2**64 - 1, 0.1)
HARD_NUMBERS: tuple[Scalar, ...] = (2**53 + 1, -(2**53), 2.0**53, 1e308, -1e308, 2**64 - 1, -(2**63), 5e-324, 0.3, -0.0)
HARD_USERS: tuple[Scalar, ...] = (1e300, 2.0**64, -0.0, 0, "\u2028")
MANY: tuple[Scalar, ...] = (
    *(f"10.0.0.{number}" for number in range(20)),
    *range(8, 13),
    *("é", "z", '"', "\\", "\n", "a,b", "a]", "", "A", "~", "\U0001f600", "\uffee"),
    *(True, False, 1.5, 10.0, -1, 1e21),
)
"""Elements of lists that have more keys than a match may have."""

Op: TypeAlias = tuple[Literal["feed"], Match] | tuple[Literal["advance"], int] | tuple[Literal["restart"], str]


@dataclass
class Case:
    """One random case; :meth:`show` writes it so that a person can follow it."""

    lane: str
    seed: int
    rules: RuleSet
    ops: list[Op]
    start_us: int | None = None
    ends: bool = True
    features: set[str] = field(default_factory=set)

    @property
    def events(self) -> int:
        """How many matches are fed, duplicates included."""
        return sum(op[0] == "feed" for op in self.ops)

    def show(self) -> str:
        """Rules and operations, times in units since the base."""
        lines = [f"lane {self.lane} seed {self.seed} start {_units(self.start_us)}"]
        lines.extend(_rule_lines(rule) for rule in self.rules.correlations)
        for op in self.ops:
            if op[0] == "feed":
                match = op[1]
                values = {name: list(value) for name, value in match.values.items()}
                name = match.identity[:3].hex()
                lines.append(f"  feed {match.rule} @{_units(match.time_us)} id {name} {match.cluster} {values}")
            else:
                lines.append(f"  {op[0]} {_units(op[1]) if isinstance(op[1], int) else op[1]}")
        return "\n".join(lines)


def _rule_lines(rule: CorrelationRule) -> str:
    return (
        f"  {rule.meta.key}: {rule.type} {rule.rules} by {rule.group_by} in {rule.timespan_us / UNIT:g}"
        f" decides {rule.decides} reach {rule.reach_us / UNIT:g} skew {rule.skew_us / UNIT:g}"
        f" first_seen {rule.first_seen} learn {rule.learn_us / UNIT:g} across {rule.across_clusters}"
        f"\n      {rule.condition}\n      fields {dict(rule.fields_of)} exports {dict(rule.exported_fields)}"
        f"\n      {rule.suppress}"
    )


def _units(time: int | None) -> str:
    return "-" if time is None else f"{(time - BASE) / UNIT:g}"


@dataclass(frozen=True)
class Happening:
    """One event before it arrives: the rules it matches, and all it says."""

    time: int
    identity: bytes
    cluster: str
    rules: tuple[str, ...]
    values: dict[str, tuple[Scalar, ...]]

    def matches(self, offset: int, partition: int = 0) -> list[Match]:
        """What the detections make of it."""
        position = Position("test", partition, offset, is_file=False)
        return [
            Match(
                rule=rule,
                identity=self.identity,
                time_us=self.time,
                cluster=self.cluster,
                values=self.values,
                position=position,
                evidence=Evidence("audit", "success", "something happened"),
            )
            for rule in self.rules
        ]


class Makes:
    """A source of happenings: few users, few addresses, numbers that are easily confused."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.span = rng.choice((8, 14, 24))
        self.users: tuple[Scalar, ...] = rng.choice((("u",), ("u", "w"), ("u", 1, "1"), (1, 1.0, True), HARD_USERS))
        self.clusters = rng.choice((("k",), ("k",), ("k", "l")))
        self.missing = rng.choice((0.0, 0.0, 0.15))
        self.fine = rng.random() < 0.2
        hard = rng.random() < 0.15
        self.counted = HARD_VALUES if hard else VALUES
        self.numbers = HARD_NUMBERS if hard else NUMBERS

    def happenings(self, count: int) -> list[Happening]:
        """Random ones, in order of time; equal times keep a random order."""
        made = [self.one() for _ in range(count)]
        return sorted(made, key=lambda one: one.time)

    def one(self) -> Happening:
        """A random happening."""
        rng = self.rng
        time = BASE + rng.randint(0, self.span) * UNIT + (rng.choice((-1, 0, 1)) if self.fine else 0)
        rules = sorted(rng.sample(NAMES, pick(rng, {1: 6, 2: 2, 3: 1})))
        values: dict[str, tuple[Scalar, ...]] = {
            "user": (rng.choice(self.users),),
            "ip": self._addresses(),
            "v": (rng.choice(self.counted),),
            "n": (rng.choice(self.numbers),),
        }
        for name in list(values):
            if rng.random() < self.missing:
                del values[name]
        return Happening(time, rng.randbytes(16), rng.choice(self.clusters), tuple(rules), values)

    def _addresses(self) -> tuple[Scalar, ...]:
        rng = self.rng
        if rng.random() < 0.03:
            return tuple(rng.choices(MANY, k=20))
        return tuple(rng.choice(("p", "q", "s")) for _ in range(rng.choice((1, 1, 1, 2, 3))))


Arrival: TypeAlias = list[tuple[Happening, int]]
"""Happenings in the order in which they arrive, each with its partition."""


def shuffled(rng: random.Random, made: Sequence[Happening], lateness: int) -> list[Happening]:
    """Each arrives at most `lateness` after its time, hence never behind the watermark."""
    keyed = [(one.time + rng.randint(0, lateness), rng.random(), one) for one in made]
    return [one for _, _, one in sorted(keyed, key=lambda item: item[:2])]


def repeated(rng: random.Random, arrived: Sequence[Happening], share: float) -> list[Happening]:
    """Some events are told two or three times, anywhere after the first."""
    result = list(arrived)
    for one in arrived:
        for _ in range(rng.choice((1, 2)) if rng.random() < share else 0):
            result.insert(rng.randint(result.index(one) + 1, len(result)), one)
    return result


def ops_of(
    rng: random.Random, arrived: Sequence[tuple[Happening, int]], lateness: Sequence[int], pace: float
) -> list[Op]:
    """Feeds, and after some of them the watermark: the minimum over partitions of the largest time minus lateness."""
    ops: list[Op] = []
    newest: dict[int, int] = {}
    last = None
    for offset, (one, partition) in enumerate(arrived):
        matches = one.matches(offset, partition)
        rng.shuffle(matches)
        ops.extend(("feed", match) for match in matches)
        if one.time < BASE + YEAR // 2:
            newest[partition] = max(one.time, newest.get(partition, one.time))
        if len(newest) == len(lateness) and rng.random() < pace:
            watermark = min(time - lateness[number] for number, time in newest.items())
            if last is None or watermark > last:
                ops.append(("advance", watermark))
                last = watermark
    return ops


def restarted(rng: random.Random, ops: Sequence[Op], share: float) -> list[Op]:
    """The same operations with the process dying between some of them."""
    result: list[Op] = []
    for op in ops:
        result.append(op)
        if rng.random() < share:
            result.append(("restart", rng.choice(("snapshot", "changes"))))
    return result


def dense(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """Many events of one key, more than fit into a block of anything."""
    makes.users, makes.clusters, makes.missing = ("u",), ("k",), 0.0
    rules.upper = rng.choice((0, 1))
    rules.longest = 12
    rules.families = {name: weight for name, weight in rules.families.items() if name != "temporal_ordered"}
    lateness = rng.randint(0, 8) * UNIT
    made = repeated(rng, shuffled(rng, makes.happenings(45), lateness), 0.1)
    rule_set = rules.rule_set()
    return rule_set, restarted(rng, ops_of(rng, [(one, 0) for one in made], [lateness], 0.7), 0.02)


Lane: TypeAlias = Callable[[random.Random, RuleMaker, Makes], tuple[RuleSet, list[Op]]]


def _count(rng: random.Random) -> int:
    return rng.choice((4, 7, 10, 14))


def in_order(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """Everything arrives in order of time, without any lateness."""
    made = makes.happenings(_count(rng))
    return rules.rule_set(), ops_of(rng, [(one, 0) for one in made], [0], rng.choice((1.0, 0.5)))


def shuffle(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """Arrival is shuffled within lateness."""
    lateness = rng.randint(1, 8) * UNIT
    made = shuffled(rng, makes.happenings(_count(rng)), lateness)
    return rules.rule_set(), ops_of(rng, [(one, 0) for one in made], [lateness], rng.choice((1.0, 0.5)))


def duplicates(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """Every event is told one to three times, shuffled."""
    lateness = rng.randint(0, 6) * UNIT
    made = repeated(rng, shuffled(rng, makes.happenings(_count(rng)), lateness), 0.6)
    return rules.rule_set(), ops_of(rng, [(one, 0) for one in made], [lateness], 1.0)


def partitions(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """Two or three partitions, each in its own disorder; one may lag far behind the others."""
    count = rng.choice((2, 3))
    lateness = [rng.randint(0, 5) * UNIT for _ in range(count)]
    made = makes.happenings(_count(rng) + 2)
    queues: list[list[Happening]] = [[] for _ in range(count)]
    for one in made:
        queues[rng.randrange(count)].append(one)
    queues = [shuffled(rng, queue, late) for queue, late in zip(queues, lateness, strict=True)]
    arrived: list[tuple[Happening, int]] = []
    weights = [rng.choice((1, 3, 10)) for _ in range(count)]
    while any(queues):
        number = rng.choices(range(count), [w if q else 0 for w, q in zip(weights, queues, strict=True)])[0]
        arrived.append((queues[number].pop(0), number))
    return rules.rule_set(), ops_of(rng, arrived, lateness, 1.0)


def year_ahead(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """Some stamps are a year ahead; the watermark does not follow them."""
    lateness = rng.randint(0, 4) * UNIT
    made = shuffled(rng, makes.happenings(_count(rng)), lateness)
    for _ in range(rng.randint(1, 3)):
        one = makes.one()
        made.insert(rng.randint(0, len(made)), replace(one, time=one.time + YEAR))
    return rules.rule_set(), ops_of(rng, [(one, 0) for one in made], [lateness], 1.0)


def late(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """Matches come behind the watermark: within reach, exactly at its edge, and beyond."""
    made = [
        (one, one.time + (rng.randint(0, 14) * UNIT if rng.random() < 0.5 else 0))
        for one in makes.happenings(_count(rng))
    ]
    made.sort(key=lambda item: item[1])
    arrived = repeated(rng, [one for one, _ in made], 0.2)
    reach = rng.choice((0, 1, 3, 6, 10)) * UNIT
    lateness = rng.choice((0, 0, 1, 3)) * UNIT
    rule_set = rules.rule_set()
    if rng.random() < 0.7:
        rule_set = with_reach(rule_set, reach)
    return rule_set, ops_of(rng, [(one, 0) for one in arrived], [lateness], rng.choice((1.0, 0.6)))


def late_to_judged(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """As above, with one user and rules that judge: what is late meets what has been decided."""
    rules.families = {"aggregate": 4, "temporal": 3, "temporal_ordered": 3, "first_seen": 1, "bounded": 2}
    rules.vetoes = 0.8
    rules.upper = rng.choice((0, 0, 1))
    makes.users, makes.clusters, makes.span = ("u",), ("k",), 10
    return late(rng, rules, makes)


def chained(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """Correlations of correlations up to rank 3 and beyond, most of them temporal and with `not`."""
    rules.upper = 3
    rules.families = {"temporal": 6, "temporal_ordered": 6, "event_count": 2, "bounded": 1, "first_seen": 1}
    lateness = rng.randint(0, 5) * UNIT
    made = shuffled(rng, makes.happenings(_count(rng) + 3), lateness)
    return rules.rule_set(), ops_of(rng, [(one, 0) for one in made], [lateness], 1.0)


def restarts(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """The process dies at random points and goes on from what was stored."""
    inner = rng.choice((shuffle, late, late_to_judged, chained, duplicates))
    rule_set, ops = inner(rng, rules, makes)
    return rule_set, restarted(rng, ops, rng.choice((0.1, 0.5)))


def skewed(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """Ordered rules with skew."""
    rules.families = {"temporal_ordered": 1}
    rules.skew = 1.0
    rules.upper = 1
    return shuffle(rng, rules, makes)


def alerting(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """Detections alert by themselves, with and without suppression."""
    rules.alerting_detections = True
    rules.upper = 0
    inner = rng.choice((shuffle, duplicates, late, restarts))
    return inner(rng, rules, makes)


def provisional(rng: random.Random, rules: RuleMaker, makes: Makes) -> tuple[RuleSet, list[Op]]:
    """`not` and first_seen decided on arrival."""
    rules.families = {"temporal": 3, "temporal_ordered": 3, "first_seen": 2}
    rules.provisional = 1.0
    rules.upper = 0
    return shuffle(rng, rules, makes)


LANES: dict[str, Lane] = {
    "in order": in_order,
    "shuffled within lateness": shuffle,
    "told one to three times": duplicates,
    "several partitions": partitions,
    "stamps a year ahead": year_ahead,
    "late, within and beyond reach": late,
    "late, against what is judged": late_to_judged,
    "correlations of correlations": chained,
    "restarts": restarts,
    "many events of one key": dense,
    "skew": skewed,
    "alerting detections": alerting,
    "provisional": provisional,
}


def _with_short_lists(op: Op) -> Op:
    """No list so long that exported values overflow: nothing says which of one moment are left out."""
    if op[0] != "feed":
        return op
    return ("feed", replace(op[1], values={name: value[:3] for name, value in op[1].values.items()}))


def case_of(lane: str, seed: int) -> Case:
    """The case with this number."""
    rng = random.Random(f"{lane}/{seed}")
    rules, ops = LANES[lane](rng, RuleMaker(rng), Makes(rng))
    if any(rule.rank > 1 for rule in rules.correlations):
        ops = [_with_short_lists(op) for op in ops]
    start = rng.choice((None, BASE, BASE + 3 * UNIT))
    return Case(lane, seed, rules, ops, start, ends=rng.random() < 0.8)
