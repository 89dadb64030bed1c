"""Every byte of a log may have been written by an attacker: nothing raises, hangs or grows without bound."""

from __future__ import annotations

import gzip
import time
from base64 import b64encode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.model import UNKNOWN
from tests.decode.given import Strict, audit, decode, fluent_bit, gateway, pod, record, source, write
from tests.decode.happenings import aks, gke, otlp_json, otlp_proto
from tests.decode.test_access_envoy import TODAY
from tests.decode.test_access_nginx import INGRESS

BOMB = b64encode(gzip.compress(b"\0" * 50_000_000)).decode()
DEEP: dict[str, object] = {}
for _ in range(24):
    DEEP = {"a": DEEP}
MANY_KEYS = b"{" + b",".join(b'"%x":0' % n for n in range(180_000)) + b"}"
"""As many as a record may hold: the parser meets them all."""
MILLION_KEYS = b"{" + b",".join(b'"%x":0' % n for n in range(1_000_000)) + b"}"
CORPUS = {
    "empty": b"",
    "null": b"null",
    "array": b"[]",
    "array of arrays": b"[" * 1000 + b"]" * 1000,
    "trailing bytes": b'{"a":1} x',
    "byte order mark": b"\xef\xbb\xbf" + orjson.dumps(audit()),
    "only a byte order mark": b"\xef\xbb\xbf",
    "utf-16": '{"a":1}'.encode("utf-16"),
    "NaN": b"NaN",
    "NaN inside": b'{"verb":NaN,"auditID":"x"}',
    "infinity": b'{"auditID":1e999}',
    "5,000 digits": b"9" * 5000,
    "5,000 digits inside": b'{"auditID":' + b"9" * 5000 + b"}",
    "5,000 digits as stamp": b'{"auditID":"a","stageTimestamp":"' + b"9" * 5000 + b'"}',
    "2^64": b'{"auditID":18446744073709551616,"responseStatus":{"code":18446744073709551616}}',
    "-2^64": b'{"@timestamp":-18446744073709551616,"log":"x","stream":"stdout"}',
    "lone surrogates": b'{"log":"\\ud800","stream":"\\udfff","kubernetes":{"pod_name":"\\ud800"}}',
    "lone surrogate key": b'{"\\ud800":1,"auditID":"x"}',
    "invalid utf-8": b'{"log":"\xff\xfe","stream":"stdout"}',
    "overlong utf-8": b'{"log":"\xc0\xaf\xe0\x80\xaf","stream":"stdout"}',
    "duplicate keys": b'{"auditID":"a","auditID":"b","verb":"x","verb":1e999}',
    "depth 100,000": b"[" * 100_000,
    "closed depth 100,000": b"[" * 100_000 + b"]" * 100_000,
    "objects, depth 100,000": b'{"a":' * 100_000,
    "body of depth 100,000": b'{"auditID":"a","requestObject":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "list of depth 100,000": b'{"kind":"EventList","items":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "many keys": MANY_KEYS,
    "many keys, broken": MANY_KEYS[:-1] + b",}",
    "many keys in a log": b'{"stream":"stdout","log":' + MANY_KEYS + b"}",
    "a million keys": MILLION_KEYS,
    "2 MB of brackets": b"[" * 1_990_000,
    "2 MB of braces": b"{" * 1_990_000,
    "2 MB of quotes": b'{"' + b'"' * 1_990_000,
    "2 MB of escaped quotes": b'{"' + b'\\"' * 990_000,
    "2 MB of backslashes": b'{"' + b"\\" * 1_990_000,
    "2 MB of commas": b"{" + b"," * 1_990_000,
    "2 MB of colons": b"{" + b":" * 1_990_000,
    "2 MB of newlines": b"{" + b"\n" * 1_990_000,
    "2 MB of small documents": b"{}" * 990_000,
    "2 MB of small lines": b"{}\n" * 660_000,
    "2 MB of broken lines": b'{"a":1}\n' + b"{\n" * 990_000,
    "2 MB of brackets by pairs": b"[" + b"[]," * 660_000,
    "2 MB string": b'{"auditID":"' + b"x" * 1_990_000 + b'"}',
    "2 MB string, broken": b'{"auditID":"' + b"x" * 1_990_000,
    "10 MB string": b'"' + b"x" * 10_000_000 + b'"',
    "cut": orjson.dumps(audit())[:-40],
    "zero bytes": b"\x00" * 100,
    "a bomb": gzip.compress(b"\0" * 50_000_000),
    "a bomb in base64": b64encode(gzip.compress(b"[" * 50_000_000)),
    "a bomb of events": gzip.compress((orjson.dumps(audit()) + b"\n") * 30_000),
    "half a bomb": gzip.compress(b"{" * 50_000_000)[:-20_000],
    "gzip in gzip": gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(b"{}"))))),
    "only a gzip header": b"\x1f\x8b\x08",
    "bombs in an envelope": orjson.dumps({"records": [{"data": BOMB} for _ in range(30)]}),
    "protobuf": otlp_proto(audit(), {"k8s.cluster.name": "c"}, {}),
    "protobuf, cut": otlp_proto(audit(), {}, {})[:-5],
    "2 MB of empty protobuf messages": b"\x0a\x00" * 990_000,
    "2 MB of empty protobuf records": b"\x0a\x85\x80\x78\x12\x81\x80\x78" + b"\x12\x00" * 983_040,
    "protobuf as deep as it may be": otlp_proto(DEEP, {}, {}),
    "protobuf lengths": b"\x0a\xff\xff\xff\xff\x0f",
    "text that looks like protobuf": b"\n\x05hello\n\x05hello",
    "a cri prefix only": b"2026-01-01T00:00:00.5Z stdout F",
    "a cri prefix without end": b"2026-01-01T00:00:00.5Z stdout " + b"P" * 100_000,
    "an envoy prefix only": b'[2026-01-01T00:00:00.5Z] "',
}


