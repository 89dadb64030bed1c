"""What alerts may show of an event."""

import string
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.detect.evidence import ALLOWED, MAX_BYTES, MAX_TEXT, evidence_of
from streamer.detect.redaction import REDACTED, clean, cut, redact, redact_uri
from streamer.detect.sentences import MAX_SUMMARY
from streamer.model import (
    AUDIT,
    CONTAINER_LOG,
    CONTAINER_SPEC,
    RBAC_RULE,
    RBAC_SUBJECT,
    UNKNOWN,
    WEBSERVER,
    Event,
    LogSource,
    Position,
)

SECRET = "hunter2Xq"


def event(source: LogSource, fields: dict[str, Any]) -> Event:
    return Event(source, 1_000_000, b"\x01" * 16, "c1", fields, Position("f", 0, 1, True))


def audit(**fields: Any) -> dict[str, Any]:
    return {
        "verb": "create",
        "user": {"username": "alice"},
        "objectRef": {"resource": "pods", "namespace": "default", "name": "p-1"},
        "responseStatus": {"code": 201},
        "outcome": "success",
        **fields,
    }


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (audit(), "alice created pod p-1 in default"),
        (
            audit(
                user={"username": "system:serviceaccount:kubeflow:ml-pipeline"},
                objectRef={"resource": "workflows", "namespace": "kubeflow"},
                workload={"name": "sequential-pipeline-x7k2p"},
            ),
            "ml-pipeline created workflow sequential-pipeline-x7k2p in kubeflow",
        ),
        (
            audit(workload={"images": ["miner:1"], "privileged": True}),
            "alice created pod p-1 in default · image miner:1 · privileged",
        ),
        (
            audit(verb="list", objectRef={"resource": "secrets"}, outcome="denied", responseStatus={"code": 403}),
            "alice was denied: list secrets in all namespaces (403)",
        ),
        (
            audit(verb="get", objectRef={"resource": "secrets", "namespace": "a", "name": "db"}),
            "alice read secret db in a",
        ),
        (
            audit(
                verb="get",
                objectRef={"resource": "pods", "subresource": "exec", "namespace": "a", "name": "p"},
                exec={"command": "sh -c id"},
            ),
            "alice ran `sh -c id` in pod p in a",
        ),
        (
            audit(user={"username": "system:anonymous"}, source={"ip": "203.0.113.7"}),
            "anonymous from 203.0.113.7 created pod p-1 in default",
        ),
        (
            audit(impersonatedUser={"username": "bob"}),
            "alice acting as bob created pod p-1 in default",
        ),
        (
            audit(outcome="error", responseStatus={"code": 409}),
            "alice failed to create pod p-1 in default (409)",
        ),
        (audit(verb="get", objectRef={}, requestURI="/metrics?x=1"), "alice read /metrics"),
    ],
)
def test_an_audit_event_becomes_a_sentence_a_person_understands(fields: dict[str, Any], sentence: str) -> None:
    assert evidence_of(event(AUDIT, fields)).summary == sentence


@pytest.mark.parametrize(
    ("source", "fields", "sentence"),
    [
        (
            WEBSERVER,
            {
                "c-ip": "203.0.113.7",
                "cs-method": "POST",
                "cs-uri-stem": "/pipeline/apis/v1beta1/runs",
                "sc-status": 200,
                "kubernetes": {"container": {"name": "istio-proxy"}},
            },
            "gateway 203.0.113.7 POST /pipeline/apis/v1beta1/runs 200",
        ),
        (
            CONTAINER_LOG,
            {"message": "net  new job", "kubernetes": {"container": {"name": "main"}}},
            "pod log main: net new job",
        ),
        (
            CONTAINER_SPEC,
            audit(container={"name": "main", "image": "m:1", "privileged": True, "command_line": "sh -c x"}),
            "alice created pod p-1 in default · container main · image m:1 · privileged · runs sh -c x",
        ),
        (
            RBAC_RULE,
            audit(rule={"verbs": ["*"], "resources": ["secrets", "pods"]}),
            "alice created pod p-1 in default · allows * on secrets, pods",
        ),
        (
            RBAC_SUBJECT,
            audit(
                subject={"kind": "ServiceAccount", "name": "default", "namespace": "a"},
                role={"kind": "ClusterRole", "name": "cluster-admin"},
            ),
            "alice created pod p-1 in default · gives ClusterRole cluster-admin to ServiceAccount a/default",
        ),
    ],
)
def test_every_other_kind_has_its_sentence(source: LogSource, fields: dict[str, Any], sentence: str) -> None:
    assert evidence_of(event(source, fields)).summary == sentence


