"""Silence and unreadable records through the whole engine, with the shipped rules: right in event time, told once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import orjson

from streamer.authoring.replay import Recording, Replay
from streamer.decode import Source
from streamer.engine import Engine, Output
from streamer.model import Position, Record
from streamer.sigma import load_rules, load_text
from streamer.sigma.rules import RuleSet

SOURCES = Path(__file__).parent.parent / "rules" / "kubernetes" / "sources"
BASE_S = 1_767_225_600  # 2026-01-01T00:00:00Z
SECOND = 1_000_000
MINUTE = 60
AUDIT = Source("audit", "audit", cluster="c1")
LINES = Source("lines", "containers", cluster="c1")
OTHER = """
title: Somebody reads secrets
name: secrets_read
logsource: {category: application, product: kubernetes, service: audit}
detection: {selection: {objectRef.resource: secrets}, condition: selection}
level: low
"""


def rules() -> RuleSet:
    return load_rules([SOURCES]).ok()


def audit(second: float) -> bytes:
    stamp = orjson.dumps(_stamp(second)).decode()
    return (
        f'{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"{second}","stage":"ResponseComplete","verb":"get",'
        f'"requestURI":"/version","user":{{"username":"u"}},"requestReceivedTimestamp":{stamp},"stageTimestamp":{stamp}}}'
    ).encode()


def line(second: float) -> bytes:
    return orjson.dumps({"log": "x\n", "stream": "stdout", "@timestamp": _stamp(second)})


def _stamp(second: float) -> str:
    minutes, seconds = divmod(second, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"2026-01-01T{hours:02}:{minutes:02}:{seconds:09.6f}Z"


def minutes(first: int, last: int) -> list[int]:
    """One moment of each minute, both bounds included."""
    return [minute * MINUTE + 5 for minute in range(first, last + 1)]


class Topics:
    """One partition of audit events and one of container lines."""

    def __init__(self, ruleset: RuleSet) -> None:
        self.offsets = {"audit": 0, "lines": 0}
        self.told = Output()
        self.stored: dict[bytes, bytes] = {}
        self.begin(ruleset)

    def begin(self, ruleset: RuleSet) -> None:
        """A process begins with what is stored."""
        self.engine = Engine(ruleset)
        for source in (AUDIT, LINES):
            self.engine.expect((source.name, 0), source, is_file=False)
        self.engine.restore(self.stored)

    def store(self) -> None:
        for key, value in self.engine.changes().items():
            if value is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = value

    def read(self, name: str, values: Iterable[tuple[bytes, float]]) -> None:
        """Records and when they were appended."""
        for value, second in values:
            position = Position(name, 0, self.offsets[name], is_file=False)
            self.offsets[name] += 1
            self.told.join(self.engine.feed([Record(value, position, int((BASE_S + second) * SECOND))]))

    def audit(self, seconds: Iterable[float]) -> None:
        self.read("audit", [(audit(second), second) for second in seconds])

    def lines(self, seconds: Iterable[float]) -> None:
        self.read("lines", [(line(second), second) for second in seconds])

    def idle(self, now_s: float) -> None:
        for source in (AUDIT, LINES):
            self.told.join(self.engine.idle((source.name, 0), int((BASE_S + now_s) * SECOND)))

    @property
    def alerts(self) -> list[tuple[str, float]]:
        return alerts(self.told, self.engine.rules)


def alerts(output: Output, ruleset: RuleSet) -> list[tuple[str, float]]:
    """Name and minute of every alert."""
    names = {key: rule.meta.name for key, rule in ruleset.by_key().items()}
    return [(names[one.firing.rule] or "", (one.firing.time_us / SECOND - BASE_S) / MINUTE) for one in output.alerts]


def test_a_source_is_silent_also_where_nothing_at_all_comes_any_more() -> None:
    """[T4] a partition read to its end goes on with the clock, so an absence is decided without any record."""
    topics = Topics(rules())
    topics.audit(minutes(0, 11))
    topics.lines(minutes(0, 11))
    topics.idle(25 * MINUTE)
    assert topics.alerts == []

    topics.idle(30 * MINUTE)
    topics.idle(90 * MINUTE)
    assert sorted(topics.alerts) == [("source_silent", 27.0), ("source_silent", 27.0)]


def test_an_audit_log_that_stops_while_its_containers_go_on_is_told_once() -> None:
    """[A2] one alert, however long it lasts."""
    topics = Topics(rules())
    topics.audit(minutes(0, 11))
    for minute in range(60):
        topics.lines(minutes(minute, minute))
        if minute > 12:
            topics.idle(minute * MINUTE + 6)
    topics.idle(70 * MINUTE)

    assert sorted(topics.alerts) == [("audit_log_stopped", 23.0), ("source_silent", 27.0)]


def test_a_cold_start_and_a_cluster_with_little_to_say_are_silent() -> None:
    """[G2] what was never heard all along cannot fall silent."""
    topics = Topics(rules())
    topics.lines([*minutes(0, 0), *minutes(20, 20), *minutes(70, 90)])
    topics.audit([*minutes(3, 3), *minutes(50, 50), *minutes(88, 90)])
    topics.idle(95 * MINUTE)

    assert topics.alerts == []


def test_a_streamer_that_was_away_for_twenty_minutes_reads_what_it_missed_and_tells_nothing() -> None:
    """[G3] event time decides, not when somebody read it."""
    topics = Topics(rules())
    topics.audit(minutes(0, 11))
    topics.lines(minutes(0, 11))
    topics.idle(11 * MINUTE + 40)
    topics.store()
    topics.begin(rules())
    topics.lines(minutes(12, 31))  # the containers' backlog comes first
    topics.audit(minutes(12, 31))
    topics.idle(33 * MINUTE)

    assert topics.alerts == []


def test_a_hole_in_the_backlog_is_told_after_a_restart() -> None:
    topics = Topics(rules())
    topics.audit(minutes(0, 11))
    topics.lines(minutes(0, 11))
    topics.store()
    topics.begin(rules())
    topics.lines(minutes(12, 31))
    topics.audit(minutes(30, 31))
    topics.idle(33 * MINUTE)

    assert sorted(topics.alerts) == [("audit_log_stopped", 23.0), ("source_silent", 27.0)]


def test_strange_stamps_neither_hide_a_silence_nor_make_one() -> None:
    """[T3] a stamp of next year counts as its append time, one of long ago as nothing."""
    topics = Topics(rules())
    topics.audit(minutes(0, 11))
    old = audit(0).replace(b"2026-01-01", b"1999-01-01")
    new = audit(0).replace(b"2026-01-01", b"2027-01-01")
    topics.read("audit", [(old, 11 * MINUTE + second) for second in range(6, 30)])
    topics.read("lines", [(line(second), second) for second in minutes(0, 11)])
    topics.idle(30 * MINUTE)
    assert sorted(topics.alerts) == [("source_silent", 27.0), ("source_silent", 27.0)]

    other = Topics(rules())
    other.audit(minutes(0, 11))
    other.lines(minutes(0, 30))
    other.read("audit", [(new, second) for second in minutes(12, 30)])
    other.idle(33 * MINUTE)
    assert other.alerts == []


def test_half_of_the_records_cannot_be_read_any_more() -> None:
    topics = Topics(rules())
    topics.audit(minute * MINUTE + second for minute in range(5) for second in range(0, 60, 5))
    topics.lines(minutes(0, 4))
    bad = [(b'{"kind":"Event"', minute * MINUTE + second) for minute in range(5, 10) for second in range(0, 60, 5)]
    good = [(audit(second), second) for _, second in bad]
    topics.read("audit", [one for pair in zip(bad, good, strict=True) for one in pair])
    topics.idle(12 * MINUTE)

    assert topics.alerts == [("undecodable_share_rises", 6.0)]
    (alert,) = topics.told.alerts
    (step, _) = alert.firing.steps
    assert step.members[-1].firing is not None
    evidence = step.members[-1].firing.steps[0].members[-1].evidence
    assert evidence is not None
    assert evidence.summary == "source audit: 12 of 24 records of a minute could not be read"


def replayed(*recordings: Recording) -> list[tuple[str, float]]:
    output = Output()
    for told in Replay(rules(), recordings):
        output.join(told)
    return alerts(output, rules())


def recording(source: Source, seconds: Iterable[float]) -> Recording:
    make = audit if source.kind == "audit" else line
    return Recording(source, list(enumerate(map(make, seconds), start=1)))


def test_the_end_of_a_recording_is_no_silence_and_a_hole_in_it_is() -> None:
    """[T5] a file that ends says so."""
    shorter = recording(AUDIT, minutes(0, 20))
    assert replayed(shorter, recording(LINES, minutes(0, 59))) == []

    hole = recording(AUDIT, [*minutes(0, 20), *minutes(50, 59)])
    found = replayed(hole, recording(LINES, minutes(0, 59)))
    assert sorted(found) == [("audit_log_stopped", 32.0), ("source_silent", 36.0)]


def test_a_restart_in_the_middle_of_a_file_knows_which_clusters_it_had() -> None:
    """What was heard before the restart is said to have ended after it."""
    engine = Engine(rules())
    engine.expect(("audit", 0), AUDIT, is_file=True)
    records = [Record(audit(second), Position("audit", 0, at, True)) for at, second in enumerate(minutes(0, 20), 1)]
    engine.feed(records)
    stored = {key: value for key, value in engine.changes().items() if value is not None}
    again = Engine(rules())
    again.restore(stored)
    again.expect(("audit", 0), AUDIT, is_file=True)

    assert again.snapshot() == engine.snapshot()
    assert alerts(again.end(("audit", 0)), again.rules) == []


def test_health_is_neither_counted_as_events_nor_made_where_no_rule_asks_for_it() -> None:
    topics = Topics(rules())
    topics.audit(minutes(0, 11))
    assert dict(topics.engine.counters.events) == {"audit": 12}

    without = Topics(load_text({"r.yml": OTHER}).ok())
    without.audit(minutes(0, 11))
    assert not [key for key in without.engine.snapshot() if key.startswith(b"health")]


def test_rules_that_begin_to_ask_and_cease_to_leave_no_old_state_behind() -> None:
    """A minute that was half counted when the rules went away must not be told when they come back."""
    topics = Topics(rules())
    topics.audit(minutes(0, 11))
    topics.store()
    assert any(key.startswith(b"health") for key in topics.stored)

    topics.engine, _ = topics.engine.reload(load_text({"r.yml": OTHER}).ok())
    topics.audit(minutes(12, 12))
    topics.store()
    assert not any(key.startswith(b"health") for key in topics.stored)

    topics.engine, _ = topics.engine.reload(rules())
    topics.audit(minutes(13, 24))
    topics.lines(minutes(13, 24))
    topics.idle(50 * MINUTE)
    assert sorted(topics.alerts) == [("source_silent", 40.0), ("source_silent", 40.0)]
