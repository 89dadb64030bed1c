from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from streamer.errors import ServerError
from streamer.service.delivery import Courier
from streamer.service.patience import Backoff


class Outbox:
    def __init__(self, *items: str) -> None:
        self.items = list(items)

    def waiting(self, limit: int) -> list[str]:
        return self.items[:limit]

    def done(self, ids) -> None:
        self.items = [item for item in self.items if item not in ids]


class Sink:
    """Fails as often as it is told, then takes everything."""

    name = "sink"

    def __init__(self, *failures: ServerError | None, start_failures: int = 0, takes: int = 100) -> None:
        self.failures = list(failures)
        self.start_failures = start_failures
        self.takes = takes
        self.took: list[str] = []
        self.stopped = False
        self.delivered = asyncio.Event()
        self.refused = asyncio.Event()

    async def start(self) -> None:
        if self.start_failures:
            self.start_failures -= 1
            self.refused.set()
            raise ServerError("refused")

    async def deliver(self, items):
        failure = self.failures.pop(0) if self.failures else None
        if failure:
            raise failure
        self.took += items[: self.takes]
        self.delivered.set()
        return items[: self.takes]

    async def stop(self) -> None:
        self.stopped = True


def courier_of(sink: Sink, outbox: Outbox) -> Courier:
    return Courier(sink, outbox.waiting, outbox.done, backoff=Backoff(first_s=0.001, longest_s=0.01, slow_s=0.02))


async def finish(courier: Courier) -> None:
    courier.close()
    async with asyncio.timeout(5):
        await courier.run()


async def test_what_waits_is_delivered_in_order_and_marked():
    sink, outbox = Sink(), Outbox(*(str(number) for number in range(500)))
    courier = courier_of(sink, outbox)
    await finish(courier)
    assert sink.took == [str(number) for number in range(500)]
    assert (outbox.items, courier.delivered, sink.stopped) == ([], 500, True)


async def test_a_sink_that_is_away_is_retried_without_end_and_said_once():
    sink = Sink(*[ServerError("gone")] * 7, start_failures=5)
    outbox = Outbox("a")
    with capture_logs() as logs:
        await finish(courier_of(sink, outbox))
    assert sink.took == ["a"]
    assert [(entry["event"], entry["what"]) for entry in logs] == [
        ("not available; trying again until it is", "delivering to sink"),
        ("available again", "delivering to sink"),
    ]


async def test_a_sink_that_stays_away_until_the_end_is_not_said_to_be_back():
    sink = Sink(start_failures=1_000)
    courier = courier_of(sink, Outbox())
    with capture_logs() as logs:
        task = asyncio.create_task(courier.run())
        await sink.refused.wait()
        courier.close()
        async with asyncio.timeout(5):
            await task
    assert [entry["event"] for entry in logs] == ["not available; trying again until it is"]
    assert courier.outage.is_on


async def test_an_error_that_a_person_must_repair_is_said_by_its_reason():
    sink = Sink(ServerError("gone"), *[ServerError("wrong key", retriable=False)] * 3)
    with capture_logs() as logs:
        await finish(courier_of(sink, Outbox("a")))
    assert [entry.get("error") for entry in logs] == ["gone", "wrong key", None]


async def test_what_a_sink_refuses_for_now_is_offered_again():
    sink, outbox = Sink(takes=2), Outbox("a", "b", "c", "d", "e")
    with capture_logs():
        await finish(courier_of(sink, outbox))
    assert sink.took == ["a", "b", "c", "d", "e"]


async def test_something_new_wakes_a_waiting_courier():
    sink, outbox = Sink(), Outbox()
    courier = courier_of(sink, outbox)
    task = asyncio.create_task(courier.run())
    await asyncio.sleep(0.05)
    assert not task.done()
    assert courier.connected
    outbox.items.append("a")
    courier.wake()
    async with asyncio.timeout(5):
        await sink.delivered.wait()
        courier.close()
        await task
    assert sink.took == ["a"]


async def test_a_defect_of_a_sink_is_not_swallowed():
    sink = Sink()
    sink.failures = [ValueError("a defect")]
    with pytest.raises(ValueError, match="a defect"):
        await finish(courier_of(sink, Outbox("a")))
    assert sink.stopped


def test_waits_grow_to_their_bound_and_never_vanish():
    backoff = Backoff(first_s=1.0, longest_s=8.0, slow_s=30.0)
    bounds = [1.0, 2.0, 4.0, 8.0, 8.0]
    for bound in bounds:
        assert bound / 10 <= backoff.after(ServerError("gone")) <= bound
    assert backoff.after(ServerError("wrong", retriable=False)) == 30.0
    backoff.reset()
    assert backoff.after(ServerError("gone")) <= 1.0