def test_bodies_environment_values_and_other_fields_are_never_copied() -> None:
    """[A4] fields that matter come from an allow-list, secrets never."""
    fields = audit(
        requestObject={"data": {"password": SECRET}, "spec": {"containers": [{"env": [{"value": SECRET}]}]}},
        responseObject={"status": {"token": SECRET}},
        annotations={"authorization.k8s.io/decision": "allow", "note": SECRET},
        container={"env": [{"name": "A", "value": SECRET}], "env_names": ["A"], "name": "main"},
        unheard_of=SECRET,
    )
    for source in (AUDIT, CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT):
        evidence = evidence_of(event(source, fields))
        assert SECRET not in repr(evidence)
        assert evidence.fields["annotations"] == {"authorization.k8s.io/decision": "allow"}


def test_unknown_values_are_left_out() -> None:
    """[D5] what was cut off is unknown, and nothing can be shown of it."""
    evidence = evidence_of(event(AUDIT, audit(workload=UNKNOWN, objectRef={"resource": "pods", "name": UNKNOWN})))
    assert evidence.fields["objectRef"] == {"resource": "pods"}
    assert "workload" not in evidence.fields


def test_the_outcome_of_an_access_line_follows_its_status() -> None:
    """[A5] the outcome is success, denied, error or unknown."""
    outcomes = [evidence_of(event(WEBSERVER, {"sc-status": code})).outcome for code in (200, 302, 401, 403, 500)]
    assert outcomes == ["success", "success", "denied", "denied", "error"]
    assert evidence_of(event(WEBSERVER, {})).outcome == "unknown"


PLACES = [
    "curl -H 'Authorization: Bearer {}' https://host/x",
    'curl -H "authorization: Basic {}" https://host',
    "Authorization: {}",
    "Proxy-Authorization: Token {}",
    "Bearer {}",
    "app --password {} --user bob",
    "app --password={}",
    'app --db-password="{}"',
    "app --api-key '{}'",
    "mysql -uroot -p{} db",
    "sshpass -p {} ssh host",
    "docker login -u bob -p {} registry.example",
    "redis-cli -h r -a {} get x",
    "curl -u bob:{} https://host",
    "curl --user=bob:{} https://host",
    "git clone https://bob:{}@git.example/x",
    "git clone https://{}@git.example/x",
    "postgres://u:{}@db:5432/x?sslmode=off",
    "stratum+tcp://WALLET:{}@pool.example:3333",
    "user:{}@tcp(db:3306)/x",
    "DB_PASSWORD={} ./run",
    "export AWS_SECRET_ACCESS_KEY={}",
    '{{"password": "{}", "user": "bob"}}',
    '{{\\"client_secret\\":\\"{}\\"}}',
    "password: {}",
    "PGPASSWORD='{}' psql",
    "X-Vault-Token: {}",
    "Cookie: sid={}; a=b",
    "Set-Cookie: session={}; Path=/",
    "openssl enc -passin pass:{}",
    "pass\u200bword={}",
    "\x1b[31mtoken\x1b[0m={}",
    "jwt eyJhbGciOiJIUzI1NiJ9.{}.c2ln",
]
WORDS = st.text(string.ascii_letters + string.digits + "!#$%*+-._~", min_size=8, max_size=40).map(
    lambda text: "Zq" + text
)


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(PLACES), secret=WORDS)
def test_a_planted_secret_never_comes_through(place: str, secret: str) -> None:
    """[A4] secrets never."""
    if "jwt" in place or "{}@git" in place:
        secret = "".join(char for char in secret if char.isalnum()) + "abcdefgh"
    shown = redact(place.format(secret))
    assert secret not in shown
    assert REDACTED in shown


