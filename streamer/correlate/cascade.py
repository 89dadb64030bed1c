"""All correlations of one process, rank by rank.

Detections have rank 0, a correlation one more than the highest it references. A firing is a match for the rules above
it, at once. When the watermark advances, rank 1 is judged with it and its firings are handed up while the ranks above
still stand at the old watermark; then rank 2, and so on: no rank calls anything late that a rank below had still to
say (SEMANTICS C11).
"""

from __future__ import annotations

from collections.abc import Collection
from heapq import heappop, heappush

from streamer.correlate.firings import Verdict, firing_of, match_of
from streamer.correlate.host import Came, Host
from streamer.correlate.limits import BEGINNING, FOREVER, CorrelateLimits, Counters, Room
from streamer.correlate.told import Told
from streamer.model import Firing, Match
from streamer.sigma.rules import CorrelationRule


def fired(host: Host, came: Came, verdict: Verdict, starts_us: int | None, told: Told) -> Firing:
    """Tell what came true for a rule that knows the stream from ``starts_us`` on (``None``: from its beginning)."""
    address, done = came
    if starts_us is not None and done.looks_from < starts_us:
        done.marks.add("cold_start")
    firing = firing_of(host.plan, address, done, verdict)
    told.firings.append(firing)
    told.seen.append(tuple((*address.key, *value) for value in done.seen))
    return firing


class Cascade:
    """The hosts of all correlations and the watermark of each rank."""

    def __init__(self, rules: tuple[CorrelationRule, ...], limits: CorrelateLimits, counters: Counters) -> None:
        self.room = Room()
        self.hosts = [Host(rule, limits, counters, self.room) for rule in rules]
        self._over: dict[str, list[int]] = {}
        for number, rule in enumerate(rules):
            for below in dict.fromkeys(rule.rules):
                self._over.setdefault(below, []).append(number)
        self._ranks: dict[int, list[Host]] = {rank: [] for rank in sorted({rule.rank for rule in rules})}
        for host in self.hosts:
            self._ranks[host.plan.rule.rank].append(host)
        self.watermarks = dict.fromkeys(self._ranks, BEGINNING)
        self.starts_us: int | None = None
        self.anew_us: dict[str, int] = {}
        self.last_us = BEGINNING

    def feed(self, match: Match, told: Told) -> None:
        """A match of a detection, and whatever firings it sets off."""
        waiting: list[tuple[int, int, Match]] = []
        self._offer(match, waiting, told)

    def _offer(self, match: Match, waiting: list[tuple[int, int, Match]], told: Told) -> None:
        """Hand a match to the rules over it, lower ranks first, and go on with what fires."""
        count = 0
        heappush(waiting, (0, count, match))
        while waiting:
            one = heappop(waiting)[2]
            for number in self._over.get(one.rule, ()):
                host = self.hosts[number]
                rank = host.plan.rule.rank
                came = host.feed(one, self.watermarks[rank])
                self._drain(host, told)
                for firing in self._fire(host, came, one.time_us, told):
                    count += 1
                    heappush(waiting, (rank, count, firing))

    def _fire(self, host: Host, came: list[Came], arrived_us: int, told: Told) -> list[Match]:
        """Tell what came true; returns it as matches for the rules above."""
        rule = host.plan.rule
        if rule.decides == "arrival":
            verdict = Verdict("arrival", arrived_us)
        else:
            verdict = Verdict("watermark", self.watermarks[rule.rank])
        found: list[Match] = []
        for one in came:
            if verdict.time_us >= FOREVER and one[1].looks_until > self.last_us:
                one[1].marks.add("cut")
            firing = fired(host, one, verdict, self._knows_from(host), told)
            if host.name in self._over:
                found.append(match_of(firing, rule.across_clusters))
        return found

    def begin_anew(self, rules: Collection[str], since_us: int) -> None:
        """Rules that know nothing of what happened up to a time, while others do."""
        hosts = [host for host in self.hosts if host.name in rules]
        self.anew_us |= {host.name: since_us for host in hosts}
        known = {host.name: host for host in self.hosts}
        # What can look back no further than a rule's beginning needs no mark of it any more.
        self.anew_us = {
            name: since
            for name, since in self.anew_us.items()
            if name in known and since > self.watermarks[known[name].plan.rule.rank] - known[name].plan.hold_us
        }

    def _knows_from(self, host: Host) -> int | None:
        """The time from which on a rule knows the stream; ``None``: from its beginning."""
        anew = self.anew_us.get(host.name)
        if anew is None or self.starts_us is None:
            return self.starts_us if anew is None else anew
        return max(anew, self.starts_us)

    def advance(self, watermark_us: int, told: Told) -> None:
        """Judge rank by rank up to the watermark, firings in order of time."""
        for rank, hosts in self._ranks.items():
            if watermark_us <= self.watermarks[rank]:
                continue
            self.watermarks[rank] = watermark_us
            due = [
                (one[1].time_us, number, one, host)
                for number, host in enumerate(hosts)
                if host.due and host.due[0][0] < watermark_us
                for one in host.judge(watermark_us)
            ]
            due.sort(key=lambda one: one[:2])
            for time, _, one, host in due:
                for match in self._fire(host, [one], time, told):
                    self._offer(match, [], told)
            if watermark_us < FOREVER:
                for host in hosts:
                    if host.forgets(watermark_us):
                        host.expire(watermark_us)

    def next_deadline(self) -> int | None:
        """The smallest watermark at which something is judged."""
        while waiting := [host for host in self.hosts if host.due]:
            first = min(waiting, key=lambda host: host.due[0][0])
            soonest = first.due[0][0]
            if first.deadline() == soonest:
                return soonest + 1
        return None

    @staticmethod
    def _drain(host: Host, told: Told) -> None:
        if host.notices:
            told.notices += host.notices
            host.notices = []
