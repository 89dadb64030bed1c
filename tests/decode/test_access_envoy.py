"""Lines of Envoy and Istio's gateways."""

from __future__ import annotations

import pytest

from streamer.decode.access import Access, client_address
from streamer.decode.access_envoy import parse_json, parse_text

TODAY = (
    '[2026-01-01T00:00:00.123Z] "POST /pipeline/apis/v1beta1/runs?x=1 HTTP/1.1" 200 - via_upstream - "-" 312 1024 '
    '35 34 "198.51.100.1,203.0.113.7" "Mozilla/5.0 (X11)" "aa-bb" "kubeflow.example" "10.1.2.3:3000" '
    "outbound|80||ml-pipeline-ui.kubeflow.svc.cluster.local 10.0.0.9:41234 10.0.0.9:8080 203.0.113.7:51422 - -"
)
ISTIO_2020 = (
    '[2020-04-01T10:00:00.123Z] "GET / HTTP/1.1" 200 - "-" "-" 0 1024 35 34 "203.0.113.7" "curl/7" "aa-bb" '
    '"kubeflow.example" "10.1.2.3:8082" outbound|80||centraldashboard.kubeflow.svc.cluster.local - 10.0.0.9:80 '
    "203.0.113.7:51422 - -"
)
ENVOY = (
    '[2026-01-01T00:00:00.123Z] "GET /x HTTP/2" 503 UF,URX 0 91 1 - '
    '"203.0.113.7" "curl/7" "aa-bb" "host:443" "10.1.2.3:80"'
)


def test_the_format_of_today_is_read():
    access = parse_text(TODAY)
    assert access is not None
    assert (access.method, access.uri, access.status) == ("POST", "/pipeline/apis/v1beta1/runs?x=1", 200)
    assert (access.peer, access.forwarded) == ("203.0.113.7", ("198.51.100.1", "203.0.113.7"))
    assert (access.user_agent, access.request_id, access.host) == ("Mozilla/5.0 (X11)", "aa-bb", "kubeflow.example")
    assert access.stamp is not None
    assert access.stamp.us == 1_767_225_600_123_000


def test_the_format_of_2020_is_read():
    access = parse_text(ISTIO_2020)
    assert access is not None
    assert (access.method, access.uri, access.status, access.peer) == ("GET", "/", 200, "203.0.113.7")
    assert (access.user_agent, access.host) == ("curl/7", "kubeflow.example")


def test_envoys_own_format_is_read():
    access = parse_text(ENVOY)
    assert access is not None
    assert (access.uri, access.status, access.peer, access.forwarded) == ("/x", 503, None, ("203.0.113.7",))
    assert access.host == "host:443"


def test_a_request_that_never_got_an_answer_has_status_zero():
    access = parse_text(TODAY.replace(" 200 - ", " 0 DC "))
    assert access is not None
    assert access.status == 0


def test_what_was_not_there_is_none():
    access = parse_text(TODAY.replace('"198.51.100.1,203.0.113.7" "Mozilla/5.0 (X11)"', '"-" "-"'))
    assert access is not None
    assert (access.forwarded, access.user_agent) == ((), None)


def test_an_address_of_version_six_loses_brackets_and_port():
    access = parse_text(TODAY.replace("203.0.113.7:51422", "[2001:db8::7]:51422"))
    assert access is not None
    assert access.peer == "2001:db8::7"


def test_quotes_in_a_header_cannot_forge_the_peer():
    forged = TODAY.replace('"198.51.100.1,', '"1.1.1.1" "ua" "id" "host" "up" ,')
    access = parse_text(forged)
    assert access is not None
    assert client_address(access, 0) == "203.0.113.7"


def test_the_format_of_2019_without_route_name_tells_the_peer():
    access = parse_text(ISTIO_2020.replace(" - -", " -"))
    assert access is not None
    assert access.peer == "203.0.113.7"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/runs?x=1", '/runs?x="1"'),
        ("/runs?x=1", '/runs?x=1"'),
        ("Mozilla/5.0 (X11)", 'a" b "c'),
        ("Mozilla/5.0 (X11)", '"'),
        ("Mozilla/5.0 (X11)", 'a" "b'),
        ("198.51.100.1,", 'a" b "c, '),
        ("198.51.100.1,", '" "'),
    ],
)
def test_no_quote_hides_a_line_or_moves_what_the_client_does_not_say(before, after):
    access = parse_text(TODAY.replace(before, after))
    assert access is not None
    assert access.uri is not None
    assert (access.method, access.uri[:27], access.status) == ("POST", "/pipeline/apis/v1beta1/runs", 200)
    assert (access.peer, access.request_id, access.host) == ("203.0.113.7", "aa-bb", "kubeflow.example")


