"""Case files: what they say, and what is told to somebody who wrote one wrongly."""

from __future__ import annotations

import orjson
import pytest

from streamer.authoring.cases import CaseFile, read_cases

GOOD = """\
rule: rules/area/name.yml
start: 2026-02-01T00:00:00Z
cluster: prod-1
lateness: 30s
cases:
  - name: it fires
    events:
      - {at: 0s, audit: {verb: list, resource: secrets, user: alice@example.com}}
      - {at: 90ms, log: {message: hello}, fields: {kubernetes.pod_name: p-9}}
      - {at: 2026-02-01T00:00:05Z, access: {path: /, fields: {stream: stderr}}}
      - {at: 9s, raw: '{"kind":"Event"}', kind: audit, cluster: prod-2}
      - {at: 10s, raw: {log: text}}
      - {file: data.ndjson}
    expect:
      - {at: 1.5s, key: {user.username: alice@example.com, count: 3}, level: high}
    absent: [other_rule]
  - {name: it is silent, events: [], expect: []}
"""
ONE = "cases: [{name: n, events: [], expect: []}]\n"
PODS = "audit: {verb: get, resource: pods"


def files(path: str) -> str:
    if path != "data.ndjson":
        raise FileNotFoundError(2, "No such file or directory", path)
    return '{"@timestamp":"2026-02-01T00:00:30Z","log":"x","stream":"stdout"}\n\n{"log":"no stamp","stream":"stdout"}\n'


def good(text: str = GOOD) -> CaseFile:
    read = read_cases("case.test.yml", text, files)
    assert [str(problem) for problem in read.problems] == []
    assert read.cases is not None
    return read.cases


def test_a_file_says_rule_start_cluster_and_lateness() -> None:
    file = good()

    assert (file.rule, file.cluster, file.lateness_us) == ("rules/area/name.yml", "prod-1", 30_000_000)
    assert file.start_us == 1_769_904_000_000_000
    assert [case.name for case in file.cases] == ["it fires", "it is silent"]


def test_defaults_are_those_of_the_manual() -> None:
    file = good("rule: r.yml\n" + ONE)

    assert (file.start_us, file.cluster, file.lateness_us) == (1_767_225_600_000_000, "c1", 10_000_000)


def test_a_rule_of_a_file_with_several_is_named_behind_a_hash() -> None:
    file = good("rule: r.yml#second\n" + ONE)

    assert (file.rule, file.rule_name) == ("r.yml", "second")


def test_events_become_records_in_every_form() -> None:
    pieces = good().cases[0].pieces
    start = good().start_us

    assert [piece.kind for piece in pieces] == ["audit", "audit", *["containers"] * 2, "audit", *["containers"] * 3]
    assert [piece.arrives_us - start for piece in pieces] == [
        -4_000,
        0,
        90_000,
        5_012_000,
        9_000_000,
        10_000_000,
        30_000_000,
        30_000_000,
    ]
    assert [piece.cluster for piece in pieces if piece.cluster] == ["prod-2"]


def test_fields_are_set_in_the_record_itself() -> None:
    line, access = (orjson.loads(piece.value) for piece in good().cases[0].pieces[2:4])

    assert line["kubernetes"]["pod_name"] == "p-9"
    assert access["stream"] == "stderr"


def test_expectations_have_time_key_and_level() -> None:
    (expected,) = good().cases[0].expect

    assert expected.time_us - good().start_us == 1_500_000
    assert expected.key == {"user.username": "alice@example.com", "count": 3}
    assert expected.level == "high"
    assert [name for name, _ in good().cases[0].absent] == ["other_rule"]


