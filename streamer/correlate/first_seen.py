"""``first_seen``: a value that its key did not have for a whole timespan.

What must be remembered for months is small: per value the stretches of time in which it kept coming, two occurrences
at most one timespan apart belonging to one stretch. A match is new if no stretch begins before it and reaches to
within one timespan of it. Matches themselves are kept only until they are judged; of a rule that learns, also their
identities for as long as they could be told again: by then more may be known of when it began to learn.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from streamer.correlate import codec
from streamer.correlate.firings import Completed
from streamer.correlate.keys import Tuple, tuples_of
from streamer.correlate.plan import Address, Arrival, Plan
from streamer.correlate.sequence import Runs
from streamer.correlate.state import KeyState, Part
from streamer.model import Match


class Beginnings:
    """When a rule had its first match in each cluster, for ``learn``."""

    def __init__(self) -> None:
        self.first: dict[str, int] = {}
        self.changed: dict[str, None] = {}

    def note(self, cluster: str, time: int) -> None:
        """A match came."""
        if time < self.first.get(cluster, time + 1):
            self.first[cluster] = time
            self.changed[cluster] = None


class FirstSeenState(KeyState):
    """One key of a ``first_seen`` rule."""

    def __init__(self, plan: Plan, address: Address, beginnings: Beginnings) -> None:
        super().__init__(plan, address)
        self._beginnings = beginnings
        self._stretches: dict[Tuple, list[tuple[int, int]]] = {}
        self._ends: Runs[tuple[int, Tuple]] = Runs()
        self._known: dict[tuple[int, bytes], int] = {}
        self._known_times: Runs[tuple[int, int, bytes]] = Runs()

    def take(self, arrival: Arrival) -> list[Completed]:
        """Remember the values; judge at once if the rule decides on arrival or the match is late."""
        match = arrival.match
        self._beginnings.note(match.cluster, match.time_us)
        for value in self._values(arrival.ref, match):
            self._remember(value, match.time_us)
        if self.plan.on_arrival or match.time_us < arrival.watermark:
            return self.tell(self._judged([(arrival.ref, match)]))
        self.keep(arrival)
        return []

    def is_known(self, arrival: Arrival) -> bool:
        """Whether the match is a duplicate of one that waits or was judged."""
        return super().is_known(arrival) or (arrival.ref, arrival.match.identity) in self._known

    def needs_room(self, arrival: Arrival) -> bool:
        """Whether a value is new to the memory."""
        return any(value not in self._stretches for value in self._values(arrival.ref, arrival.match))

    def _values(self, ref: int, match: Match) -> list[Tuple]:
        fields = self.plan.counted_fields(ref)
        return tuples_of(match.values, fields, self.plan.limits.values_per_match)[0]

    def _remember(self, value: Tuple, time: int) -> None:
        timespan = self.plan.rule.timespan_us
        stretches = self._stretches.setdefault(value, [])
        at = bisect_right(stretches, (time, time))
        first = last = time
        low = high = at
        if at and time - stretches[at - 1][1] <= timespan:
            low, first, last = at - 1, stretches[at - 1][0], max(time, stretches[at - 1][1])
        if at < len(stretches) and stretches[at][0] - last <= timespan:
            high, last = at + 1, max(last, stretches[at][1])
        if stretches[low:high] == [(first, last)]:
            return
        for _, end in stretches[low:high]:
            self._ends.discard((end, value))
        stretches[low:high] = [(first, last)]
        self._ends.add((last, value))
        self.note("v", value)

    def _is_new(self, value: Tuple, time: int) -> bool:
        start = time - self.plan.rule.timespan_us
        return not any(first < time and start <= last for first, last in self._stretches.get(value, ()))

    def judge(self, watermark: int) -> list[Completed]:
        """Judge the matches before the watermark; what is left of them is when their values were seen."""
        gone = self.ledger.drop_before(watermark)
        for ref, match in gone:
            self.note("m", self.plan.refs[ref], match.identity)
        return self.tell(self._judged(gone))

    def _judged(self, matches: list[tuple[int, Match]]) -> Iterator[Completed]:
        rule = self.plan.rule
        if rule.learn_us:
            for ref, match in matches:
                self._note_judged(ref, match.identity, match.time_us)
        for ref, match in sorted(matches, key=lambda one: (one[1].time_us, one[1].identity, one[0])):
            time = match.time_us
            fresh = tuple(value for value in self._values(ref, match) if self._is_new(value, time))
            first = self._beginnings.first.get(match.cluster, time)
            if not fresh or (rule.learn_us and time < first + rule.learn_us):
                continue
            if self.blind.covers(time - rule.timespan_us, time - 1):
                continue
            done = Completed(
                time_us=time,
                members={ref: {match.identity: match}},
                totals={},
                window=(time, time),
                value=1.0,
                seen=fresh,
                looks_from=time - rule.timespan_us,
            )
            self.gather_from(done.gathered, ref, match)
            yield done

    def _note_judged(self, ref: int, identity: bytes, time: int) -> None:
        self._known[ref, identity] = time
        self._known_times.add((time, ref, identity))
        self.note("i", self.plan.refs[ref], identity)

    def deadline(self) -> int | None:
        """The time of the oldest match that has not been judged."""
        return self.ledger.oldest()

    def size(self) -> int:
        """Values remembered and matches waiting."""
        return len(self._stretches) + len(self.ledger)

    def expiry(self) -> int | None:
        """When the stretch that ended first is of no use any more."""
        oldest, end, judged = super().expiry(), self._ends.first(), self._known_times.first()
        times = [oldest] if oldest is not None else []
        if end is not None:
            times.append(end[0] + self.plan.hold_us)
        if judged is not None:
            times.append(judged[0] + self.plan.rule.reach_us)
        return min(times, default=None)

    def _forgotten(self, gone: list[tuple[int, Match]], bound: int) -> None:
        for _, ref, identity in self._known_times.drop_before((bound + self.plan.rule.timespan_us,)):
            del self._known[ref, identity]
            self.note("i", self.plan.refs[ref], identity)
        for _, value in self._ends.drop_before((bound,)):
            stretches = self._stretches[value]
            del stretches[0]
            if not stretches:
                del self._stretches[value]
            self.note("v", value)

    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return super().is_empty() and not self._stretches and not self._known

    def parts(self) -> Iterator[Part]:
        """The ledger's parts and the values' stretches."""
        yield from super().parts()
        for value in self._stretches:
            yield ("v", value)
        for ref, identity in self._known:
            yield ("i", self.plan.refs[ref], identity)

    def stored(self, part: Part) -> bytes | None:
        """The value of a part."""
        if part[0] == "i":
            time = self._known.get((self.plan.number[part[1]], part[2]))
            return None if time is None else codec.encode(time)
        if part[0] != "v":
            return super().stored(part)
        stretches = self._stretches.get(tuple(part[1]))
        return codec.encode(stretches) if stretches else None

    def load(self, part: Part, data: bytes) -> None:
        """Put back a part."""
        if part[0] == "i":
            self._note_judged(self.plan.number[part[1]], part[2], int(codec.decode(data)))
            self.changed.pop(part, None)
            return
        if part[0] != "v":
            super().load(part, data)
            return
        value = tuple(part[1])
        self._stretches[value] = [(int(first), int(last)) for first, last in codec.decode(data)]
        for _, last in self._stretches[value]:
            self._ends.add((last, value))

    def loaded(self, watermark: int) -> None:
        """Nothing is derived."""
