"""``--allow`` of ``replay`` and ``check``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.verbs import read, run, write

ALLOW = """\
allow:
  - name: nightly backup
    reason: Velero reads all secrets
    rules: [secret_read]
    users: [alice]
    {more}
"""


@pytest.fixture
def allow(tmp_path: Path) -> Path:
    path = tmp_path / "allow.yml"
    path.write_text(ALLOW.format(more=""))
    return path


def test_what_is_allowed_neither_alerts_nor_feeds_a_correlation_and_is_counted(
    capsys: pytest.CaptureFixture[str], rules: Path, tmp_path: Path, allow: Path
) -> None:
    lines = [read(second, f"s{second}") for second in range(4)]
    log = write(tmp_path / "audit.ndjson", *lines, read(5, "x", user={"username": "bob"}))
    ran = run(capsys, "replay", log, "--rules", rules, "--allow", allow, "--json")
    documents = [json.loads(line) for line in ran.out.splitlines()]
    assert [document["user"]["name"] for document in documents] == ["bob"]
    assert "\nallowed: nightly backup 4\n" in ran.err
    assert "allowed:" not in run(capsys, "replay", log, "--rules", rules).err


def test_a_mistake_stops_replay_with_its_place(
    capsys: pytest.CaptureFixture[str], rules: Path, log: Path, allow: Path
) -> None:
    allow.write_text(ALLOW.format(more="namespace: [x]"))
    ran = run(capsys, "replay", log, "--rules", rules, "--allow", allow)
    assert ran.code == 2
    assert f"{allow}:6:5: error" in ran.err
    assert run(capsys, "replay", log, "--rules", rules, "--allow", "nowhere.yml").code == 2


def test_a_broken_entry_allows_nothing_under_skip_broken(
    capsys: pytest.CaptureFixture[str], rules: Path, log: Path, allow: Path
) -> None:
    allow.write_text(ALLOW.format(more="namespace: [x]"))
    ran = run(capsys, "replay", log, "--rules", rules, "--allow", allow, "--skip-broken", "--json")
    assert (ran.code, len(ran.out.splitlines())) == (0, 5)


def test_check_shows_every_entry_with_how_many_rules_it_touches(
    capsys: pytest.CaptureFixture[str], rules: Path, allow: Path
) -> None:
    ran = run(capsys, "check", rules, "--allow", allow)
    assert ran.code == 0
    assert "allowed: nightly backup: 1 rule (Velero reads all secrets)\n" in ran.out


def test_check_warns_of_an_entry_that_has_ended(capsys: pytest.CaptureFixture[str], rules: Path, allow: Path) -> None:
    allow.write_text(ALLOW.format(more="until: 2026-01-01"))
    ran = run(capsys, "check", rules, "--allow", allow)
    assert f"{allow}:6:12: warning: `nightly backup` has ended" in ran.out
    assert run(capsys, "check", rules, "--allow", allow, "--strict").code == 1


def test_check_points_from_filters_of_sigma_to_exceptions(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    (rules / "filter.yml").write_text(
        "title: Not the backup\nlogsource: {product: kubernetes, service: audit}\n"
        "filter: {rules: [secret_read], selection: {user.username: alice}, condition: not selection}\n"
    )
    ran = run(capsys, "check", rules)
    assert ran.code == 1
    assert "exceptions of your site" in ran.out
    assert "1 error" in ran.out
