"""Planted secrets never leave: through decoder, rules, correlation and document, whatever rule looks at them."""

from __future__ import annotations

import string
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.authoring.replay import Recording, Replay
from streamer.decode import Source
from streamer.ecs import DocumentContext, Documents
from streamer.sigma import load_text

SOURCES = {
    "audit": "service: audit",
    "log": "category: container_log",
    "access": "category: webserver",
    "spec": "category: container_spec",
    "subject": "category: rbac_subject",
    "role": "category: rbac_rule",
}
RULES = "---\n".join(
    f"""\
title: Any {name}
name: any_{name}
logsource: {{product: kubernetes, {source}}}
detection:
    selection: {{cluster: c1}}
    condition: selection
level: low
"""
    for name, source in SOURCES.items()
)
COMMANDS = """\
---
title: Commands counted
name: commands
correlation:
    type: event_count
    rules: [any_spec]
    group-by: [container.command_line]
    timespan: 1h
    condition: {gte: 1}
    generate: true
level: high
"""
IN_FORCE = load_text({"r.yml": RULES + COMMANDS}).ok()
CONTEXT = DocumentContext(instance="test", version="0", created_us=1_767_225_600_000_000)
SECRETS = st.text(string.ascii_letters + string.digits, min_size=12, max_size=30).map(lambda text: f"Zq{text}7x")


def audit(verb: str, resource: str, body: dict[str, Any], secret: str, **fields: Any) -> bytes:
    event = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": f"{verb}-{resource}",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/a/{resource}?access_token={secret}&watch=true",
        "verb": verb,
        "user": {"username": "alice", "extra": {"authentication.kubernetes.io/note": [secret]}},
        "userAgent": f"curl/8 (Authorization: Bearer {secret})",
        "objectRef": {"resource": resource, "namespace": "a", "name": "x", "apiVersion": "v1"},
        "responseStatus": {"code": 201, "message": f"stored {secret}"},
        "annotations": {"note": secret, "authorization.k8s.io/decision": "allow"},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
        "stageTimestamp": "2026-01-01T00:00:00.000000Z",
        "requestObject": body,
        "responseObject": body,
        **fields,
    }
    return orjson.dumps(event)


def pod(secret: str) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": "x", "annotations": {"note": secret}},
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "app:1",
                    "env": [{"name": "DB_PASSWORD", "value": secret}],
                    "command": ["sh", "-c", f"mysql -uroot -p{secret} && curl -u bob:{secret} https://x:{secret}@host"],
                    "args": ["--password", secret, f"--api-key={secret}", f"TOKEN={secret}"],
                }
            ]
        },
    }


def documents(secret: str) -> list[bytes]:
    binding = {
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "x", "annotations": {"note": secret}},
        "roleRef": {"kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "User", "name": "bob", "note": secret}],
    }
    role = {"kind": "Role", "metadata": {"name": "x"}, "rules": [{"verbs": ["get"], "resources": ["pods"]}]}
    exec_uri = f"/api/v1/namespaces/a/pods/x/exec?command=mysql&command=--password&command={secret}&stdin=true"
    events = [
        audit("create", "pods", pod(secret), secret),
        audit("create", "secrets", {"kind": "Secret", "stringData": {"password": secret}}, secret),
        audit("create", "clusterrolebindings", binding, secret),
        audit("create", "roles", role | {"note": secret}, secret),
        audit(
            "get",
            "pods",
            {},
            secret,
            requestURI=exec_uri,
            objectRef={"resource": "pods", "subresource": "exec", "name": "x"},
        ),
    ]
    kubernetes = {
        "namespace_name": "istio-system",
        "pod_name": "istio-ingressgateway-1",
        "container_name": "istio-proxy",
    }
    access = (
        f'[2026-01-01T00:00:00.000Z] "GET /login?token={secret}&next=%2Fx%3Fpassword%3D{secret} HTTP/1.1" 200 - '
        f'via_upstream - "-" 0 1 2 1 "203.0.113.7" "curl/8 (Bearer {secret})" "id" "host" "10.0.0.1:80" '
        "outbound|80||x.svc 10.0.0.2:1 10.0.0.2:80 203.0.113.7:1 - -"
    )
    texts = [f"login with password={secret}", f"DATABASE_URL=postgres://u:{secret}@db/x", access]
    lines = [
        orjson.dumps({"time": "2026-01-01T00:00:00.000000Z", "log": text, "kubernetes": kubernetes}) for text in texts
    ]
    replay = Replay(
        IN_FORCE,
        [
            Recording(Source(name="audit", kind="audit", cluster="c1"), enumerate(events, 1)),
            Recording(Source(name="pods", kind="containers", cluster="c1"), enumerate(lines, 1)),
        ],
    )
    maker = Documents(IN_FORCE)
    made = [maker.alert(alert, CONTEXT) for told in replay for alert in told.alerts]
    return [document.body + document.key + b"".join(value for _, value in document.headers) for document in made]


def test_every_kind_of_event_raises_an_alert_here() -> None:
    told = b"".join(documents("Zq0000000000007x")).decode()
    assert {name for name in SOURCES if f"Any {name}" in told} == set(SOURCES)
    assert "Commands counted" in told


@settings(max_examples=40, deadline=None)
@given(secret=SECRETS)
def test_a_planted_secret_is_in_no_alert_document(secret: str) -> None:
    """[A4] secrets never."""
    for document in documents(secret):
        assert secret.encode() not in document