@pytest.mark.parametrize("kind", ["audit", "containers"])
@pytest.mark.parametrize("name", sorted(CORPUS))
def test_the_corpus_neither_raises_nor_hangs(name, kind):
    decoder = Strict(source(kind, access_log_containers=("*/*/*",)))
    begin = time.process_time()
    decoded = decoder.decode(record(CORPUS[name]))
    again = decoder.flush()
    assert time.process_time() - begin < 10
    assert len(decoded.events) + len(decoded.dead_letters) + decoded.skipped + len(again.events) > 0
    assert sum(len(letter.value) for letter in decoded.dead_letters) <= 2 * len(CORPUS[name]) + 100


@pytest.mark.parametrize("kind", ["audit", "containers"])
@pytest.mark.parametrize("name", sorted(name for name in CORPUS if len(CORPUS[name]) < 500_000))
def test_the_corpus_inside_a_wrapper_neither_raises_nor_hangs(name, kind):
    text = CORPUS[name].decode("utf-8", "replace")
    decoder = Strict(source(kind, access_log_containers=("*/*/*",)))
    for value in (fluent_bit(text), {"records": [{"category": "kube-audit", "properties": {"log": text}}]}):
        decoder.decode(record(value))
    decoder.flush()


@pytest.mark.parametrize("kind", ["audit", "containers"])
def test_a_million_keys_are_too_large_and_are_read_where_the_limit_allows_it(kind):
    assert [letter.reason for letter in decode(MILLION_KEYS, kind=kind).dead_letters] == ["too-large"]
    begin = time.process_time()
    decoded = decode(MILLION_KEYS, kind=kind, limits={"record_bytes": 20_000_000})
    assert time.process_time() - begin < 10
    assert len(decoded.events) + len(decoded.dead_letters) + decoded.skipped > 0
    assert "too-large" not in [letter.reason for letter in decoded.dead_letters]


def test_a_flood_of_partial_lines_stays_bounded():
    decoder = Strict(source("containers", limits={"partial_bytes": 10_000, "partial_total_bytes": 50_000}))
    told = 0
    for n in range(3000):
        kubernetes = {"pod_name": f"p{n % 70}", "namespace_name": "lab", "container_name": "c"}
        told += len(decoder.decode(record(fluent_bit("x" * 500 + str(n), logtag="P", kubernetes=kubernetes), n)).events)
        if n % 500 == 0:
            assert len(decoder.snapshot()) < 200_000
    assert told > 20
    texts = sum(len(event.fields["message"]) for event in decoder.flush().events)
    assert texts <= 50_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
