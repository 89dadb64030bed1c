"""Lines of oauth2-proxy, key=value servers and the Pipelines web interface."""

from __future__ import annotations

import pytest

from streamer.decode.access_other import parse_fields, parse_method_url, parse_oauth2_proxy, parse_pairs


def test_a_request_line_of_oauth2_proxy_is_read():
    access = parse_oauth2_proxy(
        "203.0.113.7:5000 - 8c1b - eve@example.org [2026/01/01 00:00:01] kubeflow.example "
        'GET - "/oauth2/auth" HTTP/1.1 "UA" 202 0 0.001'
    )
    assert access is not None
    assert (access.method, access.uri, access.status, access.peer) == ("GET", "/oauth2/auth", 202, "203.0.113.7")
    assert (access.user, access.request_id, access.host) == ("eve@example.org", "8c1b", "kubeflow.example")


def test_its_older_form_without_request_id_is_read():
    access = parse_oauth2_proxy('10.0.0.1 - - [2026/01/01 00:00:01] k GET - "/" HTTP/1.1 "UA" 403 0 0.001')
    assert access is not None
    assert (access.user, access.request_id, access.status) == (None, None, 403)


@pytest.mark.parametrize(
    ("before", "after"),
    [('"UA"', r'"a\"b"'), ('"/"', r'"/?x=\"1"'), (" GET ", " get "), ("10.0.0.1 - - ", "10.0.0.1 - John Doe ")],
)
def test_nothing_a_client_sends_hides_a_request_to_oauth2_proxy(before, after):
    line = '10.0.0.1 - - [2026/01/01 00:00:01] k GET - "/" HTTP/1.1 "UA" 403 0 0.001'
    access = parse_oauth2_proxy(line.replace(before, after))
    assert access is not None
    assert access.status == 403


def test_a_long_path_does_not_hide_a_request_to_argo_server():
    access = parse_pairs('level=info method=GET path="/workflows?x=' + "y" * 20_000 + '" status=200')
    assert access is not None
    assert access.status == 200


@pytest.mark.parametrize(
    ("line", "method", "uri"),
    [
        ("GET /pipeline/apis/v1beta1/runs/x", "GET", "/pipeline/apis/v1beta1/runs/x"),
        ("POST /apis/v2beta1/runs?a=b", "POST", "/apis/v2beta1/runs?a=b"),
    ],
)
def test_method_and_address_are_all_the_web_interface_prints(line, method, uri):
    access = parse_method_url(line)
    assert access is not None
    assert (access.method, access.uri, access.status, access.peer) == (method, uri, None, None)


@pytest.mark.parametrize("line", ["", "GET", "get /x", "GET x", "I said GET /x and more", "Server listening at /x"])
def test_other_lines_are_none(line):
    assert parse_method_url(line) is None


def test_argo_servers_lines_are_read():
    access = parse_pairs(
        'time="2026-01-01T00:00:01.5Z" level=info duration=1ms method=GET path=/workflows size=12 status=200'
    )
    assert access is not None
    assert (access.method, access.uri, access.status) == ("GET", "/workflows", 200)
    assert access.stamp is not None


def test_authservices_lines_are_read():
    access = parse_pairs(
        'time="2026-01-01T00:00:01Z" level=info msg="no session" ip=10.0.0.1 request="GET /pipeline/ HTTP/1.1"'
    )
    assert access is not None
    assert (access.method, access.uri, access.peer) == ("GET", "/pipeline/", "10.0.0.1")


@pytest.mark.parametrize(
    "line", ["", "level=info msg=started", 'a="' * 20_000, "a=b " * 20_000, 'request="' + "\\" * 50_000]
)
def test_pairs_without_a_request_are_none(line):
    assert parse_pairs(line) is None


@pytest.mark.parametrize(
    ("status", "user"), [("AuthSuccess", "eve@example.org"), ("AuthFailure", "-"), ("AuthError", "-")]
)
def test_logins_at_oauth2_proxy_are_told(status, user):
    access = parse_oauth2_proxy(
        f"203.0.113.7:5000 - 8c1b - {user} [2026/01/01 00:00:01] [{status}] Authenticated via OAuth2: Session{{...}}"
    )
    assert access is not None
    assert (access.peer, access.user) == ("203.0.113.7", None if user == "-" else user)
    assert access.details == {"auth_status": status}
    assert access.stamp is not None


@pytest.mark.parametrize(
    ("code", "status"), [("OK", 200), ("PermissionDenied", 403), ("Unauthenticated", 401), ("Internal", 500)]
)
def test_a_call_that_argo_server_has_ended_is_a_request(code, status):
    access = parse_pairs(
        f'time="2026-01-01T00:00:01Z" level=info msg="finished unary call with code {code}" grpc.code={code} '
        "grpc.method=CreateWorkflow grpc.service=workflow.WorkflowService grpc.start_time=x system=grpc"
    )
    assert access is not None
    assert (access.method, access.uri) == ("POST", "/workflow.WorkflowService/CreateWorkflow")
    assert access.status == status


def test_lines_of_pairs_as_an_object_are_read_alike():
    access = parse_fields({"time": "2026-01-01T00:00:01Z", "method": "GET", "path": "/workflows", "status": 200})
    assert access is not None
    assert (access.method, access.uri, access.status) == ("GET", "/workflows", 200)
    assert parse_fields({"msg": "x", "n": [1], "path": None, "status": True}) is None
