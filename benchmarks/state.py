"""How much memory does correlation take, and does a flood of keys stay within it?

Two lanes, each in a process of its own, so that its memory is only its own:

``keys``
    so many keys of a chain, one match each, as large as real ones: bytes per key, size of a snapshot, and how long
    writing and restoring it take.
``flood``
    so many keys are offered to a correlator whose limits hold a fraction of them, while one slow attack of four steps,
    begun before there was no room for beginnings any more, goes on among them: the memory at its highest after the
    limits were reached, and whether the attack is found.

Run: ``python -m benchmarks.state``; exit code 1 if memory grows beyond the bound, or the attack is missed.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from streamer.correlate import CorrelateLimits, Correlator
from streamer.model import Evidence, Match, Position
from tests.correlate.making import SECOND, correlation, detection, rules

T0 = 480_000 * 3600 * SECOND
GROWTH = 10
"""How much more memory a flood may take after the limits were reached, percent."""
BATCH = 500
PAGE = os.sysconf("SC_PAGE_SIZE")


def rss() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def event(rule: str, number: int, user: str, time_us: int) -> Match:
    """A match of a mid-size audit event, with what an alert would show of it."""
    namespace = f"ns-{number % 977}"
    return Match(
        rule=rule,
        identity=number.to_bytes(16, "big"),
        time_us=time_us,
        cluster="prod",
        values={"user": (user,)},
        position=Position("k8s-audit", number % 24, number, is_file=False),
        evidence=Evidence(
            "audit",
            "success",
            f"{user} created pods in {namespace}",
            {
                "verb": "create",
                "user": {"username": user},
                "sourceIPs": ["203.0.113.7"],
                "objectRef": {"resource": "pods", "namespace": namespace, "name": f"x-{number}"},
                "responseStatus": {"code": 201},
            },
            audit_id=f"{number:08x}-0000-4000-8000-000000000000",
        ),
    )


def keys_lane(keys: int) -> bool:
    """Bytes per key, and what a snapshot costs."""
    loaded = rules(correlation("chain", "temporal_ordered", "a b", span=3600))
    limits = CorrelateLimits(entries_per_rule=4 * keys, entries=4 * keys)
    correlator = Correlator(loaded, limits)
    gc.collect()
    before = rss()
    for number in range(keys):
        correlator.feed(event("a", number, f"system:serviceaccount:ns-{number}:default", T0 + number))
        if number % BATCH == 0:
            correlator.forget_changes()
    correlator.forget_changes()
    gc.collect()
    each = (rss() - before) / keys
    start = time.process_time()
    entries = correlator.snapshot()
    written_s = time.process_time() - start
    size = sum(len(key) + len(value) for key, value in entries.items())
    del correlator
    gc.collect()
    start = time.process_time()
    restored = Correlator(loaded, limits)
    restored.restore(entries)
    restored_s = time.process_time() - start
    print(f"{keys:,} keys of one match: {each:,.0f} bytes of memory each")
    print(f"snapshot {size / 1e6:,.0f} MB ({size / keys:,.0f} bytes each), {written_s:.1f} s to write")
    print(f"restored in {restored_s:.1f} s ({restored_s / keys * 1e6:.0f} us each)")
    last = event("b", keys, "system:serviceaccount:ns-7:default", T0 + 2 * keys)
    return [firing.time_us for firing in restored.feed(last).firings] == [T0 + 2 * keys]


def flood_lane(offered: int, room: int, growth: int = GROWTH) -> bool:
    """Memory while keys without end are offered, and the slow attack among them."""
    chain = correlation("chain", "temporal_ordered", "a b c d", span=86_400)
    loaded = rules(chain, detection("noise", alerts=True))
    limits = CorrelateLimits(entries_per_key=room // 10, entries_per_rule=room, entries=2 * room)
    correlator = Correlator(loaded, limits)
    correlator.advance(T0)
    found: list[int] = []
    alerts = peak = steady = 0
    start = time.process_time()
    steps = {100: "a", offered // 4: "b", offered // 2: "c", offered - 1: "d"}
    for number in range(offered):
        if number in steps:
            told = correlator.feed(event(steps[number], 1 << 40 | number, "mallory", T0 + number))
            found += [firing.time_us for firing in told.firings if firing.rule == "chain"]
        alerts += len(correlator.feed(event("a", number, f"user-{number}", T0 + number)).alerts)
        if number % 10 == 0:
            alerts += len(correlator.feed(event("noise", number, f"user-{number}", T0 + number)).alerts)
        if number % BATCH == 0:
            correlator.changes()
        if number % 10_000 == 0:
            now = rss()
            if number >= max(2 * room, offered // 10):
                steady = steady or now
                peak = max(peak, now)
    spent = time.process_time() - start
    refused = correlator.counters.refused["chain"]
    suppressed = correlator.counters.suppressed["noise"]
    print(f"{offered:,} keys offered to {room:,} entries: {refused:,} refused, {spent / offered * 1e6:.0f} us each")
    print(f"memory {steady / 1e6:,.0f} MB when full, at most {peak / 1e6:,.0f} MB after (ratio {peak / steady:.3f})")
    verdict = "found" if found else "MISSED"
    print(f"alerts of the noise: {alerts:,} told, {suppressed:,} counted; the slow attack: {verdict}")
    return len(found) == 1 and peak <= steady * (100 + growth) / 100


def _alone(lane: str, *arguments: int) -> bool:
    command = [sys.executable, "-m", "benchmarks.state", "--lane", lane, *map(str, arguments)]
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    """Measure and print; 1 if something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000, help="live keys of the first lane")
    parser.add_argument("--flood", type=int, default=10_000_000, help="keys offered in the second lane")
    parser.add_argument("--room", type=int, default=100_000, help="entries that its limits allow per rule")
    parser.add_argument("--lane", choices=["keys", "flood"], help=argparse.SUPPRESS)
    parser.add_argument("numbers", nargs="*", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    lanes: dict[str, Callable[..., bool]] = {"keys": keys_lane, "flood": flood_lane}
    if options.lane:
        return 0 if lanes[options.lane](*options.numbers) else 1
    holds = [_alone("keys", options.keys), _alone("flood", options.flood, options.room)]
    return 0 if all(holds) else 1


if __name__ == "__main__":
    raise SystemExit(main())
