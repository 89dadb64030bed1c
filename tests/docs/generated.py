"""The pages that are made of data: ``python -m tests.docs.generated`` writes them anew.

``docs/coverage.md`` is what ``streamer coverage --markdown`` says of the shipped rules; ``docs/behaviours.md`` comes
from ``docs/behaviours.yml``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from streamer.authoring.coverage import coverage
from streamer.authoring.coverage_text import markdown
from streamer.authoring.matrix_attack import ATTACK
from streamer.authoring.matrix_kubernetes import KUBERNETES
from streamer.cli.coverage import firing_cases
from streamer.sigma import load_rules

ROOT: Final = Path(__file__).resolve().parents[2]
COVERAGE: Final = ROOT / "docs" / "coverage.md"
BEHAVIOURS: Final = ROOT / "docs" / "behaviours.md"
SETS: Final = ("Sigma", "Elastic", "Falco", "Panther", "Splunk", "Datadog", "Sentinel", "Chronicle")

_COVERAGE_HEAD: Final = """\
# What the shipped rules cover

Made by `streamer coverage --markdown`; a test holds it to the rules. A technique counts as covered where the tags of a
rule that alerts name it; a sub-technique counts for its technique, too. Building blocks that only correlations use do
not count. *Firing cases* says how many of the [rule cases](rules.md) of these rules must fire. What neither the audit
log nor container logs can show says why. `streamer coverage --navigator layer.json` writes the same as a layer for the
ATT&CK Navigator, and `--rules` takes your own rules in. By what attackers do instead of by technique:
[behaviours](behaviours.md).

A rule that names a technique shows one way to do it, seldom all: read this page for what is missing, not for what is
safe.

"""

_BEHAVIOURS_HEAD: Final = """\
# Behaviours, public rules, and ours

Made of [behaviours.yml](behaviours.yml), which names every public rule; a test holds it to the rules. Of {public}
public rules for Kubernetes audit logs, in {sets} sets, each stands in exactly one of {rows} rows. The numbers say how
many rules of a set tell of a behaviour; {without} rows have no rule of ours and say why. What only the shipped rules
have, chains of several steps, Kubeflow and the health of log sources, stands in the
[list of rules](../rules/README.md).

| behaviour | {columns} | our rules |
| --- |{dashes} --- |
"""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One row: what it is, which public rules tell of it, by set, and which of ours, or why none."""

    name: str
    public: Mapping[str, Sequence[str]]
    rules: Sequence[str]
    reason: str = field(default="")


def behaviours() -> list[Behaviour]:
    """All rows of ``docs/behaviours.yml``, in its order."""
    rows: list[dict[str, Any]] = yaml.safe_load(BEHAVIOURS.with_suffix(".yml").read_text(encoding="utf-8"))
    return [Behaviour(row["behaviour"], row["public"], row["rules"], row.get("reason", "")) for row in rows]


def coverage_page() -> str:
    """``docs/coverage.md`` as the shipped rules are now."""
    rules = load_rules([ROOT / "rules"]).ok()
    firing = firing_cases(rules, ROOT / "tests" / "rules")
    return _COVERAGE_HEAD + "\n".join(markdown(coverage(rules, matrix, firing)) for matrix in (KUBERNETES, ATTACK))


def behaviours_page() -> str:
    """``docs/behaviours.md`` as the data is now."""
    rows = behaviours()
    head = _BEHAVIOURS_HEAD.format(
        public=sum(len(titles) for row in rows for titles in row.public.values()),
        sets=len({name for row in rows for name in row.public}),
        rows=len(rows),
        without=sum(not row.rules for row in rows),
        columns=" | ".join(SETS),
        dashes=" ---: |" * len(SETS),
    )
    return head + "".join(map(_row, rows))


def _row(row: Behaviour) -> str:
    counts = " | ".join(str(len(row.public.get(name, ())) or "") for name in SETS)
    told = ", ".join(f"`{name}`" for name in row.rules)
    return f"| {row.name} | {counts} | {'. '.join(part for part in (told, row.reason) if part)} |\n"


def main() -> None:
    """Write both pages."""
    COVERAGE.write_text(coverage_page(), encoding="utf-8")
    BEHAVIOURS.write_text(behaviours_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
