"""What was told of every telling of a chain, against what its scenario says must be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from streamer.authoring.replay import completing_event
from streamer.model import Alert, Firing
from tests.day.chain_playing import Instance
from tests.day.ink import SECOND
from tests.day.watching import Seen

LOUD = frozenset({"high", "critical"})


@dataclass(frozen=True)
class Verdict:
    """How one telling went.

    Attributes:
        wrong: one sentence for each thing that is not as the scenario says.
        wait_us: from the event that completed the chain to the arrival of the message at which it was told.
        after_last_us: the same from the last event of the scenario, whether the rule needs it or not.
        decided: at that event's arrival, or when the watermark had passed.
        others: other alerts in its cluster, by name.
    """

    instance: Instance
    wrong: tuple[str, ...]
    wait_us: int | None
    after_last_us: int | None
    decided: str
    others: tuple[str, ...]


def verdicts(seen: Seen, told: Iterable[Instance]) -> list[Verdict]:
    """One for every telling."""
    by_cluster: dict[str, list[Alert]] = {}
    for alert in seen.alerts:
        for cluster in seen.clusters(alert):
            by_cluster.setdefault(cluster, []).append(alert)
    return [_verdict(seen, instance, by_cluster.get(instance.cluster, [])) for instance in told]


def of_the_day(seen: Seen, told: Iterable[Instance]) -> Seen:
    """What was told of everything but the chains."""
    clusters = {instance.cluster for instance in told}
    kept = [alert for alert in seen.alerts if not seen.clusters(alert) & clusters]
    return Seen(seen.rules, kept, seen.dead, [], seen.failures, seen.notices, seen.firings, seen.read)


def _verdict(seen: Seen, instance: Instance, alerts: Sequence[Alert]) -> Verdict:
    chain = instance.chain
    own = [alert for alert in alerts if seen.name(alert) == chain.alert]
    others = [alert for alert in alerts if seen.name(alert) != chain.alert]
    wrong: list[str] = []
    if len(own) != 1:
        wrong.append(f"{chain.alert} was told {len(own)} times")
    if own:
        wrong += _told_wrong(seen, instance, own[0])
    for alert in others:
        if seen.level(alert) in LOUD and seen.name(alert) not in chain.quiet:
            wrong.append(f"{seen.name(alert)} ({seen.level(alert)}) was told too")
    waits = _waits(seen, own[0], instance) if own else (None, None)
    decided = own[0].firing.decided if own else "-"
    return Verdict(
        instance, tuple(dict.fromkeys(wrong)), *waits, decided, tuple(sorted(seen.name(alert) for alert in others))
    )


def _waits(seen: Seen, alert: Alert, instance: Instance) -> tuple[int | None, int | None]:
    last = completing_event(alert.firing)
    told = seen.told_us[seen.alerts.index(alert)]
    return (told - last.time_us if last else None), told - instance.last


def _told_wrong(seen: Seen, instance: Instance, alert: Alert) -> Iterator[str]:
    chain = instance.chain
    document = seen.document(alert)
    if seen.level(alert) != chain.level:
        yield f"{chain.alert} is {seen.level(alert)}, not {chain.level}"
    named = set(_texts(document, ("user", "name"))) | set(_texts(document, ("source", "ip")))
    if chain.actor and not named & set(chain.actor):
        yield f"the alert names {', '.join(sorted(named)) or 'nobody'}, not {' or '.join(chain.actor)}"
    outcomes = {*_texts(document, ("event", "outcome")), *_texts(document, ("streamer", "outcome"))}
    if chain.outcome not in outcomes:
        yield f"the outcome is {', '.join(sorted(outcomes))}, not {chain.outcome}"
    steps = set(_step_names(seen, alert.firing))
    missing = [name for name in chain.step_names if name not in steps]
    if missing:
        yield f"no step is {', '.join(missing)}; there are {', '.join(sorted(steps))}"


def _texts(document: dict[str, Any], path: Sequence[str]) -> Iterator[str]:
    found: Any = document
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    yield from map(str, found if isinstance(found, list) else [] if found is None else [found])


def _step_names(seen: Seen, firing: Firing) -> Iterator[str]:
    for step in firing.steps:
        meta = seen.rules.meta(step.rule)
        yield str(meta.name or meta.key)
        for member in step.members:
            if member.firing is not None:
                yield from _step_names(seen, member.firing)


def table(found: Sequence[Verdict]) -> str:
    """One row for every telling."""
    lines = [
        "| no. | chain | level | speed | envelope | told after | decided | steps end → told | other alerts | |",
        "|---:|---|---|---|---|---:|---|---:|---:|---|",
    ]
    for verdict in found:
        chain = verdict.instance.chain
        said = "as it must be" if not verdict.wrong else "; ".join(verdict.wrong)
        told = (
            f"{_shown(verdict.wait_us)} | {verdict.decided} | {_shown(verdict.after_last_us)} | {len(verdict.others)}"
        )
        which = f"{chain.level} | {verdict.instance.speed} | {verdict.instance.packing}"
        lines.append(f"| {chain.number} | `{chain.name}` | {which} | {told} | {said} |")
    return "\n".join(lines)


def _shown(length_us: int | None) -> str:
    return "-" if length_us is None else f"{length_us / SECOND:.1f} s"