@settings(deadline=None)
@given(name=st.sampled_from(["token", "access_token", "password", "code", "api_key", "X-Amz-Signature"]), secret=WORDS)
def test_a_secret_query_parameter_is_redacted_and_the_others_stay(name: str, secret: str) -> None:
    plain = "".join(char for char in secret if char.isalnum()) + "abcdefgh"
    assert redact_uri(f"/a/b?limit=5&{name}={plain}&watch=true") == f"/a/b?limit=5&{name}={REDACTED}&watch=true"


@pytest.mark.parametrize(
    "uri",
    [
        f"/api/v1/namespaces/a/pods/p/exec?command=mysql&command=--password&command={SECRET}&container=main",
        f"/x?next=https%3A%2F%2Fbob%3A{SECRET}%40host",
        f"/x?q=--password%3D{SECRET}",
        f"/x?q=password%253D{SECRET}",
        f"https://bob:{SECRET}@host/x",
    ],
)
def test_a_secret_behind_percent_encoding_is_found(uri: str) -> None:
    assert SECRET not in redact_uri(uri, drop=("command",))


@pytest.mark.parametrize(
    "text",
    [
        "net new job from pool.example:3333 diff 100001 algo rx/0",
        "xmrig -o stratum+tcp://pool.example:3333 -u 44AFFq5kSiGBoZ -p x --donate-level 1",
        "authentication failed for bob",
        "pulled image registry.example/token/app@sha256:0123",
        "mail to alice@example.com about secrets in kube-system",
        "passed: 3 tests",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_an_image_name_that_sounds_secret_keeps_its_tag() -> None:
    fields = audit(container={"image": "registry.example/token-miner:latest", "name": "main"})
    assert evidence_of(event(CONTAINER_SPEC, fields)).fields["container"]["image"].endswith("token-miner:latest")


def test_terminal_codes_and_invisible_characters_go() -> None:
    assert clean("\x1b[1;32mok\x1b[0m \x1b]0;title\x07a\u202eb\r\n\x00c\ud800") == "ok ab  c"
    assert clean("grüße 漢字 🙂") == "grüße 漢字 🙂"


def test_what_is_cut_says_so() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(UNKNOWN)
JSON = LEAF | st.lists(LEAF, max_size=5) | st.dictionaries(st.text(max_size=8), LEAF, max_size=5)
PATHS = sorted({".".join(path) for allowed in ALLOWED.values() for path, _ in allowed})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    source=st.sampled_from([AUDIT, CONTAINER_LOG, WEBSERVER, CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT, LogSource()]),
    values=st.dictionaries(st.sampled_from(PATHS), JSON, max_size=25),
)
def test_any_fields_give_bounded_printable_encodable_evidence(source: LogSource, values: dict[str, Any]) -> None:
    fields: dict[str, Any] = {}
    for path, value in values.items():
        *parents, leaf = path.split(".")
        level = fields
        for parent in parents:
            following = level.setdefault(parent, {})
            if not isinstance(following, dict):
                break
            level = following
        else:
            level[leaf] = value
    evidence = evidence_of(event(source, fields))
    assert len(orjson.dumps(evidence.fields)) < 4 * MAX_BYTES
    assert len(evidence.summary) <= MAX_SUMMARY
    assert evidence.summary.isprintable()
    assert evidence_of(event(source, fields)) == evidence


def test_a_huge_message_is_bounded() -> None:
    evidence = evidence_of(event(CONTAINER_LOG, {"message": "x" * 10_000_000}))
    assert len(evidence.fields["message"]) <= MAX_TEXT


@pytest.mark.parametrize("unit", ["password=", "a:", "-u", "mysql ", '"', "eyJ", "\x1b[", "\x1b]", "://a:", "%25"])
def test_hostile_text_takes_no_time(unit: str) -> None:
    """Expressions are linear: a megabyte that looks like secrets everywhere is looked at only as far as it is shown."""
    text = unit * (1_000_000 // len(unit))
    assert len(redact(text)) < 100_000
    assert len(redact_uri(text)) < 100_000
