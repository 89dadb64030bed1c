"""All correlations of one process, rank by rank.

Detections have rank 0, a correlation one more than the highest it references. A firing is a match for the rules above
it, at once. When the watermark advances, rank 1 is judged with it and its firings are handed up while the ranks above
still stand at the old watermark; then rank 2, and so on: no rank calls anything late that a rank below had still to
say (SEMANTICS C11).
"""

from __future__ import annotations

from heapq import heappop, heappush

from streamer.correlate.firings import Verdict, firing_of, match_of
from streamer.correlate.host import Came, Host, Room
from streamer.correlate.limits import BEGINNING, FOREVER, CorrelateLimits, Counters
from streamer.correlate.told import Told
from streamer.model import Match
from streamer.sigma.rules import CorrelationRule


class Cascade:
    """The hosts of all correlations and the watermark of each rank."""

    def __init__(self, rules: tuple[CorrelationRule, ...], limits: CorrelateLimits, counters: Counters) -> None:
        room = Room()
        self.hosts = [Host(rule, limits, counters, room) for rule in rules]
        self._over: dict[str, list[int]] = {}
        for number, rule in enumerate(rules):
            for below in dict.fromkeys(rule.rules):
                self._over.setdefault(below, []).append(number)
        self._ranks = sorted({rule.rank for rule in rules})
        self.watermarks = dict.fromkeys(self._ranks, BEGINNING)
        self.starts_us: int | None = None
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
        for address, done in came:
            if done.looks_from < (self.starts_us if self.starts_us is not None else BEGINNING):
                done.marks.add("cold_start")
            if verdict.time_us >= FOREVER and done.looks_until > self.last_us:
                done.marks.add("cut")
            firing = firing_of(host.plan, address, done, verdict)
            told.firings.append(firing)
            told.seen.append(tuple((*address.key, *value) for value in done.seen))
            if host.name in self._over:
                found.append(match_of(firing, rule.across_clusters))
        return found

    def advance(self, watermark_us: int, told: Told) -> None:
        """Judge rank by rank up to the watermark, firings in order of time."""
        for rank in self._ranks:
            if watermark_us <= self.watermarks[rank]:
                continue
            self.watermarks[rank] = watermark_us
            hosts = [host for host in self.hosts if host.plan.rule.rank == rank]
            due = [
                (one[1].time_us, number, one, host)
                for number, host in enumerate(hosts)
                for one in host.judge(watermark_us)
            ]
            due.sort(key=lambda one: one[:2])
            for time, _, one, host in due:
                for match in self._fire(host, [one], time, told):
                    self._offer(match, [], told)
            if watermark_us < FOREVER:
                for host in hosts:
                    host.expire(watermark_us)

    def next_deadline(self) -> int | None:
        """The smallest watermark at which something is judged."""
        deadlines = [deadline for host in self.hosts if (deadline := host.deadline()) is not None]
        return min(deadlines) + 1 if deadlines else None

    @staticmethod
    def _drain(host: Host, told: Told) -> None:
        if host.notices:
            told.notices += host.notices
            host.notices = []
