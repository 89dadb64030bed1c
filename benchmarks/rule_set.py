"""What does an event cost with all shipped rules, against twenty of them?

Two engines see the same records, round by round in turns: one with the whole shipped set, one with twenty rules that
stand for all kinds of them. The records are the recorded baseline of the demo and a benign day, in envelopes as
shippers send them. The ratio is taken per round and per kind of source; decoding, which both pay, is shown apart.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from streamer.decode import Decoder, Source
from streamer.engine import Engine
from streamer.model import Position, Record
from streamer.sigma import load_rules
from streamer.sigma.rules import RuleSet
from tests.day.shipping import shipped
from tests.day.writing import day_of

ROOT: Final = Path(__file__).resolve().parent.parent
KINDS: Final = ("audit", "containers")
BATCH: Final = 500
TWENTY: Final = (
    "anonymous_probing",
    "anonymous_request_allowed",
    "anonymous_request_denied",
    "body_unknown",
    "cluster_admin_bound",
    "container_started",
    "dashboard_creates_workload",
    "docker_socket_mounted",
    "encoded_command",
    "gateway_service_changed",
    "hardware_inventory",
    "image_first_seen",
    "kubeflow_visit",
    "miner_command",
    "miner_environment",
    "miner_image",
    "miner_output_line",
    "privileged_container",
    "service_account_created",
    "wildcard_role",
)
"""Single events and correlations; values, patterns, lists and expanded events; audit, container and access lines."""


@dataclass
class Lane:
    """One engine and what its rounds cost, in CPU seconds per record."""

    name: str
    engine: Engine
    costs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def feed(self, kind: str, records: list[Record]) -> None:
        """One round."""
        begun = time.process_time()
        for first in range(0, len(records), BATCH):
            self.engine.feed(records[first : first + BATCH])
        self.costs[kind].append((time.process_time() - begun) / len(records))


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000, help="of the benign day")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    whole = load_rules([ROOT / "rules"]).rules
    twenty = twenty_rules()
    lanes = (Lane("whole", _engine(whole)), Lane("twenty", _engine(twenty)))
    decoding: dict[str, list[float]] = defaultdict(list)
    decoders = {kind: Decoder(_source(kind)) for kind in KINDS}
    rounds = list(_rounds(arguments.events, arguments.rounds))
    gc.collect()
    gc.freeze()
    for number, (kind, records) in enumerate(rounds):
        begun = time.process_time()
        for record in records:
            decoders[kind].decode(record)
        decoding[kind].append((time.process_time() - begun) / len(records))
        for lane in lanes if number % 2 else reversed(lanes):
            lane.feed(kind, records)
    result = {
        "records": {kind: sum(len(records) for each, records in rounds if each == kind) for kind in KINDS},
        "rules": {"whole": _count(whole), "twenty": _count(twenty)},
        **{kind: _figures(kind, lanes, decoding) for kind in KINDS},
        "python": platform.python_version(),
    }
    print(json.dumps(result, indent=2))
    return 0


def twenty_rules() -> RuleSet:
    """The twenty, from the shipped files; :exc:`KeyError` names one that is not shipped any more."""
    files = {file.stem: file for file in (ROOT / "rules").rglob("*.yml")}
    return load_rules([files[name] for name in TWENTY]).ok()


def _engine(rules: RuleSet) -> Engine:
    engine = Engine(rules)
    for kind in KINDS:
        engine.expect((kind, 0), _source(kind), is_file=True)
    return engine


def _source(kind: str) -> Source:
    return Source(kind, "audit" if kind == "audit" else "containers", cluster="bench")


def _values(events: int) -> Iterator[tuple[str, bytes]]:
    """The workload in its order."""
    for kind in KINDS:
        for line in (ROOT / "streamer" / "_demo" / "baseline" / f"{kind}.ndjson").read_bytes().splitlines():
            yield kind, line
    for message in shipped(day_of(events, 1), 1):
        yield message.kind, message.value


def _rounds(events: int, rounds: int) -> Iterator[tuple[str, list[Record]]]:
    """Equal parts of the workload, each taken apart by kind; every record is seen once."""
    values = list(_values(events))
    size = max(1, -(-len(values) // rounds))
    offsets = dict.fromkeys(KINDS, 0)
    for first in range(0, len(values), size):
        part: dict[str, list[Record]] = {kind: [] for kind in KINDS}
        for kind, value in values[first : first + size]:
            offsets[kind] += 1
            part[kind].append(Record(value, Position(kind, 0, offsets[kind], True)))
        yield from ((kind, records) for kind, records in part.items() if records)


def _figures(kind: str, lanes: tuple[Lane, Lane], decoding: dict[str, list[float]]) -> dict[str, object]:
    whole, twenty = (lane.costs[kind] for lane in lanes)
    ratios = [one / other for one, other in zip(whole, twenty, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "decode_us": _us(decoding[kind]),
        "whole_us": _us(whole),
        "twenty_us": _us(twenty),
        "whole_to_twenty": {"q1": round(low, 2), "median": round(middle, 2), "q3": round(high, 2)},
    }


def _us(costs: list[float]) -> float:
    return round(statistics.median(costs) * 1e6, 1)


def _count(rules: RuleSet) -> dict[str, int]:
    return {"detections": len(rules.detections), "correlations": len(rules.correlations)}


if __name__ == "__main__":
    sys.exit(main())