def case(event: str, expect: str = "[]") -> str:
    return f"rule: r.yml\ncases:\n  - name: n\n    events:\n      - {event}\n    expect: {expect}\n"


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("- a\n", "1:1", "a case file is a mapping, this is a list", "begin with `rule:`"),
        ("rule: r.yml\n", "1:1", "there are no cases", "write `cases:` and a list"),
        (ONE, "1:1", "`rule` is missing", None),
        ("rule: r.yml\nlatenes: 5s\n" + ONE, "2:1", "`latenes` is no key", "lateness"),
        ("rule: r.yml\nlateness: 5\n" + ONE, "2:11", "`5` is not a length", "90ms"),
        ("rule: r.yml\nstart: soon\n" + ONE, "2:8", "`start` must be a date", "2026"),
        ("rule: r.yml\ncases: [{events: [], expect: []}]\n", "2:9", "the case has no name", "in a sentence"),
        ("rule: r.yml\ncases: [{name: n, events: []}]\n", "2:9", "does not say what to expect", "`expect: []`"),
        ("rule: r.yml\ncases: [{name: n, expect: []}]\n", "2:9", "the case has no events", "`events:`"),
        ("rule: r.yml\ncases:\n" + "- {name: n, events: [], expect: []}\n" * 2, "4:3", "of this name in line 3", None),
        ("rule: r.yml\ncases: [{name: n, events: {a: b}, expect: []}]\n", "2:27", "`events` must be a list", "lines"),
        (case("{at: 0s}"), "5:9", "an event has one form, this has none", "one of audit, access, log, raw, file"),
        (case("{at: 0s, log: {message: a}, raw: b}"), "5:9", "this has `log` and `raw`", None),
        (case("{at: 0s, audti: {verb: get}}"), "5:18", "`audti` is no key of an event", "did you mean `audit`?"),
        (case("{at: 0s, " + PODS + ", nmespace: a}}"), "5:53", "`nmespace` is no key", "namespace"),
        (case("{at: 0s, audit: {resource: pods}}"), "5:25", "`audit` has no `verb`", "write `verb: …`"),
        (case("{at: 0s, audit: {verb: get}}"), "5:25", "`audit` names no resource", "resource: pods"),
        (case("{at: 0s, " + PODS + ", code: ok}}"), "5:59", "`code` is a whole number", "200"),
        (case("{at: 0s, " + PODS + ", level: Full}}"), "5:60", "`Full` is no `level`", "Metadata"),
        (case("{at: 0s, access: {path: /, gateway: isto}}"), "5:45", "`isto` is no `gateway`", "did you mean `istio`?"),
        (case("{at: 0s, log: hello}"), "5:23", "`log` is a mapping, this is a text", "write `{message: …}`"),
        (case("{log: {message: a}}"), "5:9", "the event has no time", "write `at: 0s`"),
        (case("{at: 5, log: {message: a}}"), "5:14", "`5` is neither a length of time", "a number and"),
        (case("{at: 0s, raw: [1]}"), "5:23", "`raw` is a record, this is a list", "in quotes"),
        (case("{at: 0s, raw: x, kind: logs}"), "5:26", "`kind` tells what `raw` and `file` hold", "audit"),
        (case("{file: gone.ndjson}"), "5:16", "`gone.ndjson` cannot be read", "begin at the root"),
        (case("{at: 0s, log: {message: a}, fields: {log.x: 1}}"), "5:46", "leads through a value", "name a field"),
        (case("{at: 0s, log: {message: a}}", "[{key: {a: b}}]"), "6:14", "the expectation has no time", "`at:`"),
        (case("{at: 0s, log: {message: a}}", "[{at: 0s, level: hihg}]"), "6:30", "`hihg` is no level", "critical"),
        (case("{at: 0s, log: {message: a}}", "[{at: 0s, key: {a: [b]}}]"), "6:32", "a key value is a text", None),
        (case("{at: 0s, log: {message: a, message: b}}"), "5:36", "`message` stands here a second time", None),
        (case("{at: 0s, log: {message: *x}}"), "5:33", "alias *x is not allowed", None),
        ("rule: [\n", "2:1", "expected", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place_and_what_to_write(
    text: str, place: str, message: str, hint: str | None
) -> None:
    read = read_cases("case.test.yml", text, files)
    told = [
        (str(problem.place).removeprefix("case.test.yml:"), problem.message, problem.hint or "")
        for problem in read.problems
    ]

    assert read.cases is None
    assert [one for one in told if one[0] == place and message in one[1] and (hint or "") in one[2]], told


def test_every_problem_is_told_not_the_first_only() -> None:
    read = read_cases("case.test.yml", case("{at: 5, audit: {vreb: get}}", "[{level: x}]"), files)

    assert len(read.problems) >= 5


def test_an_event_is_repeated_and_each_time_is_another_one() -> None:
    case = "cases: [{name: n, expect: [], events: [{at: 10s, every: 1m, times: 3, " + PODS + "}}]}]\n"
    pieces = good("rule: r.yml\n" + case).cases[0].pieces

    first = [piece for piece in pieces if b"ResponseComplete" in piece.value]
    assert [orjson.loads(piece.value)["stageTimestamp"][11:19] for piece in first] == [
        "00:00:10",
        "00:01:10",
        "00:02:10",
    ]
    assert len({orjson.loads(piece.value)["auditID"] for piece in first}) == 3


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("{at: 0s, times: 3, " + PODS + "}}", "`times` stands without `every`"),
        ("{at: 0s, every: 3s, " + PODS + "}}", "`every` stands without `times`"),
        ("{at: 0s, every: 3s, times: 0, " + PODS + "}}", "whole number from 1"),
        ("{at: 0s, every: 3s, times: often, " + PODS + "}}", "whole number from 1"),
        ("{at: 0s, every: soon, times: 2, " + PODS + "}}", "`soon` is not a length of time"),
    ],
)
def test_a_repetition_that_makes_no_sense_is_said(event: str, message: str) -> None:
    text = "rule: r.yml\ncases: [{name: n, expect: [], events: [" + event + "]}]\n"
    read = read_cases("case.test.yml", text, files)

    assert message in " ".join(str(problem) for problem in read.problems)


def test_a_case_says_whether_its_records_stand_in_files() -> None:
    text = "rule: r.yml\ncases: [{name: n, files: true, events: [], expect: []}, {name: m, events: [], expect: []}]\n"
    assert [case.files for case in good(text).cases] == [True, False]

    read = read_cases("case.test.yml", text.replace("true", "7"), files)
    assert "`files` must be true or false" in str(read.problems[0])
