"""New rules for a running service: when the rule files change, or on SIGHUP.

The files are looked at every few seconds. A change is loaded when it has stood still for one look, so that a copy in
progress is not taken for a rule set. Rules that have errors change nothing: the ones that run go on, the log says what
is wrong and where, and metrics and readiness show it until it is mended.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Final

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamer.correlate import RestoreReport
from streamer.errors import RuleError, RuleSetError, SettingsError
from streamer.service.rule_files import Fingerprint, RuleFiles
from streamer.sigma.rules import RuleSet

_log = structlog.get_logger("streamer.rules")
LOOK_EVERY_S: Final = 2.0
"""A mounted ConfigMap takes a minute to change; editing by hand wants an answer at once."""
_SAID: Final = 20
"""Problems of one reload that the log shows; `streamer check` shows all."""
RESULTS: Final = ("loaded", "unchanged", "refused")


class RuleWatch(Collector):
    """Watches the rule files of a configuration; iterating over it yields every new rule set.

    Args:
        files: what to watch.
        running: the rules that run now. Files that changed since they were loaded are noticed, too.
        watching: whether the files are looked at; otherwise only :meth:`ask` makes them be loaded.
        look_every_s: time between two looks.

    Attributes:
        problem: why the newest rule files are not what runs, one sentence; ``None`` while they are.
        results: how often rules were loaded, by ``loaded``, ``unchanged`` and ``refused``.
        loaded_s: when the running rules were loaded, seconds since the epoch.
    """

    def __init__(
        self, files: RuleFiles, running: RuleSet, *, watching: bool = True, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self.problem: str | None = None
        self.results: Counter[str] = Counter(dict.fromkeys(RESULTS, 0))
        self.loaded_s = time.time()
        self._files = files
        self._running = running
        self._watching = watching
        self._look_every_s = look_every_s
        self._asked = asyncio.Event()
        self._seen: Fingerprint | None = None

    async def __aiter__(self) -> AsyncIterator[RuleSet]:
        """Every rule set that is new and has no errors; never ends, never raises for what rule files say."""
        while True:
            asked = await self._change()
            rules = await self._load(asked=asked)
            if rules is not None:
                yield rules

    def ask(self) -> None:
        """Load the files now, whether they seem to have changed or not."""
        self._asked.set()

    @contextlib.contextmanager
    def on_hangup(self) -> Iterator[None]:
        """SIGHUP asks, as long as this lasts; where there are no signals (another thread) nothing happens."""
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGHUP, self.ask)
        except (RuntimeError, ValueError, NotImplementedError):
            yield
            return
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    async def _change(self) -> bool:
        """Wait until files differ from those loaded last and have stood still for one look; ``True`` if asked to."""
        before: Fingerprint | None = None
        while True:
            if self._watching:
                now = await asyncio.to_thread(self._files.fingerprint)
                if now != self._seen and now == before:
                    return False
                before = now
            if await self._asked_within_a_look():
                return True

    async def _asked_within_a_look(self) -> bool:
        try:
            async with asyncio.timeout(self._look_every_s if self._watching else None):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _load(self, *, asked: bool) -> RuleSet | None:
        """The new rules; ``None`` if they have errors or are those that run."""
        first = self._seen is None
        # Taken before reading: what changes meanwhile is seen by the next look.
        self._seen = await asyncio.to_thread(self._files.fingerprint)
        try:
            rules = await asyncio.to_thread(self._rules)
        except (RuleSetError, SettingsError) as error:
            self._refuse(error)
            return None
        self.problem = None
        if rules == self._running:
            if asked or not first:
                self.results["unchanged"] += 1
                _log.info("the rule files say what the running rules say: nothing changes")
            return None
        self._running = rules
        self.results["loaded"] += 1
        self.loaded_s = time.time()
        return rules

    def _rules(self) -> RuleSet:
        loaded = self._files.load()
        if not self._files.skip_broken:
            loaded.ok()
        _say([problem for problem in loaded.problems if problem.severity == "error"])
        if not loaded.rules.detections:
            raise SettingsError(f"there are no rules in {', '.join(self._files.given)}")
        return loaded.rules

    def _refuse(self, error: RuleSetError | SettingsError) -> None:
        self.results["refused"] += 1
        problems = _errors(error)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        self.problem = f"new rules are refused: {problems[0]}{more}"
        _log.error("the new rules have errors; those that run go on", problems=len(problems))
        _say(problems)

    def note(self) -> str:
        """One line for people: when the rules that run were loaded, or why newer ones are refused."""
        return self.problem or f"{len(self._running.detections) + len(self._running.correlations)} rules in force"

    def collect(self) -> Iterator[Metric]:
        """Metrics, for a registry."""
        reloads = CounterMetricFamily("streamer_rules_reload", "Loads of changed rule files.", labels=["result"])
        for result in RESULTS:
            reloads.add_metric([result], self.results[result])
        yield reloads
        yield GaugeMetricFamily(
            "streamer_rules_loaded_timestamp", "When the running rules were loaded, seconds.", value=self.loaded_s
        )
        yield GaugeMetricFamily(
            "streamer_rules_refused",
            "1 while newer rule files are refused for their errors.",
            value=float(bool(self.problem)),
        )


def say_reloaded(before: Mapping[str, object], rules: Mapping[str, object], report: RestoreReport) -> None:
    """Log what new rules mean for every rule: by key, those that ran and those that run."""
    changed = sorted(rule for rule in report.dropped if rule in rules)
    _log.info(
        "rules exchanged",
        kept=sorted(report.kept),
        anew=changed,
        added=sorted(rule for rule in rules if rule not in before),
        dropped=sorted(rule for rule in before if rule not in rules),
    )
    for rule in changed:
        _log.warning("the meaning of a rule has changed: it starts anew", rule=rule)


def _say(problems: Sequence[RuleError | SettingsError]) -> None:
    for problem in problems[:_SAID]:
        _log.error("a rule cannot be used", problem=str(problem), hint=problem.hint)


def _errors(error: RuleSetError | SettingsError) -> list[RuleError] | list[SettingsError]:
    if isinstance(error, SettingsError):
        return [error]
    return [problem for problem in error.problems if problem.severity == "error"]
