"""Rules that a user brings from a public rule set match what they mean, and nothing beside it."""

from __future__ import annotations

from typing import Any

import pytest

from streamer.authoring.check import check
from streamer.detect import Detector
from streamer.sigma import Loaded, load_text
from tests.decode.given import decode, gateway
from tests.decode.test_access_envoy import TODAY
from tests.detect.public_style import BEHAVIOURS, GATEWAY_LINES, WEB_BEHAVIOURS
from tests.sigma.writing import detection

AUDIT = "product: kubernetes\n    service: audit"


def rule(selection: str, source: str = AUDIT) -> Loaded:
    if selection:
        return load_text({"r.yml": detection("r_a", selection, source=source)})
    detects = "detection:\n    keywords:\n        - union+select\n    condition: keywords\n"
    return load_text({"r.yml": f"title: x\nlogsource:\n    {source}\n{detects}"})


def matches(loaded: Loaded, value: Any, kind: str = "audit") -> int:
    return len(Detector(loaded.ok()).detect(decode(value, kind=kind).events).matches)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_rule_in_the_fields_of_public_rules_fires_on_what_it_means(name):
    loaded = rule(BEHAVIOURS[name].selection)
    assert [matches(loaded, event) for event in BEHAVIOURS[name].fires] == [1] * len(BEHAVIOURS[name].fires)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_rule_in_the_fields_of_public_rules_is_silent_on_what_stands_beside_it(name):
    loaded = rule(BEHAVIOURS[name].selection)
    assert [matches(loaded, event) for event in BEHAVIOURS[name].silent] == [0] * len(BEHAVIOURS[name].silent)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_no_such_rule_is_said_to_be_idle(name):
    codes = {finding.code for finding in check(rule(BEHAVIOURS[name].selection), advise=False).findings}
    assert codes <= {"other-name", "read-as"}


@pytest.mark.parametrize("name", WEB_BEHAVIOURS)
def test_rules_for_web_servers_match_access_lines(name):
    selection, expected = WEB_BEHAVIOURS[name]
    loaded = rule(selection, "category: webserver")
    original = '"POST /pipeline/apis/v1beta1/runs?x=1 HTTP/1.1" 200'
    assert original in TODAY
    found = {
        line
        for line, request in GATEWAY_LINES.items()
        if matches(loaded, gateway(TODAY.replace(original, request)), "containers")
    }
    assert found == expected
