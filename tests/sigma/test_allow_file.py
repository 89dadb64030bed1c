"""The file with exceptions of a site: what is wrong with it is said with its place and what to write instead."""

from __future__ import annotations

import datetime as dt

import pytest

from streamer.sigma import load_text
from streamer.sigma.allow_file import Exempt, read_allow
from streamer.sigma.problems import Problems
from tests.sigma.writing import place_of

WHOLE = """\
allow:
  - name: nightly backup
    reason: Velero reads all secrets
    rules: [secrets_listed, "credential_access/*"]
    users: ci@example.com
    service_accounts: [velero/*]
    images: [registry.example.com/ops/*, "localhost:5000/tool"]
    namespaces: [velero]
    addresses: [198.51.100.0/24, "2001:db8::1"]
    clusters: [prod-1]
    until: 2027-03-01
"""


def read(text: str) -> tuple[tuple[Exempt, ...], Problems]:
    problems = Problems()
    return read_allow("allow.yml", text, problems), problems


def test_every_key_is_read() -> None:
    (entry,), problems = read(WHOLE)
    assert problems.in_order() == ()
    assert (entry.name, entry.reason) == ("nightly backup", "Velero reads all secrets")
    assert [mention.text for mention in entry.rules] == ["secrets_listed", "credential_access/*"]
    assert entry.attributes["users"] == ("ci@example.com",)
    assert entry.attributes["addresses"] == ("198.51.100.0/24", "2001:db8::1")
    assert entry.until == dt.date(2027, 3, 1)
    assert entry.until_us == int(dt.datetime(2027, 3, 2, tzinfo=dt.UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "allow:\n", "allow: []\n"])
def test_a_file_may_allow_nothing(text: str) -> None:
    entries, problems = read(text)
    assert (entries, problems.in_order()) == ((), ())


@pytest.mark.parametrize(
    ("code", "text", "hint"),
    [
        ("bad-allow", "▸- name: a\n", "begin with `allow:`"),
        ("unknown-key", "▸alow: []\n", "did you mean `allow`?"),
        ("bad-allow", "allow: ▸yes please\n", "write `- name: ...`"),
        ("bad-allow", "allow: [▸velero]\n", "write `- name: ...`"),
        ("bad-allow", "allow: [▸{reason: r, users: [u]}]\n", "add `name: ...`"),
        ("bad-allow", "allow: [▸{name: n, users: [u]}]\n", "add `reason: ...`"),
        ("bad-allow", "allow: [{name: n, reason: ▸'', users: [u]}]\n", "say why"),
        ("bad-allow", "allow: [▸{name: n, reason: r, rules: [x]}]\n", "leave its file out of `rules:`"),
        ("unknown-key", "allow: [{name: n, reason: r, users: [u], ▸namespace: [x]}]\n", "did you mean `namespaces`?"),
        ("unknown-key", "allow: [{name: n, reason: r, users: [u], ▸ip: [x]}]\n", "write `addresses`"),
        ("bad-allow", "allow: [{name: n, reason: r, users: ▸{a: b}}]\n", "write `users: [...]`"),
        ("bad-allow", "allow: [{name: n, reason: r, users: ▸[]}]\n", "write `users: [...]`"),
        ("bad-allow", "allow: [{name: n, reason: r, namespaces: [▸12]}]\n", "quote it"),
        ("bad-allow", "allow: [{name: n, reason: r, users: [▸'*']}]\n", "leave the key out"),
        ("bad-allow", "allow: [{name: n, reason: r, service_accounts: [▸velero]}]\n", "namespace/name"),
        (
            "bad-allow",
            "allow: [{name: n, reason: r, service_accounts: [▸system:serviceaccount:a:b]}]\n",
            "namespace/name",
        ),
        ("bad-allow", "allow: [{name: n, reason: r, images: [▸'r.example/a:1.2']}]\n", "repository alone"),
        ("bad-allow", "allow: [{name: n, reason: r, images: [▸'a@sha256:00']}]\n", "repository alone"),
        ("bad-allow", "allow: [{name: n, reason: r, addresses: [▸10.0.0.1/8]}]\n", "198.51.100.0/24"),
        ("bad-allow", "allow: [{name: n, reason: r, addresses: [▸gateway]}]\n", "198.51.100.0/24"),
        ("bad-allow", "allow: [{name: n, reason: r, users: [u], until: ▸soon}]\n", "yyyy-mm-dd"),
        ("bad-allow", "allow: [{name: n, reason: r, users: [u]}, {name: ▸n, reason: r, users: [u]}]\n", "line 1"),
        ("bad-allow", "allow: []\n---\n▸allow: []\n", "one `allow:`"),
        ("duplicate-key", "allow: [{name: n, reason: r, users: [u], ▸users: [v]}]\n", "line 1"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_write(code: str, text: str, hint: str) -> None:
    text, (line, column) = place_of(text)
    _, problems = read(text)
    (problem,) = problems.in_order()
    assert (problem.code, problem.place.line, problem.place.column) == (code, line, column)
    assert hint in (problem.hint or "")


def test_an_entry_with_a_mistake_allows_nothing_and_the_others_are_read() -> None:
    entries, _ = read("allow: [{name: a, reason: r, users: ['*']}, {name: b, reason: r, users: [u]}]")
    assert [entry.name for entry in entries] == ["b"]


def test_mistakes_of_the_file_are_problems_of_the_rule_set() -> None:
    loaded = load_text({}, allow="allow: [{name: n}]")
    assert {problem.place.path for problem in loaded.problems} == {"allow.yml"}
    assert loaded.sources["allow.yml"] == "allow: [{name: n}]"
