from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.sigma.writing import THREE, accepted, correlation, detection

BODY = "type: temporal_ordered\nrules: [r_a, r_b]\ngroup-by: [x]\ntimespan: 5m"


def meaning_of(text: str, key: str = "joined") -> str:
    return accepted(text).meta(key).meaning


def test_titles_levels_tags_and_texts_do_not_change_the_meaning() -> None:
    """A changed title, level, tag or text keeps the state."""
    more = (
        "level: high\ndescription: Something else.\ntags: [attack.t1496]\nauthor: X\nstatus: stable\n"
        "falsepositives: [None known]\nreferences: [https://example.org]\nlicense: MIT\ndate: 2025-01-01\n"
    )
    assert meaning_of(THREE + correlation(BODY)) == meaning_of(THREE + correlation(BODY, more=more))
    assert meaning_of(detection("r_a"), "r_a") == meaning_of(detection("r_a", more=more), "r_a")


def test_the_place_and_the_other_rules_do_not_change_the_meaning() -> None:
    text = THREE + correlation(BODY)
    assert meaning_of(text) == meaning_of(correlation(BODY) + detection("r_z") + THREE)


def test_names_of_feeders_do_not_change_the_meaning_but_what_they_match_does() -> None:
    renamed = THREE.replace("r_a", "r_x") + correlation(BODY.replace("r_a", "r_x"))
    assert meaning_of(THREE + correlation(BODY)) == meaning_of(renamed)
    changed = detection("r_a", "verb: delete") + detection("r_b")
    assert meaning_of(THREE + correlation(BODY)) != meaning_of(changed + correlation(BODY))


@pytest.mark.parametrize(
    "body",
    [
        BODY.replace("temporal_ordered", "temporal"),
        BODY.replace("r_a, r_b", "r_a, r_b, r_c"),
        BODY.replace("[x]", "[y]"),
        BODY.replace("[x]", "[x, y]"),
        BODY.replace("5m", "6m"),
        BODY + "\ncondition: r_a and not r_b",
        BODY + "\naliases: {x: {r_a: x, r_b: z}}",
    ],
)
def test_type_rules_keys_timespan_condition_and_aliases_change_the_meaning(body: str) -> None:
    assert meaning_of(THREE + correlation(BODY)) != meaning_of(THREE + correlation(body))


@pytest.mark.parametrize(
    "extension",
    ["skew: 2s", "decide: watermark", "across_clusters: true", "reach: 1h", "suppress: {for: 1h}", "link: exact"],
)
def test_extensions_change_the_meaning(extension: str) -> None:
    more = f"streamer: {{{extension}}}\n"
    assert meaning_of(THREE + correlation(BODY)) != meaning_of(THREE + correlation(BODY, more=more))


@pytest.mark.parametrize(
    ("items", "source"), [("verb|cased: create", "product: kubernetes"), ("verb: create", "service: audit")]
)
def test_what_a_detection_matches_is_its_meaning(items: str, source: str) -> None:
    assert meaning_of(detection("r_a"), "r_a") != meaning_of(detection("r_a", items, source=source), "r_a")


def test_a_rule_that_alerts_or_feeds_another_keeps_its_meaning() -> None:
    assert meaning_of(THREE, "r_a") == meaning_of(THREE + correlation(BODY), "r_a")


def test_the_meaning_does_not_depend_on_the_seed_of_hashes() -> None:
    """[A3] ids are the same on another machine."""
    program = (
        "from tests.sigma.test_meaning import *\n"
        "print(meaning_of(THREE + correlation(BODY)), accepted(THREE + correlation(BODY)).detections[0].extract)"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
