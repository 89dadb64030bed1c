"""Alert → document."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from streamer.detect.evidence import evidence_of
from streamer.ecs import DocumentContext, Documents, alert_document, notice_document
from streamer.ecs.evidence import MAX_BYTES
from streamer.ecs.fields import ALERT_FIELDS, VOLATILE
from streamer.ecs.members import marks_of
from streamer.ecs.schema import alert_schema
from streamer.model import AUDIT, CONTAINER_LOG, Alert, Document, Match, Notice, Step
from tests.ecs.samples import CONTEXT, RULES, T0, as_match, audit, chain, chain_alert, event, firing, match

VALIDATOR = Draft202012Validator(alert_schema())


def body(document: Document) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(document.body)
    VALIDATOR.validate(parsed)
    return parsed


def lone(fields: dict[str, Any], **changes: Any) -> Alert:
    """The alert of a detection: a correlation of one, keyed by the event's identity."""
    happened = event(AUDIT, 0, fields, 7)
    fired = firing("pod", {"event": happened.identity.hex()}, match("pod", happened))
    return Alert("ab" * 16, replace(fired, **changes))


def test_the_chain_becomes_one_document_with_its_evidence_in_order() -> None:
    """[A4] evidence for every member: rule, event identity, time, source position, the fields that matter."""
    document = body(alert_document(chain_alert(), RULES, CONTEXT))
    evidence = document["streamer"]["evidence"]
    assert [item["event"]["time"][14:23] for item in evidence] == sorted(
        item["event"]["time"][14:23] for item in evidence
    )
    assert [item["rule"]["name"] for item in evidence] == ["Visit", "Visit", "Workflow", "Pod", "Image", "Miner output"]
    assert evidence[2]["source"] == {"file": "audit.ndjson", "line": 1312}
    assert evidence[2]["audit_id"] == "a-create-workflows"
    assert document["streamer"]["correlation"]["count"] == 6


def test_what_joins_two_events_is_the_key_of_the_smallest_firing_that_holds_both() -> None:
    document = body(alert_document(chain_alert(), RULES, CONTEXT))
    joins = [item.get("join", {}).get("by") for item in document["streamer"]["evidence"]]
    run = {"run_id": "3f2c0a9e-0000-4000-8000-000000000001"}
    assert joins == [None, run, run, {"workflow_uid": "8d0e"}, {"pod_uid": "51be"}, {"pod_uid": "51be"}]


def test_what_a_first_seen_rule_found_new_stands_with_the_event() -> None:
    document = body(alert_document(chain_alert(), RULES, CONTEXT))
    new = [item.get("first_seen") for item in document["streamer"]["evidence"]]
    assert new == [None] * 4 + [{"container.repository": "tensorflow/tensorflow"}, None]


def test_scalars_come_from_the_completing_event_and_where_from_the_way_in() -> None:
    document = body(alert_document(chain_alert(), RULES, CONTEXT))
    assert document["@timestamp"] == "2026-11-23T10:03:03.442000Z"
    assert document["kubernetes"]["pod"]["uid"] == "51be"
    assert document["source"]["ip"] == "203.0.113.7"
    assert document["related"]["ip"] == ["203.0.113.7", "10.0.0.5"]
    assert document["streamer"]["source"] == {"topic": "containers.ndjson", "partition": 0, "offset": 3}


def test_the_actor_is_who_authenticated_first() -> None:
    """[A5] the actor is who authenticated."""
    document = body(alert_document(chain_alert(), RULES, CONTEXT))
    assert document["streamer"]["actor"]["name"] == "system:serviceaccount:kubeflow:ml-pipeline"


def test_an_impersonated_identity_is_named_beside_never_instead() -> None:
    """[A5] an impersonated identity is named beside, never instead."""
    document = body(
        alert_document(lone(audit("create", "pods", "bob", impersonatedUser={"username": "root"})), RULES, CONTEXT)
    )
    assert document["streamer"]["actor"]["name"] == "bob"
    assert document["user"]["name"] == "bob"
    assert document["user"]["effective"]["name"] == "root"
    assert document["related"]["user"] == ["bob", "root"]


