"""How much CPU does an audit event cost from bytes to alerts, against merely parsing it?

Rounds alternate between the yardstick (``orjson.loads`` over the round's lines) and the engine with the shipped rules
over the same lines, every round on lines not seen before; the ratio is taken per round.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import orjson

from benchmarks import corpus
from streamer.decode import Source
from streamer.engine import Engine
from streamer.model import Position, Record
from streamer.sigma import load_rules

RULES = Path(__file__).parent.parent / "rules"
PLANTED = b"203.0.113.66"
FINDS_IT = "privileged_container"


def main() -> int:
    """Run and print; exit code 1 where the engine did not find exactly what the corpus planted."""
    arguments = _arguments()
    events = list(corpus.lines(arguments.events))
    planted = sum(PLANTED in line for line in events)
    rules = load_rules([RULES]).ok()
    engine = Engine(rules)
    source = Source("audit.ndjson", "audit", cluster="bench")
    engine.expect((source.name, 0), source, is_file=True)
    gc.collect()
    gc.freeze()
    rounds, position = [], 0
    size = max(1, len(events) // arguments.rounds)
    for start in range(0, len(events), size):
        part = events[start : start + size]
        parse_s = _parse_cost_s(part)
        records = [Record(line, Position(source.name, 0, position + n + 1, True)) for n, line in enumerate(part)]
        position += len(part)
        begun = time.process_time()
        for first in range(0, len(records), 500):
            engine.feed(records[first : first + 500])
        rounds.append((parse_s / len(part), (time.process_time() - begun) / len(part)))
    engine.end((source.name, 0))
    found = sum(engine.counters.matches[rule.meta.key] for rule in rules.detections if rule.meta.name == FINDS_IT)
    return _report(rounds, events, len(rules.detections) + len(rules.correlations), planted, found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    return parser.parse_args()


def _parse_cost_s(part: list[bytes]) -> float:
    begun = time.process_time()
    for line in part:
        orjson.loads(line)
    return time.process_time() - begun


def _report(rounds: list[tuple[float, float]], events: list[bytes], rules: int, planted: int, found: int) -> int:
    ratios = [engine_s / parse_s for parse_s, engine_s in rounds]
    low, middle, high = statistics.quantiles(ratios, n=4)
    engine_us = statistics.median(engine_s for _, engine_s in rounds) * 1e6
    parse_us = statistics.median(parse_s for parse_s, _ in rounds) * 1e6
    result = {
        "corpus": corpus.digest(events),
        "events": len(events),
        "bytes_per_event": sum(map(len, events)) // len(events),
        "rules": rules,
        "planted": planted,
        "found": found,
        "cpu_us_per_event": round(engine_us, 1),
        "events_per_cpu_second": round(1e6 / engine_us),
        "orjson_loads_us_per_event": round(parse_us, 2),
        "ratio_to_orjson_loads": {"q1": round(low, 1), "median": round(middle, 1), "q3": round(high, 1)},
        "python": platform.python_version(),
    }
    print(json.dumps(result, indent=2))
    if found != planted:
        print(f"{found} privileged containers found, {planted} planted", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
