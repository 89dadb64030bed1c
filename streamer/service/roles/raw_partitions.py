"""The raw partitions that this process detects on, and what their notes say has looked at them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from streamer.decode import Source
from streamer.ports import Partition
from streamer.service.roles.coverage import Coverage, read_note
from streamer.service.roles.rebuild import Rebuild
from streamer.sigma.rules import RuleSet
from streamer.stages.detection import DetectStage
from streamer.stages.wire import SourcesTold, version_of

_log = structlog.get_logger("streamer.detect")


@dataclass(slots=True)
class Held:
    """One raw partition.

    Attributes:
        coverage: what has looked at it; ``None``: nobody ever committed a position.
        position: the next offset to be read; ``None`` while it is not known.
        committed: position and note that the group holds, as far as we committed them.
        rebuild: reads it again for new rules.
    """

    coverage: Coverage | None
    position: int | None = None
    committed: tuple[int, str] | None = None
    rebuild: asyncio.Task[int | None] | None = None


class RawPartitions:
    """What is held, kept in step with the stage.

    Args:
        sources: by topic.
        again: reads a partition again for new rules; returns since when they have seen everything.
    """

    def __init__(
        self, sources: Mapping[str, Source], again: Callable[[Rebuild], Coroutine[Any, Any, int | None]]
    ) -> None:
        self.held: dict[Partition, Held] = {}
        self._sources = sources
        self._again = again

    def take(self, partition: Partition, stage: DetectStage, note: str | None, position: int | None) -> None:
        """A partition is ours from now on; reading goes on at ``position``, where ``note`` was committed."""
        committed = (position, note) if note and position is not None else None
        self.held[partition] = Held(read_note(note), position, committed)
        stage.take(partition, self._sources[partition[0]])
        self._cover(partition, stage)

    def give_up(self, partition: Partition, stage: DetectStage) -> None:
        """A partition is not ours any more."""
        held = self.held.pop(partition, None)
        if held is not None and held.rebuild is not None:
            held.rebuild.cancel()
        stage.give_up(partition)

    def begin_anew(self, stage: DetectStage) -> None:
        """What was read since the last commit comes again: nothing of it is remembered."""
        for partition, held in self.held.items():
            held.position = held.committed[0] if held.committed is not None else None
            stage.take(partition, self._sources[partition[0]])
            if held.rebuild is None:
                self._cover(partition, stage)

    def switch(self, stage: DetectStage) -> None:
        """Other rules go on from here."""
        for partition, held in self.held.items():
            if held.rebuild is not None:
                held.rebuild.cancel()
                held.rebuild = None
            self._cover(partition, stage)

    def settle(self, stage: DetectStage) -> None:
        """Note the rebuilds that are done."""
        for partition, held in self.held.items():
            if held.rebuild is not None and held.rebuild.done():
                since_us = held.rebuild.result()
                held.rebuild = None
                held.coverage = replace(Coverage.of(stage.rules), since_us=since_us, knows_since=True)
                stage.covers_from(partition, since_us)

    def told(self, said: SourcesTold) -> list[SourcesTold]:
        """What the stage says, with partitions that are still being read again under the version they had before."""
        by_version: dict[str, list[Any]] = {}
        for source in said.sources:
            held = self.held.get((source.source, source.partition))
            if held is None:
                continue
            version = said.version
            if held.rebuild is not None and held.coverage is not None:
                version = held.coverage.version
            elif held.coverage is not None and source.watermark_us is not None:
                held.coverage = replace(held.coverage, since_us=source.since_us, knows_since=True)
            by_version.setdefault(version, []).append(source)
        return [
            replace(said, version=version, sources=tuple(sources), rules=said.rules if version == said.version else ())
            for version, sources in by_version.items()
        ]

    def cancel(self) -> None:
        """End all rebuilds; they begin anew after the next start, because the notes say so."""
        for held in self.held.values():
            if held.rebuild is not None:
                held.rebuild.cancel()

    def _cover(self, partition: Partition, stage: DetectStage) -> None:
        """Let the rules of the stage look at what they have not seen."""
        held = self.held[partition]
        before = held.coverage
        if before is None:
            held.coverage = Coverage.of(stage.rules)
            return
        missing = before.missing(stage.rules)
        if missing and held.position:
            rebuild = Rebuild(partition, self._sources[partition[0]], held.position, stage.rules, missing)
            held.rebuild = asyncio.create_task(self._again(rebuild), name=f"rebuild {partition[0]}[{partition[1]}]")
            return
        if before.version != version_of(stage.rules):
            held.coverage = replace(Coverage.of(stage.rules), since_us=before.since_us, knows_since=before.knows_since)
        if before.knows_since:
            stage.covers_from(partition, before.since_us)


def say_what_changed(before: RuleSet, after: RuleSet) -> None:
    """Log what a change of rules means for each rule."""
    old = {key: rule.meta.meaning for key, rule in before.by_key().items()}
    new = {key: rule.meta.meaning for key, rule in after.by_key().items()}
    changed = sorted(key for key in old.keys() & new.keys() if old[key] != new[key])
    added, removed = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    kept = len(old.keys() & new.keys()) - len(changed)
    _log.info("detecting with other rules", kept=kept, changed=changed, added=added, removed=removed)
