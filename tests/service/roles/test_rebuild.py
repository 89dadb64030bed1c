"""Reading again for new rules: one record that fails holds up nothing."""

from __future__ import annotations

from typing import Any, cast

from streamer.model import Position, Record
from streamer.service.roles.rebuild import fed
from streamer.stages.detection import DetectOutput, DetectStage


def record(offset: int) -> Record:
    return Record(b"x", Position("k8s-audit", 0, offset, is_file=False), 0, ())


class Fragile:
    """A stage that fails on one record, also when others come with it."""

    def __init__(self, bad: int) -> None:
        self.bad = bad

    def feed(self, records: list[Record]) -> DetectOutput:
        if any(each.position.offset == self.bad for each in records):
            raise ZeroDivisionError
        return DetectOutput(addressed=cast("Any", [(0, each.position.offset) for each in records]))


def test_a_record_that_fails_is_passed_over_and_its_neighbours_are_used():
    found = fed(cast("DetectStage", Fragile(bad=2)), [record(offset) for offset in range(5)])
    assert [offset for _, offset in cast("Any", found)] == [0, 1, 3, 4]