RECORDS = [
    audit(),
    write(
        "pods",
        pod(
            {"name": "c", "image": "x", "securityContext": {"capabilities": {"add": ["A"]}}},
            volumes=[{"hostPath": {"path": "/"}}],
        ),
    ),
    write(
        "deployments", [{"op": "add", "path": "/spec/template/spec/containers/0", "value": {"name": "c"}}], verb="patch"
    ),
    write(
        "workflows",
        {"spec": {"templates": [{"name": "t", "script": {"image": "x", "source": "y"}}], "podSpecPatch": "{}"}},
    ),
    write("rolebindings", {"subjects": [{"kind": "User", "name": "x"}], "roleRef": {"name": "r"}}),
    fluent_bit(orjson.dumps(audit()).decode()),
    write("workflows", {"spec": {"templates": [{"name": "t", "container": {"image": "x"}, "podSpecPatch": "a: b"}]}}),
    write(
        "inferenceservices",
        {"spec": {"predictor": {"model": {"image": "x", "args": ["a"]}, "containers": [{"name": "c"}]}}},
        ref={"apiGroup": "serving.kserve.io"},
    ),
    audit(
        objectRef={"resource": "pods", "name": "p", "namespace": "n", "uid": "u", "subresource": "binding"},
        requestObject={"target": {"name": "n"}},
        annotations={
            "authorization.k8s.io/reason": 'RBAC: allowed by RoleBinding "b/n" of Role "r" to User "u"',
            "authentication.kubernetes.io/issued-credential-id": "JTI=x",
        },
    ),
    gke(audit()),
    otlp_json("x", {"k8s.pod.uid": "u"}, {"logtag": "P"}),
    aks("{}"),
    {"message": {"data": "eyJhIjoxfQ==", "attributes": {}, "publishTime": "2026-01-01T00:00:00Z"}},
    {"records": [{"data": "eyJhIjoxfQ=="}], "requestId": "r"},
    gateway(TODAY),
    gateway(INGRESS),
    {"records": [{"time": "2026-01-01T00:00:00Z", "category": "kube-audit", "properties": {"log": audit()}}]},
    {
        "messageType": "DATA_MESSAGE",
        "logGroup": "/aws/eks/c/cluster",
        "logStream": "kube-apiserver-audit-1",
        "logEvents": [{"message": "{}"}],
    },
]


def paths(value, prefix=()):
    yield prefix
    if isinstance(value, dict):
        for key, child in value.items():
            yield from paths(child, (*prefix, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from paths(child, (*prefix, index))


def replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


PLACES = [(index, path) for index, value in enumerate(RECORDS) for path in paths(value)]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PLACES), json_values, st.sampled_from(["audit", "containers"]))
def test_any_value_in_any_place_of_a_record_gives_events_or_dead_letters(place, value, kind):
    index, path = place
    data = (
        orjson.dumps(replaced(RECORDS[index], path, value), default=str, option=orjson.OPT_NON_STR_KEYS)
        if fits(value)
        else b"{}"
    )
    decoded = decode(data, kind=kind, access_log_containers=("*/*/*",))
    for event in decoded.events:
        assert len(event.identity) == 16
        assert isinstance(event.time_us, int)
        assert event.fields["cluster"] == event.cluster


def fits(value) -> bool:
    """Whether orjson can write it: 64-bit integers, text without surrogates."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["audit", "containers"]))
def test_any_bytes_give_events_or_dead_letters(data, kind):
    decode(data, kind=kind, access_log_containers=("*/*/*",))


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(RECORDS), st.sampled_from(["audit", "containers"]))
def test_any_damage_to_a_record_gives_events_or_dead_letters(data, value, kind):
    raw = bytearray(orjson.dumps(value))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not raw:
            break
    decode(bytes(raw), kind=kind, access_log_containers=("*/*/*",))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 600))
def test_an_audit_event_cut_anywhere_says_what_it_does_not_know(length):
    """[D5] what was cut off is unknown: nothing that the event held is ever taken for absent."""
    whole = audit()
    raw = orjson.dumps(whole)
    decoded = decode(raw[: min(length, len(raw) - 1)])
    for event in decoded.events:
        for name, value in whole.items():
            if name not in ("kind", "apiVersion"):
                assert event.fields[name] == value or event.fields[name] is UNKNOWN


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.text(max_size=5)), max_size=12), st.integers(0, 12))
def test_snapshot_and_restore_at_any_point_change_nothing(pieces, at):
    def lines():
        for n, (pod_name, partial, text) in enumerate(pieces):
            kubernetes = {"pod_name": pod_name, "namespace_name": "n", "container_name": "c"}
            yield record(fluent_bit(text, logtag="P" if partial else "F", kubernetes=kubernetes), n)

    straight, broken = Strict(source("containers")), Strict(source("containers"))
    for n, line in enumerate(lines()):
        if n == at:
            stored = broken.snapshot()
            broken = Strict(source("containers"))
            broken.restore(stored)
        assert broken.decode(line) == straight.decode(line)
    assert broken.flush() == straight.flush()
