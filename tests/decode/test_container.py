"""Container lines as events, and access lines among them."""

from __future__ import annotations

import orjson
import pytest

from streamer.decode import guess_kind
from streamer.decode.access import Access, client_address, host_of
from streamer.decode.container import AccessContainers
from streamer.decode.source import ACCESS_LOG_CONTAINERS
from streamer.model import CONTAINER_LOG, WEBSERVER
from tests.decode.given import APPENDED_US, NOON_US, audit, decode, fluent_bit, gateway, one
from tests.decode.test_access_envoy import TODAY
from tests.decode.test_access_nginx import INGRESS


def test_colours_and_other_terminal_codes_are_stripped():
    line = "\x1b[1;32m * \x1b[0m\x1b[1;37mABOUT\x1b[0m \x1b]0;title\x07XMRig/6\x1b[K\x1bM"
    assert one(fluent_bit(line), kind="containers").fields["message"] == " * ABOUT XMRig/6"


@pytest.mark.parametrize(
    "line", ["\x1b" * 50_000 + "x", "\x1b[" * 50_000 + "x", "\x1b]" * 50_000 + "x", "\x1b[" + "0" * 99_999]
)
def test_unfinished_terminal_codes_take_linear_time(line):
    assert one(fluent_bit(line), kind="containers")


def test_a_message_that_is_an_object_is_seen_in_log():
    event = one(fluent_bit('{"level":"error","msg":"x","n":{"a":[1]}}\n'), kind="containers")
    assert event.fields["log"] == {"level": "error", "msg": "x", "n": {"a": [1]}}
    assert event.fields["message"] == '{"level":"error","msg":"x","n":{"a":[1]}}'


@pytest.mark.parametrize("message", ["[1,2]", "{x}", '{"a":1e999}', "{", "{}x", '{"a":' * 500 + "1" + "}" * 500])
def test_a_message_that_is_none_stays_text(message):
    event = one(fluent_bit(message), kind="containers")
    assert event.fields["message"] == message
    assert "log" not in event.fields


def test_a_plain_line_without_envelope_is_a_line():
    event = one(b"new job from pool.example:3333", kind="containers")
    assert (event.logsource, event.fields["message"]) == (CONTAINER_LOG, "new job from pool.example:3333")
    assert (event.time_us, event.has_stamp) == (APPENDED_US, False)


def test_a_plain_line_that_is_an_object_is_a_line_too():
    event = one(b'{"level":"info","msg":"x"}', kind="containers")
    assert event.fields["log"] == {"level": "info", "msg": "x"}


def test_bytes_that_are_no_text_are_still_a_line():
    assert one(b"\xff\xfe\xc0\x80 xmrig", kind="containers").fields["message"].endswith(" xmrig")


def test_several_lines_of_text_in_one_value_are_one_message():
    assert one(b"Traceback:\n  boom\n", kind="containers").fields["message"] == "Traceback:\n  boom"


@pytest.mark.parametrize("value", [b"", b"  \n", b"\n", {"log": "\n", "stream": "stdout"}])
def test_blank_lines_are_passed_over(value):
    decoded = decode(value, kind="containers")
    assert (decoded.events, decoded.dead_letters, decoded.skipped) == ((), (), 1)


def test_the_stamps_of_kubectl_logs_are_read_in_files():
    """[T2] container lines: the line's own stamp."""
    line = b"2026-01-01T00:00:00.500000001Z new job from pool.example:3333"
    event = one(line, kind="containers", file=True, append_time_us=None)
    assert (event.fields["message"], event.time_us) == ("new job from pool.example:3333", NOON_US)
    assert event.has_stamp


@pytest.mark.parametrize(
    "line",
    [
        b"2026-01-01T00:00:00.5Z started",
        b"2026-01-01T00:00:00.500000001Zstarted",
        b"2026-13-01T00:00:00.500000001Z x",
        b" 2026-01-01T00:00:00.500000001Z x",
    ],
)
def test_a_stamp_that_a_program_prints_is_its_text(line):
    event = one(line, kind="containers", file=True, append_time_us=None)
    assert (event.fields["message"], event.has_stamp) == (line.decode(), False)


def test_in_a_topic_and_in_a_containers_file_a_line_does_not_choose_its_time():
    line = b"2020-01-01T00:00:00.500000001Z x"
    assert one(line, kind="containers").time_us == APPENDED_US
    path = "/var/log/pods/lab_p_u/c/0.log"
    assert one(line, kind="containers", file=True, path=path).fields["message"] == line.decode()


def test_audit_events_behind_the_stamps_of_kubectl_logs_are_read():
    line = b"2026-01-01T00:00:00.700000001Z " + orjson.dumps(audit())
    assert one(line).fields["auditID"] == audit()["auditID"]
    assert guess_kind([line]) == "audit"


