"""``python -m tests.day --out DIR --events 200000 --seed 1`` writes the day, ``--check`` tells what alerts in it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tests.day.chain_checking import of_the_day, table, verdicts
from tests.day.chain_playing import Instance, instances, woven
from tests.day.chain_reading import read_chains
from tests.day.report import alerts_table, by_level, evidence_of, most_alerts
from tests.day.shipping import Message, shipped
from tests.day.watching import KINDS, shipped_rules, watch
from tests.day.writing import BEGIN, FULL, day_before, day_of


def main() -> int:
    """Write files, or check, or both."""
    parser = argparse.ArgumentParser(prog="tests.day", description=__doc__)
    parser.add_argument("--out", type=Path, help="directory for audit.ndjson and containers.ndjson")
    parser.add_argument("--events", type=int, default=FULL)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="through the engine with all shipped rules")
    parser.add_argument("--allow", type=Path, metavar="FILE", help="exceptions of the site, as tests/day/allow.yml")
    parser.add_argument("--show", action="append", default=[], metavar="RULE", help="show the alerts of a rule")
    parser.add_argument(
        "--chains",
        nargs="?",
        const="",
        metavar="NAME",
        help="with the attack chains woven in (those whose file name holds NAME)",
    )
    asked = parser.parse_args()
    began = time.monotonic()
    day = shipped(day_of(asked.events, asked.seed), asked.seed)
    past = shipped(day_before(asked.events, asked.seed), asked.seed)
    print(f"{len(day)} messages and {len(past)} of the day before in {time.monotonic() - began:.0f} s", file=sys.stderr)
    if asked.out is not None:
        write(asked.out, day, "")
        write(asked.out, past, "history-")
    chains = [] if asked.chains is None else [chain for chain in read_chains() if asked.chains in chain.path]
    told = instances(chains, BEGIN, asked.seed)
    if not asked.check:
        return 0
    past, day = woven(past, day, told, asked.seed)
    return check(day, past, asked, told)


def write(out: Path, messages: Iterable[Message], prefix: str) -> None:
    """One file per source."""
    out.mkdir(parents=True, exist_ok=True)
    files = {kind: (out / f"{prefix}{kind}.ndjson").open("wb") for kind in KINDS}
    for message in messages:
        files[message.kind].write(message.value + b"\n")
    for kind, file in files.items():
        file.close()
        print(f"{out / f'{prefix}{kind}.ndjson'}", file=sys.stderr)


def check(day: list[Message], past: list[Message], asked: argparse.Namespace, told: list[Instance]) -> int:
    """Replay; fails where anything of level high is told, or more than five per 10,000 events, or a chain is not."""
    began = time.monotonic()
    everything = watch(day, shipped_rules(asked.allow), past=past)
    took = time.monotonic() - began
    seen = of_the_day(everything, told)
    print(alerts_table(seen, asked.events))
    print(
        f"{seen.read} messages in {took:.0f} s, {len(seen.dead)} dead letters, {len(seen.failures)} failures of rules"
    )
    for letter in seen.dead[:3]:
        print(f"  {letter.reason}: {letter.detail}: {letter.value[:200]!r}")
    for notice in seen.notices:
        print(f"  notice {notice.kind}: {notice.detail}")
    found = verdicts(everything, told)
    if told:
        print(table(found))
        for verdict in found:
            print(f"{verdict.instance.cluster}: others: {', '.join(verdict.others) or 'none'}")
    for alert in everything.alerts if told else seen.alerts:
        if seen.name(alert) in asked.show or seen.level(alert) in asked.show:
            print(evidence_of(seen, alert))
    levels = by_level(seen)
    loud = levels["critical"] + levels["high"] > 0 or levels.total() > most_alerts(asked.events)
    return int(loud or any(verdict.wrong for verdict in found))


if __name__ == "__main__":
    sys.exit(main())
