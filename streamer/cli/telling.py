"""What the engine tells, written to standard output: for people, as alert documents, as firings."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Final

import orjson

import streamer
from streamer.authoring.firings import firing_line
from streamer.cli.incident_text import print_incident, print_short
from streamer.cli.stories import stories_of
from streamer.cli.style import output
from streamer.ecs import DocumentContext, Documents
from streamer.ecs.incident import incident
from streamer.engine import Output
from streamer.sigma.rules import RuleSet

GATHERED: Final = 2_000
"""Alerts kept until the end, so that those on the same events are told together; beyond that each is told at once."""
_STORY_LEVELS: Final = ("critical", "high")


class Teller:
    """Takes what the engine tells and writes it to standard output."""

    def __init__(self, rules: RuleSet) -> None:
        self._documents = Documents(rules)
        self._rules = rules.by_key()
        self._write: Callable[[str], Any] = sys.stdout.write

    def tell(self, told: Output) -> None:
        """Write, or keep for :meth:`finish`."""

    def finish(self) -> None:
        """Nothing more comes."""

    def _context(self) -> DocumentContext:
        return DocumentContext(
            instance="replay", version=streamer.__version__, created_us=time.time_ns() // 1_000, replayed=True
        )


class JsonTeller(Teller):
    """Alert documents and notices, one per line."""

    def tell(self, told: Output) -> None:
        """Write every alert at once."""
        context = self._context() if told.alerts or told.notices else None
        if context is None:
            return
        for alert in told.alerts:
            self._write(self._documents.alert(alert, context).body.decode() + "\n")
        for notice in told.notices:
            self._write(self._documents.notice(notice, context).body.decode() + "\n")
        sys.stdout.flush()


class FiringsTeller(Teller):
    """Firings of correlation rules, one per line."""

    def tell(self, told: Output) -> None:
        """Write every firing at once."""
        for firing in told.firings:
            if (line := firing_line(firing, self._rules)) is not None:
                self._write(line.decode() + "\n")
        if told.firings:
            sys.stdout.flush()


class TextTeller(Teller):
    """Alerts for a person: told together where they are about the same events, the gravest in full."""

    def __init__(self, rules: RuleSet, *, at_once: bool) -> None:
        super().__init__(rules)
        self._console = output()
        self._at_once = at_once
        self._gathered: list[dict[str, Any]] = []
        self._told = 0

    def tell(self, told: Output) -> None:
        """Keep alerts for grouping; from standard input, and when there are too many, write each at once."""
        if not told.alerts:
            return
        context = self._context()
        for alert in told.alerts:
            self._gathered.append(orjson.loads(self._documents.alert(alert, context).body))
        if self._at_once or len(self._gathered) >= GATHERED:
            self.finish()
            self._at_once = True

    def finish(self) -> None:
        """Write what was kept."""
        for story in stories_of(self._gathered):
            if self._told:
                self._console.print()
            self._told += 1
            seen = incident(story.document)
            if seen.level in _STORY_LEVELS or len(seen.entries) > 1:
                print_incident(seen, self._console, also=story.also_titles)
            else:
                print_short(seen, self._console)
        self._gathered.clear()
        sys.stdout.flush()