def test_an_access_line_is_a_line_and_a_request():
    """[T2] access lines: the start time printed in the line. [I4] it has its parent's identity plus its category."""
    line, request = decode(gateway(TODAY), kind="containers").events
    assert (line.logsource, request.logsource) == (CONTAINER_LOG, WEBSERVER)
    assert line.time_us == 1_767_225_600_123_456
    assert request.time_us == 1_767_225_600_123_000
    assert line.identity != request.identity
    assert {name: request.fields[name] for name in request.fields if name not in line.fields} == {
        "c-ip": "203.0.113.7",
        "cs-method": "POST",
        "cs-uri": "/pipeline/apis/v1beta1/runs?x=1",
        "cs-uri-stem": "/pipeline/apis/v1beta1/runs",
        "cs-uri-query": "x=1",
        "sc-status": 200,
        "cs-user-agent": "Mozilla/5.0 (X11)",
        "cs-host": "kubeflow.example",
        "x-request-id": "aa-bb",
        "source": {"ip": "203.0.113.7"},
        "outcome": "success",
        "response_details": "via_upstream",
        "cs-bytes": 312,
        "sc-bytes": 1024,
        "time-taken": 35,
        "upstream": {
            "host": "10.1.2.3:3000",
            "cluster": "outbound|80||ml-pipeline-ui.kubeflow.svc.cluster.local",
        },
    }
    assert request.fields["kubernetes"] == line.fields["kubernetes"]


def test_an_access_line_of_another_container_is_text():
    assert [event.logsource for event in decode(fluent_bit(TODAY), kind="containers").events] == [CONTAINER_LOG]


def test_which_containers_print_access_lines_is_configuration():
    decoded = decode(fluent_bit(INGRESS), kind="containers", access_log_containers=("lab/trainer/main",))
    assert [event.logsource for event in decoded.events] == [CONTAINER_LOG, WEBSERVER]
    assert (
        decode(INGRESS.encode(), kind="containers", access_log_containers=("*/*/*",)).events[1].logsource == WEBSERVER
    )


def test_json_access_lines_are_requests():
    line = orjson.dumps(
        {"start_time": "2026-01-01T00:00:00.1Z", "method": "GET", "path": "/", "response_code": 403}
    ).decode()
    request = decode(gateway(line), kind="containers").events[1]
    assert (request.fields["cs-method"], request.fields["sc-status"], request.fields["outcome"]) == (
        "GET",
        403,
        "denied",
    )


def test_the_web_interface_of_pipelines_tells_the_run():
    run = "3f2c0a9e-1111-4222-8333-444455556666"
    kubernetes = {"pod_name": "ml-pipeline-ui-7d-x", "namespace_name": "kubeflow", "container_name": "ml-pipeline-ui"}
    line = fluent_bit(f"GET /pipeline/apis/v1beta1/runs/{run}\n", kubernetes=kubernetes)
    event, request = decode(line, kind="containers").events
    assert request.fields["kubeflow"] == {"run_id": run}
    assert request.time_us == event.time_us


def test_a_gateway_line_without_an_envelopes_stamp_takes_its_own():
    """[T2] the line's own stamp."""
    event = decode(gateway(TODAY, **{"@timestamp": None}), kind="containers", append_time_us=None).events[0]
    assert event.time_us == 1_767_225_600_123_000


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("istio-system", "istio-ingressgateway-5d8f-x", "istio-proxy"), True),
        (("lab", "istio-ingressgateway-5d8f-x", "istio-proxy"), False),
        (("istio-system", "istiod-x", "discovery"), False),
        (("web", "my-ingress-nginx-controller-x", "controller"), False),
        (("ingress-nginx", "ingress-nginx-controller-x", "controller"), True),
        (("anywhere", "whatever", "oauth2-proxy"), True),
        (("kubeflow", "x", "ml-pipeline-ui"), True),
        (("lab", "x", "ml-pipeline-ui"), False),
        (("", "", ""), False),
    ],
)
def test_the_containers_known_for_access_lines(names, expected):
    assert (names in AccessContainers(ACCESS_LOG_CONTAINERS)) is expected


@pytest.mark.parametrize(
    ("trusted", "forwarded", "peer", "expected"),
    [
        (0, ("1.1.1.1", "2.2.2.2"), "9.9.9.9", "9.9.9.9"),
        (0, ("1.1.1.1", "2.2.2.2"), None, "2.2.2.2"),
        (1, ("1.1.1.1", "2.2.2.2"), "2.2.2.2", "1.1.1.1"),
        (1, ("1.1.1.1", "2.2.2.2"), "9.9.9.9", "2.2.2.2"),
        (5, ("1.1.1.1", "2.2.2.2"), "2.2.2.2", "1.1.1.1"),
        (1, (), "9.9.9.9", "9.9.9.9"),
        (0, (), None, None),
    ],
)
def test_the_client_is_the_peer_or_what_the_trusted_proxies_leave(trusted, forwarded, peer, expected):
    assert client_address(Access(peer=peer, forwarded=forwarded), trusted) == expected


@pytest.mark.parametrize(
    ("address", "host"),
    [("1.2.3.4:5", "1.2.3.4"), ("[::1]:5", "::1"), ("::1", "::1"), ("-", None), ("", None), ("[", None)],
)
def test_ports_are_no_part_of_an_address(address, host):
    assert host_of(address) == host
