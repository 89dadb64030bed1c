"""Cases through the engine: what passes, what fails, and how it is said."""

from __future__ import annotations

from streamer.authoring.cases import FileResult, run_file
from streamer.authoring.cases_compare import compare
from streamer.authoring.cases_model import Case, CaseFile, Expected, Fired
from streamer.errors import Place
from streamer.model import Scalar
from streamer.sigma import Loaded, load_text

DETECTION = """\
title: Secrets listed
id: 6d0c5ffb-63f5-4b5c-9d5c-0f1e0a4f0a11
name: secrets_listed
logsource: {category: application, product: kubernetes, service: audit}
detection: {selection: {verb: list, objectRef.resource: secrets}, condition: selection}
level: low
"""
BURST = """\
title: Many secrets listed
id: 6d0c5ffb-63f5-4b5c-9d5c-0f1e0a4f0a12
name: burst
correlation: {type: event_count, rules: [secrets_listed], group-by: [user.username], timespan: 1m, condition: {gte: 2}}
level: high
"""
BROKEN = (
    "title: x\nname: broken\ncorrelation: {type: event_count, rules: [nobody], timespan: 1m, condition: {gte: 2}}\n"
)
FOLDER = {"rules/secrets_listed.yml": DETECTION, "rules/burst.yml": BURST}
LIST = "{verb: list, resource: secrets, user: alice@example.com}"


def run(cases: str, rule: str = "rules/burst.yml", folder: dict[str, str] = FOLDER) -> FileResult:
    def load(path: str) -> tuple[str, Loaded] | None:
        return (path, load_text(folder)) if path in folder else None

    return run_file("t.test.yml", f"rule: {rule}\ncases:\n{cases}", lambda path: path, load)


def wrong(result: FileResult) -> list[str]:
    assert result.problems == ()
    return [sentence for case in result.results for sentence in case.wrong]


def case(events: str, expect: str, more: str = "") -> str:
    return f"  - {{name: n, events: [{events}], expect: [{expect}]{more}}}\n"


TWO = f"{{at: 0s, audit: {LIST}}}, {{at: 10s, audit: {LIST}}}"


def test_a_case_passes_if_what_fires_is_what_it_expects() -> None:
    result = run(case(TWO, "{at: 10s, key: {user.username: alice@example.com}, level: high}"))

    assert wrong(result) == []
    assert result.passed
    assert result.rule == "burst"


def test_the_key_may_name_the_cluster_too() -> None:
    assert wrong(run(case(TWO, "{at: 10s, key: {cluster: c1}}"))) == []


def test_a_detection_fires_for_every_event_it_matches() -> None:
    assert wrong(run(case(TWO, "{at: 0s, level: low}, {at: 10s}"), "rules/secrets_listed.yml")) == []


def test_what_does_not_fire_is_said_with_its_line() -> None:
    sentences = wrong(run(case(TWO, "{at: 10s}, {at: 11s, key: {user.username: bob}}")))

    assert sentences == ["expected at 11s {user.username: bob}, and nothing fired (line 3)"]


def test_what_fires_unasked_is_said_with_its_key() -> None:
    assert wrong(run(case(TWO, ""))) == [
        "fired at 10s {cluster: c1, user.username: alice@example.com}, and was not expected"
    ]


def test_another_time_is_another_firing() -> None:
    sentences = wrong(run(case(TWO, "{at: 9s}")))

    assert [sentence.partition(" at ")[0] for sentence in sentences] == ["expected", "fired"]


def test_a_wrong_level_is_said() -> None:
    assert wrong(run(case(TWO, "{at: 10s, level: low}"))) == ["expected level low, the rule says high (line 3)"]


def test_rules_named_absent_must_be_silent() -> None:
    silent = run(case(f"{{at: 0s, audit: {LIST}}}", "", ", absent: [secrets_listed]"))
    unknown = run(case("", "", ", absent: [secrets_lised]"))

    assert wrong(silent) == ["secrets_listed fired at 0s, and must not"]
    assert [(problem.code, problem.hint) for problem in unknown.problems] == [
        ("unknown-rule", "did you mean `secrets_listed`?")
    ]


def test_a_record_that_cannot_be_read_is_noted() -> None:
    (result,) = run(case("{at: 0s, raw: 'half a record\"}', kind: audit}", "{at: 0s}")).results

    assert "record could not be read: not-json" in result.notes[0]


def test_a_rule_file_that_is_missing_or_broken_is_a_problem_of_the_case_file() -> None:
    missing = run(case("", ""), "rules/gone.yml")
    broken = run(case("", ""), "rules/broken.yml", {**FOLDER, "rules/broken.yml": BROKEN})

    assert [str(problem) for problem in missing.problems] == [
        "t.test.yml:1:7: error[unknown-rule] there is no file `rules/gone.yml`"
    ]
    assert [problem.code for problem in broken.problems] == ["unknown-rule"]
    assert broken.problems[0].place.path == "rules/broken.yml"


def test_rules_that_the_case_does_not_need_may_be_broken() -> None:
    assert run(case(TWO, "{at: 10s}"), folder={**FOLDER, "rules/broken.yml": BROKEN}).passed


def test_a_file_with_several_rules_is_tested_at_the_one_nobody_references() -> None:
    both = {"rules/both.yml": f"{DETECTION}---\n{BURST}"}

    assert run(case(TWO, "{at: 10s}"), "rules/both.yml", both).rule == "burst"
    assert run(case(TWO, "{at: 0s}, {at: 10s}"), "rules/both.yml#secrets_listed", both).passed


def test_partial_keys_are_paired_so_that_as_many_as_possible_fit() -> None:
    """A loose expectation must not take the firing that only a stricter one fits."""
    place = Place("t", 1, 1)
    expect = (Expected(5, {}, None, place), Expected(5, {"user": "a"}, None, place))
    file = CaseFile("t", "r", None, place, 0, "c1", 0, ())
    fired = [Fired(5, "r", (("user", '"a"'),)), Fired(5, "r", (("user", '"b"'),))]

    assert compare(Case("n", place, (), expect), file, fired, "low") == []


def test_values_of_keys_are_compared_as_json_scalars() -> None:
    """[K1] `1` and `"1"` differ, `1` and `1.0` do not, `true` is no number."""
    place = Place("t", 1, 1)
    file = CaseFile("t", "r", None, place, 0, "c1", 0, ())

    def fits(value: Scalar, canonical: str) -> bool:
        expect = (Expected(5, {"k": value}, None, place),)
        return compare(Case("n", place, (), expect), file, [Fired(5, "r", (("k", canonical),))], "low") == []

    assert fits(1, "1")
    assert fits(1.0, "1")
    assert not fits("1", "1")
    assert not fits(True, "1")
    assert fits(True, "true")
