"""Lines of ingress-nginx and of the combined format."""

from __future__ import annotations

import pytest

from streamer.decode.access_nginx import parse_line

INGRESS = (
    '203.0.113.7 - - [01/Jan/2026:00:00:01 +0000] "GET /jupyter/?ns=lab HTTP/2.0" 200 12 "https://x/" '
    '"Mozilla/5.0 (X11)" '
    "100 0.001 [kubeflow-centraldashboard-80] [] 10.0.0.1:8082 12 0.001 200 0123456789abcdef0123456789abcdef"
)


def test_the_ingress_format_is_read():
    access = parse_line(INGRESS)
    assert access is not None
    assert (access.method, access.uri, access.status) == ("GET", "/jupyter/?ns=lab", 200)
    assert (access.peer, access.user, access.user_agent) == ("203.0.113.7", None, "Mozilla/5.0 (X11)")
    assert access.request_id == "0123456789abcdef0123456789abcdef"
    assert access.stamp is not None
    assert access.stamp.us == 1_767_225_601_000_000


def test_the_older_ingress_format_is_read():
    access = parse_line(INGRESS.replace(" - - [01", " - [203.0.113.7] - - [01"))
    assert access is not None
    assert (access.peer, access.user, access.status) == ("203.0.113.7", None, 200)


def test_the_combined_format_is_read_with_its_user():
    access = parse_line('127.0.0.1 - eve [01/Jan/2026:02:00:01 +0200] "POST /x HTTP/1.1" 401 - "-" "-"')
    assert access is not None
    assert (access.user, access.status, access.user_agent) == ("eve", 401, None)
    assert access.stamp is not None
    assert access.stamp.us == 1_767_225_601_000_000


def test_the_common_format_without_referrer_is_read():
    access = parse_line('127.0.0.1 - - [01/Jan/2026:00:00:01 +0000] "GET / HTTP/1.1" 200 5')
    assert access is not None
    assert access.user_agent is None


@pytest.mark.parametrize(
    "line",
    ["", "- - -", "a - - [99/Foo/2026:00:00:01 +0000]", "x" * 60_000, "- " * 30_000, "a - [" * 10_000, INGRESS[:40]],
)
def test_other_lines_are_no_access_lines(line):
    assert parse_line(line) is None


def test_an_impossible_date_leaves_the_line_without_a_stamp():
    access = parse_line(INGRESS.replace("01/Jan", "31/Foo"))
    assert access is not None
    assert access.stamp is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("203.0.113.7 - -", "203.0.113.7 - " + "u" * 600),
        ("/jupyter/?ns=lab", '/jupyter/?ns=\\"lab'),
        ("/jupyter/?ns=lab", '/jupyter/?ns="lab'),
        ("Mozilla/5.0", '\\"Mozilla'),
    ],
)
def test_nothing_a_client_sends_hides_its_line(before, after):
    access = parse_line(INGRESS.replace(before, after))
    assert access is not None
    assert access.uri is not None
    assert (access.method, access.uri[:13], access.status) == ("GET", "/jupyter/?ns=", 200)
    assert access.request_id == "0123456789abcdef0123456789abcdef"


def test_what_the_ingress_adds_to_a_request_is_told():
    access = parse_line(INGRESS)
    assert access is not None
    assert access.referer == "https://x/"
    assert access.details == {
        "cs-bytes": 100,
        "sc-bytes": 12,
        "time-taken": 1,
        "upstream": {"host": "10.0.0.1:8082", "cluster": "kubeflow-centraldashboard-80"},
    }


def test_a_request_that_went_to_several_upstreams_names_the_first():
    access = parse_line(INGRESS.replace("10.0.0.1:8082 12", "10.0.0.1:8082, 10.0.0.2:8082 0, 12"))
    assert access is not None
    assert access.details["upstream"]["host"] == "10.0.0.1:8082"
    assert access.request_id is not None


@pytest.mark.parametrize("rest", ["x" * 300_000, "x " * 150_000, "[" * 300_000, "[] " * 100_000])
def test_a_hostile_tail_takes_linear_time(rest):
    assert parse_line(INGRESS[: INGRESS.index("[] 10")] + rest) is not None