@pytest.mark.parametrize(
    ("outcome", "ecs"), [("success", "success"), ("denied", "failure"), ("error", "failure"), ("unknown", "unknown")]
)
def test_outcomes_have_their_ecs_word(outcome: str, ecs: str) -> None:
    document = body(alert_document(lone(audit("create", "pods", "bob", outcome=outcome)), RULES, CONTEXT))
    assert document["streamer"]["outcome"] == outcome
    assert document["event"]["outcome"] == ecs


@pytest.mark.parametrize(
    ("level", "severity"), [("informational", 1), ("low", 21), ("medium", 47), ("high", 73), ("critical", 99)]
)
def test_severities_are_those_elastic_security_knows(level: str, severity: int) -> None:
    rules = replace(RULES, detections=tuple(replace(r, meta=replace(r.meta, level=level)) for r in RULES.detections))
    document = alert_document(lone(audit("create", "pods", "bob")), rules, CONTEXT)
    assert body(document)["event"]["severity"] == severity
    assert dict(document.headers)["streamer_severity"] == str(severity).encode()


def test_the_message_is_the_title_and_the_reason_the_sentence() -> None:
    document = body(alert_document(lone(audit("create", "pods", "bob")), RULES, CONTEXT))
    assert document["message"] == document["rule"]["name"] == "Pod"
    assert document["event"]["reason"] == "bob created pod in kubeflow"


def test_the_index_carries_the_alerts_own_day() -> None:
    document = alert_document(chain_alert(), RULES, CONTEXT)
    assert document.index == "logs-streamer.alerts-default-2026.11.23"
    assert document.id == body(document)["event"]["id"] == chain_alert().id


@pytest.mark.parametrize(("at_us", "day"), [(253_402_300_799_000_000 * 40, "2262.04.11"), (-(10**15), "1970.01.01")])
def test_a_stamp_no_index_can_hold_does_not_lose_the_alert(at_us: int, day: str) -> None:
    """[T3] in files a stamp far in the future stays the event's time."""
    happened = replace(event(AUDIT, 0, audit("create", "pods", "bob"), 7), time_us=at_us)
    alert = Alert("ab" * 16, firing("pod", {}, match("pod", happened)))
    assert alert_document(alert, RULES, CONTEXT).index.endswith(day)


def test_headers_are_cloud_events_in_binary_mode() -> None:
    headers = dict(alert_document(chain_alert(), RULES, CONTEXT).headers)
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_id"] == chain_alert().id.encode()
    assert headers["ce_type"] == b"io.streamer.alert.v1"
    assert headers["ce_source"] == b"/streamer/prod-1"
    assert headers["ce_time"] == b"2026-11-23T10:03:03.442000Z"
    assert headers["ce_dataschema"] == alert_schema()["$id"].encode()
    assert headers["content-type"] == b"application/json"


def test_alerts_of_one_key_share_their_kafka_key_and_lone_events_order_by_cluster_and_user() -> None:
    assert alert_document(chain_alert(), RULES, CONTEXT).key == b'["prod-1","51be"]'
    assert alert_document(lone(audit("create", "pods", "bob")), RULES, CONTEXT).key == b'["prod-1","bob"]'


def test_two_tellings_differ_only_in_what_is_volatile() -> None:
    """[G3] the same order gives the same alerts with the same ids."""
    other = DocumentContext(instance="else", version="9", created_us=CONTEXT.created_us + 5, replayed=True)
    one, two = (body(alert_document(chain_alert(), RULES, context)) for context in (CONTEXT, other))
    for path in VOLATILE:
        *parents, leaf = path.split(".")
        for document in (one, two):
            level = document
            for parent in parents:
                level = level[parent]
            level.pop(leaf)
    assert one == two


