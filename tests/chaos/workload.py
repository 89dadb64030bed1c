"""A seeded world: much that matters to nobody, and stories that meet a rule's threshold exactly or miss it by one.

Every story has a user and namespaces of its own, and its records are spread over the partitions of the raw topics. So
one detection that is lost, or told of twice under another name, changes an alert. Beside the stories there are users
who do everything at random, and "odd" ones whose records are late, far in the future, in 1970 or without a time: what
rules make of those may depend on which partition was read first, so that only a run of the same detections can be
compared there (:data:`ODD`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos.records import Act, Numbered, Raw

RULES = Path(__file__).with_name("rules.yml")
PARTITIONS = {"audit": 4, "containers": 2}
"""Partitions of the raw topics."""
ODD = "odd-"
"""How the names of users and namespaces begin of whom only the same order of detections tells the same."""
PACE = 20
"""Raw records in a second of event time."""
DISORDER_S = 5.0
"""How far records are out of order; less than the sources' lateness."""
REST_S = 86_400.0
"""How long after everything else the last record of every partition is stamped: everything open is decided by it."""

_Timed = tuple[float, Act]


@dataclass(frozen=True, slots=True)
class Scene:
    """Whose story it is, and where and when it begins."""

    who: str
    begins_s: float
    cluster: str
    chance: random.Random

    def act(self, after_s: float, verb: str, resource: str, place: int = 0, **more: object) -> Act:
        """Something done ``after_s`` seconds into the story in the ``place``-th namespace of the story."""
        return Act(
            verb,
            resource,
            user=f"{self.who}@example.com",
            namespace=f"{self.who}-{place}",
            seconds=self.begins_s + after_s,
            cluster=self.cluster,
            **more,  # type: ignore[arg-type]
        )

    def pods(self, count: int, after_s: float = 0.0, place: int = 0) -> list[Act]:
        """Pods made at moments of their own within 20 s."""
        times = sorted(self.chance.sample(range(200), count))
        return [self.act(after_s + at / 10, "create", "pods", place) for at in times]

    def secrets(self, count: int, after_s: float = 0.0) -> list[Act]:
        """Secrets read in as many namespaces within 20 s."""
        return [self.act(after_s + 20 * at / count, "get", "secrets", at) for at in range(count)]

    def tokens(self, count: int, after_s: float = 0.0) -> list[Act]:
        """Tokens made within 20 s."""
        return [self.act(after_s + 20 * at / count, "create", "serviceaccounts/token", 1) for at in range(count)]

    def role(self, after_s: float, place: int = 0) -> Act:
        """A role bound."""
        return self.act(after_s, "create", "rolebindings", place)

    def enter(self, after_s: float, pod: str = "a") -> Act:
        """A command run in a pod; two records, one event."""
        return self.act(after_s, "create", "pods/exec", name=f"{self.who}-{pod}")

    def scale(self, after_s: float, replicas: int) -> Act:
        """A deployment scaled."""
        return self.act(after_s, "patch", "deployments/scale", replicas=replicas)

    def line(self, after_s: float, text: str, place: int = 0) -> Act:
        """A line of a container."""
        return self.act(after_s, "line", text, place)


def _mine(scene: Scene, pods: int) -> list[Act]:
    return [
        *scene.pods(pods),
        scene.line(30, "connecting to stratum+tcp pool"),
        scene.line(45, "exec /bin/sh -c id"),
    ]


