"""A new rule set is rolled out, process by process, while everything goes wrong: nothing false, nothing missed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from streamer.model import Firing, Record
from streamer.ports import Partition
from streamer.sigma import load_text
from streamer.sigma.rules import CorrelationRule, RuleSet
from streamer.stages.detection import DetectStage
from tests.correlate.properties import ledger
from tests.correlate.properties.build import UNIT, Draft
from tests.correlate.properties.compare import identity_of
from tests.correlate.properties.requests import Request, random_requests, tell
from tests.correlate.properties.rules import NAMES, RuleMaker
from tests.correlate.properties.test_from_bytes import truth
from tests.correlate.properties.yaml import documents
from tests.stages.cluster import ROUGH, Cluster, Task, Troubles
from tests.stages.test_cluster import LATER, SILENT, raw_of, source_of

CASES = 60

TROUBLES = {"calm": Troubles(), "rough": replace(ROUGH, zombies=0.0)}
"""A task that lost a partition, does not know it and goes over to new rules skips what its successor has yet to read:
of that, rules that begin anew know nothing. Kept rules have it from before."""


def two_rule_sets(rng: random.Random) -> tuple[dict[str, str], dict[str, str]]:
    """Random rules, and the same with some of them changed, some gone, and one detection written otherwise."""
    maker = RuleMaker(rng)
    maker.upper = 3
    drafts = maker.drafts()
    for draft in drafts:
        draft.suppress = None
    before = documents(drafts)
    used = {name for draft in drafts for name in draft.rules}
    after: list[Draft] = [draft for draft in drafts if draft.name in used or rng.random() < 0.8]
    after = [replace(draft, timespan_us=draft.timespan_us + UNIT) if rng.random() < 0.35 else draft for draft in after]
    texts = documents(after)
    if rng.random() < 0.3:
        name = rng.choice(NAMES)
        path = f"rules/{name}.yml"
        texts[path] = texts[path].replace(f"contains: {name}", f"contains: [{name}, nobody]")
    return before, texts


class Rolling(Cluster):
    """A cluster that goes over to a second rule set and remembers from where on it looked by it."""

    after: RuleSet
    seen_from: dict[Partition, int]

    def begin(self, after: RuleSet) -> None:
        self.after = after
        self.seen_from = {partition: len(records) for partition, records in self.raw.items()}
        self.waiting = [*self.tasks, *self.owners]
        self.rng.shuffle(self.waiting)

    def roll(self) -> None:
        one = self.waiting.pop()
        if not isinstance(one, Task):
            if self.rng.random() < 0.5:
                self.take_over(one, self.after)
            else:
                self.reload_owner(one, self.after)
        elif self.rng.random() < 0.5:
            self.reload_task(one, self.after)
        else:
            one.stage = DetectStage(self.after, partitions=self.count)
            for partition in list(one.reading):
                self._take(one, partition)

    def read(self, task: Task, partition: Partition, most: int) -> None:
        if hasattr(self, "after") and task.stage.rules is self.after:
            self.seen_from[partition] = min(self.seen_from[partition], task.reading[partition])
        super().read(task, partition, most)


def kept(before: RuleSet, after: RuleSet) -> set[str]:
    meanings = {rule.meta.key: rule.meta.meaning for rule in before.correlations}
    return {rule.meta.key for rule in after.correlations if meanings.get(rule.meta.key) == rule.meta.meaning}


def wholly_new(after: RuleSet, same: set[str]) -> set[str]:
    """New rules that rest on no correlation that was there before."""
    found: set[str] = set()
    for rule in after.correlations:
        if rule.meta.key not in same and all(name in found or name in NAMES for name in rule.rules):
            found.add(rule.meta.key)
    return found


def told_after(cluster: Rolling, requests: list[Request]) -> list[Request]:
    """The requests of which a line was read by the second rule set."""
    lines: set[int] = set()
    for partition, records in cluster.raw.items():
        lines |= {number_of(record) for record in records[cluster.seen_from[partition] :] if is_whole(record)}
    return [request for request in requests if request.number in lines]


def number_of(record: Record) -> int:
    return int(record.value.split(b'"auditID": "')[1][:8])


def is_whole(record: Record) -> bool:
    return b'"stage": "RequestReceived"' not in record.value


def is_marked(firing: Firing) -> bool:
    """Whether a firing, or one it rests on, says that it looked back beyond what is known."""
    below = [member.firing for step in firing.steps for member in step.members if member.firing is not None]
    return "cold_start" in firing.marks or any(map(is_marked, below))


def states_absence(rule: CorrelationRule, rules: dict[str, CorrelationRule]) -> bool:
    """Whether the rule and those below it are such that less evidence never makes a firing but for a ``not``."""
    certain = rule.type.startswith("temporal") or rule.first_seen
    return certain and all(states_absence(rules[name], rules) for name in rule.rules if name in rules)


def go_over(cluster: Rolling, rng: random.Random, after: RuleSet) -> None:
    """Run for a while, go over to other rules one by one, and run to the end."""
    for _ in range(rng.choice((10, 20, 40))):
        cluster.turn()
    cluster.begin(after)
    while cluster.waiting:
        cluster.roll()
        for _ in range(rng.choice((0, 1, 5, 10))):
            cluster.turn()
    cluster.finish(LATER)


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("lane", ["calm", "rough"])
def test_a_rolling_reload_tells_nothing_false_and_misses_nothing(lane: str, part: int) -> None:
    """[G1] [G2] kept rules tell what happened; rules that begin anew, what happened from when they looked."""
    count = ledger.cases_per_lane(CASES)
    told: Counter[str] = Counter()
    for seed in range(part * count, (part + 1) * count):
        rng = random.Random(f"rolling/{lane}/{seed}")
        texts, others = two_rule_sets(rng)
        before, after = load_text(texts).ok(), load_text(others).ok()
        requests = random_requests(rng, rng.choice((7, 10, 16)), ahead=False)
        telling = tell(rng, requests, files=False)
        cluster = Rolling(
            rng,
            before,
            raw_of(telling),
            source=source_of(telling),
            partitions=rng.choice((1, 2, 3)),
            tasks=rng.choice((1, 2)),
            troubles=TROUBLES[lane],
        )
        go_over(cluster, rng, after)
        story = f"seed {lane}/{seed}\n" + "\n".join([*texts.values(), "=====", *others.values(), *map(str, requests)])
        found = {identity_of(one): one for one in cluster.firings if one.rule not in SILENT}
        same = kept(before, after)
        true_before, true_after = truth(before, requests), truth(after, requests)
        by_kept = {one for one in found if one[0] in same}
        expected = {one for one in true_after if one[0] in same}
        assert by_kept == expected, f"kept: missed {expected - by_kept}, false {by_kept - expected}\n{story}"
        new = wholly_new(after, same)
        since = {one for one in truth(after, told_after(cluster, requests)) if one[0] in new}
        by_new = {one for one in found if one[0] in new}
        assert since <= by_new, f"new: missed {since - by_new}\n{story}"
        assert by_new <= since | true_before, f"new: false {by_new - since - true_before}\n{story}"
        rules = {rule.meta.key: rule for rule in after.correlations}
        for one, firing in found.items():
            if one in true_after or one in true_before or is_marked(firing):
                continue
            assert not states_absence(rules[one[0]], rules), f"false and not marked: {one}\n{story}"
        told.update(kept=len(by_kept), new=len(by_new))
        ledger.note(f"reload, {lane}", cases=1, firings=len(found), firing_cases=int(bool(found)))
    assert told["kept"] > count
    assert told["new"] > 0.5 * count


class Rebuilding(Rolling):
    """A cluster whose tasks read everything once more for the rules that begin anew, before they go over to them."""

    def roll(self) -> None:
        one = self.waiting.pop()
        if not isinstance(one, Task):
            self.reload_owner(one, self.after)
            return
        anew = {rule.meta.key for rule in self.after.correlations} - kept(one.stage.rules, self.after)
        again = DetectStage(self.after, partitions=self.count, lane="rebuild", only=frozenset(anew))
        for partition, index in one.reading.items():
            again.take(partition, self.sources[partition[0]], 0)
            self._send(again.feed(self.raw[partition][:index]).addressed)
        self.reload_task(one, self.after)
        for partition in one.reading:
            one.stage.covers_from(partition, None)


@pytest.mark.parametrize("part", range(2))
def test_after_a_rebuild_new_rules_tell_all_that_happened_and_look_back_to_the_beginning(part: int) -> None:
    """[G1] [G2] state that is rebuilt from the raw topics is as if the rule had always been there."""
    count = ledger.cases_per_lane(CASES)
    told = marked = 0
    for seed in range(part * count, (part + 1) * count):
        rng = random.Random(f"rebuild/{seed}")
        texts, others = two_rule_sets(rng)
        before, after = load_text(texts).ok(), load_text(others).ok()
        requests = random_requests(rng, rng.choice((7, 10, 16)), ahead=False)
        telling = tell(rng, requests, files=False)
        cluster = Rebuilding(
            rng,
            before,
            raw_of(telling),
            source=source_of(telling),
            partitions=rng.choice((1, 2, 3)),
            tasks=rng.choice((1, 2)),
            troubles=Troubles(deaths=0.2, quiet=0.5, repeats=0.2),
        )
        go_over(cluster, rng, after)
        story = f"seed rebuild/{seed}\n" + "\n".join([*others.values(), *map(str, requests)])
        new = wholly_new(after, kept(before, after))
        expected = {one for one in truth(after, requests) if one[0] in new}
        found = [one for one in cluster.firings if one.rule in new]
        before_too = truth(before, requests)
        missed = expected - set(map(identity_of, found))
        false = set(map(identity_of, found)) - expected - before_too
        assert not missed, f"missed {missed}\n{story}"
        assert not false, f"false {false}\n{story}"
        told += len(expected)
        marked += sum("cold_start" in one.marks for one in found)
    assert told > count
    assert marked < told / 2
