"""What survives a restart, what a changed rule may keep, and what an alert shows."""

from __future__ import annotations

from streamer.decode import Source
from streamer.engine import Engine
from tests.peers.story import SECOND, START_US, Act, records, rule, rules_of, run
from tests.peers.test_conditions import correlation, temporal

A, B = rule("did_a", "a"), rule("did_b", "b")
PARTITION = ("story.log", 0)
SOURCE = Source("story.log", "audit")
THREE = correlation("type: event_count\nrules: [did_a]\ngroup-by: [user.username]\ntimespan: 60s\ncondition:\n  gte: 3")


def _engine(*documents: str, entries: dict[bytes, bytes] | None = None) -> Engine:
    engine = Engine(rules_of(*documents))
    if entries is not None:
        engine.restore(entries)
    engine.expect(PARTITION, SOURCE, is_file=False)
    return engine


def test_two_events_before_a_restart_and_one_after_it_make_three() -> None:
    """[G1] a crash loses nothing that was accepted."""
    story = records([Act("a", 1000), Act("a", 1010), Act("a", 1020)], topic=True)
    first = _engine(A, THREE)
    assert first.feed(story[:2]).alerts == []
    second = _engine(A, THREE, entries=dict(first.snapshot()))
    assert len(second.feed(story[2:]).alerts) == 1


def test_a_changed_feeder_does_not_count_with_what_the_old_one_matched() -> None:
    """State belongs to the meaning of a rule: two old matches and one of the edited rule are not three."""
    story = records([Act("a", 1000), Act("a", 1010), Act("z", 1020)], topic=True)
    first = _engine(A, THREE)
    first.feed(story[:2])
    second = _engine(rule("did_a", "z"), THREE, entries=dict(first.snapshot()))
    assert second.feed(story[2:]).alerts == []


def test_a_changed_title_keeps_the_state() -> None:
    """[A3] title and level are not part of the meaning."""
    story = records([Act("a", 1000), Act("a", 1010), Act("a", 1020)], topic=True)
    first = _engine(A, THREE)
    first.feed(story[:2])
    changed = THREE.replace("Rule under test", "Another title").replace("level: high", "level: low")
    second = _engine(A, changed, entries=dict(first.snapshot()))
    assert len(second.feed(story[2:]).alerts) == 1


def test_a_flood_of_other_keys_does_not_push_out_a_half_finished_one() -> None:
    """A few thousand other users between the second and the third event change nothing."""
    crowd = [Act("a", 1002 + number / 1000, user=f"user-{number}") for number in range(3000)]
    story = [Act("a", 1000, user="mallory"), Act("a", 1001, user="mallory"), *crowd]
    ending = run([A, THREE], [*story, Act("a", 1010, user="mallory")], topic=True, ends=False)
    assert [alert.firing.key[-1] for alert in ending.alerts_of("the_rule")] == ['"mallory"']


def test_an_alert_names_the_events_it_rests_on_with_time_and_audit_id() -> None:
    """[A4] every member with rule, time and the audit id; no step loses its proof to repeats of another."""
    steps = temporal("did_a, did_b", kind="temporal_ordered")
    story = [Act("a", 1000, id="aaaaaaaa-0000-4000-8000-000000000000")]
    story += [Act("a", 1001 + number / 100, user="other") for number in range(30)]
    ending = run([A, B, steps], [*story, Act("b", 1010, id="bbbbbbbb-0000-4000-8000-000000000000")])
    (alert,) = ending.alerts_of("the_rule")
    members = [step.members[0] for step in alert.firing.steps]
    assert [member.evidence.audit_id for member in members if member.evidence] == [
        "aaaaaaaa-0000-4000-8000-000000000000",
        "bbbbbbbb-0000-4000-8000-000000000000",
    ]
    assert [(member.time_us - START_US) / SECOND for member in members] == [1000, 1010]


def test_twenty_members_are_shown_and_all_are_counted() -> None:
    """[A4] at most twenty per step with the true count."""
    many = correlation(
        "type: event_count\nrules: [did_a]\ngroup-by: [user.username]\ntimespan: 60s\ncondition:\n  gte: 25"
    )
    ending = run([A, many], [Act("a", 1000 + number) for number in range(25)])
    (alert,) = ending.alerts_of("the_rule")
    (step,) = alert.firing.steps
    assert (len(step.members), step.total) == (20, 25)
    assert alert.firing.value == 25


def test_a_chained_alert_reaches_down_to_the_events() -> None:
    """[A4] [C10] the member of the upper rule is a firing that carries its own members."""
    twice = correlation(
        "type: event_count\nrules: [did_a]\ngroup-by: [user.username]\ntimespan: 60s\ncondition:\n  gte: 2",
        name="twice_a",
    )
    top = temporal("twice_a, did_b", kind="temporal_ordered")
    ending = run([A, B, twice, top], [Act("a", 1000), Act("a", 1010), Act("b", 1020)])
    (alert,) = ending.alerts_of("the_rule")
    lower = alert.firing.steps[0].members[0].firing
    assert lower is not None
    assert [member.evidence is not None for member in lower.steps[0].members] == [True, True]