STORIES: tuple[Callable[[Scene], list[Act]], ...] = (
    lambda s: s.pods(4),
    lambda s: s.pods(3),
    lambda s: s.pods(6),
    lambda s: s.pods(5),
    lambda s: s.secrets(3),
    lambda s: s.secrets(2),
    lambda s: s.tokens(3),
    lambda s: s.tokens(2),
    lambda s: s.tokens(4),
    lambda s: [s.enter(0)],
    lambda s: [s.enter(0), s.enter(9)],
    lambda s: [s.act(0, "create", "pods"), s.act(12, "get", "secrets")],
    lambda s: [s.act(0, "create", "pods"), s.act(31, "get", "secrets")],
    lambda s: [s.act(0, "get", "secrets"), s.act(9, "create", "pods"), s.role(40)],
    lambda s: [s.act(0, "get", "secrets"), s.act(9, "create", "pods"), s.role(62)],
    lambda s: [s.role(0), *s.tokens(1, 20)[:1], replace(s.role(21), namespace=f"{s.who}-1")],
    lambda s: [s.role(20, 1), *s.tokens(1, 0), s.act(45, "create", "pods", 1)],
    lambda s: [s.act(0, "create", "pods"), s.enter(10), s.enter(12), s.act(20, "get", "secrets")],
    lambda s: [s.act(11, "create", "pods"), s.enter(10), s.act(20, "get", "secrets")],
    lambda s: [s.act(0, "get", "secrets"), s.act(1790, "get", "secrets"), s.act(1795, "get", "secrets", 1)],
    lambda s: [s.scale(0, 20), s.scale(10, 20), s.scale(20, 20)],
    lambda s: [s.scale(0, 20), s.scale(10, 19), s.scale(20, 20)],
    lambda s: [s.scale(0, 5), s.scale(10, 40), s.scale(20, 5)],
    lambda s: [s.act(0, "delete", "nodes"), s.act(5, "patch", "mutatingwebhookconfigurations")],
    lambda s: [s.act(at, "patch", "mutatingwebhookconfigurations") for at in (0, 30, 95)],
    lambda s: _mine(s, 4),
    lambda s: _mine(s, 3),
    lambda s: [*s.pods(4), *s.secrets(3, 60)],
    lambda s: [*s.pods(4), *s.secrets(2, 60)],
    lambda s: [*s.pods(4), *s.secrets(3, 60), s.role(100)],
    lambda s: [*s.tokens(3), s.role(130)],
    lambda s: [*s.tokens(3), s.role(70)],
    lambda s: [*s.pods(4), *s.tokens(3, 90)],
    lambda s: [*s.pods(5), *s.tokens(3, 90)],
)
"""Each meets a threshold, or misses one by one."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A world of about ``size`` raw records; the same for the same seed.

    Attributes:
        share: about how many of the records belong to stories.
    """

    size: int
    seed: int = 1
    share: float = 0.06

    def records(self) -> Iterator[Raw]:
        """All records in the order of their arrival, the closing ones last."""
        chance = random.Random(self.seed)
        numbered = Numbered()
        for _, act, late_by in self._arrivals(chance):
            yield from self._told(act, numbered, chance, late_by)
        yield from closing(self.seconds + REST_S)

    @property
    def seconds(self) -> float:
        """How much event time it covers, without its end."""
        return self.size / PACE + 2000

    def _arrivals(self, chance: random.Random) -> list[tuple[float, Act, float]]:
        """(arrival, act, how late it is) in the order of arrival."""
        acts: list[tuple[Act, float]] = [(act, 0.0) for act in self._stories(chance)]
        acts += self._odd(chance)
        crowd = self.size // 100
        acts += [(self._anything(chance), 0.0) for _ in range(crowd)]
        acts += [(self._nothing(chance), 0.0) for _ in range(max(0, self.size - len(acts)))]
        arrivals = [(act.seconds + late + chance.random() * DISORDER_S, act, late) for act, late in acts]
        arrivals.sort(key=lambda arrival: arrival[0])
        return arrivals

    def _stories(self, chance: random.Random) -> Iterator[Act]:
        told = 0
        number = 0
        while told < self.size * self.share or number < len(STORIES):
            begins_s = chance.uniform(5, self.seconds - 1900)
            scene = Scene(f"s{number}", begins_s, chance.choice(("one", "two")), chance)
            acts = STORIES[number % len(STORIES)](scene)
            told += len(acts)
            number += 1
            yield from acts

    def _anything(self, chance: random.Random) -> Act:
        """What the crowd does: few users, everything, at random."""
        scene = Scene(f"crowd{chance.randrange(12)}", chance.uniform(5, self.seconds - 100), "one", chance)
        place = chance.randrange(4)
        kinds: tuple[Callable[[], Act], ...] = (
            lambda: scene.act(0, "create", "pods", place),
            lambda: scene.act(0, "get", "secrets", place),
            lambda: scene.tokens(1)[0],
            lambda: scene.role(0, place),
            lambda: scene.enter(0, str(place)),
            lambda: scene.scale(0, chance.randrange(1, 60)),
            lambda: scene.line(0, "stratum", place),
            lambda: scene.line(0, "/bin/sh", place),
        )
        return chance.choice(kinds)()

    def _nothing(self, chance: random.Random) -> Act:
        """What no rule looks at."""
        scene = Scene(f"bystander{chance.randrange(200)}", chance.uniform(0, self.seconds), "one", chance)
        if chance.random() < 0.3:
            return scene.line(0, "all is well")
        return scene.act(0, chance.choice(("list", "watch", "get")), chance.choice(("pods", "configmaps", "nodes")))

    def _odd(self, chance: random.Random) -> list[tuple[Act, float]]:
        """Records whose time is strange: (act, by how many seconds it arrives late)."""
        acts: list[tuple[Act, float]] = []
        for number in range(max(4, self.size // 1000)):
            scene = Scene(f"{ODD}{number}", chance.uniform(400, self.seconds - 900), "one", chance)
            acts += [(act, 0.0) for act in (scene.act(0, "create", "pods"), scene.role(8), *scene.secrets(2, 10))]
            acts.append((scene.act(-5, "create", "pods"), chance.uniform(30, 200)))  # late: within the rules' reach
            acts.append((scene.tokens(1)[0], chance.uniform(400, 800)))  # late: beyond it
            acts.append((scene.act(chance.choice((-10, 20)), "get", "secrets", 1), chance.uniform(0, 90)))
            strange = scene.act(3, "get", "secrets", 2)
            acts.append((strange, 0.0))
            scene = replace(scene, who=f"{scene.who}f")
            acts.append((replace(scene.act(0, "delete", "nodes"), name="future"), 0.0))
            acts.append((replace(scene.act(1, "get", "secrets"), name="epoch"), 0.0))
            acts.append((replace(scene.act(2, "create", "pods"), stamps=False), 0.0))
            acts.append((replace(scene.line(2, "stratum without a time"), stamps=False), 0.0))
        return acts

    def _told(self, act: Act, numbered: Numbered, chance: random.Random, late_by: float) -> Iterator[Raw]:
        """The records of one act: now and then told twice, by another partition, in pieces, or not readable."""
        kind = "containers" if act.verb == "line" else "audit"
        if act.name in ("future", "epoch"):
            act = replace(act, seconds=act.seconds + 300_000_000 if act.name == "future" else -1_763_999_990.0)
        pieces = chance.choice((2, 3)) if kind == "containers" and chance.random() < 0.05 else 1
        values = numbered.values(act, pieces=pieces)
        partition = chance.randrange(PARTITIONS[kind])
        for value in values:
            yield Raw(kind, partition, value, act.cluster)
            if pieces == 1 and chance.random() < 0.03:
                other = chance.randrange(PARTITIONS[kind]) if act.stamps else partition
                yield Raw(kind, other, value, act.cluster)
        if not late_by and chance.random() < 0.002:
            yield Raw(kind, partition, b'{"kind": "Event", "broken', act.cluster)


def closing(seconds: float, again: int = 0) -> Iterator[Raw]:
    """One record far behind all others into every partition, after which nothing older can come."""
    for kind, count in PARTITIONS.items():
        for partition in range(count):
            verb, what = ("line", "the end") if kind == "containers" else ("get", "configmaps")
            act = Act(verb, what, user="closing", namespace="closing", seconds=seconds, name=f"end-{partition}")
            number = Numbered(1_000_000_000 + 100 * again + partition)
            yield Raw(kind, partition, number.values(act)[0], "one")
