"""Rules and a log for the verbs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.verbs import RULES, read, write


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Outputs do not depend on who runs the tests and where."""
    for name in ("FORCE_COLOR", "COLUMNS", "NO_COLOR", "STREAMER_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "secrets.yml").write_text(RULES)
    return folder


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "audit.ndjson", *(read(second, f"s{second}") for second in range(4)))
