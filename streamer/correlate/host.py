"""One correlation with all its keys: lets matches in or refuses them, and finds the state that is due.

A host knows nothing of the rules above or below it. Its caller hands it matches and the watermark of the rank below
and gets back what came true; in one process that is :mod:`streamer.correlate.cascade`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from heapq import heappop, heappush
from typing import TypeAlias

from streamer.correlate.aggregates import AggregateState, numbers_of
from streamer.correlate.counts import CountState
from streamer.correlate.firings import Completed
from streamer.correlate.first_seen import Beginnings, FirstSeenState
from streamer.correlate.keys import keys_of
from streamer.correlate.limits import CorrelateLimits, Counters, Room
from streamer.correlate.ordered import OrderedState
from streamer.correlate.plan import Address, Arrival, Plan
from streamer.correlate.pressure import Contributors, Pressure
from streamer.correlate.skewed import SkewedState
from streamer.correlate.state import KeyState
from streamer.correlate.temporal import TemporalState
from streamer.correlate.windows import WindowState
from streamer.model import Key, Match, Notice
from streamer.sigma.rules import CorrelationRule

Came: TypeAlias = tuple[Address, Completed]
"""Something that came true, and for which key."""


def has_value(plan: Plan, ref: int, match: Match) -> bool:
    """Whether a match has what the rule counts or aggregates."""
    if not plan.rule.type.startswith("value_"):
        return True
    fields = plan.counted_fields(ref)
    if plan.rule.type == "value_count":
        return all(match.values.get(name) for name in fields)
    return bool(numbers_of(match, fields))


class Host:
    """The states of one correlation.

    Attributes:
        due, expiring: (watermark, key) of what is judged and what is forgotten, a heap each; entries that are no longer
            true stand there too, so the first is never too late.
    """

    def __init__(self, rule: CorrelationRule, limits: CorrelateLimits, counters: Counters, room: Room) -> None:
        self.plan = Plan.of(rule, limits, counters)
        self.name = rule.meta.key
        self.beginnings = Beginnings()
        self.pressure = Pressure(self.name, Contributors(limits.sources))
        self.states: dict[Key, KeyState] = {}
        self.touched: dict[Key, None] = {}
        self.gone: dict[tuple[Key, tuple[object, ...]], None] = {}
        self.notices: list[Notice] = []
        self._counters = counters
        self._room = room
        self._used = 0
        self.due: list[tuple[int, Key]] = []
        self.expiring: list[tuple[int, Key]] = []

    @property
    def used(self) -> int:
        """Entries that are remembered, of all keys together."""
        return self._used

    # -- matches ----------------------------------------------------------------------------------------------------

    def feed(self, match: Match, watermark: int) -> list[Came]:
        """Take part in every key the match has; returns what that makes true now."""
        if self._is_too_late(match, watermark):
            return []
        keys, overflow = keys_of(match, self.plan.rule)
        if not keys:
            self._counters.missing_key[self.name] += 1
            return []
        return self._take_part(match, keys, overflow, watermark)

    def feed_key(self, match: Match, key: Key, overflow: int, watermark: int) -> list[Came]:
        """Take part in one key that somebody else found, with the number of keys that were left out."""
        if self._is_too_late(match, watermark):
            return []
        return self._take_part(match, [key], overflow, watermark)

    def _is_too_late(self, match: Match, watermark: int) -> bool:
        if match.time_us >= watermark:
            return False
        self._counters.late[self.name] += 1
        if match.time_us >= watermark - self.plan.rule.reach_us:
            return False
        self._counters.too_late[self.name] += 1
        return True

    def _take_part(self, match: Match, keys: list[Key], overflow: int, watermark: int) -> list[Came]:
        ref = self.plan.number[match.rule]
        if overflow:
            self._counters.key_overflow[self.name] += overflow
            self._say("keys", match.time_us, watermark, overflow)
        if not has_value(self.plan, ref, match):
            self._counters.missing_value[self.name] += 1
            return []
        is_cut = self._note_overflow(ref, match, watermark)
        arrival = Arrival(ref, match, watermark)
        return [came for key in keys for came in self._take(key, arrival, is_cut=is_cut)]

    def _note_overflow(self, ref: int, match: Match, watermark: int) -> bool:
        """Whether the match has more values than it may add."""
        if self.plan.rule.type != "value_count":
            return False
        total = 1
        for name in self.plan.counted_fields(ref):
            total *= len(match.values[name])
        over = total - self.plan.limits.values_per_match
        if over > 0:
            self._counters.value_overflow[self.name] += over
            self._say("values", match.time_us, watermark, over)
        return over > 0

    def _take(self, key: Key, arrival: Arrival, *, is_cut: bool) -> Iterator[Came]:
        state = self.states.get(key)
        if state is not None and state.is_known(arrival):
            self._counters.duplicates[self.name] += 1
            return
        fresh = state is None
        if state is None:
            state = self.new_state(key)
        if not self._has_room(state, arrival):
            self._refuse(key, None if fresh else state, arrival)
            return
        if fresh:
            self.states[key] = state
            if self.pressure.blind:
                state.blind = replace(self.pressure.blind)
                state.note("b")
        self._counters.used[self.name] += 1
        if is_cut:
            state.refuse(arrival.match.time_us)
        before = state.size()
        came = state.take(arrival)
        self._resized(state.size() - before)
        self._schedule(key, state)
        for one in came:
            yield (state.address, one)

    def new_state(self, key: Key) -> KeyState:
        """An empty state of the kind the rule needs."""
        rule, address = self.plan.rule, Address(self.name, key)
        if rule.type == "temporal":
            return TemporalState(self.plan, address)
        if rule.type == "temporal_ordered":
            return SkewedState(self.plan, address) if rule.skew_us else OrderedState(self.plan, address)
        if rule.first_seen:
            return FirstSeenState(self.plan, address, self.beginnings)
        if rule.type not in ("event_count", "value_count"):
            return AggregateState(self.plan, address)
        return (
            CountState(self.plan, address) if self.plan.count.op in ("gt", "gte") else WindowState(self.plan, address)
        )

    # -- room -------------------------------------------------------------------------------------------------------

    def _has_room(self, state: KeyState, arrival: Arrival) -> bool:
        limits = self.plan.limits
        if not state.needs_room(arrival):
            return True
        progress = state.progress(arrival.ref)
        own = 1.0 if progress is None else 1.0 - limits.reserved * (1.0 - progress)
        # Among all rules, what never goes on leaves the reserve to what does.
        share = 1.0 - limits.reserved if progress is None else own
        return (
            state.size() < limits.entries_per_key * own
            and self._used < limits.entries_per_rule * own
            and self._room.used < limits.entries * share
        )

    def _refuse(self, key: Key, state: KeyState | None, arrival: Arrival) -> None:
        time = arrival.match.time_us
        self._counters.refused[self.name] += 1
        for name, text in zip(self.plan.key_names, key, strict=True):
            self.pressure.sources.add(f"{name}={text}")
        if state is None:
            self.pressure.blind.widen(time)
        else:
            state.refuse(time)
            self._schedule(key, state)
        self._say("entries", time, arrival.watermark)

    def _resized(self, by: int) -> None:
        self._used += by
        self._room.used += by

    def _say(self, what: str, time: int, watermark: int, times: int = 1) -> None:
        notice = self.pressure.hit(what, time, watermark, times)
        if notice is not None:
            self.notices.append(notice)

    # -- time -------------------------------------------------------------------------------------------------------

    def _schedule(self, key: Key, state: KeyState) -> None:
        if state.changed:
            self.touched[key] = None
        deadline = state.deadline()
        if deadline is not None and (state.due is None or deadline < state.due):
            state.due = deadline
            heappush(self.due, (deadline, key))
        expiry = state.expiry()
        if expiry is not None and (state.expires is None or expiry < state.expires):
            state.expires = expiry
            heappush(self.expiring, (expiry, key))

    def deadline(self) -> int | None:
        """The watermark must pass this for :meth:`judge` to have something to do."""
        while self.due:
            due, key = self.due[0]
            state = self.states.get(key)
            if state is not None and state.due == due and state.deadline() == due:
                return due
            heappop(self.due)
            if state is not None and state.due == due:
                state.due = None
                self._schedule(key, state)
        return None

    def judge(self, watermark: int) -> list[Came]:
        """Decide what ends before the watermark; in order of time, then of keys."""
        came: list[Came] = []
        while self.due and self.due[0][0] < watermark:
            due, key = heappop(self.due)
            state = self.states.get(key)
            if state is None or state.due != due:
                continue
            state.due = None
            before = state.size()
            came += [(state.address, one) for one in state.judge(watermark)]
            self._resized(state.size() - before)
            self._schedule(key, state)
        came.sort(key=lambda one: (one[1].time_us, one[0].key))
        return came

    def forgets(self, watermark: int) -> bool:
        """Whether :meth:`expire` may have something to do."""
        return bool(self.expiring and self.expiring[0][0] < watermark) or bool(self.pressure.blind)

    def expire(self, watermark: int) -> None:
        """Forget what is of no use any more."""
        self.pressure.expire(watermark - self.plan.hold_us)
        while self.expiring and self.expiring[0][0] < watermark:
            due, key = heappop(self.expiring)
            state = self.states.get(key)
            if state is None or state.expires != due:
                continue
            state.expires = None
            before = state.size()
            state.expire(watermark)
            self._resized(state.size() - before)
            if state.is_empty():
                self.gone |= {(key, part): None for part in state.changed}
                del self.states[key]
                self.touched.pop(key, None)
            else:
                self._schedule(key, state)

    def restored(self, watermark: int) -> None:
        """All parts of all states are back."""
        for key, state in self.states.items():
            state.loaded(watermark)
            self._resized(state.size())
            self._schedule(key, state)
