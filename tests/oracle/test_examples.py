"""Oracle and engine both give the answers worked out by hand."""

from __future__ import annotations

import pytest

from streamer.correlate import Correlator, Told
from tests.oracle.examples import EXAMPLES, Example, seconds
from tests.oracle.world import World

NAMES = [f"{example.cites}: {example.what}: {example.arrives}" for example in EXAMPLES]


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_the_oracle_gives_the_answer_of_the_example(example: Example) -> None:
    """[C1] [C2] [C3] [C4] [C5] [C6] [C7] [C8] [C9] [W1] [W2] [W3] [I5] [T6] by hand."""
    world = World(example.rules())
    for what, value in example.ops():
        if what == "feed":
            world.feed(value)
        elif what == "advance":
            world.advance(value)
        else:
            world.finish()
    assert seconds([one.time for one in world.told if one.rule == "rule"]) == example.fires


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_the_engine_gives_the_answer_of_the_example(example: Example) -> None:
    """[C1] [C2] [C3] [C4] [C5] [C6] [C7] [C8] [C9] [C10] [W1] [W2] [W3] [K1] [K2] [I5] [T6] by hand."""
    engine = Correlator(example.rules())
    times: list[int] = []
    for what, value in example.ops():
        told = engine.feed(value) if what == "feed" else _move(engine, value)
        times += [firing.time_us for firing in told.firings if firing.rule == "rule"]
    assert seconds(times) == example.fires


def _move(engine: Correlator, watermark: int | None) -> Told:
    return engine.finish() if watermark is None else engine.advance(watermark)