def test_of_headers_that_cannot_be_told_apart_nothing_was_forwarded():
    access = parse_text(TODAY.replace("Mozilla/5.0 (X11)", '192.0.2.1" "x'))
    assert access is not None
    assert access.forwarded == ()
    assert client_address(access, 1) == "203.0.113.7"


def test_a_proxy_named_earlier_in_the_chain_is_still_the_last_hop():
    access = Access(peer="10.0.0.1", forwarded=("10.0.0.1", "203.0.113.7"))
    assert client_address(access, 1) == "203.0.113.7"


def test_a_line_with_other_headers_still_tells_its_request():
    access = parse_text('[2026-01-01T00:00:00.123Z] "GET /x HTTP/1.1" 200 - some words')
    assert access is not None
    assert (access.method, access.uri, access.status, access.peer) == ("GET", "/x", 200, None)


@pytest.mark.parametrize("rest", ['"' * 300_000, '" "' * 100_000, "1 " * 150_000, "1" * 300_000, '1 2 3 4 "' * 30_000])
def test_hostile_lines_take_linear_time(rest):
    assert parse_text('[2026-01-01T00:00:00.123Z] "GET / HTTP/1.1" 200 ' + rest) is not None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[",
        "[2026-01-01T00:00:00.123Z]",
        '[2026-01-01T00:00:00.123Z] "GET / HTTP/1.1" 200',
        "[2026-01-01T00:00:00.123Z] GET / 200 - - - - - - - - - -",
        "[2026-01-01 00:00:00.1]  net      new job from pool.example:3333 diff 1000 algo rx/0 height 1",
        '[2026-01-01T00:00:00.123Z] "' + '"' * 50_000,
        "[2026-01-01T00:00:00.123Z] " + '"a" ' * 20_000,
        "[2026-01-01T00:00:00.123Z] " + "a " * 20_000,
    ],
)
def test_other_lines_are_no_access_lines(line):
    assert parse_text(line) is None


def test_the_json_format_is_read():
    access = parse_json(
        {
            "start_time": "2026-01-01T00:00:00.123Z",
            "method": "GET",
            "path": "/pipeline/",
            "response_code": 200,
            "x_forwarded_for": "203.0.113.7",
            "user_agent": "curl",
            "authority": "kubeflow.example",
            "request_id": "aa",
            "downstream_remote_address": "203.0.113.7:1",
        }
    )
    assert access is not None
    assert (access.method, access.uri, access.status, access.peer) == ("GET", "/pipeline/", 200, "203.0.113.7")


@pytest.mark.parametrize("status", [None, True, [], "20x", 2.5])
def test_a_confused_status_is_none(status):
    access = parse_json({"start_time": "x", "method": "GET", "path": "/", "response_code": status})
    assert access is not None
    assert access.status is None
    assert parse_json({"method": "GET", "path": "/"}) is None
    assert parse_json({"start_time": 1, "method": [], "path": "/"}) is None


def test_what_envoy_adds_to_a_request_is_told():
    access = parse_text(TODAY.replace(" 200 - via_upstream ", " 503 UF,URX upstream_reset{overflow} "))
    assert access is not None
    assert access.details == {
        "response_flags": "UF,URX",
        "response_details": "upstream_reset{overflow}",
        "cs-bytes": 312,
        "sc-bytes": 1024,
        "time-taken": 35,
        "upstream": {
            "host": "10.1.2.3:3000",
            "cluster": "outbound|80||ml-pipeline-ui.kubeflow.svc.cluster.local",
        },
    }


def test_formats_without_details_tell_what_they_have():
    old, envoy = parse_text(ISTIO_2020), parse_text(ENVOY)
    assert old is not None
    assert envoy is not None
    assert old.details == {
        "cs-bytes": 0,
        "sc-bytes": 1024,
        "time-taken": 35,
        "upstream": {"host": "10.1.2.3:8082", "cluster": "outbound|80||centraldashboard.kubeflow.svc.cluster.local"},
    }
    assert envoy.details == {
        "response_flags": "UF,URX",
        "cs-bytes": 0,
        "sc-bytes": 91,
        "time-taken": 1,
        "upstream": {"host": "10.1.2.3:80"},
    }


def test_json_lines_tell_the_same_as_text():
    message = {
        "start_time": "2026-01-01T00:00:00.123Z",
        "method": "GET",
        "path": "/x",
        "response_code": 503,
        "response_flags": "UF,URX",
        "response_code_details": "-",
        "bytes_received": 0,
        "bytes_sent": "91",
        "duration": 10**30,
        "upstream_host": "10.1.2.3:80",
        "upstream_cluster": None,
    }
    access = parse_json(message)
    assert access is not None
    assert access.details == {
        "response_flags": "UF,URX",
        "cs-bytes": 0,
        "sc-bytes": 91,
        "upstream": {"host": "10.1.2.3:80"},
    }
