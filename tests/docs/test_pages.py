"""What the pages show works, and what they link to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamer.cli import VERBS
from streamer.sigma import load_text

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_the_rules_of_the_quick_start_load_without_a_problem() -> None:
    texts = blocks(ROOT / "docs/quick-start.md", "yaml")

    loaded = load_text({"quick-start.yml": "---\n".join(texts)})

    assert loaded.problems == ()
    assert [rule.meta.name for rule in loaded.rules.detections] == ["shell_in_production"]
    assert len(loaded.rules.correlations) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_verb_that_a_page_names_exists(page: Path) -> None:
    for verb in re.findall(r"^(?:.*\| )?streamer ([a-z][a-z-]+)", page.read_text(), flags=re.MULTILINE):
        assert verb in VERBS, verb


def test_the_readme_shows_two_commands_and_a_result_within_its_first_lines() -> None:
    first = (ROOT / "README.md").read_text().splitlines()[:25]

    assert any(line.startswith("make demo") for line in first)
    assert any(line.startswith("make test") for line in first)
    assert any("CRITICAL" in line for line in first)
