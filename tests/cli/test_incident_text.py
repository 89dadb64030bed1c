"""Incidents and groups of alerts on a terminal."""

from __future__ import annotations

import io
from copy import deepcopy
from typing import Any

import orjson
import pytest
from rich.console import Console

from streamer.cli.incident_text import print_incident, print_short
from streamer.cli.stories import stories_of
from streamer.ecs import alert_document, notice_document
from streamer.ecs.incident import incident
from streamer.model import AUDIT, Alert, Notice
from tests.ecs.samples import CONTEXT, RULES, RUN_ID, T0, audit, chain_alert, event, firing, match


def document(alert: Alert) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(alert_document(alert, RULES, CONTEXT).body)
    return parsed


def lone(line: int, rule: str = "pod", at_ms: int = 0) -> dict[str, Any]:
    happened = event(AUDIT, at_ms, audit("create", "pods", "bob"), line)
    return document(Alert(f"{line:032x}", firing(rule, {}, match(rule, happened))))


def shown(alert: Alert, width: int = 100, **options: Any) -> str:
    stream = io.StringIO()
    print_incident(incident(document(alert)), Console(file=stream, width=width, highlight=False), **options)
    return stream.getvalue()


def test_an_incident_reads_from_top_to_bottom() -> None:
    lines = shown(chain_alert()).splitlines()
    starts = [line.split()[0] for line in lines if line and not line.startswith("     ")]
    assert starts[:2] == ["CRITICAL", "who"]
    assert [word for word in starts if word in ("who", "what", "not", "proof", "attack", "where", "rule")] == [
        "who",
        "what",
        "not",
        "proof",
        "attack",
        "where",
        "rule",
    ]
    assert [line.split()[1] for line in lines if line[2:5] == "10:"] == ["gateway", "gateway", "audit", "audit", "pod"]


def test_what_joins_an_entry_to_earlier_ones_stands_below_it() -> None:
    told = document(chain_alert())
    evidence = told["streamer"]["evidence"]
    evidence[2]["fields"]["workload"]["uid"] = "8d0e"
    poll = deepcopy(evidence[1])
    poll["event"] |= {"id": "ab" * 16, "time": "2026-11-23T10:02:41.403000Z"}
    poll["source"]["line"] = 99
    evidence.insert(3, poll)
    evidence[5]["join"] = evidence[4]["join"]
    evidence[-1]["join"]["exact"] = False
    stream = io.StringIO()
    print_incident(incident(told), Console(file=stream, width=400, highlight=False))
    lines = [line.strip() for line in stream.getvalue().splitlines()]
    joins = {lines[number - 1][:12]: line for number, line in enumerate(lines) if line.startswith("└")}
    assert joins == {
        "10:02:40.934": f"└        same run id {RUN_ID}",
        "10:02:43.010": "└        same workflow uid 8d0e as at 10:02:40.934",
        "10:03:03.442": "└        same pod uid 51be · by time only",
    }


def test_records_of_one_file_stand_together() -> None:
    assert "where   containers.ndjson:1, 2, 3; audit.ndjson:1312, 1320, 1321\n" in shown(chain_alert())


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_none_ends_in_blanks(width: int) -> None:
    for line in shown(chain_alert(), width).splitlines():
        assert len(line) <= width
        assert line == line.rstrip()


def test_other_alerts_on_the_same_events_are_named_beside() -> None:
    assert "on the same events: A; B" in shown(chain_alert(), also=["A", "B"])


def test_square_brackets_in_logs_are_text_and_no_markup() -> None:
    happened = event(AUDIT, 0, audit("create", "pods", "[bold]bob[/bold]"), 1)
    assert "[bold]bob[/bold]" in shown(Alert("ab" * 16, firing("pod", {}, match("pod", happened))))


def test_a_short_alert_needs_two_lines() -> None:
    stream = io.StringIO()
    print_short(incident(lone(1)), Console(file=stream, width=100, highlight=False))
    assert len(stream.getvalue().splitlines()) == 2


def test_only_the_badge_of_a_short_alert_has_its_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = io.StringIO()
    console = Console(file=stream, width=100, highlight=False, color_system="256", force_terminal=True)
    seen = incident(lone(1))
    print_short(seen, console)
    first, second = stream.getvalue().splitlines()
    assert f"\x1b[0m\x1b[1m {seen.title}\x1b[0m" in first
    assert "\x1b[0mbob " in second


def test_alerts_whose_events_are_all_among_anothers_stand_beside_it() -> None:
    inside = lone(1320)
    outside = lone(99)
    stories = stories_of([inside, document(chain_alert()), outside])
    assert [story.document["message"] for story in stories] == [
        "Pipeline run by a visitor without login started a miner",
        "Pod",
    ]
    assert stories[0].also == [inside]
    assert stories[1].document is outside


def test_several_alerts_of_one_rule_are_counted() -> None:
    stories = stories_of([document(chain_alert()), lone(1320), lone(1312)])
    assert stories[0].also_titles == ["Pod (2 times)"]


def test_the_gravest_story_comes_first_then_the_earliest() -> None:
    stories = stories_of([lone(2, at_ms=9_000), lone(3, at_ms=1_000), document(chain_alert())])
    assert [story.document["event"]["start"][17:19] for story in stories] == ["11", "12", "20"]


def test_a_notice_without_events_says_why() -> None:
    notice = Notice("state-pressure", "pod", T0, "The rule pod is at its limit")
    stream = io.StringIO()
    told = orjson.loads(notice_document(notice, RULES, CONTEXT).body)
    print_incident(incident(told), Console(file=stream, width=100, highlight=False))
    assert "why     The rule pod is at its limit" in stream.getvalue()
