"""The raw partitions that this process detects on, and what their notes say has looked at them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from streamer.decode import Source
from streamer.ports import Partition
from streamer.service.roles.attempts import Attempt, begin
from streamer.service.roles.coverage import Coverage, attempt_in, reached_in, read_note
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
        committed: position, note and how far its matches were sent, as the group holds them.
        watermark_us: told when the partition was somebody else's; ours says nothing for a while.
        rebuild: reads it again for new rules.
        attempt: this process goes on from here, until it has got further.
        is_fed: the attempt is to be noted, because the first records are being fed.
    """

    coverage: Coverage | None
    position: int | None = None
    committed: tuple[int, str, int] | None = None
    watermark_us: int | None = None
    rebuild: asyncio.Task[int | None] | None = None
    attempt: Attempt | None = None
    is_fed: bool = False
    _noted: tuple[Coverage | None, Attempt | None, str] = (None, None, "")

    @property
    def note(self) -> str:
        """What is to be written beside the position."""
        coverage, attempt, note = self._noted
        now = self.attempt if self.is_fed else None
        if coverage is not self.coverage or attempt is not now:
            note = self.coverage.note(now) if self.coverage is not None else ""
            self._noted = (self.coverage, now, note)
        return note

    def covers_from(self, since_us: int | None) -> None:
        """The rules turn out to have seen everything newer than this; ``None``: everything."""
        if self.coverage is not None and (not self.coverage.knows_since or self.coverage.since_us != since_us):
            self.coverage = replace(self.coverage, since_us=since_us, knows_since=True)


class RawPartitions:
    """What is held, kept in step with the stage.

    Args:
        sources: by topic.
        again: reads a partition again for new rules; returns since when they have seen everything.
        process: a name of this process that no other has.
        careful: held while a record is tried singly, whose trial may kill the process.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        again: Callable[[Rebuild], Coroutine[Any, Any, int | None]],
        *,
        process: str,
        careful: asyncio.Lock,
    ) -> None:
        self.careful = careful
        self.held: dict[Partition, Held] = {}
        self._process = process
        self._sources = sources
        self._again = again

    def take(self, partition: Partition, stage: DetectStage, note: str | None, position: int | None) -> None:
        """A partition is ours from now on; reading goes on at ``position``, where ``note`` was committed."""
        reached = reached_in(note)
        committed = (position, note, reached.sent_below) if note and position is not None else None
        held = self.held[partition] = Held(read_note(note), position, committed, reached.watermark_us)
        if position is not None:
            held.attempt = begin(attempt_in(note, position), position, self._process)
            if held.attempt.left:
                _log.warning(
                    "a process died here several times: records go one at a time",
                    topic=partition[0],
                    partition=partition[1],
                    position=position,
                    attempt=held.attempt.count,
                )
        self._begin(partition, stage)
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
            self._begin(partition, stage)
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
            if source.watermark_us is None and held.watermark_us is not None:
                source = replace(source, watermark_us=held.watermark_us)  # noqa: PLW2901 (the same, and what is known)
            version = said.version
            if held.rebuild is not None and held.coverage is not None:
                version = held.coverage.version
            elif source.watermark_us is not None:
                held.covers_from(source.since_us)
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

    def _begin(self, partition: Partition, stage: DetectStage) -> None:
        """Let the stage begin at the position; what was sent before it broke off in a line is not sent again."""
        held = self.held[partition]
        sent_below = held.committed[2] if held.committed is not None else 0
        stage.take(partition, self._sources[partition[0]], held.position, sent_below=sent_below)
        held.position = max(held.position, sent_below) if held.position is not None else None

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
