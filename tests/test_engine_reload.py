"""Other rules while everything runs, and what a step writes of partitions that have nothing unfinished."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamer.correlate import CorrelateLimits
from streamer.decode import Source
from streamer.engine import Engine, Output
from streamer.model import Position, Record
from streamer.sigma import load_text
from tests.test_engine import HISTORY, PARTITION, RULES, alert_ids, audit, engine, records, told

CHAIN = "33333333-3333-4333-8333-333333333333"
ABSENCE = "44444444-4444-4444-8444-444444444444"
TEXT = RULES["rules.yml"]
RENAMED = TEXT.replace("Two secrets and then a pod", "Another title")
LONGER = TEXT.replace("timespan: 1m\nlevel: high", "timespan: 2m\nlevel: high")
LONGER_ABSENCE = TEXT.replace("timespan: 1m\n  condition", "timespan: 2m\n  condition")
LOOKING_BACK = TEXT.replace(
    "timespan: 1m\nlevel: high", "timespan: 1m\n  condition: not secret_read and pod_made\nlevel: high"
)
BEFORE = records([audit(0, "list", "nodes"), *(audit(200 + at, "list", "nodes") for at in range(5))])
AFTER = records([audit(220, "create", "pods", "near"), audit(300, "create", "pods", "far")])
cuts = st.sets(st.integers(min_value=1, max_value=len(HISTORY) - 1), max_size=3)


def rules(text: str):
    return load_text({"rules.yml": text}).ok()


def applied(state: dict[bytes, bytes], changes) -> dict[bytes, bytes]:
    return {key: value for key, value in {**state, **changes}.items() if value is not None}


def reloading(at: Sequence[int], texts: Sequence[str], *, storing: bool) -> list[Output]:
    """Feed the history, exchange the rules at each cut; optionally store each batch and check what is stored."""
    subject, outputs, state = engine(), [], dict[bytes, bytes]()
    whole = records(HISTORY)
    for number, (begin, end) in enumerate(pairwise([0, *sorted(at), len(HISTORY)])):
        if number:
            subject, _ = subject.reload(rules(texts[(number - 1) % len(texts)]))
        outputs.append(subject.feed(whole[begin:end]))
        if storing:
            state = applied(state, subject.changes())
            assert state == subject.snapshot()
    outputs.append(subject.end(PARTITION))
    return outputs


@given(cuts, st.booleans())
def test_rules_of_the_same_meaning_change_nothing(at: set[int], storing: bool) -> None:
    """[G4] over a reload nothing is lost and nothing told twice."""
    whole = reloading([], [TEXT], storing=False)
    assert told(reloading(sorted(at), [RENAMED, TEXT], storing=storing)) == told(whole)
    assert alert_ids(reloading(sorted(at), [RENAMED, TEXT], storing=storing)) == alert_ids(whole)


@given(cuts, st.booleans())
def test_a_changed_rule_leaves_the_others_alone(at: set[int], storing: bool) -> None:
    whole = [one for one in told(reloading([], [TEXT], storing=False)) if one[0] == ABSENCE]
    parts = told(reloading(sorted(at), [LONGER, TEXT], storing=storing))
    assert [one for one in parts if one[0] == ABSENCE] == whole


def test_the_report_says_what_became_of_every_rule() -> None:
    subject = engine()
    subject.feed(records(HISTORY[:3]))
    without_absence = LONGER[: LONGER.rindex("---")]
    more = TEXT.split("---")[0].replace("1111-4111", "9999-4111").replace("secret_read", "more")
    _, report = subject.reload(rules(without_absence + "---" + more))
    assert CHAIN in report.dropped
    assert ABSENCE in report.dropped
    assert [rule[:8] for rule in report.kept] == ["11111111", "22222222"]
    assert set(report.new) == {"11111111-9999-4111-8111-111111111111"}


def test_a_rule_of_another_meaning_starts_anew() -> None:
    subject = engine()
    first = subject.feed(records([audit(0, "get", "secrets")]))
    subject, _ = subject.reload(rules(LONGER))
    second = subject.feed(records([audit(5, "create", "pods"), audit(6, "get", "secrets"), audit(7, "create", "pods")]))
    assert told([first]) == []
    assert [(rule, key[1]) for rule, key, _ in told([second])] == [(CHAIN, '"alice"')]


def test_what_looks_back_beyond_the_beginning_of_its_rule_is_marked() -> None:
    """[G2] a firing that looks back beyond what its rule knows is marked `cold_start`."""
    subject = engine()
    subject.feed(BEFORE)
    subject, _ = subject.reload(rules(LOOKING_BACK))
    restored = Engine(subject.rules)
    restored.restore(subject.snapshot())
    restored.expect(PARTITION, Source("audit.log", "audit", cluster="c1"), is_file=True)
    for one in (subject, restored):
        outputs = [one.feed(AFTER), one.end(PARTITION)]
        firings = [firing for output in outputs for firing in output.firings if firing.rule == CHAIN]
        assert [(firing.key[1], firing.marks) for firing in firings] == [('"near"', ("cold_start",)), ('"far"', ())]


def test_rules_that_changed_while_nothing_ran_are_marked_likewise() -> None:
    before = engine()
    before.feed(BEFORE)
    subject = Engine(rules(LOOKING_BACK))
    subject.restore(before.snapshot())
    subject.expect(PARTITION, Source("audit.log", "audit", cluster="c1"), is_file=True)
    outputs = [subject.feed(AFTER), subject.end(PARTITION)]
    firings = [firing for output in outputs for firing in output.firings if firing.rule == CHAIN]
    assert [(firing.key[1], firing.marks) for firing in firings] == [('"near"', ("cold_start",)), ('"far"', ())]


def test_changes_that_were_not_stored_yet_are_not_lost() -> None:
    subject = engine()
    subject.feed(records(HISTORY[:4]))
    other, _ = subject.reload(rules(LONGER))
    assert applied({}, other.changes()) == other.snapshot()


def test_counters_and_limits_go_on() -> None:
    subject = Engine(rules(TEXT), limits=CorrelateLimits(entries_per_key=1))
    subject.expect(PARTITION, Source("audit.log", "audit", cluster="c1"), is_file=True)
    subject.feed(records(HISTORY[:2]))
    other, _ = subject.reload(rules(RENAMED))
    other.feed([Record(audit(6, "get", "secrets"), Position("audit.log", 0, 9, True))])
    assert other.counters is subject.counters
    assert other.counters.records == 3
    assert other.correlator.counters.refused[ABSENCE] > 0


def container(text: str, at: int, *, partial: bool = False) -> bytes:
    stamp = f"2026-01-01T00:00:{at:02d}.000000001Z"
    return json.dumps(
        {
            "message": f"{stamp} stdout {'P' if partial else 'F'} {text}",
            "kubernetes": {"namespace_name": "n", "pod_name": "p", "pod_id": "u", "container_name": "c"},
        }
    ).encode()


def decoder_entries(changes) -> dict[bytes, bytes | None]:
    return {key: value for key, value in changes.items() if key.startswith(b"decoder")}


def test_a_partition_with_nothing_unfinished_writes_nothing_of_its_decoder() -> None:
    subject = engine()
    for line in HISTORY:
        subject.feed([Record(line, Position("audit.log", 0, 1, True))])
        assert decoder_entries(subject.changes()) == {}
    assert decoder_entries(subject.snapshot()) == {}


def test_an_unfinished_line_is_written_until_it_is_finished() -> None:
    place = ("containers.log", 0)

    def made() -> Engine:
        subject = Engine(rules(TEXT))
        subject.expect(place, Source("containers.log", "containers", cluster="c1"), is_file=True)
        return subject

    subject, state = made(), dict[bytes, bytes]()
    lines = [container("whole", 1), container("half", 2, partial=True), container("done", 3), container("whole", 4)]
    written = []
    for number, line in enumerate(lines, 1):
        subject.feed([Record(line, Position("containers.log", 0, number, True))])
        changes = subject.changes()
        state = applied(state, changes)
        assert state == subject.snapshot()
        written.append(bool(decoder_entries(changes)))
        after = made()
        after.restore(state)
        assert after.snapshot() == subject.snapshot()
    # The mark of the line's end is kept, once: a redelivery of its last piece is no line of its own.
    assert written == [False, True, True, False]