def test_marks_and_the_way_it_was_decided_are_told() -> None:
    """[A4] when it was decided, on arrival or at the watermark, and the marks."""
    alert = Alert("ab" * 16, replace(chain(), decided="watermark", marks=("cut", "provisional")), 1, 2)
    told = body(alert_document(alert, RULES, CONTEXT))["streamer"]
    assert told["decided"] == {"at": "2026-11-23T10:03:03.442000Z", "by": "watermark"}
    assert told["provisional"] is True
    assert told["marks"] == ["cut", "provisional"]
    assert told["links"] == {"exact": 1, "by_time": 2}


def test_what_rests_on_an_uncertain_firing_is_told_as_uncertain() -> None:
    """[A4] the marks of a firing deep in the chain reach the alert that rests on it."""
    inner = replace(chain(), marks=("cold_start",))
    member = Match("inner", b"i" * 16, inner.time_us, "c1", {}, firing=inner)
    middle = replace(chain(), steps=(Step("inner", (member,), 1),))
    outer = replace(chain(), steps=(Step("middle", (replace(member, rule="middle", firing=middle),), 1),))

    assert marks_of(outer) == ("cold_start",)
    assert body(alert_document(Alert("ab" * 16, outer), RULES, CONTEXT))["streamer"]["marks"] == ["cold_start"]


def test_absence_that_was_asked_for_is_named() -> None:
    steps = body(alert_document(chain_alert(), RULES, CONTEXT))["streamer"]["steps"]
    assert [step["title"] for step in steps if step.get("absent")] == ["An authenticating proxy speaks"]


def test_true_counts_stand_beside_the_members_shown() -> None:
    """[A4] at most 20 per step with the true count."""
    shown = [match("pod", event(AUDIT, at, audit("create", "pods", "bob"), at + 1)) for at in range(20)]
    fired = firing("run_pod", {"workflow_uid": "8d0e"}, *shown)
    fired = replace(fired, steps=(Step("pod", fired.steps[0].members, 40_000),))
    document = body(alert_document(Alert("ab" * 16, fired), RULES, CONTEXT))
    assert document["streamer"]["correlation"]["count"] == 40_000
    assert document["streamer"]["steps"][0]["total"] == 40_000
    assert document["streamer"]["steps"][0]["shown"] == 20


def test_evidence_stays_within_its_bytes_and_keeps_both_ends() -> None:
    long = {"message": "x" * 1_000, "kubernetes": {"pod": {"name": "p" * 250}, "namespace": "n" * 250}}
    members = [match("miner_output", event(CONTAINER_LOG, at, long, at + 1)) for at in range(400)]
    inner = [as_match(firing("run", {"run_id": str(i)}, *members[i * 20 : i * 20 + 20])) for i in range(20)]
    inner = [replace(item, identity=bytes([i]) * 16) for i, item in enumerate(inner)]
    document = body(alert_document(Alert("ab" * 16, firing("run_pod", {"workflow_uid": "u"}, *inner)), RULES, CONTEXT))
    evidence = document["streamer"]["evidence"]
    assert len(orjson.dumps(evidence)) <= MAX_BYTES + len(evidence)
    assert "fields" in evidence[0]
    assert "fields" in evidence[-1]
    assert evidence[-1]["event"]["id"] == members[-1].identity.hex()
    assert document["streamer"]["correlation"]["count"] == 400


def test_a_secret_in_a_key_does_not_leave() -> None:
    """[A4] secrets never."""
    happened = event(AUDIT, 0, audit("create", "pods", "bob"), 7)
    fired = firing("run", {"command": "app --password hunter2Xq"}, match("pod", happened))
    document = alert_document(Alert("ab" * 16, fired), RULES, CONTEXT)
    assert b"hunter2Xq" not in document.body + document.key


