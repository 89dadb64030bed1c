"""Ground truth from the other end: requests that happened, and the many ways in which files may tell them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from streamer.model import Match, Position, Record
from tests.correlate.properties.build import UNIT
from tests.correlate.properties.cases import BASE, YEAR
from tests.correlate.properties.rules import NAMES
from tests.correlate.properties.yaml import PATHS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp(time_us: int) -> str:
    """Kubernetes' form of a time."""
    return (EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Request:
    """One request to the API server, as it happened.

    Attributes:
        time: when it was complete; for a long-running one when it was received.
        kinds: letters in the name of its object; the detections that match it.
    """

    number: int
    time: int
    kinds: tuple[str, ...]
    user: str
    addresses: tuple[str, ...]
    v: Any
    n: Any
    long_running: bool

    def match(self, rule: str) -> Match:
        """What a detection makes of it, without any decoding."""
        values: dict[str, tuple[Any, ...]] = {
            PATHS["user"]: (self.user,),
            PATHS["ip"]: self.addresses,
            PATHS["v"]: (self.v,),
            PATHS["n"]: (self.n,),
        }
        return Match(rule, self.number.to_bytes(16, "big"), self.time, "default", values)

    def lines(self, rng: random.Random) -> list[tuple[int, bytes]]:
        """What the API server writes, and when: its stages."""
        if self.long_running:
            ended = self.time + rng.randint(0, 3) * UNIT
            stages = [("ResponseStarted", self.time, self.time), ("ResponseComplete", self.time, ended)]
            if rng.random() < 0.3:
                stages.pop(rng.randrange(2))
        else:
            received = self.time - (0, 1, 2 * UNIT)[self.number % 3]
            last = rng.choice(("ResponseComplete", "ResponseComplete", "ResponseComplete", "Panic"))
            stages = [("RequestReceived", received, received), (last, received, self.time)]
        return [(written, self._line(stage, received, written)) for stage, received, written in stages]

    def _line(self, stage: str, received: int, written: int) -> bytes:
        name = f"{self.number}-{''.join(self.kinds)}"
        pod = {"resource": "pods", "subresource": "exec", "namespace": "x", "name": name, "apiVersion": "v1"}
        config = {"resource": "configmaps", "namespace": "x", "name": name, "apiVersion": "v1"}
        event: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "RequestResponse",
            "auditID": f"{self.number:08d}-0000-4000-8000-000000000000",
            "stage": stage,
            "requestURI": f"/api/v1/namespaces/x/pods/{name}/exec?command=id"
            if self.long_running
            else f"/api/v1/{name}",
            "verb": "create",
            "user": {"username": self.user},
            "sourceIPs": list(self.addresses),
            "objectRef": pod if self.long_running else config,
            "requestReceivedTimestamp": stamp(received),
            "stageTimestamp": stamp(written),
        }
        if stage != "RequestReceived":
            event["responseStatus"] = {"code": 201}
        event["requestObject"] = {"kind": "Thing", "spec": {"v": self.v, "n": self.n}}
        return json.dumps(event).encode()


def random_requests(rng: random.Random, count: int, *, ahead: bool) -> list[Request]:
    """Requests of few users on a small grid of times; `ahead`: some stamped a year ahead."""
    users = rng.choice((("u",), ("u", "w")))
    span = rng.choice((8, 14, 24))
    made = []
    for number in range(count):
        jump = YEAR if ahead and number < 2 and rng.random() < 0.2 else 0
        made.append(
            Request(
                number,
                BASE + rng.randint(0, span) * UNIT + jump,
                tuple(sorted(rng.sample(NAMES, rng.choice((1, 1, 1, 2, 3))))),
                rng.choice(users),
                tuple(rng.choice(("10.0.0.1", "10.0.0.2")) for _ in range(rng.choice((1, 1, 2)))),
                rng.choice(("x", "y", 1, 1.0, True, "1")),
                rng.choice((0, 1, 1.0, 2, -1, 0.1, 0.2, 0.3, -2.5, True, "1")),
                rng.random() < 0.2,
            )
        )
    return made


@dataclass
class Telling:
    """Partitions that tell the requests: each in its own disorder, up to a lateness, with repetitions.

    Attributes:
        written: per partition its lines in order, each with the time at which it was appended.
        lateness_us: what covers the disorder of every partition.
        files: whether they are files (no append times) or partitions of one topic.
    """

    written: list[list[tuple[int, bytes]]] = field(default_factory=list)
    lateness_us: int = 0
    files: bool = True

    @property
    def partitions(self) -> list[tuple[str, int]]:
        """Their names."""
        count = len(self.written)
        return [(f"file-{number}", 0) if self.files else ("topic", number) for number in range(count)]

    def records(self, number: int) -> list[Record]:
        """The lines of one partition as records."""
        name, partition = self.partitions[number]
        return [
            Record(line, Position(name, partition, place, self.files), None if self.files else appended)
            for place, (appended, line) in enumerate(self.written[number], 1)
        ]


def tell(rng: random.Random, requests: Sequence[Request], *, files: bool) -> Telling:
    """Write the requests into one to three partitions; a repetition may stand elsewhere than the original.

    A request stamped a year ahead is told once: four such lines in a row would be believed.
    """
    count = rng.choice((1, 2, 3))
    disorder = rng.choice((0, 2, 5)) * UNIT
    queues: list[list[tuple[int, float, bytes]]] = [[] for _ in range(count)]
    for request in requests:
        lines = request.lines(rng)
        ahead = request.time > BASE + YEAR // 2
        for written, line in lines[-1:] if ahead else lines:
            for _ in range(1 if ahead else rng.choice((1, 1, 1, 2, 3))):
                late = rng.randint(0, disorder)
                rng.choice(queues).append((written + late, rng.random(), line))
    longest_request = 3 * UNIT
    lines_of = [[(appended, line) for appended, _, line in sorted(queue)] for queue in queues]
    return Telling(lines_of, disorder + longest_request, files)


@dataclass(frozen=True)
class Turn:
    """What happens next: some records of one or several partitions, a partition's end, or a crash."""

    records: tuple[Record, ...] = ()
    ended: tuple[str, int] | None = None
    crash: bool = False


def turns(rng: random.Random, telling: Telling) -> list[Turn]:
    """The partitions read in turns, record by record, until all have ended."""
    queues = [telling.records(number) for number in range(len(telling.written))]
    still_open = list(range(len(queues)))
    dying = rng.choice((0.0, 0.0, 0.1))
    made: list[Turn] = []
    while still_open:
        number = rng.choice(still_open)
        if queues[number]:
            made.append(Turn(records=(queues[number].pop(0),)))
        else:
            still_open.remove(number)
            made.append(Turn(ended=telling.partitions[number]))
        if rng.random() < dying:
            made.append(Turn(crash=True))
    return made


def batched(rng: random.Random, single: Sequence[Turn]) -> list[Turn]:
    """The same order of records in larger batches; crashes are left out."""
    made: list[Turn] = []
    for turn in single:
        if turn.crash:
            continue
        last = made[-1] if made else None
        if last is not None and last.records and turn.records and rng.random() < 0.7:
            made[-1] = Turn(records=(*last.records, *turn.records))
        else:
            made.append(turn)
    return made
