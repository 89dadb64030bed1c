"""Where the rules of the settings are, and what they are at the moment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import streamer
from streamer.errors import SettingsError
from streamer.service.settings import Settings
from streamer.sigma import Loaded, load_rules
from streamer.sigma.load import rule_files

SHIPPED: Final = "shipped"
"""What settings and ``--rules`` call the rules that come with streamer."""

Fingerprint: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Path, inode, size and time of change of every rule file, and of the file of exceptions."""


def shipped_rules() -> Path:
    """The folder of the shipped rules: inside the installed package, else in the checkout.

    Raises:
        SettingsError: there is neither.
    """
    package = Path(streamer.__file__).parent
    for folder in (package / "_rules", package.parent / "rules"):
        if folder.is_dir():
            return folder
    raise SettingsError("the rules that come with streamer are not there", hint="install again, or give --rules DIR")


def rule_paths(given: Sequence[str]) -> list[Path]:
    """Paths of ``--rules``; the shipped ones where nothing is given.

    Raises:
        SettingsError: a path does not exist.
    """
    paths = [shipped_rules() if name == SHIPPED else Path(name) for name in given or [SHIPPED]]
    for path in paths:
        if not path.exists():
            raise SettingsError(
                f"there is no file or folder {path}", hint="give rule files, folders, or the word `shipped`"
            )
    return paths


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """The rule files and folders of a configuration.

    Attributes:
        given: files, folders, and the word ``shipped``.
        placeholders: values by name, for ``|expand``.
        skip_broken: whether the rules without errors may run without the others.
        allow: the site's exceptions.
    """

    given: tuple[str, ...]
    placeholders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    skip_broken: bool = False
    allow: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> RuleFiles:
        """Those that the settings name."""
        return cls(settings.rules, settings.placeholders, settings.skip_broken, settings.allow)

    def load(self) -> Loaded:
        """Read all of them. Raises ``SettingsError`` if a path does not exist."""
        return load_rules(rule_paths(self.given), placeholders=self.placeholders, allow=self.allow)

    def fingerprint(self) -> Fingerprint:
        """Differs from an earlier one if a file was changed, replaced, added or removed; never raises."""
        found: list[tuple[str, int, int, int]] = []
        try:
            files = [file for path in rule_paths(self.given) for file, _ in rule_files(path)]
            for file in files if self.allow is None else [*files, self.allow]:
                state = os.stat(file)  # noqa: PTH116 (the target of a link: what a ConfigMap exchanges)
                found.append((str(file), state.st_ino, state.st_size, state.st_mtime_ns))
        except (OSError, SettingsError):
            # In the middle of being replaced; what is missing is told by loading it.
            found.append(("unreadable", 0, 0, 0))
        return tuple(found)