def test_an_address_that_is_none_does_not_spoil_the_document() -> None:
    document = body(
        alert_document(
            lone(audit("get", "pods", "bob", source={"ip": "fe80::1%eth0"}, sourceIPs=["-"])), RULES, CONTEXT
        )
    )
    assert document["source"] == {"address": "fe80::1%eth0"}
    assert "ip" not in document.get("related", {})


def test_a_notice_is_told_like_an_alert() -> None:
    notice = Notice("state-pressure", "pod", T0, "The rule pod is at its limit; token=hunter2Xq", (("a", 3), ("b", 1)))
    document = notice_document(notice, RULES, CONTEXT)
    told = body(document)
    assert document.id == notice_document(notice, RULES, CONTEXT).id
    assert told["message"] == "streamer: state pressure"
    assert told["streamer"]["alert"]["type"] == told["rule"]["category"] == "notice"
    assert told["streamer"]["notice"]["top"] == [{"name": "a", "count": 3}, {"name": "b", "count": 1}]
    assert b"hunter2Xq" not in document.body
    assert document.index == "logs-streamer.alerts-default-2026.11.23"


def test_a_member_without_evidence_still_has_its_place() -> None:
    bare = replace(match("pod", event(AUDIT, 0, audit("create", "pods", "bob"), 7)), evidence=None)
    document = body(alert_document(Alert("ab" * 16, firing("run", {"run_id": "1"}, bare)), RULES, CONTEXT))
    assert document["streamer"]["evidence"][0]["source"] == {"file": "audit.ndjson", "line": 7}


def test_the_rules_path_is_the_same_on_every_machine() -> None:
    rule = body(alert_document(chain_alert(), RULES, CONTEXT))
    assert rule["streamer"]["rule"]["path"] == "kubernetes/kubeflow/mined.yml"
    assert rule["rule"]["ruleset"] == "kubernetes/kubeflow"


def test_one_maker_serves_many_alerts() -> None:
    maker = Documents(RULES)
    assert maker.alert(chain_alert(), CONTEXT) == alert_document(chain_alert(), RULES, CONTEXT)


def test_every_field_of_every_document_is_in_the_table() -> None:
    """Nothing leaves that the mapping does not know."""
    known = {field.name: field for field in ALERT_FIELDS}
    opaque = {name for name, field in known.items() if field.type in ("off", "flat")}

    def leaves(node: dict[str, Any], prefix: str = "") -> list[str]:
        found: list[str] = []
        for key, value in node.items():
            path = prefix + key
            if path in opaque or not isinstance(value, dict):
                found.append(path)
            else:
                found += leaves(value, path + ".")
        return found

    for alert in (chain_alert(), lone(audit("create", "pods", "bob", exec={"command": "sh -c id"}))):
        for path in leaves(body(alert_document(alert, RULES, CONTEXT))):
            assert path in known


def test_the_schema_itself_is_valid() -> None:
    validator_for(alert_schema()).check_schema(alert_schema())


def test_evidence_keeps_the_kind_of_event() -> None:
    assert evidence_of(event(CONTAINER_LOG, 0, {"message": "x"}, 1)).kind == "container_log"


@pytest.mark.parametrize(
    "text", ['"\ud800x"', "inf", "nan", "1e400", "123456789012345678901234567890", '"\\u0000\x1b[31m"']
)
def test_a_key_that_no_strict_json_can_hold_still_leaves(text: str) -> None:
    happened = replace(event(AUDIT, 0, audit("create", "pods", "bob"), 7), cluster="c\ud800\x1b[31m1")
    fired = replace(firing("run", {"run_id": "1"}, match("run", happened)), key=('"prod-1"', text))
    document = alert_document(Alert("ab" * 16, fired), RULES, CONTEXT)
    assert body(document)["orchestrator"]["cluster"]["name"] == "c1"
    assert dict(document.headers)["ce_source"] == b"/streamer/c1"
