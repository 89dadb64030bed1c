"""The bundled files through the engine, as files that are merged by their clocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from streamer.decode import Source
from streamer.engine import Engine, Output
from streamer.model import Firing, Match, Position, Record
from streamer.sigma import load_rules
from streamer.sigma.rules import RuleSet

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "streamer" / "_demo"
CAMPAIGN = (
    "baseline/audit.ndjson",
    "baseline/containers.ndjson",
    "campaign/audit.ndjson",
    "campaign/containers.ndjson",
)
TWINS = ("twins/audit.ndjson", "twins/containers.ndjson")


@dataclass
class Played:
    """What was told, and the rules by key."""

    rules: RuleSet
    output: Output
    engine: Engine

    def alerts(self, *levels: str) -> list[str]:
        """Names of the rules that alerted, in the order told; of these levels only, if any are named."""
        metas = [self.rules.meta(alert.firing.rule) for alert in self.output.alerts]
        return [str(meta.name) for meta in metas if not levels or meta.level in levels]


def shipped() -> RuleSet:
    """The shipped rules."""
    return load_rules([ROOT / "rules"]).ok()


def play(
    files: Sequence[str],
    cluster: str,
    rules: RuleSet,
    *,
    contents: Mapping[str, bytes] | None = None,
    batch: int = 50,
    restart_every: int = 0,
) -> Played:
    """Read the file that holds the watermark back, ``batch`` lines at a time, until all have ended.

    With ``restart_every`` the engine is thrown away and restored from its snapshot after so many batches.
    """
    engine, output = opened(files, cluster, rules), Output()
    lines = {}
    for name in files:
        data = contents[name] if contents is not None else (DEMO / name).read_bytes()
        lines[name] = iter(enumerate(data.splitlines(), start=1))
    turn = 0
    while lines:
        turn += 1
        if restart_every and turn % restart_every == 0:
            stored = engine.snapshot()
            engine = opened(files, cluster, rules)
            engine.restore(stored)
        slowest = engine.next_partition()
        name = slowest[0] if slowest is not None and slowest[0] in lines else next(iter(lines))
        records = [
            Record(value, Position(name, 0, number, is_file=True)) for number, value in islice(lines[name], batch)
        ]
        told = engine.feed(records) if records else engine.end((name, 0))
        if not records:
            del lines[name]
        output.alerts += told.alerts
        output.firings += told.firings
        output.dead_letters += told.dead_letters
        output.notices += told.notices
        output.failures += told.failures
    return Played(rules, output, engine)


def opened(files: Sequence[str], cluster: str, rules: RuleSet) -> Engine:
    """An engine that expects these files."""
    engine = Engine(rules)
    for name in files:
        kind = "audit" if name.endswith("audit.ndjson") else "containers"
        engine.expect((name, 0), Source(name, kind, cluster=cluster), is_file=True)
    return engine


def leaves(firing: Firing) -> list[tuple[str, Match]]:
    """Every event below a firing with the key of the rule it matched, first steps first."""
    found: list[tuple[str, Match]] = []
    for step in firing.steps:
        for member in step.members:
            found += leaves(member.firing) if member.firing is not None else [(step.rule, member)]
    return found
