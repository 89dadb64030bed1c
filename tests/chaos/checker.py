"""Compares what stands in Kafka and Elasticsearch with what must: lost, doubled or wrong, each with its evidence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from streamer.correlate import CorrelateLimits
from streamer.correlate.flood import divided
from streamer.decode import Source
from streamer.model import Firing
from streamer.sigma.rules import RuleSet
from tests.chaos.feed import Sightings
from tests.chaos.offline import Core, Offline, lasting, run_again, same_state
from tests.chaos.oracle import Expected, Told, expected_of, identity_of, is_odd, ordinary
from tests.chaos.protocol import is_protocol, position_of
from tests.chaos.recorded import Recorded
from tests.servers.topics import headers_of

_NOT_WRITABLE = re.compile(r"alert ([0-9a-f]{32}) of")


@dataclass(slots=True)
class Findings:
    """What a check found. All three empty: nothing was lost, doubled or wrong."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    alerts: int = 0
    firings: int = 0
    matches: int = 0
    raw: int = 0
    set_aside: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything is as it must be."""
        return not (self.lost or self.doubled or self.wrong)


@dataclass(frozen=True, slots=True)
class Installed:
    """What ran: the rules, what the sources carry, how many partitions the detections have, how much may be told."""

    rules: RuleSet
    sources: Mapping[str, Source]
    partitions: int
    limits: CorrelateLimits = field(default_factory=CorrelateLimits)


def check(installed: Installed, recorded: Recorded, sightings: Sightings) -> Findings:
    """All comparisons."""
    found = Findings(raw=sum(map(len, recorded.raw.values())), alerts=len(recorded.alert_ids()))
    aside = _set_aside(recorded)
    found.set_aside = len(aside)
    numbers = range(installed.partitions)
    runs = {number: _check_partition(installed, recorded, number, aside, found) for number in numbers}
    expected = expected_of(installed.rules, installed.sources, recorded.raw, installed.limits)
    found.matches = expected.matches
    found.firings = len(expected.firings)
    _check_firings(runs, expected, found)
    _check_doubled(recorded, sightings, found)
    _check_index(recorded, aside, found)
    _check_letters(recorded, expected, found)
    return found


def _set_aside(recorded: Recorded) -> set[str]:
    """Ids of alerts that the server would not take and that stand among the dead letters instead."""
    texts = (record.value + b"".join(value for _, value in record.headers) for record in recorded.dead_letters)
    return {found[1] for text in texts if (found := _NOT_WRITABLE.search(text.decode(errors="replace")))}


def _check_partition(
    installed: Installed, recorded: Recorded, number: int, aside: set[str], found: Findings
) -> Offline:
    """Oracle 1: alerts as a list, their documents, and the state, all as the pure core tells them."""
    core = Core(installed.rules, number, installed.partitions, divided(installed.limits, installed.partitions))
    entries = recorded.changelog[number]
    position = position_of(entries)
    log = recorded.detections[number]
    run = run_again(core, log, position)
    expected = [document.id for document in run.documents if document.id not in aside]
    told = [alert.id for alert in recorded.alerts[number]]
    where = f"partition {number}"
    found.lost += [f"{where}: alert {id_}" for id_ in (Counter(expected) - Counter(told)).elements()]
    surplus = list((Counter(told) - Counter(expected)).elements())
    found.wrong += [f"{where}: alert {id_} stands there and should not" for id_ in surplus if told.count(id_) == 1]
    if Counter(told) == Counter(expected) and told != expected:
        found.wrong.append(f"{where}: the alerts stand in another order")
    bodies = {document.id: document.body for document in run.documents}
    for alert in recorded.alerts[number]:
        if alert.id in bodies and lasting(alert.body) != lasting(bodies[alert.id]):
            found.wrong.append(f"{where}: alert {alert.id} tells something else")
    stored = {key: value for key, value in entries.items() if not is_protocol(key)}
    if stored != run.state and same_state(core, stored) != run.state:
        keys = {key for key in stored.keys() | run.state.keys() if stored.get(key) != run.state.get(key)}
        found.wrong.append(f"{where}: {len(keys)} entries of the state differ, for example {min(keys)!r}")
    return run


def _check_firings(runs: dict[int, Offline], expected: Expected, found: Findings) -> None:
    """Oracle 2: what the engine makes of the raw log, regardless of any order."""
    told: dict[Told, int] = {}
    for number, run in runs.items():
        for firing in run.firings.values():
            if not is_odd(firing):
                told[identity_of(firing)] = number
    truth = ordinary(expected.firings.values())
    found.lost += [f"firing {each}" for each in sorted(truth - told.keys())]
    found.wrong += [f"firing {each} is none" for each in sorted(told.keys() - truth)]
    # What is decided at the watermark opens the same episodes in every order.
    mine = {alert.id for run in runs.values() for alert in run.alerts if _is_settled(alert.firing)}
    theirs = {alert.id for alert in expected.alerts if _is_settled(alert.firing)}
    found.lost += [f"alert {each} of the raw log" for each in sorted(theirs - mine)]
    found.wrong += [f"alert {each} is none of the raw log" for each in sorted(mine - theirs)]


def _is_settled(firing: Firing) -> bool:
    return firing.decided == "watermark" and not is_odd(firing)


def _check_doubled(recorded: Recorded, sightings: Sightings, found: Findings) -> None:
    """Nothing stands twice on the topic, and a subscriber saw nothing twice and nothing that is not there."""
    found.doubled += [f"alert {id_} {count} times" for id_, count in Counter(recorded.alert_ids()).items() if count > 1]
    found.doubled += [f"alert {id_} was seen twice" for id_ in sightings.doubled()]
    there = {(number, told.offset, told.id) for number, alerts in recorded.alerts.items() for told in alerts}
    seen = {(sighting.partition, sighting.offset, sighting.id) for sighting in sightings.seen}
    found.wrong += [f"alert {id_} was seen and is not there" for _, _, id_ in sorted(seen - there)]
    found.lost += [f"alert {id_} was not seen" for _, _, id_ in sorted(there - seen)]


def _check_index(recorded: Recorded, aside: set[str], found: Findings) -> None:
    if recorded.indexed is None:
        return
    told, indexed = Counter(set(recorded.alert_ids())), Counter(recorded.indexed)
    found.lost += [f"alert {id_} is not indexed" for id_ in (told - indexed).elements() if id_ not in aside]
    found.wrong += [f"alert {id_} is indexed and not told" for id_ in (indexed - told).elements()]


def _check_letters(recorded: Recorded, expected: Expected, found: Findings) -> None:
    """Every record that cannot be read stands among the dead letters, and nothing else of the raw log does."""
    letters = [(orjson.loads(record.value), headers_of(record)["ce_id"]) for record in recorded.dead_letters]
    told = {position for body, position in letters if body["stage"] == "decode"}
    found.lost += [f"the dead letter of {each}" for each in sorted(expected.dead_letters - told)]
    found.wrong += [f"{each} is no dead letter" for each in sorted(told - expected.dead_letters)]
    poison = [f"{body['stage']}: {body['error']['reason']} at {position}" for body, position in letters]
    found.wrong += [each for each in poison if "poison" in each or "not-readable" in each]
